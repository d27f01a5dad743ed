/* The verbs of a script that are calls of a program, and what is known of its connection. */
#include "tests/packetdrill/script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#define CALL_PORT 80

/* ---- results ---- */

static const struct {
    const char *name;
    int number;
} errors[] = {
    {"EAGAIN", EAGAIN},         {"EINPROGRESS", EINPROGRESS}, {"ECONNREFUSED", ECONNREFUSED},
    {"ECONNRESET", ECONNRESET}, {"ETIMEDOUT", ETIMEDOUT},     {"EHOSTUNREACH", EHOSTUNREACH},
    {"EPIPE", EPIPE},           {"ENOTCONN", ENOTCONN},       {"EADDRINUSE", EADDRINUSE},
};

static const char *error_name(int number)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].number == number)
            return errors[i].name;
    }
    return strerror(number);
}

/* What stands behind "=", or NULL. */
static const char *wanted_result(const struct script_line *line)
{
    if (line->words >= 3 && strcmp(line->word[line->words - 2], "=") == 0)
        return line->word[line->words - 1];
    return NULL;
}

/* Compares what a call returned with what the line wants, or with `usual`. */
static int result_check(struct script *s, const struct script_line *line, ssize_t result,
                        const char *usual)
{
    const char *wanted = wanted_result(line);
    char number[32];

    snprintf(number, sizeof number, "%zd", result);
    if (wanted == NULL)
        wanted = usual;
    if (result < 0 && strcmp(error_name(errno), wanted) == 0)
        return 0;
    if (result >= 0 && strcmp(number, wanted) == 0)
        return 0;
    return script_fail(s, "returned %s, wanted %s", result < 0 ? error_name(errno) : number,
                       wanted);
}

/* ---- calls ---- */

static void address_of(const struct script *s, bool remote, struct sockaddr_storage *out,
                       socklen_t *len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(CALL_PORT)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(CALL_PORT)};

    inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
    inet_pton(AF_INET6, "fd3d:fa7b:d17d::1", &v6.sin6_addr);
    if (!remote)
        v4.sin_addr.s_addr = 0;
    if (!remote)
        v6.sin6_addr = in6addr_any;
    *len = s->v6 ? sizeof v6 : sizeof v4;
    memcpy(out, s->v6 ? (const void *)&v6 : (const void *)&v4, *len);
}

