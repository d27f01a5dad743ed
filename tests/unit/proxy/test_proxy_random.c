/*
 * Random orders of everything that peers can do, over many sessions at once, from a seed, with
 * servers that speak TLS for every other seed. Whatever
 * happens: bytes arrive in order and unchanged; a side sees an orderly end of stream only after
 * every byte of the other side, and only if that side ended in order; in the end every session is
 * closed and every socket given up exactly once.
 *
 * A seed that failed is run alone with PROXY_SEED=N.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "rig.h"

#define SEEDS 150
#define STEPS 400
#define FLOWS 24

struct flow {
    struct sock *client, *backend; /* the backend socket that stands for the present */
    struct rig_tls tls, server;
    bool is_tls;
    bool client_ended, backend_ended; /* in order, by the peer */
    bool client_broke, backend_broke; /* reset or truncated by the peer */
    size_t up_sent, up_got, down_sent, down_got;
};

struct world {
    struct rig *r;
    struct flow flows[FLOWS];
    unsigned count;
    bool secure; /* the servers speak TLS */
    uint64_t random;
    unsigned seed;
};

#define expect(w, condition)                                                    \
    do {                                                                        \
        if (!(condition))                                                       \
            fail_msg("seed %u: %s (line %d)", (w)->seed, #condition, __LINE__); \
    } while (0)

/* xorshift64* */
static unsigned pick(struct world *w, unsigned n)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (unsigned)((w->random * UINT64_C(2685821657736338717)) >> 33) % n;
}

/* The byte at a place of a flow's stream; the two directions differ. */
static uint8_t stream_byte(const struct world *w, const struct flow *f, bool up, size_t at)
{
    return (uint8_t)((size_t)(f - w->flows) * 37 + at * (up ? 7 : 11) + (at >> 8));
}

static size_t stream_fill(const struct world *w, const struct flow *f, bool up, size_t at,
                          uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = stream_byte(w, f, up, at + i);
    return len;
}

static void stream_check(const struct world *w, const struct flow *f, bool up, size_t at,
                         const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        expect(w, data[i] == stream_byte(w, f, up, at + i));
}

static bool held(const struct sock *k)
{
    return k != NULL && k->end == FAKE_HELD && k->error == SOCK_OK;
}

/* ---- what the peers do ---- */

static void new_flow(struct world *w)
{
    struct flow *f = &w->flows[w->count];
    char remote[32];

    if (w->count == FLOWS)
        return;
    snprintf(remote, sizeof remote, "198.51.100.7:%u", 1000 + w->count);
    f->is_tls = pick(w, 4) == 0;
    f->client = fake_client(
        fake_listener(w->r->stack, f->is_tls ? RIG_HTTPS_ADDRESS : RIG_PLAIN_ADDRESS), remote);
    if (f->is_tls)
        rig_tls_open(&f->tls, f->client, "shop.example");
    w->count++;
}

static void client_send(struct world *w, struct flow *f)
{
    uint8_t data[40000];
    size_t len = 1 + pick(w, pick(w, 3) == 0 ? sizeof data : 200);

    if (!held(f->client) || f->client_ended || f->client_broke)
        return;
    if (f->is_tls && !SSL_is_init_finished(f->tls.ssl))
        return;
    stream_fill(w, f, true, f->up_sent, data, len);
    f->up_sent += len;
    if (f->is_tls)
        rig_tls_send(&f->tls, data, len);
    else
        fake_deliver(f->client, data, len);
}

/* Its connection stands, and the proxy knows it. */
static bool backend_stands(const struct world *w, const struct flow *f)
{
    return f->backend != NULL && held(f->backend) && f->backend->state != TCP_SYN_SENT &&
           (!w->secure || SSL_is_init_finished(f->server.ssl));
}

static void backend_send(struct world *w, struct flow *f)
{
    uint8_t data[40000];
    size_t len = 1 + pick(w, pick(w, 3) == 0 ? sizeof data : 200);

    if (!backend_stands(w, f) || f->backend_ended || f->backend_broke)
        return;
    stream_fill(w, f, false, f->down_sent, data, len);
    f->down_sent += len;
    if (w->secure)
        rig_tls_send(&f->server, data, len);
    else
        fake_deliver(f->backend, data, len);
}

