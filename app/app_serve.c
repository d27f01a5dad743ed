/*
 * The stack thread's side of a channel. Once a round it takes the requests, then the stack's
 * events; both end in moving bytes: from a connection's receive queue to the receive ring while it
 * has room, from the send ring to the connection while that takes them. Where a side stops, the one
 * who makes room tells: the program by a request, the stack by EVENT_WRITABLE.
 *
 * A connection that the program has given up stays until its send ring is empty, so that close
 * loses nothing that was written. A peer that acknowledges and never opens its window would keep
 * it, and its descriptor, for ever: one that takes nothing for a minute is reset.
 */
#include <assert.h>
#include <errno.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "app/app_internal.h"

#define SERVE_BURST    64
#define SERVE_REQUESTS 256 /* a round, so that packets do not wait for a long batch */

static void tell(struct app_desc *d, uint32_t what)
{
    struct app_channel *c = d->channel;
    uint32_t index = app_channel_index(c, d);

    c->told = true;
    if (atomic_fetch_or_explicit(&d->events, what, memory_order_acq_rel) != 0)
        return; /* it is on the ring */
    if (rte_ring_sp_enqueue_elem(c->events, &index, sizeof index) != 0)
        assert(!"a ring as long as the table is never full");
}

static void adopt(struct app_desc *d, struct sock *k)
{
    d->sock = k;
    d->listening = d->shutdown = d->closing = false;
    d->channel->live++;
}

/* The socket is gone; the descriptor is the program's again. */
static void release(struct app_desc *d)
{
    if (d->listening)
        LIST_REMOVE(d, listener_link);
    if (d->closing)
        TAILQ_REMOVE(&d->channel->closing, d, closing_link);
    d->sock = NULL;
    d->listening = d->closing = false;
    d->channel->live--;
    tell(d, EV_RELEASED);
}

static void close_now(struct app_desc *d)
{
    sock_close(d->sock);
    release(d);
}

static void abort_now(struct app_desc *d)
{
    sock_abort(d->sock);
    release(d);
}

/* ---- bytes ---- */

/* The peer's time begins anew. */
static void closing_moved(struct app_desc *d)
{
    struct app_channel *c = d->channel;

    if (d->closing)
        TAILQ_REMOVE(&c->closing, d, closing_link);
    TAILQ_INSERT_TAIL(&c->closing, d, closing_link);
    d->closing = true;
    d->moved_at = c->now;
}

/* Returns whether any were moved. */
static bool receive_some(struct app_desc *d)
{
    bool moved = false;
    uint8_t *at;
    uint32_t n;

    while (sock_readable(d->sock) > 0 && (n = app_fifo_space(&d->in, &at)) > 0) {
        app_fifo_produce(&d->in, sock_read(d->sock, at, n));
        moved = true;
    }
    return moved;
}

static void receive(struct app_desc *d)
{
    uint32_t what = 0;

    do {
        if (receive_some(d))
            what |= EV_DATA;
    } while (sock_readable(d->sock) > 0 && app_fifo_starve(&d->in));
    if (sock_eof(d->sock))
        what |= EV_EOF;
    if (what != 0)
        tell(d, what);
}

static void send_some(struct app_desc *d)
{
    const uint8_t *at;
    uint32_t n;

    while ((n = app_fifo_data(&d->out, &at)) > 0) {
        uint32_t taken = sock_write(d->sock, at, n);

        app_fifo_consume(&d->out, taken);
        if (d->closing && taken > 0)
            closing_moved(d);
        if (taken < n)
            break;
    }
}

/* What follows once the send ring is empty. May release the descriptor. */
static void sent_all(struct app_desc *d)
{
    if (d->shutdown)
        sock_shutdown(d->sock);
    if (d->closing)
        close_now(d);
}

static void send_out(struct app_desc *d)
{
    send_some(d);
    if (app_fifo_relieved(&d->out) && !d->closing)
        tell(d, EV_ROOM);
    if (app_fifo_used(&d->out) == 0)
        sent_all(d);
}

/* ---- requests ---- */

static void reply(struct app_desc *d, int failure)
{
    d->failure = failure;
    tell(d, EV_REPLY);
}

static void listen_on(struct app_desc *d)
{
    struct app_channel *c = d->channel;
    enum sock_error error = SOCK_OK;
    struct sock *k = sock_listen(c->stack, &d->local, d->backlog, &d->options, d, &error);

    if (k != NULL) {
        adopt(d, k);
        d->listening = true;
        LIST_INSERT_HEAD(&c->listening, d, listener_link);
    }
    reply(d, app_errno(error));
}

static void connect_to(struct app_desc *d)
{
    enum sock_error error = SOCK_OK;
    struct sock *k = sock_connect(d->channel->stack, &d->remote, &d->options, d, &error);

    if (k != NULL) {
        adopt(d, k);
        sock_local(k, &d->local);
        return;
    }
    d->failure = app_errno(error);
    tell(d, EV_ERROR);
}

static bool dead(const struct app_desc *d)
{
    return sock_state(d->sock) == TCP_CLOSED;
}

/* As sock_close() has it: who leaves received bytes unread, resets. */
static void give_up(struct app_desc *d)
{
    if (d->listening || dead(d)) {
        close_now(d);
    } else if (app_fifo_used(&d->in) > 0 || sock_readable(d->sock) > 0) {
        abort_now(d);
    } else {
        closing_moved(d);
        send_out(d);
    }
}

