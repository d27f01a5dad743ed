#include "ctl/ctl_table.h"

#include <string.h>

#include "ctl/ctl_text.h"

#define COLUMNS_MAX 16

const char *ctl_table_bytes(const json_t *value, char *out)
{
    return ctl_text_bytes(json_number_value(value), out);
}

const char *ctl_table_count(const json_t *value, char *out)
{
    return ctl_text_count(json_number_value(value), out);
}

const char *ctl_table_rate(const json_t *value, char *out)
{
    const double rate = json_number_value(value);
    size_t len;

    if (rate <= 0) {
        snprintf(out, CTL_TEXT_MAX, "-");
        return out;
    }
    len = strlen(ctl_text_count(rate, out));
    snprintf(out + len, CTL_TEXT_MAX - len, "bit");
    return out;
}

const char *ctl_table_duration(const json_t *value, char *out)
{
    return json_is_number(value) ? ctl_text_duration(json_number_value(value), out)
                                 : ctl_text_value(value, out);
}

const char *ctl_table_percent(const json_t *value, char *out)
{
    snprintf(out, CTL_TEXT_MAX, "%.1f%%", json_number_value(value) * 100);
    return out;
}

static const char *cell(const struct ctl_column *column, const json_t *row, char *out)
{
    const json_t *value = json_object_get(row, column->key);

    if (value == NULL)
        return "-";
    return column->cell != NULL ? column->cell(value, out) : ctl_text_value(value, out);
}

static void put(FILE *out, const char *text, size_t width, bool right, bool last)
{
    int pad = (int)(width - ctl_text_width(text));

    if (right)
        fprintf(out, "%*s%s", pad, "", text);
    else
        fprintf(out, "%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", out);
}

static void put_row(FILE *out, const struct ctl_column *columns, const size_t *widths,
                    const json_t *row)
{
    char text[CTL_TEXT_MAX];

    for (unsigned i = 0; columns[i].title != NULL; i++)
        put(out, row != NULL ? cell(&columns[i], row, text) : columns[i].title, widths[i],
            columns[i].right, columns[i + 1].title == NULL);
}

void ctl_table_print(FILE *out, const struct ctl_column *columns, const json_t *rows)
{
    size_t widths[COLUMNS_MAX] = {0}, index;
    char text[CTL_TEXT_MAX];
    const json_t *row;

    for (unsigned i = 0; columns[i].title != NULL; i++) {
        widths[i] = strlen(columns[i].title);
        json_array_foreach (rows, index, row) {
            size_t width = ctl_text_width(cell(&columns[i], row, text));

            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    put_row(out, columns, widths, NULL);
    json_array_foreach (rows, index, row)
        put_row(out, columns, widths, row);
}

void ctl_table_print_one(FILE *out, const struct ctl_column *columns, const json_t *object)
{
    char text[CTL_TEXT_MAX];
    size_t width = 0;

    for (const struct ctl_column *c = columns; c->title != NULL; c++) {
        if (json_object_get(object, c->key) != NULL && strlen(c->title) > width)
            width = strlen(c->title);
    }
    for (const struct ctl_column *c = columns; c->title != NULL; c++) {
        if (json_object_get(object, c->key) != NULL)
            fprintf(out, "%s:%*s %s\n", c->title, (int)(width - strlen(c->title)), "",
                    cell(c, object, text));
    }
}
