/*
 * The walk that reads a document by the tables. It reports as it goes and never stops at a mistake:
 * a value that cannot be read stays zero, and the passes that follow skip what is zero.
 *
 * Keys are read in the order of their table, not of the file, so that a section is complete before
 * another one refers to it. A default is read like a value that was written.
 */
#include "policy/policy_schema.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy_scalar.h"

void policy_schema_mismatch(struct policy_reader *r, const struct policy_type *type,
                            const struct policy_node *n)
{
    char found[POLICY_NODE_QUOTE_MAX];

    policy_reader_error(r, n, "expected %s, found %s", type->expected,
                        policy_node_describe(n, found));
}

/* ---- lists and sections ---- */

static unsigned children_of(const struct policy_node *n)
{
    if (n->kind == POLICY_NODE_SCALAR)
        return n->absent ? 0 : 1;
    return n->count;
}

/* May this node be read as the list or section that the type is? */
static bool countable(struct policy_reader *r, const struct policy_type *type,
                      const struct policy_node *n)
{
    enum policy_node_kind wanted =
        type->kind == POLICY_KIND_LIST ? POLICY_NODE_LIST : POLICY_NODE_MAP;

    if (n->kind != wanted && !(n->kind == POLICY_NODE_SCALAR && (n->absent || type->single))) {
        policy_schema_mismatch(r, type, n);
        return false;
    }
    if (children_of(n) == 0 && type->empty != NULL) {
        policy_reader_error(r, n, "expected %s, found %s: %s", type->expected,
                            n->absent ? "nothing" : "an empty one", type->empty);
        return false;
    }
    if (n->count > type->count_max) {
        policy_reader_error(r, n, "%u entries, expected at most %u", n->count, type->count_max);
        return false;
    }
    return true;
}

/* Every value has one way to be written, so equal values are equal texts. */
static void check_unique(struct policy_reader *r, const struct policy_node *list)
{
    struct policy_table seen = {0};

    if (policy_table_init(&seen, &r->nodes, list->count) < 0) {
        r->no_memory = true;
        return;
    }
    for (struct policy_node *n = list->first; n != NULL; n = n->next)
        if (n->kind == POLICY_NODE_SCALAR && policy_table_add(&seen, n->text, n) != NULL)
            policy_reader_error(r, n, "listed twice");
}

/* Names of a section: its table is complete before the first entry is read. */
static void define_names(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, char *elements)
{
    struct policy_table *names = &r->names[type->defines];
    const struct policy_node *child = n->first;

    if (policy_table_init(names, &r->nodes, n->count) < 0) {
        r->no_memory = true;
        return;
    }
    for (unsigned i = 0; i < n->count; i++, child = child->next) {
        policy_name_check(r, type->defines, child->key);
        policy_table_add(names, child->key->text, elements + i * type->size);
    }
}

static void read_elements(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, void *out, unsigned *count)
{
    const struct policy_node *child = policy_node_at(n, 0);
    unsigned total = children_of(n);
    char *elements;

    assert(count != NULL);
    if (total == 0)
        return;
    elements = policy_reader_alloc(r, total, type->size);
    if (elements == NULL)
        return;
    *(void **)out = elements;
    *count = total;
    if (type->kind == POLICY_KIND_SECTION)
        define_names(r, type, n, elements);
    for (unsigned i = 0; i < total; i++, child = child->next) {
        if (type->element->begin != NULL)
            type->element->begin(elements + i * type->size, child, i);
        policy_schema_read(r, type->element, child, elements + i * type->size, NULL);
    }
}

static void read_collection(struct policy_reader *r, const struct policy_type *type,
                            const struct policy_node *n, void *out, unsigned *count)
{
    if (!countable(r, type, n))
        return;
    if (type->read != NULL)
        type->read(r, type, n, out);
    else
        read_elements(r, type, n, out, count);
    if (type->unique)
        check_unique(r, n);
}

/* ---- mappings ---- */

