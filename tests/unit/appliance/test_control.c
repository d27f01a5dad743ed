/* The control socket: a server and clients in one thread, over a real socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "appliance/control/control.h"
#include "appliance/control/control_request.h"
#include "tests/unit/support/test_unit.h"

static char directory[64], path[96];
static struct control *server;
static clock_ns now;
static size_t reply_size; /* of the handler's answer to "large" */

static json_t *handle(void *ctx, const char *command, json_t *request)
{
    (void)ctx;
    if (strcmp(command, "echo") == 0)
        return control_reply_ok(json_incref(request));
    if (strcmp(command, "large") == 0) {
        char *text = malloc(reply_size + 1);
        json_t *reply;

        memset(text, 'x', reply_size);
        text[reply_size] = '\0';
        reply = control_reply_ok(json_string(text));
        free(text);
        return reply;
    }
    if (strcmp(command, "nothing") == 0)
        return NULL;
    return control_reply_error("unknown command \"%s\"", command);
}

static struct control_config config(void)
{
    return (struct control_config){.path = path, .mode = 0660, .handler = handle};
}

static int setup(void **state)
{
    struct control_config c = config();
    struct error e = {0};

    (void)state;
    strcpy(directory, "/tmp/sluice-control-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/sock", directory);
    now = 1000 * CLOCK_SEC;
    server = control_open(&c, &e);
    if (server == NULL)
        fail_msg("%s", e.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (server != NULL)
        control_close(server);
    unlink(path);
    rmdir(directory);
    return 0;
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -errno;
    }
    return fd;
}

/* Serves as long as there is something to do; bounded, as a busy loop would be a fault. */
static void serve(void)
{
    struct pollfd p = {.fd = control_fd(server), .events = POLLIN};
    unsigned turns = 0;

    while (poll(&p, 1, 0) > 0) {
        control_run(server, now);
        assert_true(++turns < 100000);
    }
}

static void say_bytes(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return;
        }
        serve();
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* What came, up to a newline; an empty string at the end of the stream. */
static char *hear(int fd)
{
    static char line[4 * 1024 * 1024];
    size_t len = 0;

    for (unsigned turns = 0; turns < 100000; turns++) {
        ssize_t n = recv(fd, line + len, sizeof line - len - 1, MSG_PEEK);
        const char *newline = n > 0 ? memchr(line + len, '\n', (size_t)n) : NULL;

        if (newline != NULL)
            n = newline + 1 - (line + len);
        if (n > 0)
            recv(fd, line + len, (size_t)n, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        if (n < 0) {
            serve();
            continue;
        }
        turns = 0;
        len += (size_t)n;
        if (newline != NULL)
            break;
    }
    line[len] = '\0';
    return line;
}

static bool closed(int fd)
{
    char byte;
    ssize_t n;

    serve();
    n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void answers_in_order(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"echo\",\"n\":1}\n{\"command\":\"echo\",\"n\":2}\n{\"comm");
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"command\":\"echo\",\"n\":1}}\n");
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"command\":\"echo\",\"n\":2}}\n");
    say(fd, "and\":\"echo\",\"n\":3}\n");
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"command\":\"echo\",\"n\":3}}\n");
    assert_int_equal(control_counters(server)->control_requests, 3);
    assert_int_equal(control_counters(server)->control_malformed, 0);
    close(fd);
}

static void handler_out_of_memory(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"nothing\"}\n");
    assert_string_equal(hear(fd), "{\"ok\":false,\"error\":\"out of memory\"}\n");
    close(fd);
}

/* What is no request is answered, and the connection goes on where the line ended. */
static void nonsense_is_answered(void **state)
{
    static const char *const nonsense[] = {
        "\n",
        "hello\n",
        "{\n",
        "[]\n",
        "null\n",
        "{}\n",
        "{\"a\":1}\n",
        "{\"command\":5}\n",
        "\x01\xff\x80\n",
        "{\"command\":\"echo\",\"command\":\"echo\"}\n",
        "{\"command\":\"echo\"} trailing\n",
    };
    int fd = dial();

    (void)state;
    for (unsigned i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        say(fd, nonsense[i]);
        if (strstr(hear(fd), "{\"ok\":false,\"error\":\"") == NULL)
            fail_msg("%s", nonsense[i]);
        assert_int_equal(control_counters(server)->control_malformed, i + 1);
    }
    say(fd, "{\"command\":\"echo\"}\n");
    assert_non_null(strstr(hear(fd), "{\"ok\":true"));
    close(fd);
}

