/* Egress classes. */
#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

#define CLASSES_MAX 63 /* the stack's EGRESS_CLASSES without the default class */

static const struct policy_type type_priority = {
    .name = "number",
    .expected = "a number",
    .size = sizeof(uint8_t),
    .read = policy_scalar_number,
    .max = 7,
    .range = "from 0 to 7",
};

static const struct policy_type type_weight = {
    .name = "number",
    .expected = "a number",
    .size = sizeof(uint16_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 1000,
    .range = "from 1 to 1000",
};

/* Class selectors (RFC 2474), assured (RFC 2597) and expedited forwarding (RFC 3246), VOICE-ADMIT
 * (RFC 5865), lower effort (RFC 8622). */
static const struct policy_choice dscp_choices[] = {
    {"CS0", 0},   {"LE", 1},    {"CS1", 8},   {"AF11", 10}, {"AF12", 12}, {"AF13", 14},
    {"CS2", 16},  {"AF21", 18}, {"AF22", 20}, {"AF23", 22}, {"CS3", 24},  {"AF31", 26},
    {"AF32", 28}, {"AF33", 30}, {"CS4", 32},  {"AF41", 34}, {"AF42", 36}, {"AF43", 38},
    {"CS5", 40},  {"VA", 44},   {"EF", 46},   {"CS6", 48},  {"CS7", 56},  {NULL, 0},
};

static const struct policy_type type_dscp = {
    .name = "code point",
    .expected = "a code point such as AF21, EF or CS1, or a number from 0 to 63",
    .size = sizeof(int8_t),
    .read = policy_scalar_named,
    .choices = dscp_choices,
    .max = 63,
    .range = "from 0 to 63",
};

static const struct policy_key class_keys[] = {
    {.name = "rate",
     .type = &policy_keys_rate,
     .offset = AT(class, rate),
     .help = "Guaranteed, in bits a second of Ethernet frames, on each interface; by default "
             "nothing."},
    {.name = "ceiling",
     .type = &policy_keys_rate,
     .offset = AT(class, ceiling),
     .help = "Never more than this on one interface; by default no bound."},
    {.name = "priority",
     .type = &type_priority,
     .offset = AT(class, priority),
     .fallback = "4",
     .help = "From 0, first, to 7: who is served first once all guarantees are met."},
    {.name = "weight",
     .type = &type_weight,
     .offset = AT(class, weight),
     .fallback = "100",
     .help = "From 1 to 1000: the share among classes of one priority."},
    {.name = "dscp",
     .type = &type_dscp,
     .offset = AT(class, dscp),
     .help = "Marks the packets (RFC 2474): a name such as `AF21`, `EF` or `CS1`, or a number from "
             "0 to 63. By default they are not marked."},
    {.name = NULL},
};

static void class_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_class *class = out;

    class->name = n->key->text;
    class->mark = n->key->mark;
    class->dscp = -1;
    class->index = index;
}

static void class_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    const struct policy_class *class = out;

    if (class->ceiling > 0 && class->rate > class->ceiling)
        policy_reader_error(r, policy_node_get(n, "rate"),
                            "the guaranteed rate is above the class's ceiling");
}

static const struct policy_type type_class = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping such as {rate: 100Mbit}",
    .size = sizeof(struct policy_class),
    .begin = class_begin,
    .finish = class_finish,
    .keys = class_keys,
};

const struct policy_type policy_keys_classes = {
    .kind = POLICY_KIND_SECTION,
    .name = "classes by name",
    .expected = "a mapping of classes by name",
    .size = sizeof(struct policy_class),
    .element = &type_class,
    .count_max = CLASSES_MAX,
    .defines = POLICY_SECTION_CLASSES,
};
