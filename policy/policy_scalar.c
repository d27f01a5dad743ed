#include "policy/policy_scalar.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *policy_scalar_digits(const char *text, uint64_t *out)
{
    uint64_t n = 0;

    if (!isdigit((unsigned char)text[0]) || (text[0] == '0' && isdigit((unsigned char)text[1])))
        return NULL;
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return NULL;
    *out = n;
    return text;
}

/* Stores an integer, an enum or a bool. */
static void store(const struct policy_type *type, uint64_t value, void *out)
{
    if (type->size == sizeof(uint8_t))
        *(uint8_t *)out = (uint8_t)value;
    else if (type->size == sizeof(uint16_t))
        *(uint16_t *)out = (uint16_t)value;
    else if (type->size == sizeof(uint32_t))
        *(uint32_t *)out = (uint32_t)value;
    else
        *(uint64_t *)out = value;
}

static bool in_range(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, uint64_t value)
{
    char found[POLICY_NODE_QUOTE_MAX];

    if (value >= type->min && value <= type->max)
        return true;
    policy_reader_error(r, n, "expected a value %s, found %s", type->range,
                        policy_node_describe(n, found));
    return false;
}

void policy_scalar_number(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, void *out)
{
    uint64_t value;
    const char *end = policy_scalar_digits(n->text, &value);

    if (end == NULL || *end != '\0') {
        policy_schema_mismatch(r, type, n);
        return;
    }
    if (in_range(r, type, n, value))
        store(type, value, out);
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number and a unit with nothing between them. Saturates, for the range check to find. */
static bool with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t value;
    const char *unit = policy_scalar_digits(text, &value);

    if (unit == NULL)
        return false;
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strcmp(u->name, unit) != 0)
            continue;
        if (__builtin_mul_overflow(value, u->factor, out))
            *out = UINT64_MAX;
        return true;
    }
    return false;
}

/* A number with a unit that is nearly one. */
static void unit_mismatch(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, const struct unit *units)
{
    uint64_t value;
    const char *unit = policy_scalar_digits(n->text, &value);
    struct policy_suggest suggest = {.text = unit != NULL ? unit + strspn(unit, " ") : ""};
    char found[POLICY_NODE_QUOTE_MAX], hint[64] = "";

    for (const struct unit *u = units; u->name != NULL; u++)
        policy_suggest_offer(&suggest, u->name);
    if (suggest.best != NULL)
        snprintf(hint, sizeof hint, ", did you mean \"%" PRIu64 "%s\"?", value, suggest.best);
    policy_reader_error(r, n, "expected %s, found %s%s", type->expected,
                        policy_node_describe(n, found), hint);
}

static void read_with_unit(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, const struct unit *units, void *out)
{
    uint64_t value;

    if (!with_unit(n->text, units, &value))
        unit_mismatch(r, type, n, units);
    else if (in_range(r, type, n, value))
        *(uint64_t *)out = value;
}

void policy_scalar_duration(struct policy_reader *r, const struct policy_type *type,
                            const struct policy_node *n, void *out)
{
    static const struct unit units[] = {
        {"ms", CLOCK_MS},        {"s", CLOCK_SEC},         {"m", 60 * CLOCK_SEC},
        {"h", 3600 * CLOCK_SEC}, {"d", 86400 * CLOCK_SEC}, {NULL, 0},
    };

    read_with_unit(r, type, n, units, out);
}

void policy_scalar_size(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    static const struct unit units[] = {
        {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30},
        {"TiB", 1ull << 40}, {NULL, 0},
    };

    read_with_unit(r, type, n, units, out);
}

void policy_scalar_rate(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    static const struct unit units[] = {
        {"bit", 1}, {"kbit", 1000}, {"Mbit", 1000 * 1000}, {"Gbit", 1000 * 1000 * 1000}, {NULL, 0},
    };

    read_with_unit(r, type, n, units, out);
}

void policy_scalar_choice(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, void *out)
{
    struct policy_suggest suggest = {.text = n->text};
    char found[POLICY_NODE_QUOTE_MAX], hint[POLICY_HINT_MAX];

    for (const struct policy_choice *c = type->choices; c->name != NULL; c++) {
        if (strcmp(c->name, n->text) == 0) {
            store(type, (uint64_t)c->value, out);
            return;
        }
        policy_suggest_offer(&suggest, c->name);
    }
    policy_reader_error(r, n, "expected %s, found %s%s", type->expected,
                        policy_node_describe(n, found), policy_reader_hint(&suggest, hint));
}

void policy_scalar_named(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, void *out)
{
    if (isdigit((unsigned char)n->text[0]))
        policy_scalar_number(r, type, n, out);
    else
        policy_scalar_choice(r, type, n, out);
}

void policy_scalar_mode(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    size_t digits = strspn(n->text, "01234567");
    unsigned long mode;

    if (n->text[digits] != '\0' || digits < 3 || digits > 4) {
        policy_schema_mismatch(r, type, n);
        return;
    }
    mode = strtoul(n->text, NULL, 8);
    if (mode > 0777)
        policy_schema_mismatch(r, type, n);
    else if ((mode & 02) != 0)
        policy_reader_error(r, n,
                            "expected a mode that does not let all users write, found \"%s\": who "
                            "may write to the socket controls the appliance",
                            n->text);
    else
        *(uint32_t *)out = (uint32_t)mode;
}

void policy_scalar_log(struct policy_reader *r, const struct policy_type *type,
                       const struct policy_node *n, void *out)
{
    if (strcmp(n->text, "stderr") == 0)
        *(const char **)out = n->text;
    else if (strcmp(n->text, "stdout") == 0)
        policy_reader_error(r, n,
                            "expected a path or stderr, found \"stdout\": nothing is written there "
                            "(a file of that name is \"./stdout\")");
    else
        policy_scalar_path(r, type, n, out);
}

void policy_scalar_path(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    const char *slash = strrchr(r->path, '/');
    size_t dir = slash != NULL && n->text[0] != '/' ? (size_t)(slash - r->path) + 1 : 0;
    size_t len = strlen(n->text);
    char *path;

    if (len == 0 || n->text[len - 1] == '/') {
        policy_schema_mismatch(r, type, n);
        return;
    }
    path = policy_reader_alloc(r, dir + len + 1, 1);
    if (path == NULL)
        return;
    memcpy(path, r->path, dir);
    memcpy(path + dir, n->text, len);
    *(const char **)out = path;
}
