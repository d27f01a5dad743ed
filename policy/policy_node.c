#include "policy/policy_node.h"

#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 60 /* bytes of a text that are quoted */

const struct policy_node *policy_node_get(const struct policy_node *map, const char *key)
{
    if (map == NULL || map->kind != POLICY_NODE_MAP)
        return NULL;
    for (const struct policy_node *n = map->first; n != NULL; n = n->next)
        if (strcmp(n->key->text, key) == 0)
            return n;
    return NULL;
}

const struct policy_node *policy_node_at(const struct policy_node *list, unsigned index)
{
    const struct policy_node *n;

    if (list == NULL || list->kind == POLICY_NODE_SCALAR)
        return index == 0 ? list : NULL;
    for (n = list->first; n != NULL && index > 0; n = n->next)
        index--;
    return n;
}

struct policy_mark policy_node_place(const struct policy_node *n)
{
    if (n->key != NULL && (n->kind != POLICY_NODE_SCALAR || n->absent))
        return n->key->mark;
    return n->mark;
}

/* Writes the path of a node and returns the length that it has, or had if there were room. */
static size_t write_path(const struct policy_node *n, char *out, size_t size)
{
    size_t len = 0;
    int more;

    if (n->parent == NULL) {
        out[0] = '\0';
        return 0;
    }
    len = write_path(n->parent, out, size);
    if (len >= size - 1)
        return len;
    if (n->key != NULL)
        more = snprintf(out + len, size - len, "%s%.64s", len > 0 ? "." : "", n->key->text);
    else
        more = snprintf(out + len, size - len, "[%u]", n->index);
    return len + (size_t)more;
}

const char *policy_node_path(const struct policy_node *n, char out[POLICY_NODE_PATH_MAX])
{
    write_path(n, out, POLICY_NODE_PATH_MAX);
    return out;
}

const char *policy_node_quote(const char *text, char out[POLICY_NODE_QUOTE_MAX])
{
    size_t len = strlen(text);
    bool cut = len > QUOTED_MAX;

    if (cut)
        for (len = QUOTED_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
            ; /* not within a UTF-8 sequence */
    snprintf(out, POLICY_NODE_QUOTE_MAX, "\"%.*s%s\"", (int)len, text, cut ? "…" : "");
    return out;
}

const char *policy_node_describe(const struct policy_node *n, char out[POLICY_NODE_QUOTE_MAX])
{
    if (n->kind == POLICY_NODE_LIST)
        return "a list";
    if (n->kind == POLICY_NODE_MAP)
        return "a mapping";
    return n->absent ? "nothing" : policy_node_quote(n->text, out);
}
