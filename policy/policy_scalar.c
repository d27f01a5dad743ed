#include "policy/policy_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Decimal digits at the start of the text: no sign, no blanks, no surplus zero. Returns what
 * follows them, or NULL when there are none or the number does not fit.
 */
static const char *digits(const char *text, uint64_t *out)
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
    const char *end = digits(n->text, &value);

    if (end == NULL || *end != '\0') {
        policy_schema_mismatch(r, type, n);
        return;
    }
    if (!in_range(r, type, n, value))
        return;
    if (type->size == sizeof(uint16_t))
        *(uint16_t *)out = (uint16_t)value;
    else if (type->size == sizeof(uint32_t))
        *(uint32_t *)out = (uint32_t)value;
    else
        *(uint64_t *)out = value;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number and a unit with nothing between them. Saturates, for the range check to find. */
static bool with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t value;
    const char *unit = digits(text, &value);

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

static void read_with_unit(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, const struct unit *units, void *out)
{
    uint64_t value;

    if (!with_unit(n->text, units, &value))
        policy_schema_mismatch(r, type, n);
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

void policy_scalar_choice(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, void *out)
{
    struct policy_suggest suggest = {.text = n->text};
    char found[POLICY_NODE_QUOTE_MAX], hint[POLICY_HINT_MAX];

    for (const struct policy_choice *c = type->choices; c->name != NULL; c++) {
        if (strcmp(c->name, n->text) == 0) {
            memcpy(out, &c->value, sizeof c->value);
            return;
        }
        policy_suggest_offer(&suggest, c->name);
    }
    policy_reader_error(r, n, "expected %s, found %s%s", type->expected,
                        policy_node_describe(n, found), policy_reader_hint(&suggest, hint));
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