static void deep_nesting_is_refused(void **state)
{
    char text[200001];
    int fd = dial();

    (void)state;
    memset(text, '[', sizeof text);
    text[200000] = '\n';
    say_bytes(fd, text, sizeof text);
    assert_non_null(strstr(hear(fd), "depth"));
    close(fd);
}

static void too_large_ends_the_connection(void **state)
{
    char *text = malloc(CONTROL_REQUEST_MAX + 10);
    int fd = dial();

    (void)state;
    memset(text, 'a', CONTROL_REQUEST_MAX + 10);
    say_bytes(fd, text, CONTROL_REQUEST_MAX);
    assert_non_null(strstr(hear(fd), "larger than 1 MiB"));
    assert_true(closed(fd));
    close(fd);
    free(text);
}

static void largest_request_is_taken(void **state)
{
    char *text = malloc(CONTROL_REQUEST_MAX);
    int fd = dial(), n = sprintf(text, "{\"command\":\"echo\",\"pad\":\"");

    (void)state;
    memset(text + n, 'a', CONTROL_REQUEST_MAX - (size_t)n);
    memcpy(text + CONTROL_REQUEST_MAX - 3, "\"}\n", 3);
    say_bytes(fd, text, CONTROL_REQUEST_MAX);
    assert_non_null(strstr(hear(fd), "{\"ok\":true"));
    close(fd);
    free(text);
}

static void truncated_request_is_told(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"echo\"}\n{\"command\":\"ec");
    shutdown(fd, SHUT_WR);
    assert_non_null(strstr(hear(fd), "{\"ok\":true"));
    assert_non_null(strstr(hear(fd), "without a newline"));
    assert_true(closed(fd));
    close(fd);
}

/* A client that takes no replies is not read from, and holds up nobody else. */
static void unread_replies_push_back(void **state)
{
    int greedy = dial(), other = dial();
    uint64_t answered;

    (void)state;
    reply_size = 300000;
    for (unsigned i = 0; i < 50; i++)
        send(greedy, "{\"command\":\"large\"}\n", 20, MSG_NOSIGNAL);
    serve();
    answered = control_counters(server)->control_requests;
    assert_true(answered >= 1 && answered < 5);
    say(other, "{\"command\":\"echo\"}\n");
    assert_non_null(strstr(hear(other), "{\"ok\":true"));
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(strlen(hear(greedy)), reply_size + strlen("{'ok':true,'result':''}\n"));
    close(greedy);
    close(other);
}

static void silence_is_ended(void **state)
{
    int idle = dial(), half = dial(), deaf = dial();

    (void)state;
    reply_size = 3000000;
    say(half, "{\"comm");
    say(deaf, "{\"command\":\"large\"}\n");
    serve();
    now += CONTROL_PATIENCE + 1;
    control_expire(server, now);
    assert_int_equal(control_counters(server)->control_timeouts, 2);
    assert_true(closed(half));
    assert_false(closed(idle));
    now += CONTROL_IDLE;
    control_expire(server, now);
    assert_int_equal(control_counters(server)->control_timeouts, 3);
    assert_true(closed(idle));
    close(idle);
    close(half);
    close(deaf);
}

/* More clients than places: who is idle the longest gives way; who is asking does not. */
static void full_house(void **state)
{
    int asking = dial(), idle[CONTROL_CLIENTS_MAX - 1], more;

    (void)state;
    say(asking, "{\"command\"");
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX - 1; i++) {
        idle[i] = dial();
        serve();
    }
    more = dial();
    say(more, "{\"command\":\"echo\"}\n");
    assert_non_null(strstr(hear(more), "{\"ok\":true"));
    assert_int_equal(control_counters(server)->control_evicted, 1);
    assert_true(closed(idle[0]));
    assert_false(closed(idle[1]));
    say(asking, ":\"echo\"}\n");
    assert_non_null(strstr(hear(asking), "{\"ok\":true"));
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX - 1; i++)
        close(idle[i]);
    close(asking);
    close(more);
}

/* Nobody is idle: newcomers wait, without the server spinning, and are served later. */
static void full_house_of_askers(void **state)
{
    int asking[CONTROL_CLIENTS_MAX], more;

    (void)state;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        asking[i] = dial();
        say(asking[i], "{");
    }
    more = dial();
    say(more, "{\"command\":\"echo\"}\n");
    serve();
    assert_int_equal(control_counters(server)->control_connections, CONTROL_CLIENTS_MAX);
    close(asking[7]);
    assert_non_null(strstr(hear(more), "{\"ok\":true"));
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (i != 7)
            close(asking[i]);
    }
    close(more);
}

