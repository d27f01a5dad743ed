/*
 * The edits of a set are a sorted list of prefixes, each with the last word said about it. The
 * set's own list is sorted as well, so what the set holds is a merge of the two, where an edit
 * wins. To delete what only an edit had added takes that edit back and leaves nothing: a program
 * that adds and deletes addresses for ever must not make the list grow for ever.
 */
#include "appliance/sets.h"

#include <stdlib.h>
#include <string.h>

#include "policy/policy_suggest.h"

struct edit {
    struct ip_prefix prefix;
    bool added; /* else deleted */
};

struct sets_edited {
    struct sets_edited *next;
    struct edit *edits;
    unsigned count;
    char name[];
};

static int compare_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
    int order = memcmp(a->addr.b, b->addr.b, sizeof a->addr.b);

    return order != 0 ? order : a->len - b->len;
}

static int compare_edit(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;

    return compare_prefix(&x->prefix, &y->prefix);
}

static int compare_wanted(const void *wanted, const void *member)
{
    return compare_prefix(wanted, member);
}

const struct policy_set *sets_find(const struct policy *policy, const char *name, struct error *e)
{
    struct policy_suggest suggest = {.text = name};

    for (unsigned i = 0; i < policy->set_count; i++) {
        if (strcmp(policy->sets[i].name, name) == 0)
            return &policy->sets[i];
        policy_suggest_offer(&suggest, policy->sets[i].name);
    }
    if (suggest.best != NULL)
        error_set(e, "there is no set \"%s\"; did you mean \"%s\"?", name, suggest.best);
    else
        error_set(e, "there is no set \"%s\"", name);
    return NULL;
}

/* ---- the books ---- */

static struct sets_edited *find(const struct sets *s, const char *name)
{
    struct sets_edited *e = s->first;

    while (e != NULL && strcmp(e->name, name) != 0)
        e = e->next;
    return e;
}

static struct sets_edited *find_or_add(struct sets *s, const char *name)
{
    struct sets_edited *e = find(s, name);
    size_t size = strlen(name) + 1;

    if (e != NULL)
        return e;
    e = calloc(1, sizeof *e + size);
    if (e == NULL)
        return NULL;
    memcpy(e->name, name, size);
    e->next = s->first;
    s->first = e;
    return e;
}

static void edited_free(struct sets_edited *e)
{
    free(e->edits);
    free(e);
}

void sets_free(struct sets *s)
{
    struct sets_edited *e;

    while ((e = s->first) != NULL) {
        s->first = e->next;
        edited_free(e);
    }
}

void sets_prune(struct sets *s, const struct policy *policy)
{
    struct sets_edited **link = &s->first, *e;

    while ((e = *link) != NULL) {
        if (sets_find(policy, e->name, NULL) != NULL) {
            link = &e->next;
            continue;
        }
        *link = e->next;
        edited_free(e);
    }
}

static int edits_set(struct sets_edited *e, const struct edit *edits, unsigned count)
{
    struct edit *copy = calloc(count + 1, sizeof *copy);

    if (copy == NULL)
        return -1;
    if (count > 0)
        memcpy(copy, edits, count * sizeof *copy);
    free(e->edits);
    e->edits = copy;
    e->count = count;
    return 0;
}

int sets_copy(struct sets *to, const struct sets *from)
{
    *to = (struct sets){0};
    for (const struct sets_edited *e = from->first; e != NULL; e = e->next) {
        struct sets_edited *copy = find_or_add(to, e->name);

        if (copy == NULL || edits_set(copy, e->edits, e->count) < 0) {
            sets_free(to);
            return -1;
        }
    }
    return 0;
}

/* ---- what a set holds ---- */

struct ip_prefix *sets_prefixes(const struct sets *s, const struct policy_set *set, unsigned *count)
{
    const struct sets_edited *e = find(s, set->name);
    unsigned edit_count = e != NULL ? e->count : 0, i = 0, k = 0, n = 0;
    struct ip_prefix *out = calloc((size_t)set->prefix_count + edit_count + 1, sizeof *out);

    if (out == NULL)
        return NULL;
    while (i < set->prefix_count || k < edit_count) {
        int order = i == set->prefix_count ? 1
                    : k == edit_count      ? -1
                                           : compare_prefix(&set->prefixes[i], &e->edits[k].prefix);

        if (order < 0)
            out[n++] = set->prefixes[i];
        else if (e->edits[k].added)
            out[n++] = e->edits[k].prefix;
        i += order <= 0;
        k += order >= 0;
    }
    *count = n;
    return out;
}

static bool in_policy(const struct policy_set *set, const struct ip_prefix *prefix)
{
    return set->prefix_count > 0 && bsearch(prefix, set->prefixes, set->prefix_count,
                                            sizeof *set->prefixes, compare_wanted) != NULL;
}

static bool holds(const struct sets_edited *e, const struct policy_set *set,
                  const struct ip_prefix *prefix)
{
    const struct edit wanted = {.prefix = *prefix};
    const struct edit *edit =
        e->count > 0 ? bsearch(&wanted, e->edits, e->count, sizeof *e->edits, compare_edit) : NULL;

    return edit != NULL ? edit->added : in_policy(set, prefix);
}

/* ---- edits ---- */

/* Sorts edits and keeps one of each prefix; all say the same. */
static unsigned edits_sort(struct edit *edits, unsigned count)
{
    unsigned kept = 0;

    qsort(edits, count, sizeof *edits, compare_edit);
    for (unsigned i = 0; i < count; i++) {
        if (kept == 0 || compare_edit(&edits[kept - 1], &edits[i]) != 0)
            edits[kept++] = edits[i];
    }
    return kept;
}

static unsigned edits_merge(const struct sets_edited *former, const struct edit *more,
                            unsigned count, const struct policy_set *set, struct edit *out)
{
    unsigned i = 0, k = 0, n = 0;

    while (i < former->count || k < count) {
        int order = i == former->count ? 1
                    : k == count       ? -1
                                       : compare_edit(&former->edits[i], &more[k]);

        const struct edit *last = order < 0 ? &former->edits[i] : &more[k];

        if (last->added || in_policy(set, &last->prefix))
            out[n++] = *last;
        i += order <= 0;
        k += order >= 0;
    }
    return n;
}

int sets_change(struct sets *s, const struct policy_set *set, bool add,
                const struct ip_prefix *prefixes, unsigned count, struct sets_outcome *out)
{
    struct sets_edited *e = find_or_add(s, set->name);
    struct edit *edits = calloc(count + 1, sizeof *edits);
    struct edit *all = e != NULL ? calloc(e->count + count + 1, sizeof *all) : NULL;
    int result = -1;

    *out = (struct sets_outcome){0};
    if (edits != NULL && all != NULL) {
        unsigned given = count;

        for (unsigned i = 0; i < count; i++)
            edits[i] = (struct edit){ip_prefix_network(&prefixes[i]), add};
        count = edits_sort(edits, count);
        for (unsigned i = 0; i < count; i++)
            out->changed += holds(e, set, &edits[i].prefix) != add;
        out->unchanged = given - out->changed;
        result = edits_set(e, all, edits_merge(e, edits, count, set, all));
    }
    free(edits);
    free(all);
    return result;
}
