/*
 * A set's file may have millions of lines. They are read by the reader that prefixes in the
 * configuration have, so that the findings are the same; the array grows by doubling, and sorting
 * is skipped where the file is sorted, as published lists mostly are.
 */
#include "policy/policy_set.h"

#include <stdlib.h>
#include <string.h>

#include "policy/policy_firewall.h"
#include "policy/policy_keys.h"
#include "policy/policy_lines.h"

#define PREFIXES_MAX (1u << 24)

/* ---- canonical form ---- */

static int compare(const void *a, const void *b)
{
    const struct ip_prefix *x = a, *y = b;
    int order = memcmp(x->addr.b, y->addr.b, sizeof x->addr.b);

    return order != 0 ? order : (int)x->len - (int)y->len;
}

static bool is_canonical(const struct ip_prefix *prefixes, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (compare(&prefixes[i - 1], &prefixes[i]) >= 0)
            return false;
    return true;
}

unsigned policy_set_canonical(struct ip_prefix *prefixes, unsigned count)
{
    unsigned kept = 0;

    if (is_canonical(prefixes, count))
        return count;
    qsort(prefixes, count, sizeof *prefixes, compare);
    for (unsigned i = 0; i < count; i++)
        if (kept == 0 || compare(&prefixes[kept - 1], &prefixes[i]) != 0)
            prefixes[kept++] = prefixes[i];
    return kept;
}

/* ---- files ---- */

struct growing {
    struct ip_prefix *prefixes;
    unsigned count, capacity;
};

static int append(struct growing *g, const struct ip_prefix *p, struct error *e)
{
    if (g->count == PREFIXES_MAX)
        return error_set(e, "has more than %u prefixes", PREFIXES_MAX);
    if (g->count == g->capacity) {
        unsigned capacity = g->capacity > 0 ? g->capacity * 2 : 1024;
        void *grown = reallocarray(g->prefixes, capacity, sizeof *g->prefixes);

        if (grown == NULL)
            return error_set(e, "cannot be read: out of memory");
        g->prefixes = grown;
        g->capacity = capacity;
    }
    g->prefixes[g->count++] = *p;
    return 0;
}

/* Returns 0, or -1 with the cause unless it was reported. */
static int read_lines(struct policy_lines *lines, const char *path, struct growing *g,
                      struct policy_report *report, struct error *e)
{
    struct policy_reader r = {.path = path, .report = report};
    unsigned errors = report->errors;
    struct policy_node line;
    int result;

    while ((result = policy_lines_next(lines, &line, e)) == 1) {
        struct ip_prefix p;
        unsigned before = report->errors;

        policy_schema_read(&r, &policy_keys_member, &line, &p, NULL);
        if (report->count >= POLICY_REPORT_MAX)
            return -1;
        if (report->errors == before && append(g, &p, e) < 0)
            return -1;
    }
    return result < 0 || report->errors > errors ? -1 : 0;
}

struct ip_prefix *policy_set_read(const char *path, unsigned *count, struct policy_report *report,
                                  struct error *e)
{
    struct growing g = {.prefixes = malloc(sizeof *g.prefixes), .capacity = 1};
    struct policy_lines lines;
    int result = -1;

    *count = 0;
    if (g.prefixes == NULL) {
        error_set(e, "cannot be read: out of memory");
        return NULL;
    }
    if (policy_lines_open(&lines, path, e) == 0) {
        result = read_lines(&lines, path, &g, report, e);
        policy_lines_close(&lines);
    }
    if (result < 0) {
        free(g.prefixes);
        return NULL;
    }
    *count = policy_set_canonical(g.prefixes, g.count);
    return g.prefixes;
}

struct ip_prefix *policy_set_load(const char *path, unsigned *count, struct policy_report *report)
{
    struct error e = {0};
    struct ip_prefix *prefixes = policy_set_read(path, count, report, &e);

    if (prefixes == NULL && e.set)
        policy_report_add(report, false, path, 0, 0, NULL, "%s", e.text);
    return prefixes;
}

/* ---- in the configuration ---- */

static void read_file(struct policy_reader *r, const struct policy_node *n, struct policy_set *set)
{
    struct error e = {0};
    unsigned count;
    struct ip_prefix *prefixes = policy_set_read(set->file, &count, r->report, &e);

    if (prefixes == NULL) {
        if (e.set)
            policy_reader_error(r, n, "the file \"%s\" %s", set->file, e.text);
        return;
    }
    set->prefixes = policy_reader_alloc(r, count, sizeof *prefixes);
    if (set->prefixes != NULL) {
        memcpy(set->prefixes, prefixes, count * sizeof *prefixes);
        set->prefix_count = count;
    }
    free(prefixes);
}

void policy_set_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_set *set = out;
    const struct policy_node *file = policy_node_get(n, "file");
    const struct policy_node *prefixes = policy_node_get(n, "prefixes");

    set->file_mark = policy_node_place(file != NULL ? file : n);
    if ((file != NULL) == (prefixes != NULL))
        policy_reader_error(r, n, "expected one of prefixes and file, found %s",
                            file != NULL ? "both" : "none");
    else if (set->file != NULL)
        read_file(r, file, set);
    else
        set->prefix_count = policy_set_canonical(set->prefixes, set->prefix_count);
}
