/*
 * Prometheus' text format (exposition format 0.0.4): families of samples, each with its HELP and
 * TYPE once and all of its samples together.
 */
#ifndef APPLIANCE_METRICS_METRICS_TEXT_H
#define APPLIANCE_METRICS_METRICS_TEXT_H

#include <stdint.h>
#include <stdio.h>

#define METRICS_NAME_MAX   128
#define METRICS_LABELS_MAX 1024

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE };

/* Begins a family. `name` is complete, see metrics_text_name(). */
void metrics_text_family(FILE *out, const char *name, enum metrics_type type, const char *help);

/* "sluice_NAME", with "_total" for a counter. Writes into out[METRICS_NAME_MAX] and returns it. */
const char *metrics_text_name(const char *name, enum metrics_type type, char *out);

/* Labels of a sample. Begin with a zeroed one; a value is any text, and is escaped. What does not
 * fit is left out with its label. */
struct metrics_labels {
    size_t len;
    char text[METRICS_LABELS_MAX];
};

void metrics_text_label(struct metrics_labels *l, const char *name, const char *value);
void metrics_text_label_number(struct metrics_labels *l, const char *name, unsigned value);

/* `labels` may be NULL: none. */
void metrics_text_count(FILE *out, const char *name, const struct metrics_labels *labels,
                        uint64_t value);
void metrics_text_value(FILE *out, const char *name, const struct metrics_labels *labels,
                        double value);

#endif
