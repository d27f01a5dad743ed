/* The session log: what the lines say, lost lines, files that take nothing. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "appliance/session_json.h"
#include "appliance/session_log/session_log_internal.h"
#include "tests/unit/support/test_unit.h"

static char directory[64], path[96];
static struct session_log *session_log;
static struct proxy_record record;

static void fill_record(void)
{
    record = (struct proxy_record){
        .id = (UINT64_C(1) << 48) | 17,
        .state = "ended",
        .action = "terminate",
        .opened = 100 * CLOCK_SEC,
        .ended = 102 * CLOCK_SEC,
        .hello = 10 * CLOCK_MS,
        .from_client = 100,
        .from_backend = 5000,
        .listener = "https",
        .rule = "rule 1",
        .sni = "shop.example",
        .tries = 1,
        .reason = "the server closed: \"done\"",
    };
    ip_endpoint_parse("192.0.2.100:40000", &record.client);
    record.client_side.used = true;
    record.client_side.remote = record.client;
    ip_endpoint_parse("192.0.2.10:443", &record.client_side.local);
    record.client_side.tcp = (struct sock_info){.state = TCP_ESTABLISHED, .srtt = 250 * CLOCK_US};
    record.client_side.tls.used = true;
    strcpy(record.client_side.tls.version, "TLSv1.3");
}

static int setup(void **state)
{
    struct error e = {0};

    (void)state;
    strcpy(directory, "/tmp/sluice-log-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/sessions.log", directory);
    fill_record();
    session_log = session_log_create(2, &e);
    assert_non_null(session_log);
    assert_int_equal(session_log_start(session_log, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    char other[112];

    (void)state;
    if (session_log != NULL)
        session_log_destroy(session_log);
    snprintf(other, sizeof other, "%s.1", path);
    unlink(path);
    unlink(other);
    rmdir(directory);
    return 0;
}

static void use(const char *file, enum policy_log_format format)
{
    const struct policy_session_log config = {.file = file, .format = format};
    struct error e = {0};

    if (session_log_prepare(session_log, &config, &e) < 0)
        fail_msg("%s", e.text);
    session_log_commit(session_log);
}

static void end_sessions(unsigned worker, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        session_log_ended(session_log_lane(session_log, worker), &record);
}

static struct session_log_counters counters(void)
{
    struct session_log_counters c;

    session_log_counters(session_log, &c);
    return c;
}

/* Polls for what the writer thread will have done; the bound is for failures only. */
static void wait_for_lines(uint64_t lines)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (unsigned i = 0; i < 20000 && counters().session_log_lines < lines; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(counters().session_log_lines, lines);
}

static char *contents(const char *file)
{
    static char text[65536];
    FILE *in = fopen(file, "r");
    size_t len;

    assert_non_null(in);
    len = fread(text, 1, sizeof text - 1, in);
    text[len] = '\0';
    fclose(in);
    return text;
}

static void text_form(void **state)
{
    static const char wanted[] =
        "time=2025-11-22T07:22:00.500Z id=1.17 client=192.0.2.100:40000 listener=https "
        "state=ended action=terminate server_name=shop.example age=2.000000 "
        "from_client=100 from_backend=5000 rule=\"rule 1\" hello=0.010000 tries=1 "
        "reason=\"the server closed: \\\"done\\\"\" client_remote=192.0.2.100:40000 "
        "client_local=192.0.2.10:443 client_state=ESTABLISHED client_srtt=0.000250 ";
    const struct timespec wall = {.tv_sec = 1763796121, .tv_nsec = 500000000};
    char *line = session_log_format(&record, POLICY_LOG_TEXT, 103 * CLOCK_SEC, &wall);

    (void)state;
    if (strncmp(line, wanted, sizeof wanted - 1) != 0)
        fail_msg("%s", line);
    assert_non_null(strstr(line, " client_tls_version=TLSv1.3 "));
    assert_null(strstr(line, "server_remote"));
    assert_string_equal(strchr(line, '\n'), "\n");
    free(line);
}

static void json_form(void **state)
{
    const struct timespec wall = {.tv_sec = 1763796121};
    char *line = session_log_format(&record, POLICY_LOG_JSON, 103 * CLOCK_SEC, &wall);
    json_t *object = json_loads(line, 0, NULL), *client = json_object_get(object, "client_side");

    (void)state;
    assert_string_equal(strchr(line, '\n'), "\n");
    assert_string_equal(json_string_value(json_object_get(object, "time")),
                        "2025-11-22T07:22:00.000Z");
    assert_string_equal(json_string_value(json_object_get(object, "id")), "1.17");
    assert_int_equal(json_integer_value(json_object_get(object, "from_backend")), 5000);
    assert_true(json_is_null(json_object_get(object, "backend_side")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(client, "tls"), "version")), "TLSv1.3");
    json_decref(object);
    free(line);
}

/* Names come from the wire: they forge neither lines nor members. */
static void hostile_names(void **state)
{
    const struct timespec wall = {0};
    char *line;

    (void)state;
    strcpy(record.sni, "a b\nid=9.9 \x1b[2J\xff");
    line = session_log_format(&record, POLICY_LOG_TEXT, 103 * CLOCK_SEC, &wall);
    assert_string_equal(strchr(line, '\n'), "\n");
    assert_non_null(strstr(line, "server_name=\"a b\\nid=9.9 \\u001B[2J?\""));
    free(line);
}

