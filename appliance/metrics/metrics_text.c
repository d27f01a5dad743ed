#include "appliance/metrics/metrics_text.h"

#include <inttypes.h>
#include <string.h>

static void put_help(FILE *out, const char *help)
{
    for (; *help != '\0'; help++) {
        if (*help == '\\')
            fputs("\\\\", out);
        else if (*help == '\n')
            fputs("\\n", out);
        else
            fputc(*help, out);
    }
}

void metrics_text_family(FILE *out, const char *name, enum metrics_type type, const char *help)
{
    fprintf(out, "# HELP %s ", name);
    put_help(out, help);
    fprintf(out, "\n# TYPE %s %s\n", name, type == METRICS_COUNTER ? "counter" : "gauge");
}

const char *metrics_text_name(const char *name, enum metrics_type type, char *out)
{
    snprintf(out, METRICS_NAME_MAX, "sluice_%s%s", name, type == METRICS_COUNTER ? "_total" : "");
    return out;
}

/* Appends a character as the format wants it in a label's value. Returns its length. */
static size_t escape(char c, char out[2])
{
    if (c != '\\' && c != '"' && c != '\n') {
        out[0] = c;
        return 1;
    }
    out[0] = '\\';
    out[1] = c == '\n' ? 'n' : c;
    return 2;
}

void metrics_text_label(struct metrics_labels *l, const char *name, const char *value)
{
    size_t len = l->len;
    int n = snprintf(l->text + len, METRICS_LABELS_MAX - len, "%s%s=\"", len > 0 ? "," : "", name);

    if (n < 0 || (size_t)n >= METRICS_LABELS_MAX - len)
        return;
    len += (size_t)n;
    for (; *value != '\0'; value++) {
        if (len + 4 > METRICS_LABELS_MAX) /* an escaped one, the quote and a NUL */
            return;
        len += escape(*value, l->text + len);
    }
    l->text[len++] = '"';
    l->len = len;
}

void metrics_text_label_number(struct metrics_labels *l, const char *name, unsigned value)
{
    char text[16];

    snprintf(text, sizeof text, "%u", value);
    metrics_text_label(l, name, text);
}

static void put_name(FILE *out, const char *name, const struct metrics_labels *l)
{
    fputs(name, out);
    if (l != NULL && l->len > 0)
        fprintf(out, "{%.*s}", (int)l->len, l->text);
    fputc(' ', out);
}

void metrics_text_count(FILE *out, const char *name, const struct metrics_labels *labels,
                        uint64_t value)
{
    put_name(out, name, labels);
    fprintf(out, "%" PRIu64 "\n", value);
}

void metrics_text_value(FILE *out, const char *name, const struct metrics_labels *labels,
                        double value)
{
    put_name(out, name, labels);
    fprintf(out, "%.17g\n", value);
}
