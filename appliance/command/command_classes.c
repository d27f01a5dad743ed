/* Egress classes: what each has sent through each interface. */
#include "appliance/classes.h"
#include "appliance/command/command_internal.h"

/* The class of a number, or NULL: the default class, or that of a former policy. */
static const struct policy_class *class_of(const struct snapshot *s, unsigned number)
{
    for (unsigned i = 0; i < s->policy->class_count; i++) {
        if (classes_number(s->classes, &s->policy->classes[i]) == number)
            return &s->policy->classes[i];
    }
    return NULL;
}

static json_t *class_object(const struct command_context *c, unsigned port, unsigned number)
{
    const struct policy_class *class = class_of(c->snapshots->current, number);
    struct scheduler_class_counters sum = {0};
    json_t *object;

    workers_class_counters(c->workers, port, number, &sum);
    object =
        json_pack("{s:s, s:s, s:I, s:I, s:I}", "interface", c->ports->port[port].name, "class",
                  class != NULL ? class->name : "default", "frames", (json_int_t)sum.class_frames,
                  "bytes", (json_int_t)sum.class_bytes, "held", (json_int_t)sum.class_held);
    if (class == NULL)
        return object;
    json_object_set_new(object, "rate", json_integer((json_int_t) class->rate));
    json_object_set_new(object, "ceiling", json_integer((json_int_t) class->ceiling));
    json_object_set_new(object, "priority", json_integer(class->priority));
    json_object_set_new(object, "weight", json_integer(class->weight));
    return object;
}

json_t *command_classes(struct command_context *c, json_t *request)
{
    const struct snapshot *s = c->snapshots->current;
    json_t *classes = json_array();

    (void)request;
    for (unsigned port = 0; port < c->ports->count; port++) {
        json_array_append_new(classes, class_object(c, port, 0));
        for (unsigned i = 0; i < s->policy->class_count; i++)
            json_array_append_new(
                classes, class_object(c, port, classes_number(s->classes, &s->policy->classes[i])));
    }
    return control_reply_ok(json_pack("{s:o}", "classes", classes));
}
