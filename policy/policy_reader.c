#include "policy/policy_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 640 /* of one finding, its place and key not counted */

static void add(struct policy_reader *r, bool warning, const struct policy_node *at,
                const char *text)
{
    struct policy_mark place = policy_node_place(at);
    char key[POLICY_NODE_PATH_MAX];

    policy_node_path(at, key);
    policy_report_add(r->report, warning, r->path, place.line, place.column,
                      key[0] != '\0' ? key : NULL, "%s", text);
}

void policy_reader_error(struct policy_reader *r, const struct policy_node *at, const char *fmt,
                         ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    add(r, false, at, text);
}

void policy_reader_warn(struct policy_reader *r, const struct policy_node *at, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    add(r, true, at, text);
}

const struct policy_node *policy_reader_entry(const struct policy_reader *r, const char *path,
                                              unsigned index, const char *key)
{
    const struct policy_node *in = r->root, *entry, *value;
    char step[32];

    for (const char *from = path; *from != '\0';) {
        size_t len = strcspn(from, ".");

        snprintf(step, sizeof step, "%.*s", (int)len, from);
        in = policy_node_get(in, step);
        from += len + (from[len] == '.');
    }
    entry = policy_node_at(in, index);
    value = key != NULL ? policy_node_get(entry, key) : NULL;
    return value != NULL ? value : entry;
}

void *policy_reader_alloc(struct policy_reader *r, size_t count, size_t size)
{
    void *p = policy_arena_alloc(&r->snapshot->memory, count, size);

    if (p == NULL)
        r->no_memory = true;
    return p;
}

char *policy_reader_text(struct policy_reader *r, const char *text)
{
    char *copy = policy_arena_copy(&r->snapshot->memory, text, strlen(text));

    if (copy == NULL)
        r->no_memory = true;
    return copy;
}

const char *policy_reader_hint(const struct policy_suggest *s, char out[POLICY_HINT_MAX])
{
    out[0] = '\0';
    if (s->best != NULL)
        snprintf(out, POLICY_HINT_MAX, ", did you mean \"%s\"?", s->best);
    return out;
}