/* Returns what has come once the handshake is done. */
static size_t tls_take(struct rig_tls *t, uint8_t *out, size_t max)
{
    rig_tls_pump(t);
    if (!SSL_is_init_finished(t->ssl)) {
        SSL_do_handshake(t->ssl);
        ERR_clear_error();
        rig_tls_pump(t);
    }
    return SSL_is_init_finished(t->ssl) ? rig_tls_read(t, out, max) : 0;
}

static void client_take(struct world *w, struct flow *f, size_t max)
{
    static uint8_t data[1 << 21];
    size_t n;

    if (f->is_tls) {
        n = tls_take(&f->tls, data, max);
    } else {
        n = fake_take(f->client, data, max);
    }
    stream_check(w, f, false, f->down_got, data, n);
    f->down_got += n;
    expect(w, f->down_got <= f->down_sent);
}

static void backend_take(struct world *w, struct flow *f, size_t max)
{
    static uint8_t data[1 << 21];
    size_t n;

    if (f->backend == NULL)
        return;
    n = w->secure ? tls_take(&f->server, data, max) : fake_take(f->backend, data, max);
    stream_check(w, f, true, f->up_got, data, n);
    f->up_got += n;
    expect(w, f->up_got <= f->up_sent);
}

static void client_end(struct world *w, struct flow *f)
{
    if (!held(f->client) || f->client_ended || f->client_broke)
        return;
    if (f->is_tls && SSL_is_init_finished(f->tls.ssl) && pick(w, 4) > 0) {
        rig_tls_close_notify(&f->tls);
        f->client_ended = true;
        if (pick(w, 2) == 0)
            return; /* the FIN comes never, or after all */
    } else if (f->is_tls) {
        f->client_broke = true;
    }
    fake_deliver_fin(f->client);
    if (!f->client_broke)
        f->client_ended = true;
}

/* The server ends its stream: in order, or with TLS also without close_notify. */
static void backend_end(struct world *w, struct flow *f)
{
    if (w->secure && pick(w, 4) > 0) {
        rig_tls_close_notify(&f->server);
        f->backend_ended = true;
        if (pick(w, 2) == 0)
            return; /* the FIN comes never */
    } else if (w->secure) {
        f->backend_broke = true;
    }
    fake_deliver_fin(f->backend);
    if (!f->backend_broke)
        f->backend_ended = true;
}

static void backend_event(struct world *w, struct flow *f)
{
    if (!held(f->backend))
        return;
    if (f->backend->state == TCP_SYN_SENT) {
        if (pick(w, 5) == 0)
            fake_error(f->backend, SOCK_REFUSED);
        else
            fake_connected(f->backend);
    } else if (!backend_stands(w, f)) {
        if (pick(w, 20) == 0)
            fake_error(f->backend, SOCK_RESET); /* in its handshake */
        else if (pick(w, 20) == 0)
            fake_deliver_fin(f->backend);
    } else if (pick(w, 6) == 0 && !f->backend_ended && !f->backend_broke) {
        backend_end(w, f);
    } else if (pick(w, 40) == 0) {
        fake_error(f->backend, SOCK_RESET);
        f->backend_broke = true;
    }
}

static void client_reset(struct world *w, struct flow *f)
{
    if (pick(w, 8) != 0 || !held(f->client))
        return;
    fake_error(f->client, pick(w, 2) == 0 ? SOCK_RESET : SOCK_TIMED_OUT);
    f->client_broke = true;
}

static void change_room(struct world *w, struct flow *f)
{
    struct sock *k = pick(w, 2) == 0 ? f->client : f->backend;

    if (held(k) && k->state != TCP_SYN_SENT)
        fake_room_set(k, pick(w, 3) == 0 ? pick(w, 3) : 100 + pick(w, 70000));
}

static void backend_is(struct world *w, struct flow *f, struct sock *k)
{
    if (f->backend == k)
        return;
    f->backend = k;
    if (!w->secure)
        return;
    if (f->server.ssl != NULL)
        rig_tls_free(&f->server);
    rig_tls_serve(&f->server, k, pick(w, 6) == 0 ? RIG_SERVER_EXPIRED : RIG_SERVER_GOOD);
}

/* A session's server socket is known by the session that both sockets carry. */
static void find_backends(struct world *w)
{
    struct sock *k;

    TAILQ_FOREACH (k, &w->r->stack->socks, link) {
        if (k->listener || k->accepted || k->end != FAKE_HELD)
            continue;
        for (unsigned i = 0; i < w->count; i++) {
            if (w->flows[i].client->end == FAKE_HELD && w->flows[i].client->user == k->user &&
                k->user != NULL)
                backend_is(w, &w->flows[i], k);
        }
    }
}