static void inform(struct app_desc *d)
{
    if (d->sock == NULL || dead(d)) {
        reply(d, ENOTCONN);
        return;
    }
    sock_info(d->sock, d->info);
    reply(d, 0);
}

/* Nothing became of the connection: there is no socket. */
static void serve_without_socket(struct app_desc *d, uint32_t what)
{
    if (what & RQ_INFO)
        inform(d);
    if (what & (RQ_CLOSE | RQ_ABORT))
        tell(d, EV_RELEASED);
}

static void serve(struct app_desc *d)
{
    uint32_t what = atomic_exchange_explicit(&d->requests, 0, memory_order_acq_rel);

    if (what & RQ_LISTEN)
        listen_on(d);
    if (what & RQ_CONNECT)
        connect_to(d);
    if (d->sock == NULL) {
        serve_without_socket(d, what);
        return;
    }
    if (what & RQ_INFO)
        inform(d);
    if (what & RQ_ROOM)
        receive(d);
    if (what & RQ_SHUTDOWN)
        d->shutdown = true;
    if (what & RQ_ABORT)
        abort_now(d);
    else if (what & RQ_CLOSE)
        give_up(d);
    else if (what & (RQ_DATA | RQ_SHUTDOWN))
        send_out(d);
}

/* ---- connections that come ---- */

/* Returns false when there are no spares. */
static bool accept_all(struct app_desc *l)
{
    struct app_channel *c = l->channel;
    struct app_desc *d;
    struct sock *k;
    uint32_t index;

    while (!rte_ring_empty(c->spares)) {
        k = sock_accept(l->sock);
        if (k == NULL)
            return true;
        if (rte_ring_sc_dequeue_elem(c->spares, &index, sizeof index) != 0)
            assert(!"this side alone takes from the ring");
        d = &c->desc[index];
        adopt(d, k);
        d->listener = app_channel_index(c, l);
        sock_local(k, &d->local);
        sock_remote(k, &d->remote);
        tell(d, EV_ACCEPTED);
        sock_user_set(k, d);
    }
    return false;
}

static void accept_later(struct app_channel *c)
{
    struct app_desc *l;

    if (!c->no_spares || rte_ring_empty(c->spares))
        return;
    c->no_spares = false;
    LIST_FOREACH (l, &c->listening, listener_link) {
        if (!accept_all(l))
            c->no_spares = true;
    }
}

/* ---- the end of a channel ---- */

static void drop_all(struct app_channel *c, bool lingering_too)
{
    for (uint32_t i = 0; i < c->count && c->live > 0; i++) {
        struct app_desc *d = &c->desc[i];

        if (d->sock != NULL && (lingering_too || !d->closing))
            abort_now(d);
    }
}

static void wind_down(struct app_channel *c, clock_ns now)
{
    if (c->linger_until == 0) {
        c->linger_until = now + c->linger;
        drop_all(c, false);
    }
    if (now >= c->linger_until)
        drop_all(c, true);
}

/* ---- the round ---- */

static void reset_stalled(struct app_channel *c)
{
    struct app_desc *d;

    while ((d = TAILQ_FIRST(&c->closing)) != NULL && c->now - d->moved_at >= SERVE_CLOSING_TIME)
        abort_now(d);
}

uint32_t app_serve_requests(struct app_channel *c, clock_ns now)
{
    uint32_t index[SERVE_BURST], total = 0;
    unsigned n;

    c->now = now;
    reset_stalled(c);
    do {
        n = rte_ring_sc_dequeue_burst_elem(c->requests, index, sizeof *index, SERVE_BURST, NULL);
        for (unsigned i = 0; i < n; i++)
            serve(&c->desc[index[i]]);
        total += n;
    } while (n == SERVE_BURST && total < SERVE_REQUESTS);
    accept_later(c);
    if (n < SERVE_BURST && atomic_load_explicit(&c->detaching, memory_order_acquire))
        wind_down(c, now);
    return total;
}

void app_serve_event(const struct event *e)
{
    struct app_desc *d = e->user;

    if (e->what & EVENT_ACCEPT) {
        if (!accept_all(d))
            d->channel->no_spares = true;
        return;
    }
    if (d->closing && (sock_readable(d->sock) > 0 || (e->what & EVENT_ERROR))) {
        abort_now(d);
        return;
    }
    if (e->what & EVENT_CONNECTED)
        tell(d, EV_CONNECTED);
    if ((e->what & (EVENT_READABLE | EVENT_ERROR)) && !d->closing)
        receive(d); /* after an error: what a FIN has said to be all */
    if (e->what & EVENT_ERROR) {
        d->failure = app_errno(sock_error(d->sock));
        tell(d, EV_ERROR);
    }
    if (e->what & (EVENT_WRITABLE | EVENT_CONNECTED))
        send_out(d);
}

void app_serve_wake(struct app_channel *c)
{
    if (c->told)
        app_bell_ring(&c->bell);
    c->told = false;
}

bool app_serve_pending(const struct app_channel *c)
{
    return !rte_ring_empty(c->requests) || (c->no_spares && !rte_ring_empty(c->spares));
}