static void file_has_its_mode(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    control_close(server);
    server = NULL;
    assert_int_equal(stat(path, &st), -1);
}

static void stale_socket_is_replaced(void **state)
{
    struct control_config c = config();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct error e = {0};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_null(control_open(&c, &e)); /* it is answered */
    assert_non_null(strstr(e.text, "another process answers"));
    control_close(server);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* as a process that was killed leaves it */
    server = control_open(&c, NULL);
    assert_non_null(server);
}

static void other_files_are_left_alone(void **state)
{
    struct control_config c = config();
    struct error e = {0};
    FILE *file;

    (void)state;
    control_close(server);
    file = fopen(path, "w");
    fclose(file);
    server = control_open(&c, &e);
    assert_null(server);
    assert_non_null(strstr(e.text, "is no socket"));
    assert_int_equal(access(path, F_OK), 0);
}

static void impossible_paths(void **state)
{
    struct control_config c = config();
    struct error e = {0};
    char text[200];

    (void)state;
    c.path = "/tmp/sluice-no-such-directory/sock";
    assert_null(control_open(&c, &e));
    assert_non_null(strstr(e.text, "directory does not exist"));
    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[sizeof text - 1] = '\0';
    c.path = text;
    e = (struct error){0};
    assert_null(control_open(&c, &e));
    assert_non_null(strstr(e.text, "at most 107 bytes"));
    c = config();
    c.group = "no-such-group";
    control_close(server);
    server = NULL;
    e = (struct error){0};
    assert_null(control_open(&c, &e));
    assert_non_null(strstr(e.text, "no-such-group"));
    assert_int_equal(access(path, F_OK), -1);
}

/* A socket that another process has put in our place is not ours to remove. */
static void only_our_own_is_removed(void **state)
{
    FILE *file;

    (void)state;
    unlink(path);
    file = fopen(path, "w");
    fclose(file);
    control_close(server);
    server = NULL;
    assert_int_equal(access(path, F_OK), 0);
}

static void arguments_are_checked(void **state)
{
    static const struct control_argument arguments[] = {
        {"name", CONTROL_STRING, true},
        {"limit", CONTROL_NATURAL, false},
        {"list", CONTROL_STRINGS, false},
        {0},
    };
    static const struct {
        const char *text, *wanted; /* NULL: it is right */
    } cases[] = {
        {"{\"command\":\"x\",\"name\":\"n\"}", NULL},
        {"{\"command\":\"x\",\"name\":\"n\",\"limit\":0,\"list\":[\"a\"]}", NULL},
        {"{\"command\":\"x\"}", "\"name\" is missing (a string)"},
        {"{\"command\":\"x\",\"name\":1}", "\"name\": expected a string"},
        {"{\"command\":\"x\",\"name\":\"n\",\"limit\":-1}", "\"limit\": expected an integer"},
        {"{\"command\":\"x\",\"name\":\"n\",\"limit\":1.5}", "\"limit\": expected an integer"},
        {"{\"command\":\"x\",\"name\":\"n\",\"list\":[\"a\",1]}", "\"list\": expected an array"},
        {"{\"command\":\"x\",\"name\":\"n\",\"more\":1}", "unknown member \"more\""},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = {0};
        json_t *request = control_request_parse(cases[i].text, strlen(cases[i].text), &e);

        assert_non_null(request);
        assert_int_equal(control_request_check(request, arguments, &e),
                         cases[i].wanted == NULL ? 0 : -1);
        if (cases[i].wanted != NULL && strstr(e.text, cases[i].wanted) == NULL)
            fail_msg("%s: %s", cases[i].text, e.text);
        json_decref(request);
    }
}

static void strings_of_any_bytes(void **state)
{
    json_t *s = control_string("caf\xe9");

    (void)state;
    assert_string_equal(json_string_value(s), "caf?");
    json_decref(s);
    s = control_string("caf\xc3\xa9");
    assert_string_equal(json_string_value(s), "caf\xc3\xa9");
    json_decref(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_in_order),
        TEST(handler_out_of_memory),
        TEST(nonsense_is_answered),
        TEST(deep_nesting_is_refused),
        TEST(too_large_ends_the_connection),
        TEST(largest_request_is_taken),
        TEST(truncated_request_is_told),
        TEST(unread_replies_push_back),
        TEST(silence_is_ended),
        TEST(full_house),
        TEST(full_house_of_askers),
        TEST(file_has_its_mode),
        TEST(stale_socket_is_replaced),
        TEST(other_files_are_left_alone),
        TEST(impossible_paths),
        TEST(only_our_own_is_removed),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(strings_of_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
