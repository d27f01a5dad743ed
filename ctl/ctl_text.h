/* Values as people read them. What comes from a peer (server names, subjects) must not reach the
 * terminal as control characters. */
#ifndef CTL_CTL_TEXT_H
#define CTL_CTL_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CTL_TEXT_MAX 512

/* Writes the text and a newline, control characters as '?'. */
void ctl_text_line(FILE *out, const char *text);

/* Each writes into out[CTL_TEXT_MAX] and returns it. */
const char *ctl_text_bytes(double bytes, char *out);      /* "1.5 MiB" */
const char *ctl_text_count(double count, char *out);      /* "950", "12.3k", "4.5M" */
const char *ctl_text_duration(double seconds, char *out); /* "350us", "12.3ms", "45s", "2d 3h" */

/* Any JSON value: strings as they are, cleaned; an array's elements with ", " between them; null as
 * "-". */
const char *ctl_text_value(const json_t *value, char *out);

/* How many columns of a terminal it takes. */
size_t ctl_text_width(const char *text);

#endif
