/*
 * Files that hold one value a line: '#' begins a comment; blank lines, blanks around the value and
 * a CR before the line's end are skipped, as is a byte order mark. Made for millions of lines.
 */
#ifndef POLICY_POLICY_LINES_H
#define POLICY_POLICY_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "policy/policy_node.h"

#define POLICY_LINES_MAX 4096 /* bytes of a line */

struct policy_lines {
    int fd;
    unsigned line;     /* of the value read last, from 1 */
    size_t begin, end; /* what of the buffer is not consumed yet */
    bool at_end;       /* of the file */
    char buffer[64 * 1024 + 1];
};

/* Returns 0, or -1 with the cause, to follow the file's name. */
int policy_lines_open(struct policy_lines *l, const char *path, struct error *e);
void policy_lines_close(struct policy_lines *l);

/*
 * The next value, as a scalar's node with its place; its text lives until the next call. Returns 1;
 * 0 at the end; -1 with the cause.
 */
int policy_lines_next(struct policy_lines *l, struct policy_node *out, struct error *e);

#endif