static int call_listen(struct script *s, const struct script_line *line)
{
    struct sockaddr_storage addr;
    socklen_t len;

    address_of(s, false, &addr, &len);
    s->listener = door_socket(s->door, s->v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    s->stack_port = CALL_PORT;
    door_bind(s->door, s->listener, (struct sockaddr *)&addr, len);
    return result_check(s, line, door_listen(s->door, s->listener, 16), "0");
}

static int call_connect(struct script *s, const struct script_line *line)
{
    struct sockaddr_storage addr;
    socklen_t len;

    address_of(s, true, &addr, &len);
    s->peer_port = CALL_PORT;
    if (s->fd < 0)
        s->fd = door_socket(s->door, s->v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    return result_check(s, line, door_connect(s->door, s->fd, (struct sockaddr *)&addr, len),
                        "EINPROGRESS");
}

static int call_accept(struct script *s, const struct script_line *line)
{
    int fd = door_accept(s->door, s->listener, NULL, NULL);

    if (fd >= 0)
        s->fd = fd;
    return result_check(s, line, fd < 0 ? -1 : 0, "0");
}

static int length_of(struct script *s, const struct script_line *line, uint64_t *out)
{
    if (line->words > 1 && script_number(line->word[1], out))
        return 0;
    return script_fail(s, "a length is wanted");
}

static int call_write(struct script *s, const struct script_line *line)
{
    struct iovec iov = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t written;
    uint8_t *bytes;
    uint64_t len = 0;

    if (length_of(s, line, &len) < 0)
        return -1;
    bytes = malloc(len + 1);
    for (uint64_t i = 0; i < len; i++)
        bytes[i] = script_byte(s->written + i);
    iov = (struct iovec){.iov_base = bytes, .iov_len = len};
    written = door_sendmsg(s->door, s->fd, &msg, 0);
    if (written > 0)
        s->written += (uint64_t)written;
    free(bytes);
    return result_check(s, line, written, line->word[1]);
}

static int call_read(struct script *s, const struct script_line *line)
{
    struct iovec iov = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int status = 0;
    ssize_t count;
    uint8_t *bytes;
    uint64_t len = 0;

    if (length_of(s, line, &len) < 0)
        return -1;
    bytes = malloc(len + 1);
    iov = (struct iovec){.iov_base = bytes, .iov_len = len};
    count = door_recvmsg(s->door, s->fd, &msg, 0);
    for (ssize_t i = 0; i < count && status == 0; i++) {
        if (bytes[i] != script_byte(s->read + (uint64_t)i))
            status = script_fail(s, "byte %" PRIu64 " is wrong", s->read + (uint64_t)i);
    }
    if (count > 0)
        s->read += (uint64_t)count;
    free(bytes);
    return status == 0 ? result_check(s, line, count, line->word[1]) : status;
}

static int call_close(struct script *s, const struct script_line *line)
{
    struct linger linger = {.l_onoff = 1};
    int fd = s->fd;

    s->fd = -1;
    if (strcmp(line->word[0], "abort") == 0)
        door_setsockopt(s->door, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    return result_check(s, line, door_close(s->door, fd), "0");
}

static int call_shutdown(struct script *s, const struct script_line *line)
{
    return result_check(s, line, door_shutdown(s->door, s->fd, SHUT_WR), "0");
}

static const struct {
    const char *name;
    int level, option;
} option_names[] = {
    {"nodelay", IPPROTO_TCP, TCP_NODELAY},           {"keepalive", IPPROTO_TCP, TCP_KEEPIDLE},
    {"user-timeout", IPPROTO_TCP, TCP_USER_TIMEOUT}, {"mss", IPPROTO_TCP, TCP_MAXSEG},
    {"send-buffer", SOL_SOCKET, SO_SNDBUF},          {"receive-buffer", SOL_SOCKET, SO_RCVBUF},
};

/* Of the connection; before there is one, of the listener, or of the socket to connect. */
static int call_option(struct script *s, const struct script_line *line)
{
    if (s->fd < 0 && s->listener < 0)
        s->fd = door_socket(s->door, s->v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    for (size_t i = 0; i < sizeof option_names / sizeof option_names[0]; i++) {
        uint64_t number;
        int value;

        if (line->words < 2 ||
            !script_number(script_value(line->word[1], option_names[i].name), &number))
            continue;
        value = (int)number;
        return result_check(s, line,
                            door_setsockopt(s->door, s->fd >= 0 ? s->fd : s->listener,
                                            option_names[i].level, option_names[i].option, &value,
                                            sizeof value),
                            "0");
    }
    return script_fail(s, "no such option");
}

/* ---- what is known ---- */

static int64_t fact(const struct sock_info *i, const char *key)
{
    uint32_t segment = i->mss;

    if (strcmp(key, "cwnd") == 0)
        return i->cwnd / segment;
    if (strcmp(key, "ssthresh") == 0)
        return i->ssthresh / segment;
    if (strcmp(key, "mss") == 0)
        return i->mss;
    if (strcmp(key, "rto") == 0)
        return (int64_t)((i->rto + CLOCK_MS / 2) / CLOCK_MS);
    if (strcmp(key, "srtt") == 0)
        return (int64_t)((i->srtt + CLOCK_MS / 2) / CLOCK_MS);
    if (strcmp(key, "readable") == 0)
        return i->receive_queue;
    if (strcmp(key, "queued") == 0)
        return i->send_queue;
    if (strcmp(key, "sack") == 0)
        return i->sack;
    if (strcmp(key, "timestamps") == 0)
        return i->timestamps;
    if (strcmp(key, "ecn") == 0)
        return i->ecn;
    if (strcmp(key, "spurious") == 0)
        return i->spurious;
    if (strcmp(key, "retransmissions") == 0)
        return i->retransmissions;
    if (strcmp(key, "path-mtu") == 0)
        return i->path_mtu;
    return -1;
}

static int check_one(struct script *s, char *word)
{
    struct sock *k = door_sock(s->door, s->fd);
    char *value = strchr(word, '=');
    struct sock_info info;
    int64_t is;

    if (k == NULL || value == NULL)
        return script_fail(s, "there is no connection to check, or no value");
    *value++ = '\0';
    sock_info(k, &info);
    if (strcmp(word, "state") == 0) {
        const char *state = tcp_state_name(info.state);

        return strcmp(state, value) == 0 ? 0 : script_fail(s, "state is %s", state);
    }
    is = fact(&info, word);
    if (is < 0)
        return script_fail(s, "nothing is known of \"%s\"", word);
    return is == strtoll(value, NULL, 10) ? 0 : script_fail(s, "%s is %" PRId64, word, is);
}

static int call_check(struct script *s, const struct script_line *line)
{
    for (unsigned i = 1; i < line->words; i++) {
        if (check_one(s, line->word[i]) < 0)
            return -1;
    }
    return 0;
}

int script_call(struct script *s, const struct script_line *line)
{
    static const struct {
        const char *verb;
        int (*run)(struct script *s, const struct script_line *line);
    } calls[] = {
        {"listen", call_listen}, {"connect", call_connect},   {"accept", call_accept},
        {"write", call_write},   {"read", call_read},         {"close", call_close},
        {"abort", call_close},   {"shutdown", call_shutdown}, {"option", call_option},
        {"check", call_check},
    };

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(line->word[0], calls[i].verb) == 0)
            return calls[i].run(s, line);
    }
    return 1;
}
