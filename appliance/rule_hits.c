/* A tree, as a policy may have thousands of rules and there is no bound on their names. When memory
 * is out a figure is lost, which is the least that could be. */
#include "appliance/rule_hits.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/counter.h"

struct rule_total {
    const char *name;
    uint64_t hits;
    char text[];
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct rule_total *)a)->name, ((const struct rule_total *)b)->name);
}

static struct rule_total *find(const struct rule_hits *h, const char *name)
{
    const struct rule_total key = {.name = name};
    struct rule_total **found = tfind(&key, &h->tree, compare);

    return found != NULL ? *found : NULL;
}

static void add(struct rule_hits *h, const char *name, uint64_t hits)
{
    struct rule_total *total = find(h, name);
    size_t size = strlen(name) + 1;

    if (total == NULL) {
        total = calloc(1, sizeof *total + size);
        if (total == NULL)
            return;
        memcpy(total->text, name, size);
        total->name = total->text;
        if (tsearch(total, &h->tree, compare) == NULL) {
            free(total);
            return;
        }
    }
    total->hits += hits;
}

void rule_hits_add(struct rule_hits *h, const struct policy *policy, const uint64_t *counters)
{
    for (unsigned i = 0; i < policy->rule_count; i++) {
        uint64_t hits = counter_read(counters, policy->rules[i].index);

        if (hits > 0)
            add(h, policy->rules[i].name, hits);
    }
}

static void merge_one(const void *node, VISIT visit, void *to)
{
    const struct rule_total *total = *(struct rule_total *const *)node;

    if (visit == postorder || visit == leaf)
        add(to, total->name, total->hits);
}

void rule_hits_merge(struct rule_hits *h, const struct rule_hits *more)
{
    twalk_r(more->tree, merge_one, h);
}

uint64_t rule_hits_of(const struct rule_hits *h, const char *rule)
{
    const struct rule_total *total = find(h, rule);

    return total != NULL ? total->hits : 0;
}

void rule_hits_prune(struct rule_hits *h, const struct policy *policy)
{
    struct rule_hits kept = {0};

    for (unsigned i = 0; i < policy->rule_count; i++) {
        const char *name = policy->rules[i].name;
        uint64_t hits = rule_hits_of(h, name);

        if (hits > 0 && find(&kept, name) == NULL)
            add(&kept, name, hits);
    }
    rule_hits_free(h);
    *h = kept;
}

void rule_hits_free(struct rule_hits *h)
{
    tdestroy(h->tree, free);
    h->tree = NULL;
}
