/* Lines are caught by putting a pipe in the place of standard error. */
#include "tests/unit/support/test_unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct capture {
    int saved, read_end;
};

static void capture_begin(struct capture *c)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    c->saved = dup(STDERR_FILENO);
    c->read_end = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

static size_t capture_end(struct capture *c, char *out, size_t size)
{
    ssize_t n;

    dup2(c->saved, STDERR_FILENO);
    close(c->saved);
    n = read(c->read_end, out, size - 1);
    close(c->read_end);
    assert_true(n >= 0);
    out[n] = '\0';
    return (size_t)n;
}

static void test_line_has_time_level_and_area(void **state)
{
    char line[256], *end;
    struct capture c;

    (void)state;
    capture_begin(&c);
    log_info("area", "a %d", 7);
    capture_end(&c, line, sizeof line);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    end = strchr(line, ' ');
    assert_non_null(end);
    assert_int_equal(end - line, strlen("2026-11-22T03:02:01.123Z"));
    assert_string_equal(end, " info  area: a 7\n");
}

static void test_levels(void **state)
{
    char line[256];
    struct capture c;
    enum log_level level;

    (void)state;
    assert_int_equal(log_level_parse("warn", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_level_parse("verbose", &level), -1);
    log_level_set(level);
    capture_begin(&c);
    log_info("area", "hidden");
    log_debug("area", "hidden");
    log_warn("area", "seen");
    capture_end(&c, line, sizeof line);
    log_level_set(LOG_LEVEL_INFO);
    assert_null(strstr(line, "hidden"));
    assert_non_null(strstr(line, "warn  area: seen\n"));
}

static void test_control_characters_cannot_forge(void **state)
{
    char line[256];
    struct capture c;

    (void)state;
    capture_begin(&c);
    log_info("area", "name \"%s\"", "x\n2026 error area: forged\x1b[31m\x7f");
    capture_end(&c, line, sizeof line);
    assert_non_null(strstr(line, "\"x?2026 error area: forged?[31m?\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_long_text_is_one_line(void **state)
{
    static char text[5000], line[8000];
    struct capture c;
    size_t n;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    capture_begin(&c);
    log_info("area", "%s", text);
    n = capture_end(&c, line, sizeof line);
    assert_true(n > 1000 && n < sizeof text);
    assert_int_equal(line[n - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
}

static void test_journal_form(void **state)
{
    char line[256];
    struct capture c;

    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    capture_begin(&c);
    log_error("area", "text");
    capture_end(&c, line, sizeof line);
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(line, "<3>area: text\n");
}

/* Fills the pipe and makes room again for `pages` pages. */
static void fill(const struct capture *c, unsigned pages)
{
    static char page[4096];

    fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    while (write(STDERR_FILENO, page, sizeof page) > 0)
        ;
    fcntl(STDERR_FILENO, F_SETFL, 0);
    while (pages-- > 0)
        assert_int_equal(read(c->read_end, page, sizeof page), sizeof page);
}

static void test_full_pipe_loses_lines_and_stops_nobody(void **state)
{
    static char text[1 << 20];
    struct capture c;
    const char *told;

    (void)state;
    capture_begin(&c);
    fill(&c, 0);
    alarm(10); /* a write that waits for the reader would wait for ever */
    log_info("area", "lost");
    log_error("area", "lost");
    fill(&c, 1);
    log_info("area", "seen");
    alarm(0);
    capture_end(&c, text, sizeof text);
    for (told = text; *told == '\0' && told < text + sizeof text - 1;)
        told++;
    assert_non_null(strstr(told, "warn  log: 2 lines were lost here"));
    assert_non_null(strstr(told, "info  area: seen\n"));
    assert_null(strstr(told, "area: lost"));
}

static void test_limit(void **state)
{
    struct log_limit limit = {0};
    clock_ns now = 5 * CLOCK_SEC;
    uint32_t suppressed = 0;

    (void)state;
    for (unsigned i = 0; i < LOG_LIMIT_PER_SECOND; i++)
        assert_true(log_limit_pass(&limit, now, &suppressed));
    for (unsigned i = 0; i < 7; i++)
        assert_false(log_limit_pass(&limit, now + CLOCK_SEC / 2, &suppressed));
    assert_true(log_limit_pass(&limit, now + CLOCK_SEC, &suppressed));
    assert_int_equal(suppressed, 7);
    assert_true(log_limit_pass(&limit, now + CLOCK_SEC, &suppressed));
    assert_int_equal(suppressed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_has_time_level_and_area),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_control_characters_cannot_forge),
        cmocka_unit_test(test_long_text_is_one_line),
        cmocka_unit_test(test_journal_form),
        cmocka_unit_test(test_full_pipe_loses_lines_and_stops_nobody),
        cmocka_unit_test(test_limit),
    };

    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
