#include "policy/policy_report.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes the text. Doubles the array when its length is a power of two, so that it needs no
 * capacity. */
static void append(struct policy_report *r, struct policy_finding finding)
{
    if ((r->count & (r->count - 1)) == 0) {
        size_t capacity = r->count > 0 ? r->count * 2 : 1;
        void *grown = reallocarray(r->findings, capacity, sizeof *r->findings);

        if (grown == NULL) {
            free(finding.text);
            return;
        }
        r->findings = grown;
    }
    r->findings[r->count++] = finding;
}

static char *format(bool warning, const char *path, unsigned line, unsigned column, const char *key,
                    const char *what)
{
    char place[32] = "", *text;

    if (line > 0)
        snprintf(place, sizeof place, "%u:%u:", line, column);
    if (asprintf(&text, "%s:%s %s: %s%s%s", path, place, warning ? "warning" : "error",
                 key != NULL ? key : "", key != NULL ? ": " : "", what) < 0)
        return NULL;
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return text;
}

static void append_overflow(struct policy_report *r, const char *path)
{
    char *text = NULL;

    if (asprintf(&text, "%s: more than %d findings, the rest is not shown", path,
                 POLICY_REPORT_MAX) < 0)
        return;
    append(r, (struct policy_finding){.file = UINT_MAX, .text = text});
}

/* The number of the file with this name. */
static unsigned file_of(const struct policy_report *r, const char *path, size_t len)
{
    unsigned next = 0;

    for (size_t i = r->count; i-- > 0;) {
        const struct policy_finding *f = &r->findings[i];

        if (f->path_len == len && memcmp(f->text, path, len) == 0)
            return f->file;
        if (f->file >= next)
            next = f->file + 1;
    }
    return next;
}

void policy_report_add(struct policy_report *r, bool warning, const char *path, unsigned line,
                       unsigned column, const char *key, const char *fmt, ...)
{
    struct policy_finding finding = {
        .warning = warning, .line = line, .column = column, .path_len = strlen(path)};
    char *what;
    va_list args;
    int n;

    *(warning ? &r->warnings : &r->errors) += 1;
    if (r->count == POLICY_REPORT_MAX)
        append_overflow(r, path);
    if (r->count >= POLICY_REPORT_MAX)
        return;
    va_start(args, fmt);
    n = vasprintf(&what, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    finding.file = file_of(r, path, finding.path_len);
    finding.text = format(warning, path, line, column, key, what);
    free(what);
    if (finding.text != NULL)
        append(r, finding);
}

static bool before(const struct policy_finding *a, const struct policy_finding *b)
{
    if (a->file != b->file)
        return a->file < b->file;
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void policy_report_sort(struct policy_report *r, size_t from)
{
    /* Insertion keeps the order of findings at one place; they are few and nearly sorted. */
    for (size_t i = from + 1; i < r->count; i++) {
        struct policy_finding finding = r->findings[i];
        size_t j = i;

        for (; j > from && before(&finding, &r->findings[j - 1]); j--)
            r->findings[j] = r->findings[j - 1];
        r->findings[j] = finding;
    }
}

void policy_report_free(struct policy_report *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->findings[i].text);
    free(r->findings);
    memset(r, 0, sizeof *r);
}
