#include "appliance/classes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES_PRIORITY 4 /* of the default class, as the policy's own default */
#define CLASSES_WEIGHT   100

static int names_copy(struct classes *c, const struct classes *former, struct error *e)
{
    if (former == NULL)
        return 0;
    for (unsigned i = 1; i < EGRESS_CLASSES; i++) {
        if (former->name[i] == NULL)
            continue;
        c->name[i] = strdup(former->name[i]);
        if (c->name[i] == NULL)
            return error_set(e, "out of memory");
    }
    return 0;
}

static unsigned number_of_name(const struct classes *c, const char *name)
{
    unsigned i = 1;

    while (i < EGRESS_CLASSES && (c->name[i] == NULL || strcmp(c->name[i], name) != 0))
        i++;
    return i;
}

/* A number that nobody has; else that of a class which is not in the policy any more. */
static unsigned number_free(const struct classes *c)
{
    unsigned i = 1;

    while (i < EGRESS_CLASSES && c->name[i] != NULL)
        i++;
    if (i < EGRESS_CLASSES)
        return i;
    for (i = 1; i < EGRESS_CLASSES && c->present[i]; i++)
        ;
    return i;
}

static int number_assign(struct classes *c, const struct policy_class *k, struct error *e)
{
    unsigned n = number_free(c);
    char *name;

    if (n == EGRESS_CLASSES)
        return error_set(e, "more than %d egress classes", EGRESS_CLASSES - 1);
    name = strdup(k->name);
    if (name == NULL)
        return error_set(e, "out of memory");
    free(c->name[n]);
    c->name[n] = name;
    c->number[k->index] = (uint8_t)n;
    c->present[n] = true;
    return 0;
}

/* Those that had a number before keep it, whatever the order. */
static int numbers_assign(struct classes *c, const struct policy *policy, struct error *e)
{
    for (unsigned i = 0; i < policy->class_count; i++) {
        unsigned n = number_of_name(c, policy->classes[i].name);

        if (n == EGRESS_CLASSES)
            continue;
        c->number[policy->classes[i].index] = (uint8_t)n;
        c->present[n] = true;
    }
    for (unsigned i = 0; i < policy->class_count; i++) {
        const struct policy_class *k = &policy->classes[i];

        if (c->number[k->index] == 0 && number_assign(c, k, e) < 0)
            return -1;
    }
    for (unsigned i = 0; i < EGRESS_CLASSES; i++) {
        if (c->present[i])
            c->count = i + 1;
    }
    return 0;
}

/* Numbers in between that no class has now are like the default class. */
static int shaper_create(struct classes *c, const struct policy *policy, unsigned interface,
                         clock_ns now, struct error *e)
{
    struct scheduler_shaper_config config = {.rate = policy->interfaces[interface].rate,
                                             .class_count = c->count};

    for (unsigned i = 0; i < c->count; i++)
        config.classes[i] =
            (struct scheduler_class){.priority = CLASSES_PRIORITY, .weight = CLASSES_WEIGHT};
    for (unsigned i = 0; i < policy->class_count; i++) {
        const struct policy_class *k = &policy->classes[i];

        config.classes[c->number[k->index]] = (struct scheduler_class){
            .rate = k->rate, .ceiling = k->ceiling, .priority = k->priority, .weight = k->weight};
    }
    c->shaper[interface] = scheduler_shaper_create(&config, now, e);
    return c->shaper[interface] != NULL
               ? 0
               : error_prefix(e, "interface %s", policy->interfaces[interface].name);
}

struct classes *classes_create(const struct policy *policy, const struct classes *former,
                               clock_ns now, struct error *e)
{
    struct classes *c = calloc(1, sizeof *c);

    if (c == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    c->present[0] = true;
    if (names_copy(c, former, e) < 0 || numbers_assign(c, policy, e) < 0)
        goto fail;
    for (unsigned i = 0; i < policy->interface_count && i < STACK_MAX_IFACES; i++) {
        if (policy->class_count == 0 && policy->interfaces[i].rate == 0)
            continue;
        if (shaper_create(c, policy, i, now, e) < 0)
            goto fail;
    }
    return c;
fail:
    classes_free(c);
    return NULL;
}

void classes_free(struct classes *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < STACK_MAX_IFACES; i++)
        scheduler_shaper_destroy(c->shaper[i]);
    for (unsigned i = 0; i < EGRESS_CLASSES; i++)
        free(c->name[i]);
    free(c);
}

uint8_t classes_number(const struct classes *c, const struct policy_class *of)
{
    assert(of == NULL || of->index < EGRESS_CLASSES);
    return of != NULL ? c->number[of->index] : 0;
}
