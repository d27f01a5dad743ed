/*
 * The server's end: a connection says which flow it is by its first four bytes, after the PROXY
 * header if there is one, and inside TLS if that is spoken. From then on it is that flow's.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/proxy_world.h"

clock_ns proxy_world_progress(struct flow *flows, unsigned count, clock_ns now)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < count; i++) {
        clock_ns at = flows[i].read_again > 0 ? flow_progress(&flows[i], now) : CLOCK_NEVER;

        next = at < next ? at : next;
    }
    return next;
}

static bool is_flow(const struct world *w, const void *user)
{
    return (const char *)user >= (const char *)w->in &&
           (const char *)user < (const char *)(w->in + MAX_FLOWS);
}

/* Returns true when the header, if there is to be one, has been read. */
static bool newcomer_header(struct world *w, struct newcomer *n)
{
    struct proxy_header header;
    uint8_t data[PROXY_HEADER_MAX];
    uint32_t len;

    if (n->header_done || w->variant.to_server[0] == '\0')
        return true;
    len = sock_peek(n->sock, 0, data, sizeof data);
    switch (proxy_header_parse(data, len, &header)) {
    case PROXY_HEADER_OK:
        break;
    case PROXY_HEADER_MORE:
        return false;
    default:
        printf("FAIL: the server got no PROXY header but %u bytes of something\n", len);
        exit(1);
    }
    sock_skip(n->sock, (uint32_t)header.length);
    n->source = header.source;
    return n->header_done = true;
}

static void newcomer_number(struct newcomer *n)
{
    uint8_t *at = n->number + n->got;

    if (n->tls == NULL)
        n->got += sock_read(n->sock, at, 4 - n->got);
    else if (flow_tls_progress(n->tls))
        n->got += flow_tls_read(n->tls, at, 4 - n->got);
}

/* Each client is to be told apart by its header. */
static bool right_source(const struct world *w, const struct newcomer *n, uint32_t number)
{
    const struct proxy_net *net = w->variant.outside;
    struct ip_endpoint client;

    if (w->variant.to_server[0] == '\0')
        return true;
    client = proxy_world_endpoint(w->variant.from_client ? net->client : net->peer,
                                  (uint16_t)(1000 + number));
    return ip_equal(&n->source.addr, &client.addr) &&
           (!w->variant.from_client || n->source.port == client.port);
}

static void newcomer_end(struct newcomer *n)
{
    if (n->tls != NULL)
        flow_tls_destroy(n->tls);
    sock_abort(n->sock);
    *n = (struct newcomer){0};
}

static void newcomer_join(struct world *w, struct newcomer *n, uint32_t number, clock_ns now)
{
    struct flow *f = &w->in[number];

    if (!right_source(w, n, number)) {
        printf("FAIL: the server was told a wrong client of flow %u\n", number);
        exit(1);
    }
    f->sock = n->sock;
    f->tls = n->tls;
    f->established = true;
    sock_user_set(n->sock, f);
    *n = (struct newcomer){0};
    flow_progress(f, now);
}

static void newcomer_event(struct world *w, struct newcomer *n, const struct event *e, clock_ns now)
{
    uint32_t number;

    if ((e->what & EVENT_ERROR) == 0) {
        if (newcomer_header(w, n))
            newcomer_number(n);
        if (n->got < 4 && !sock_eof(n->sock))
            return;
    }
    memcpy(&number, n->number, 4);
    if (n->got == 4 && number < w->flows && w->in[number].sock == NULL && !w->in[number].finished)
        newcomer_join(w, n, number, now);
    else
        newcomer_end(n);
}

static void accept_all(struct world *w, struct sock *listener)
{
    struct sock *k;

    while ((k = sock_accept(listener)) != NULL) {
        unsigned i = 0;

        while (w->newcomers[i].sock != NULL)
            i++;
        assert(i < 4 * MAX_FLOWS);
        w->newcomers[i] = (struct newcomer){.sock = k};
        if (listener == w->secure_listener)
            w->newcomers[i].tls = flow_tls_create(proxy_world_server_ctx(), k, NULL);
        sock_user_set(k, &w->newcomers[i]);
    }
}

static clock_ns server_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->server), &e)) {
        if (e.sock == w->listener || e.sock == w->secure_listener)
            accept_all(w, e.sock);
        else if (is_flow(w, e.user))
            flow_event(e.user, &e, now);
        else
            newcomer_event(w, e.user, &e, now);
    }
    return proxy_world_progress(w->in, w->flows, now);
}

void proxy_world_server_start(struct world *w)
{
    struct ip_endpoint at = proxy_world_endpoint(w->variant.inside->peer, 8080);
    struct stack *s = sim_host_stack(w->server);
    enum sock_error error;

    w->listener = sock_listen(s, &at, 256, NULL, NULL, &error);
    at.port = 8443;
    w->secure_listener = sock_listen(s, &at, 256, NULL, NULL, &error);
    assert(w->listener != NULL && w->secure_listener != NULL);
    sim_host_app(w->server, server_app, w);
}
