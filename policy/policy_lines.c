/*
 * Lines are found and cut in place, in a buffer that is refilled when what is left of it holds no
 * whole line. A line that does not fit into POLICY_LINES_MAX is a mistake, as is one that the
 * buffer cannot hold.
 */
#include "policy/policy_lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy_file.h"

#define BUFFER_SIZE (sizeof((struct policy_lines *)NULL)->buffer - 1)

int policy_lines_open(struct policy_lines *l, const char *path, struct error *e)
{
    l->fd = policy_file_open(path, e);
    l->line = 0;
    l->begin = l->end = 0;
    l->at_end = false;
    return l->fd < 0 ? -1 : 0;
}

void policy_lines_close(struct policy_lines *l)
{
    close(l->fd);
}

/* Reads on behind what is left, which is moved to the buffer's start. */
static int fill(struct policy_lines *l, struct error *e)
{
    ssize_t n;

    memmove(l->buffer, l->buffer + l->begin, l->end - l->begin);
    l->end -= l->begin;
    l->begin = 0;
    do {
        n = read(l->fd, l->buffer + l->end, BUFFER_SIZE - l->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set(e, "cannot be read: %s", strerror(errno));
    l->at_end = n == 0;
    l->end += (size_t)n;
    return 0;
}

/* Cuts the next line off, without its end. Returns 1, 0 at the end of the file, or -1. */
static int next_line(struct policy_lines *l, char **text, size_t *len, struct error *e)
{
    char *end;

    while ((end = memchr(l->buffer + l->begin, '\n', l->end - l->begin)) == NULL && !l->at_end) {
        if (l->end - l->begin > POLICY_LINES_MAX)
            break;
        if (fill(l, e) < 0)
            return -1;
    }
    *text = l->buffer + l->begin;
    *len = end != NULL ? (size_t)(end - *text) : l->end - l->begin;
    if (end == NULL && *len == 0)
        return 0;
    l->line++;
    if (*len > POLICY_LINES_MAX)
        return error_set(e, "has a line %u of more than %d bytes", l->line, POLICY_LINES_MAX);
    l->begin += *len + (end != NULL);
    return 1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What of a line is neither comment nor blank around the value. */
static char *strip(char *text, size_t len)
{
    char *comment = memchr(text, '#', len);
    char *end = comment != NULL ? comment : text + len;

    while (text < end && is_blank(*text))
        text++;
    while (end > text && is_blank(end[-1]))
        end--;
    /* No value has a NUL, and none may end at one; no value has this either. */
    for (char *nul = text; (nul = memchr(nul, '\0', (size_t)(end - nul))) != NULL;)
        *nul = '\1';
    *end = '\0';
    return text;
}

int policy_lines_next(struct policy_lines *l, struct policy_node *out, struct error *e)
{
    char *text, *value;
    size_t len;
    int result;

    while ((result = next_line(l, &text, &len, e)) == 1) {
        size_t mark = l->line == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

        value = strip(text + mark, len - mark);
        if (*value == '\0')
            continue;
        *out = (struct policy_node){
            .kind = POLICY_NODE_SCALAR,
            .mark = {l->line, (unsigned)(value - text - (ptrdiff_t)mark) + 1},
            .text = value,
        };
        return 1;
    }
    return result;
}
