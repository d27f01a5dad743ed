/*
 * From a file to a snapshot, in passes that each leave less to doubt: text to nodes
 * (policy_yaml.c), nodes to values by the tables of keys (policy_schema.c, policy_keys.c), checks
 * across sections (policy_check.c), and the compilation of the rules (policy_program.c). All passes
 * report what they find and go on; a snapshot is handed out only when none found an error.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy_check.h"
#include "policy/policy_file.h"
#include "policy/policy_program.h"
#include "policy/policy_schema.h"
#include "policy/policy_yaml.h"

static void report_file(struct policy_report *report, const char *path, const char *what)
{
    policy_report_add(report, false, path, 0, 0, NULL, "%s", what);
}

/* ---- reading ---- */

/* Reads to the end of the file, or one byte more than is allowed, which policy_yaml_parse()
 * refuses. Returns the text, which the caller frees, or NULL with errno. */
static char *read_all(int fd, size_t *len)
{
    size_t size = POLICY_YAML_SIZE_MAX + 1;
    char *text = malloc(size); /* the kernel gives only the pages that are touched */

    *len = 0;
    while (text != NULL && *len < size) {
        ssize_t n = read(fd, text + *len, size - *len);

        if (n == 0)
            break;
        if (n > 0) {
            *len += (size_t)n;
        } else if (errno != EINTR) {
            int cause = errno;

            free(text);
            errno = cause;
            return NULL;
        }
    }
    return text;
}

struct policy *policy_load(const char *path, struct policy_report *report)
{
    struct policy *policy = NULL;
    struct error e = {0};
    int fd = policy_file_open(path, &e);
    char *text;
    size_t len;

    if (fd < 0) {
        report_file(report, path, e.text);
        return NULL;
    }
    text = read_all(fd, &len);
    if (text == NULL)
        policy_report_add(report, false, path, 0, 0, NULL, "cannot be read: %s", strerror(errno));
    else
        policy = policy_parse(text, len, path, report);
    free(text);
    close(fd);
    return policy;
}

static void run_passes(struct policy_reader *r, const char *text, size_t len)
{
    unsigned errors = r->report->errors;

    if (policy_yaml_parse(r, text, len) < 0)
        return;
    if (r->root == NULL) {
        report_file(r->report, r->path,
                    "the file is empty: expected at least the keys interfaces, "
                    "listeners and policy");
        return;
    }
    policy_schema_read(r, &policy_type_file, r->root, &r->snapshot->policy, NULL);
    if (r->no_memory)
        return;
    policy_check_network(r);
    policy_check_names(r);
    policy_check_rates(r);
    /* What is unused or cannot match would be guesswork while parts could not be read. */
    if (r->no_memory || r->report->errors > errors)
        return;
    policy_check_use(r);
    policy_shadow_check(r);
    policy_program_compile(r);
}

struct policy *policy_parse(const char *text, size_t len, const char *path,
                            struct policy_report *report)
{
    size_t first = report->count;
    unsigned errors = report->errors;
    struct policy_reader r = {.path = path, .report = report};

    r.snapshot = calloc(1, sizeof *r.snapshot);
    if (r.snapshot == NULL) {
        report_file(report, path, "out of memory");
        return NULL;
    }
    r.snapshot->policy.path = policy_reader_text(&r, path);
    if (!r.no_memory)
        run_passes(&r, text, len);
    policy_arena_free(&r.nodes);
    if (r.no_memory)
        report_file(report, path, "out of memory");
    policy_report_sort(report, first);
    if (report->errors == errors)
        return &r.snapshot->policy;
    policy_free(&r.snapshot->policy);
    return NULL;
}

void policy_free(struct policy *p)
{
    struct policy_snapshot *snapshot = (struct policy_snapshot *)p;

    if (snapshot == NULL)
        return;
    policy_arena_free(&snapshot->memory);
    free(snapshot);
}
