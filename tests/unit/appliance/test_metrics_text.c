/* Prometheus' text format: names, escapes, labels that do not fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/metrics/metrics_text.h"
#include "tests/unit/support/test_unit.h"

static char *text;
static size_t len;
static FILE *out;

static int setup(void **state)
{
    (void)state;
    out = open_memstream(&text, &len);
    return out == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(text);
    return 0;
}

static void expect_text(const char *wanted)
{
    fclose(out);
    assert_string_equal(text, wanted);
}

static void family_and_samples(void **state)
{
    struct metrics_labels labels = {0};
    char name[METRICS_NAME_MAX];

    (void)state;
    metrics_text_name("rx_packets", METRICS_COUNTER, name);
    metrics_text_label_number(&labels, "worker", 3);
    metrics_text_label(&labels, "interface", "outside");
    metrics_text_family(out, name, METRICS_COUNTER, "packets\\ received\nhere");
    metrics_text_count(out, name, &labels, UINT64_MAX);
    metrics_text_count(out, name, NULL, 0);
    metrics_text_value(out, metrics_text_name("x", METRICS_GAUGE, name), NULL, 1763796121);
    expect_text("# HELP sluice_rx_packets_total packets\\\\ received\\nhere\n"
                "# TYPE sluice_rx_packets_total counter\n"
                "sluice_rx_packets_total{worker=\"3\",interface=\"outside\"} "
                "18446744073709551615\n"
                "sluice_rx_packets_total 0\n"
                "sluice_x 1763796121\n");
}

static void values_are_escaped(void **state)
{
    struct metrics_labels labels = {0};

    (void)state;
    metrics_text_label(&labels, "rule", "a \"b\" \\ c\nd");
    metrics_text_count(out, "m", &labels, 1);
    expect_text("m{rule=\"a \\\"b\\\" \\\\ c\\nd\"} 1\n");
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    struct metrics_labels labels = {0};
    char value[METRICS_LABELS_MAX];

    (void)state;
    memset(value, '"', sizeof value);
    value[sizeof value - 1] = '\0';
    metrics_text_label(&labels, "a", "1");
    metrics_text_label(&labels, "long", value);
    metrics_text_label(&labels, "b", "2");
    metrics_text_count(out, "m", &labels, 1);
    expect_text("m{a=\"1\",b=\"2\"} 1\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(family_and_samples),
        TEST(values_are_escaped),
        TEST(what_does_not_fit_is_left_out_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
