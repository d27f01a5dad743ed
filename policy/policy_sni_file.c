/* Lists of server names in files of their own, for policy rules. */
#include <stdlib.h>
#include <string.h>

#include "policy/policy_keys.h"
#include "policy/policy_lines.h"
#include "policy/policy_scalar.h"

#define NAMES_MAX (1u << 20)

struct names {
    const char **at;
    unsigned count, capacity;
};

static int append(struct names *names, const char *name, struct error *e)
{
    if (names->count == NAMES_MAX)
        return error_set(e, "has more than %u names", NAMES_MAX);
    if (names->count == names->capacity) {
        unsigned capacity = names->capacity > 0 ? names->capacity * 2 : 64;
        void *grown = reallocarray(names->at, capacity, sizeof *names->at);

        if (grown == NULL)
            return error_set(e, "cannot be read: out of memory");
        names->at = grown;
        names->capacity = capacity;
    }
    names->at[names->count++] = name;
    return 0;
}

/* Reads all lines by the reader of `sni`. The names are texts of the snapshot. Returns 0 or -1. */
static int read_lines(struct policy_reader *r, struct policy_lines *lines, struct names *names,
                      struct error *e)
{
    struct policy_node line;
    int result;

    while ((result = policy_lines_next(lines, &line, e)) == 1) {
        const char *name = NULL;

        policy_schema_read(r, &policy_keys_sni, &line, &name, NULL);
        if (r->no_memory || r->report->count >= POLICY_REPORT_MAX)
            return -1;
        if (name != NULL && append(names, name, e) < 0)
            return -1;
    }
    return result;
}

static void add_to_rule(struct policy_reader *r, struct policy_rule *rule,
                        const struct names *names)
{
    const char **all = policy_reader_alloc(r, (size_t)rule->sni_count + names->count, sizeof *all);

    if (all == NULL)
        return;
    if (rule->sni_count > 0)
        memcpy(all, rule->snis, rule->sni_count * sizeof *all);
    memcpy(all + rule->sni_count, names->at, names->count * sizeof *all);
    rule->snis = all;
    rule->sni_count += names->count;
}

void policy_sni_file(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, void *out)
{
    struct policy_reader in_file = *r;
    unsigned errors = r->report->errors;
    struct names names = {0};
    struct policy_lines lines;
    const char *path = NULL;
    struct error e = {0};

    policy_scalar_path(r, type, n, &path);
    if (path == NULL)
        return;
    in_file.path = path;
    if (policy_lines_open(&lines, path, &e) == 0) {
        read_lines(&in_file, &lines, &names, &e);
        policy_lines_close(&lines);
    }
    r->no_memory = r->no_memory || in_file.no_memory;
    if (e.set)
        policy_reader_error(r, n, "the file \"%s\" %s", path, e.text);
    else if (names.count == 0 && r->report->errors == errors)
        policy_reader_error(r, n, "the file \"%s\" holds no name: the rule could not match", path);
    else if (names.count > 0)
        add_to_rule(r, out, &names);
    free(names.at);
}
