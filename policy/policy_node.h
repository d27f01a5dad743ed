/*
 * The document as a tree: what was written and where, before it means anything. Every finding is
 * anchored at a node, which gives both its place in the file and the dotted path of its key.
 */
#ifndef POLICY_POLICY_NODE_H
#define POLICY_POLICY_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

enum policy_node_kind { POLICY_NODE_SCALAR, POLICY_NODE_LIST, POLICY_NODE_MAP };

struct policy_node {
    enum policy_node_kind kind;
    struct policy_mark mark;
    bool absent;      /* a scalar that stands for no value: nothing, ~ or null */
    const char *text; /* of a scalar: UTF-8 without NUL; lives as long as the snapshot */
    const struct policy_node *parent;        /* the collection that it is in; NULL: the document */
    const struct policy_node *key;           /* in a map: its key; of a key: itself */
    unsigned index;                          /* its position in the parent */
    struct policy_node *first, *last, *next; /* children; next sibling */
    unsigned count;                          /* children */
};

/* The value of a key, or NULL when it is not there or `map` is no map. */
const struct policy_node *policy_node_get(const struct policy_node *map, const char *key);

/* The child at an index, or NULL. A scalar that was written for a list of one is that list's child.
 */
const struct policy_node *policy_node_at(const struct policy_node *list, unsigned index);

/* Where a finding about the node belongs: a collection in a map is found at its key. */
struct policy_mark policy_node_place(const struct policy_node *n);

#define POLICY_NODE_PATH_MAX 320

/* "listeners.https.tls.alpn[0]", cut at the end when too long; "" for the document. Returns out. */
const char *policy_node_path(const struct policy_node *n, char out[POLICY_NODE_PATH_MAX]);

#define POLICY_NODE_QUOTE_MAX 80

/* A text in quotation marks, cut with an ellipsis when it is long. Returns out. */
const char *policy_node_quote(const char *text, char out[POLICY_NODE_QUOTE_MAX]);

/* What a node is, to follow "found": a quoted text, "a list", "nothing". Returns out or a constant.
 */
const char *policy_node_describe(const struct policy_node *n, char out[POLICY_NODE_QUOTE_MAX]);

#endif
