/* What is said of certificates that run out, and when. */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/expiry.h"

#define DAY FIXTURE_DAY

static struct tls_cert_file *brief, *lasting;

static void assert_said(time_t now, const char *text)
{
    char out[EXPIRY_TEXT_MAX];
    const char *said = expiry_of_certificate(brief, now, out);

    if (text == NULL)
        assert_null(said);
    else
        fixture_assert_contains(said, text);
}

/* `brief` ends 30 days after FIXTURE_NOW. */
static void test_words(void **state)
{
    (void)state;
    assert_said(FIXTURE_NOW, NULL);
    assert_said(FIXTURE_NOW + 16 * DAY, NULL);
    assert_said(FIXTURE_NOW + 16 * DAY + 1, "the certificate expires in 13 days: renew it");
    assert_said(FIXTURE_NOW + 28 * DAY + 1, "the certificate expires in 1 day: ");
    assert_said(FIXTURE_NOW + 29 * DAY + 1, "the certificate expires within a day: ");
    assert_said(FIXTURE_NOW + 30 * DAY + 1, "the certificate has expired: renew it");
    assert_null(expiry_of_ocsp(brief, FIXTURE_NOW + 90 * DAY, (char[EXPIRY_TEXT_MAX]){0}));
}

/* The lines that one tick writes. */
static unsigned lines_of_tick(struct expiry *e, const struct snapshot *s, time_t now)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    unsigned lines = 0;
    int c;

    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    expiry_tick(e, s, now);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    while ((c = fgetc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void test_once_a_day(void **state)
{
    struct policy policy = {.certificate_count = 2};
    struct tls_cert_file *certificates[] = {brief, lasting};
    struct snapshot s = {.policy = &policy, .certificates = certificates};
    time_t start = FIXTURE_NOW + 20 * DAY;
    struct expiry e = {0};

    (void)state;
    assert_int_equal(lines_of_tick(&e, &s, start), 0); /* said when it was loaded */
    assert_int_equal(lines_of_tick(&e, &s, start + DAY - 1), 0);
    assert_int_equal(lines_of_tick(&e, &s, start + DAY), 1);
    assert_int_equal(lines_of_tick(&e, &s, start + DAY + 1), 0);
    assert_int_equal(lines_of_tick(&e, &s, start + 2 * DAY), 1);
}

/* The end itself is told of when it comes, not with the next day's lines. */
static void test_the_end(void **state)
{
    struct policy policy = {.certificate_count = 2};
    struct tls_cert_file *certificates[] = {brief, lasting};
    struct snapshot s = {.policy = &policy, .certificates = certificates};
    time_t end = FIXTURE_NOW + 30 * DAY;
    struct expiry e = {0};

    (void)state;
    assert_int_equal(lines_of_tick(&e, &s, end - 10), 0);
    assert_int_equal(lines_of_tick(&e, &s, end - 1), 0);
    assert_int_equal(lines_of_tick(&e, &s, end + 1), 1);
    assert_int_equal(lines_of_tick(&e, &s, end + 2), 0);
}

static int set_up(void **state)
{
    (void)state;
    fixture_dir_create();
    brief = fixture_cert_file(
        "brief",
        &(struct fixture_spec){.alt_names = "DNS:brief.example", .from_day = -1, .to_day = 30});
    lasting = fixture_cert_file(
        "lasting",
        &(struct fixture_spec){.alt_names = "DNS:l.example", .from_day = -1, .to_day = 300});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_cert_file_unref(brief);
    tls_cert_file_unref(lasting);
    fixture_dir_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_once_a_day),
        cmocka_unit_test(test_the_end),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
