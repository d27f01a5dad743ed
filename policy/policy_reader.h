/* What the passes over one file share: the document, the snapshot that is being made, the report.
 */
#ifndef POLICY_POLICY_READER_H
#define POLICY_POLICY_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"
#include "policy/policy_arena.h"
#include "policy/policy_node.h"
#include "policy/policy_suggest.h"
#include "policy/policy_table.h"

struct policy_program;

/* The public snapshot with what belongs to policy/ alone. */
struct policy_snapshot {
    struct policy policy;
    struct policy_arena memory;      /* of everything, this struct excepted */
    struct policy_program *programs; /* for policy_match(), by policy_listener.index */
};

/* Sections whose entries other sections refer to by name. */
enum policy_section {
    POLICY_SECTION_NONE,
    POLICY_SECTION_CERTIFICATES,
    POLICY_SECTION_BACKENDS,
    POLICY_SECTION_LISTENERS,
    POLICY_SECTION_INTERFACES,
    POLICY_SECTION_CLASSES,
    POLICY_SECTION_SETS,
    POLICY_SECTION_COUNT
};

struct policy_reader {
    const char *path;
    struct policy_report *report;
    struct policy_arena nodes;      /* of the document; freed when the snapshot is complete */
    const struct policy_node *root; /* NULL: nothing was written */
    struct policy_snapshot *snapshot;
    struct policy_table names[POLICY_SECTION_COUNT]; /* entries as they lie in the snapshot */
    bool no_memory; /* an allocation failed: the result is not to be used */
};

void policy_reader_error(struct policy_reader *r, const struct policy_node *at, const char *fmt,
                         ...) __attribute__((format(printf, 3, 4)));
void policy_reader_warn(struct policy_reader *r, const struct policy_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The node of the index-th entry of a section or list such as "firewall.rules", or of a key in it
 * where that was written. Takes time: for findings. */
const struct policy_node *policy_reader_entry(const struct policy_reader *r, const char *path,
                                              unsigned index, const char *key);

/* Zeroed memory of the snapshot. NULL, with no_memory set, when memory is out. */
void *policy_reader_alloc(struct policy_reader *r, size_t count, size_t size);
char *policy_reader_text(struct policy_reader *r, const char *text);

#define POLICY_HINT_MAX 160

/* `, did you mean "best"?`, or "" where nothing is near. Returns out. */
const char *policy_reader_hint(const struct policy_suggest *s, char out[POLICY_HINT_MAX]);

#endif