static const struct policy_key *key_find(const struct policy_type *type, const char *name)
{
    for (const struct policy_key *k = type->keys; k->name != NULL; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

static void list_keys(const struct policy_type *type, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (const struct policy_key *k = type->keys; k->name != NULL && len < size; k++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "", k->name);
}

/* The mapping inside of this one that has the key, or NULL. */
static const struct policy_key *inner_with(const struct policy_type *type, const char *name)
{
    for (const struct policy_key *k = type->keys; k->name != NULL; k++)
        if (k->type->kind == POLICY_KIND_MAP && key_find(k->type, name) != NULL)
            return k;
    return NULL;
}

static void check_key(struct policy_reader *r, const struct policy_type *type,
                      const struct policy_node *key)
{
    const struct policy_key *inner = inner_with(type, key->text);
    struct policy_suggest suggest = {.text = key->text};
    char hint[POLICY_HINT_MAX], known[256];

    if (key_find(type, key->text) != NULL)
        return;
    if (inner != NULL) {
        policy_reader_error(r, key, "unknown key here; it belongs into \"%s\"", inner->name);
        return;
    }
    for (const struct policy_key *k = type->keys; k->name != NULL; k++)
        policy_suggest_offer(&suggest, k->name);
    list_keys(type, known, sizeof known);
    if (suggest.best != NULL)
        policy_reader_error(r, key, "unknown key%s", policy_reader_hint(&suggest, hint));
    else
        policy_reader_error(r, key, "unknown key, expected one of: %s", known);
}

static void read_default(struct policy_reader *r, const struct policy_key *key, void *out)
{
    struct policy_node written = {.kind = POLICY_NODE_SCALAR, .text = key->fallback};

    policy_schema_read(r, key->type, &written, out, NULL);
}

static void read_key(struct policy_reader *r, const struct policy_key *key,
                     const struct policy_node *n, char *out)
{
    void *value = out + key->offset;

    if (key->by_pointer) {
        value = policy_reader_alloc(r, 1, key->type->size);
        if (value == NULL)
            return;
        *(void **)(out + key->offset) = value;
        key->type->begin(value, n, 0);
    }
    policy_schema_read(r, key->type, n, value, (unsigned *)(void *)(out + key->count_offset));
}

static void read_missing(struct policy_reader *r, const struct policy_key *key,
                         const struct policy_node *map, char *out)
{
    if (key->required && map != NULL)
        policy_reader_error(r, map, "the key \"%s\" is missing: expected %s", key->name,
                            key->type->expected);
    else if (key->fallback != NULL)
        read_default(r, key, out + key->offset);
    else if (key->type->kind == POLICY_KIND_MAP && !key->by_pointer)
        policy_schema_read(r, key->type, NULL, out + key->offset, NULL);
}

/* A mapping that one value may stand for: the other keys have their defaults. */
static void read_short_map(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, void *out)
{
    for (const struct policy_key *k = type->keys; k->name != NULL; k++)
        read_missing(r, k, NULL, out);
    type->read(r, type, n, out);
}

static void read_map(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, char *out)
{
    if (n != NULL && n->kind != POLICY_NODE_MAP && !n->absent) {
        if (type->read != NULL && n->kind == POLICY_NODE_SCALAR)
            read_short_map(r, type, n, out);
        else
            policy_schema_mismatch(r, type, n);
        return;
    }
    for (const struct policy_node *child = n != NULL ? n->first : NULL; child != NULL;
         child = child->next)
        check_key(r, type, child->key);
    for (const struct policy_key *k = type->keys; k->name != NULL; k++) {
        const struct policy_node *child = policy_node_get(n, k->name);

        if (child != NULL)
            read_key(r, k, child, out);
        else
            read_missing(r, k, n, out);
    }
    if (n != NULL && type->finish != NULL)
        type->finish(r, n, out);
}

/* ---- any type ---- */

void policy_schema_read(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out, unsigned *count)
{
    switch (type->kind) {
    case POLICY_KIND_SCALAR:
        if (n->kind != POLICY_NODE_SCALAR || n->absent)
            policy_schema_mismatch(r, type, n);
        else
            type->read(r, type, n, out);
        break;
    case POLICY_KIND_LIST:
    case POLICY_KIND_SECTION:
        read_collection(r, type, n, out, count);
        break;
    case POLICY_KIND_MAP:
        read_map(r, type, n, out);
        break;
    }
}
