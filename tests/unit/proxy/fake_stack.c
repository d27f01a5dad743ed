#include "fake_stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not assert(), which a release build leaves out. */
static void check_failed(const char *what, int line)
{
    fprintf(stderr, "fake_stack.c:%d: broken rule: %s\n", line, what);
    abort();
}

#define check(condition) ((condition) ? (void)0 : check_failed(#condition, __LINE__))

static void bytes_append(struct fake_bytes *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (b->len + len > b->size) {
        b->size = (b->len + len) * 2;
        b->data = realloc(b->data, b->size);
        check(b->data != NULL);
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void bytes_drop(struct fake_bytes *b, size_t len)
{
    check(len <= b->len);
    b->len -= len;
    if (b->len > 0)
        memmove(b->data, b->data + len, b->len);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

struct stack *fake_stack_create(clock_ns now)
{
    struct stack *s = calloc(1, sizeof *s);

    check(s != NULL);
    s->now = now;
    s->send_buffer = 65536;
    TAILQ_INIT(&s->socks);
    TAILQ_INIT(&s->ready);
    return s;
}

void fake_stack_free(struct stack *s)
{
    struct sock *k;

    while ((k = TAILQ_FIRST(&s->socks)) != NULL) {
        TAILQ_REMOVE(&s->socks, k, link);
        free(k->rx.data);
        free(k->tx.data);
        free(k);
    }
    free(s);
}

static struct sock *sock_new(struct stack *s)
{
    struct sock *k = calloc(1, sizeof *k);

    check(k != NULL);
    k->stack = s;
    k->room = s->send_buffer;
    TAILQ_INIT(&k->backlog);
    TAILQ_INSERT_TAIL(&s->socks, k, link);
    return k;
}

/* The code under test may only touch what it holds. */
static void held(const struct sock *k)
{
    check(k->end == FAKE_HELD);
}

void fake_raise(struct sock *k, uint32_t what)
{
    if (k->end != FAKE_HELD)
        return;
    k->events |= what;
    if (!k->attached || k->is_ready)
        return;
    k->is_ready = true;
    TAILQ_INSERT_TAIL(&k->stack->ready, k, ready);
}

bool event_next(struct stack *s, struct event *out)
{
    struct sock *k = TAILQ_FIRST(&s->ready);

    if (k == NULL)
        return false;
    held(k);
    TAILQ_REMOVE(&s->ready, k, ready);
    k->is_ready = false;
    *out = (struct event){.sock = k, .user = k->user, .what = k->events};
    k->events = 0;
    return true;
}

clock_ns stack_now(const struct stack *s)
{
    return s->now;
}

/* ---- the peer's side ---- */

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;

    check(ip_endpoint_parse(text, &e) == 0);
    return e;
}

static bool endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_equal(&a->addr, &b->addr);
}

struct sock *fake_listener(struct stack *s, const char *local)
{
    struct ip_endpoint e = endpoint(local);
    struct sock *k;

    TAILQ_FOREACH (k, &s->socks, link) {
        if (k->listener && k->end == FAKE_HELD && endpoint_equal(&k->local, &e))
            return k;
    }
    return NULL;
}

struct sock *fake_client(struct sock *listener, const char *remote)
{
    struct sock *k = sock_new(listener->stack);

    check(listener->end == FAKE_HELD);
    k->local = listener->local;
    k->remote = endpoint(remote);
    k->state = TCP_ESTABLISHED;
    k->options = listener->options;
    k->label = listener->stack->label;
    k->egress_class = k->label.egress_class;
    TAILQ_INSERT_TAIL(&listener->backlog, k, queue);
    fake_raise(listener, EVENT_ACCEPT);
    return k;
}

void fake_deliver(struct sock *k, const void *data, size_t len)
{
    check(!k->fin_received);
    if (k->end != FAKE_HELD || k->error != SOCK_OK)
        return;
    bytes_append(&k->rx, data, len);
    fake_raise(k, EVENT_READABLE);
}

void fake_deliver_fin(struct sock *k)
{
    if (k->end != FAKE_HELD || k->error != SOCK_OK || k->fin_received)
        return;
    k->fin_received = true;
    k->state = k->fin_sent ? TCP_CLOSING : TCP_CLOSE_WAIT;
    fake_raise(k, EVENT_READABLE);
}

void fake_error(struct sock *k, enum sock_error error)
{
    if (k->end != FAKE_HELD || k->error != SOCK_OK)
        return;
    k->error = error;
    k->state = TCP_CLOSED;
    k->tx.len = 0;
    if (!k->fin_received)
        k->rx.len = 0;
    fake_raise(k, EVENT_ERROR);
}

void fake_connected(struct sock *k)
{
    if (k->end != FAKE_HELD || k->state != TCP_SYN_SENT)
        return;
    k->state = TCP_ESTABLISHED;
    fake_raise(k, EVENT_CONNECTED);
}

static void room_made(struct sock *k)
{
    if (k->want_write && sock_writable(k) > 0) {
        k->want_write = false;
        fake_raise(k, EVENT_WRITABLE);
    }
}

size_t fake_take(struct sock *k, void *out, size_t len)
{
    size_t n = min_size(len, k->tx.len);

    if (n > 0)
        memcpy(out, k->tx.data, n);
    bytes_drop(&k->tx, n);
    if (k->end == FAKE_HELD)
        room_made(k);
    return n;
}

void fake_room_set(struct sock *k, uint32_t room)
{
    k->room = room;
    room_made(k);
}

unsigned fake_held(const struct stack *s)
{
    const struct sock *k;
    unsigned n = 0;

    TAILQ_FOREACH (k, &s->socks, link)
        n += k->end == FAKE_HELD && !k->listener && (k->accepted || k->attached);
    return n;
}

/* ---- stack/socket.h ---- */

const char *tcp_state_name(enum tcp_state state)
{
    (void)state;
    return "STATE";
}

const char *sock_error_text(enum sock_error error)
{
    static const char *const texts[] = {
        [SOCK_OK] = "no error",
        [SOCK_REFUSED] = "connection refused",
        [SOCK_RESET] = "connection reset",
        [SOCK_TIMED_OUT] = "timed out",
        [SOCK_UNREACHABLE] = "unreachable",
        [SOCK_NO_MEMORY] = "no memory",
        [SOCK_NO_PORT] = "no port",
        [SOCK_IN_USE] = "in use",
        [SOCK_BAD_ADDRESS] = "bad address",
    };

    return texts[error];
}

struct sock *sock_listen(struct stack *s, const struct ip_endpoint *local, uint32_t backlog,
                         const struct sock_options *options, void *user, enum sock_error *error)
{
    struct sock *k;

    TAILQ_FOREACH (k, &s->socks, link) {
        if (k->listener && k->end == FAKE_HELD && endpoint_equal(&k->local, local)) {
            *error = SOCK_IN_USE;
            return NULL;
        }
    }
    if (local->port == s->listen_fails_port) {
        *error = SOCK_BAD_ADDRESS;
        return NULL;
    }
    k = sock_new(s);
    k->listener = k->attached = true;
    k->state = TCP_LISTEN;
    k->local = *local;
    k->options = *options;
    k->backlog_size = backlog;
    k->cookies = options->cookies;
    k->user = user;
    return k;
}

void sock_listener_set(struct sock *listener, uint32_t backlog, enum sock_cookies cookies)
{
    listener->backlog_size = backlog;
    listener->cookies = cookies;
}

void sock_listener_refuse(struct sock *listener)
{
    listener->refusing = true;
}

struct sock *sock_accept(struct sock *listener)
{
    struct sock *k = TAILQ_FIRST(&listener->backlog);

    held(listener);
    if (k == NULL)
        return NULL;
    TAILQ_REMOVE(&listener->backlog, k, queue);
    k->accepted = true;
    return k;
}

struct sock *sock_connect(struct stack *s, const struct ip_endpoint *remote,
                          const struct sock_options *options, void *user, enum sock_error *error)
{
    struct sock *k;

    s->connects++;
    s->last_connect = NULL;
    if (remote->port == s->connect_fails_port) {
        *error = s->connect_error;
        return NULL;
    }
    k = sock_new(s);
    k->attached = true;
    k->state = TCP_SYN_SENT;
    k->remote = *remote;
    k->options = *options;
    k->egress_class = options->egress_class;
    k->dscp = options->dscp;
    k->user = user;
    s->last_connect = k;
    return k;
}

void sock_user_set(struct sock *k, void *user)
{
    held(k);
    k->user = user;
    k->attached = true;
    if (k->events != 0)
        fake_raise(k, k->events);
}

void *sock_user(const struct sock *k)
{
    held(k);
    return k->user;
}

struct packet_label sock_label(const struct sock *k)
{
    held(k);
    return k->label;
}

void sock_class_set(struct sock *k, uint8_t egress_class, uint8_t dscp)
{
    held(k);
    k->class_set = true;
    k->egress_class = egress_class;
    k->dscp = dscp;
}

void sock_local(const struct sock *k, struct ip_endpoint *out)
{
    held(k);
    *out = k->local;
}

void sock_remote(const struct sock *k, struct ip_endpoint *out)
{
    held(k);
    *out = k->remote;
}

enum tcp_state sock_state(const struct sock *k)
{
    held(k);
    return k->state;
}

enum sock_error sock_error(const struct sock *k)
{
    held(k);
    return k->error;
}

uint32_t sock_readable(const struct sock *k)
{
    held(k);
    return (uint32_t)k->rx.len;
}

bool sock_eof(const struct sock *k)
{
    held(k);
    return k->fin_received && k->rx.len == 0;
}

uint32_t sock_peek(const struct sock *k, uint32_t offset, void *out, uint32_t len)
{
    size_t n;

    held(k);
    if (offset >= k->rx.len)
        return 0;
    n = min_size(len, k->rx.len - offset);
    memcpy(out, k->rx.data + offset, n);
    return (uint32_t)n;
}

uint32_t sock_read(struct sock *k, void *out, uint32_t len)
{
    uint32_t n = sock_peek(k, 0, out, len);

    bytes_drop(&k->rx, n);
    return n;
}

void sock_skip(struct sock *k, uint32_t len)
{
    held(k);
    bytes_drop(&k->rx, min_size(len, k->rx.len));
}

uint32_t sock_writable(struct sock *k)
{
    held(k);
    if (k->fin_sent || k->error != SOCK_OK || k->state == TCP_SYN_SENT)
        return 0;
    if (k->tx.len >= k->room) {
        k->want_write = true;
        return 0;
    }
    return k->room - (uint32_t)k->tx.len;
}

uint32_t sock_write(struct sock *k, const void *data, uint32_t len)
{
    uint32_t n = (uint32_t)min_size(len, sock_writable(k));

    check(!k->fin_sent);
    check(k->state != TCP_SYN_SENT);
    if (k->short_write && n > 0) {
        k->short_write = false;
        n--;
    }
    bytes_append(&k->tx, data, n);
    if (n < len)
        k->want_write = true;
    return n;
}

/* Like the stack, it moves whole segments, here of 1,000 bytes; the last may exceed the limit. */
uint32_t sock_splice(struct sock *from, struct sock *to, uint32_t max)
{
    size_t n = (min_size(max, sock_writable(to)) + 999) / 1000 * 1000;

    held(from);
    check(!to->fin_sent);
    n = min_size(n, from->rx.len);
    bytes_append(&to->tx, from->rx.data, n);
    bytes_drop(&from->rx, n);
    sock_writable(to); /* a full queue wants to be told of room */
    return (uint32_t)n;
}

uint32_t sock_unacknowledged(const struct sock *k)
{
    held(k);
    return (uint32_t)k->tx.len;
}

void sock_shutdown(struct sock *k)
{
    held(k);
    if (k->fin_sent || k->state == TCP_CLOSED)
        return;
    k->fin_sent = true;
    k->state = k->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
}

static void give_up(struct sock *k, enum fake_end end)
{
    held(k);
    if (k->is_ready)
        TAILQ_REMOVE(&k->stack->ready, k, ready);
    k->is_ready = false;
    k->end = end;
    if (end == FAKE_ABORTED)
        k->tx.len = 0;
    else
        k->fin_sent = true;
}

static void listener_close(struct sock *k)
{
    struct sock *waiting;

    while ((waiting = TAILQ_FIRST(&k->backlog)) != NULL) {
        TAILQ_REMOVE(&k->backlog, waiting, queue);
        give_up(waiting, FAKE_ABORTED);
    }
    give_up(k, FAKE_CLOSED);
}

void sock_close(struct sock *k)
{
    if (k->listener)
        listener_close(k);
    else
        give_up(k, k->rx.len > 0 || k->state == TCP_SYN_SENT ? FAKE_ABORTED : FAKE_CLOSED);
}

void sock_abort(struct sock *k)
{
    give_up(k, FAKE_ABORTED);
}

void sock_info(const struct sock *k, struct sock_info *out)
{
    held(k);
    *out = (struct sock_info){.state = k->state, .receive_queue = (uint32_t)k->rx.len};
}