static void ids(void **state)
{
    static const char *const wrong[] = {"", "1", ".5", "1.", "1.5x", "70000.1", "-1.2", "1.-2"};
    char text[SESSION_ID_MAX];
    uint64_t id = 0;

    (void)state;
    assert_string_equal(session_id_format((UINT64_C(3) << 48) | 12345, text), "3.12345");
    assert_int_equal(session_id_parse("3.12345", &id), 0);
    assert_true(id == ((UINT64_C(3) << 48) | 12345));
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (session_id_parse(wrong[i], &id) == 0)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
}

static void lines_of_all_workers(void **state)
{
    struct stat st;
    unsigned lines = 0;
    char *text;

    (void)state;
    end_sessions(0, 5); /* off: nothing is kept */
    use(path, POLICY_LOG_TEXT);
    end_sessions(0, 10);
    end_sessions(1, 20);
    wait_for_lines(30);
    text = contents(path);
    for (char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 30);
    assert_int_equal(counters().session_log_lost, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777 & ~(mode_t)0640, 0);
}

static void rotated(void **state)
{
    char other[112];

    (void)state;
    snprintf(other, sizeof other, "%s.1", path);
    use(path, POLICY_LOG_TEXT);
    end_sessions(0, 1);
    wait_for_lines(1);
    assert_int_equal(rename(path, other), 0);
    use(path, POLICY_LOG_JSON);
    end_sessions(0, 1);
    wait_for_lines(2);
    assert_int_equal(strncmp(contents(other), "time=", 5), 0);
    assert_int_equal(contents(path)[0], '{');
}

/* A FIFO that nobody reads takes one pipe full; the ring takes what it can, the rest is counted. */
static void deaf_fifo(void **state)
{
    unsigned ended = 20 * SESSION_LOG_RECORDS;
    struct session_log_counters c;
    uint64_t in_hand;
    int reader;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    use(path, POLICY_LOG_TEXT);
    end_sessions(0, ended);
    c = counters();
    in_hand = ended - c.session_log_lines - c.session_log_lost;
    assert_true(c.session_log_lost > ended / 2);
    assert_true(in_hand <= SESSION_LOG_RECORDS + 200);
    assert_true(counters().session_log_lines < 200);
    /* The end comes nevertheless, in bounded time. */
    session_log_destroy(session_log);
    session_log = NULL;
    close(reader);
}

static void fifo_without_reader_gets_one(void **state)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    char line[8192];
    ssize_t n = -1;
    int reader;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    use(path, POLICY_LOG_TEXT);
    end_sessions(0, 3);
    for (unsigned i = 0; i < 20000 && counters().session_log_failed < 3; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(counters().session_log_failed, 3);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    /* Lines from before there was a reader are lost; sessions go on until one arrives. */
    for (unsigned i = 0; i < 3000 && n <= 0; i++) {
        end_sessions(0, 1);
        nanosleep(&pause, NULL);
        n = read(reader, line, sizeof line);
    }
    assert_true(n > 0);
    assert_int_equal(strncmp(line, "time=", 5), 0);
    close(reader);
}

static void full_disk(void **state)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    (void)state;
    use("/dev/full", POLICY_LOG_TEXT);
    end_sessions(1, 7);
    for (unsigned i = 0; i < 20000 && counters().session_log_failed < 7; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(counters().session_log_failed, 7);
    use(path, POLICY_LOG_TEXT);
    end_sessions(1, 2);
    wait_for_lines(2);
}

/* A line that a full disk cut is not continued by the next one. */
static void torn_line(void **state)
{
    struct session_log_file f = {.torn = true};

    (void)state;
    f.fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(write(f.fd, "half a li", 9), 9);
    assert_int_equal(session_log_file_write(&f, "whole\n", 6, 100), SESSION_LOG_WRITTEN);
    assert_int_equal(session_log_file_write(&f, "whole\n", 6, 100), SESSION_LOG_WRITTEN);
    assert_string_equal(contents(path), "half a li\nwhole\nwhole\n");
    session_log_file_close(&f);
}

static void impossible_files(void **state)
{
    struct policy_session_log config = {.file = "/tmp/sluice-no-such-directory/log"};
    struct error e = {0};

    (void)state;
    assert_int_equal(session_log_prepare(session_log, &config, &e), -1);
    assert_non_null(strstr(e.text, "directory does not exist"));
    e = (struct error){0};
    config.file = "/tmp";
    assert_int_equal(session_log_prepare(session_log, &config, &e), -1);
    assert_non_null(strstr(e.text, "/tmp: "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_form),
        TEST(json_form),
        TEST(hostile_names),
        TEST(ids),
        TEST(lines_of_all_workers),
        TEST(rotated),
        TEST(deaf_fifo),
        TEST(fifo_without_reader_gets_one),
        TEST(full_disk),
        TEST(torn_line),
        TEST(impossible_files),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