static void step(struct world *w)
{
    struct flow *f;

    if (w->count == 0 || pick(w, 12) == 0)
        new_flow(w);
    f = &w->flows[pick(w, w->count)];
    switch (pick(w, 9)) {
    case 0:
        client_send(w, f);
        break;
    case 1:
        backend_send(w, f);
        break;
    case 2:
        client_take(w, f, 1 + pick(w, 50000));
        break;
    case 3:
        backend_take(w, f, 1 + pick(w, 50000));
        break;
    case 4:
    case 5:
        backend_event(w, f);
        break;
    case 6:
        if (pick(w, 3) == 0)
            client_end(w, f);
        else
            client_reset(w, f);
        break;
    case 7:
        change_room(w, f);
        break;
    case 8:
        w->r->now += pick(w, 20) * CLOCK_MS;
        break;
    }
    if (pick(w, 3) > 0) {
        rig_round(w->r);
        find_backends(w);
    }
}

/* ---- the end ---- */

/* Everybody reads, with room for everything, until nothing moves any more. */
static void drain_flows(struct world *w)
{
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < w->count; i++) {
            struct flow *f = &w->flows[i];

            if (held(f->client))
                fake_room_set(f->client, 1 << 20);
            if (held(f->backend) && f->backend->state == TCP_SYN_SENT)
                fake_connected(f->backend);
            else if (held(f->backend))
                fake_room_set(f->backend, 1 << 20);
            client_take(w, f, 1 << 21);
            backend_take(w, f, 1 << 21);
        }
        rig_settle(w->r);
        find_backends(w);
    }
}

static void check_flow(struct world *w, struct flow *f)
{
    bool client_saw_end = f->is_tls ? f->tls.closed : f->client->fin_sent;
    bool backend_saw_end =
        f->backend != NULL && (w->secure ? f->server.closed : f->backend->fin_sent);

    if (f->client->end == FAKE_ABORTED && f->client->tx.len == 0 && !f->is_tls)
        client_saw_end = client_saw_end && f->client->error == SOCK_OK;
    if (client_saw_end && !f->client_broke) {
        expect(w, f->backend_ended);
        expect(w, f->down_got == f->down_sent);
    }
    if (backend_saw_end && !f->backend_broke) {
        expect(w, f->client_ended);
        expect(w, f->up_got == f->up_sent);
    }
    /* Nobody misbehaved: everything arrived. */
    if (f->client_ended && f->backend_ended && !f->client_broke && !f->backend_broke) {
        expect(w, f->up_got == f->up_sent);
        expect(w, f->down_got == f->down_sent);
    }
}

static void run_seed(unsigned seed)
{
    static const char rules[] =
        RIG_TERMINATE("listener: https") RIG_SPLICE("listener: plain", "web");
    static struct world w;

    w = (struct world){.seed = seed, .random = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1)};
    w.r = rig_create(rules);
    w.secure = seed % 2 == 0;
    if (w.secure)
        rig_backend_tls(w.r, "web", "server.example");
    for (unsigned i = 0; i < STEPS; i++)
        step(&w);
    rig_settle(w.r);
    find_backends(&w);
    drain_flows(&w);
    for (unsigned i = 0; i < w.count; i++)
        check_flow(&w, &w.flows[i]);
    rig_advance(w.r, 600 * CLOCK_SEC);
    expect(&w, proxy_session_count(w.r->proxy) == 0);
    expect(&w, rig_counter(w.r, sessions_opened) == w.count);
    expect(&w, rig_counter(w.r, sessions_closed) == w.count);
    expect(&w, fake_held(w.r->stack) == 0);
    expect(&w, w.r->config.snapshot.sessions == 0);
    for (unsigned i = 0; i < w.count; i++) {
        if (w.flows[i].is_tls)
            rig_tls_free(&w.flows[i].tls);
        if (w.flows[i].server.ssl != NULL)
            rig_tls_free(&w.flows[i].server);
    }
    rig_destroy(w.r);
}

static void random_orders(void **state)
{
    const char *one = getenv("PROXY_SEED");

    (void)state;
    if (one != NULL) {
        run_seed((unsigned)strtoul(one, NULL, 10));
        return;
    }
    for (unsigned seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_orders)};

    return cmocka_run_group_tests_name("proxy_random", tests, rig_group_setup, rig_group_teardown);
}
