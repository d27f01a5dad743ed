/* Tables: columns as wide as their widest cell, two spaces between them. */
#ifndef CTL_CTL_TABLE_H
#define CTL_CTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Writes a cell's text into out[CTL_TEXT_MAX] and returns it. */
typedef const char *ctl_table_cell(const json_t *value, char *out);

ctl_table_cell ctl_table_bytes, ctl_table_count, ctl_table_duration, ctl_table_percent,
    ctl_table_rate;

struct ctl_column {
    const char *title;
    const char *key;      /* member of the row */
    ctl_table_cell *cell; /* NULL: ctl_text_value() */
    bool right;           /* aligned to the right */
};

/* Prints a title line and a line for each object of `rows`. `columns` ends with a NULL title. */
void ctl_table_print(FILE *out, const struct ctl_column *columns, const json_t *rows);

/* Prints "TITLE: VALUE" lines, aligned, for the members of one object that are there. */
void ctl_table_print_one(FILE *out, const struct ctl_column *columns, const json_t *object);

#endif
