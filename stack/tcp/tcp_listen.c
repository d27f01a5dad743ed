/*
 * Listeners: half-open connections, and those that wait to be accepted.
 *
 * A half-open connection is a whole control block, and the backlog bounds how many there are. When
 * it is full, the oldest half-open one gives way: under a flood of SYNs an honest client still has
 * the time of a round trip to answer, whereas refusing the newest would lock everybody out.
 */
#include <stdlib.h>

#include "stack/tcp/tcp_internal.h"

struct tcp_listener *tcp_listener_find(const struct tcp *t, const struct ip_endpoint *local)
{
    struct tcp_listener *l, *any = NULL;

    LIST_FOREACH (l, &t->listeners, link) {
        if (l->local.port != local->port)
            continue;
        if (ip_equal(&l->local.addr, &local->addr))
            return l;
        if (ip_is_unspecified(&l->local.addr))
            any = l;
    }
    return any;
}

struct sock *tcp_listen(struct tcp *t, const struct ip_endpoint *local, uint32_t backlog,
                        const struct sock_options *options, void *user, enum sock_error *error)
{
    struct tcp_listener *l;

    if (!ip_is_unspecified(&local->addr) && !net_is_local(t->net, &local->addr)) {
        *error = SOCK_BAD_ADDRESS;
        return NULL;
    }
    LIST_FOREACH (l, &t->listeners, link) {
        if (l->local.port == local->port && ip_equal(&l->local.addr, &local->addr)) {
            *error = SOCK_IN_USE;
            return NULL;
        }
    }
    l = calloc(1, sizeof *l); /* listeners come with the configuration, not with packets */
    if (l == NULL) {
        *error = SOCK_NO_MEMORY;
        return NULL;
    }
    l->sock = (struct sock){
        .tcp = t, .user = user, .kind = SOCK_LISTENER, .owned = true, .attached = true};
    l->local = *local;
    l->backlog = backlog > 0 ? backlog : 1;
    if (options != NULL)
        l->options = *options;
    TAILQ_INIT(&l->half_open);
    TAILQ_INIT(&l->accept);
    LIST_INSERT_HEAD(&t->listeners, l, link);
    return &l->sock;
}

/* The oldest half-open connection gives way. Returns false when there is none. */
static bool half_open_evict(struct tcp_listener *l)
{
    struct tcp_conn *oldest = TAILQ_FIRST(&l->half_open);

    if (oldest == NULL)
        return false;
    tcp_count(l->sock.tcp, tcp_syn_expired);
    tcp_conn_end(oldest, SOCK_TIMED_OUT);
    return true;
}

/* Makes room in the backlog. Returns false when it is full of connections to be accepted. */
static bool backlog_room(struct tcp_listener *l)
{
    return l->half_open_count + l->accept_count < l->backlog || half_open_evict(l);
}

/* A block for a SYN. A proxied connection needs a second one for the backend: an eighth is kept for
 * those. A flood must not lock everybody out of a pool that is smaller than the backlog either. */
static struct tcp_conn *half_open_create(struct tcp_listener *l)
{
    struct tcp *t = l->sock.tcp;
    uint32_t reserve = t->conns.capacity / 8;
    struct tcp_conn *c = tcp_conn_create(t, reserve);

    if (c == NULL && half_open_evict(l))
        c = tcp_conn_create(t, reserve);
    return c;
}

void tcp_listener_segment(struct tcp_listener *l, struct packet *p, uint32_t iss_min)
{
    struct tcp *t = l->sock.tcp;
    struct ip_endpoint local = {p->dst, p->dport}, remote = {p->src, p->sport};
    struct net_path path;
    struct tcp_conn *c;

    if (!backlog_room(l)) {
        p->drop = drop_tcp_backlog;
        return;
    }
    if (t->held > t->held_max / 16 * 15 || net_path_find(t->net, &remote.addr, &path) < 0 ||
        (c = half_open_create(l)) == NULL) {
        p->drop = drop_tcp_no_memory;
        return;
    }
    if (p->payload_length > 0)
        tcp_count(t, tcp_syn_data_ignored); /* not acknowledged: it comes again */
    tcp_conn_bind(c, &local, &remote, &path, &l->options);
    tcp_conn_class(c, p->label.egress_class, l->options.dscp);
    c->label = p->label;
    c->iss = tcp_isn(t, &local, &remote);
    if (iss_min != 0)
        c->iss = seq_max(c->iss, iss_min);
    c->snd_una = c->snd_nxt = c->snd_max = c->iss;
    c->send_queue_seq = c->iss + 1;
    tcp_input_syn_options(c, p);
    tcp_conn_state(c, TCP_SYN_RECEIVED);
    c->listener = l;
    c->in_half_open = true;
    TAILQ_INSERT_TAIL(&l->half_open, c, queue_link);
    l->half_open_count++;
    c->send_syn = true;
    tcp_conn_output(c);
}

void tcp_listener_established(struct tcp_conn *c)
{
    struct tcp_listener *l = c->listener;

    TAILQ_REMOVE(&l->half_open, c, queue_link);
    c->in_half_open = false;
    l->half_open_count--;
    TAILQ_INSERT_TAIL(&l->accept, c, queue_link);
    c->in_accept = true;
    l->accept_count++;
    tcp_count(l->sock.tcp, tcp_accepted);
    tcp_event_raise(&l->sock, EVENT_ACCEPT);
}

void tcp_listener_forget(struct tcp_conn *c)
{
    struct tcp_listener *l = c->listener;

    if (c->in_half_open) {
        TAILQ_REMOVE(&l->half_open, c, queue_link);
        l->half_open_count--;
    }
    if (c->in_accept) {
        TAILQ_REMOVE(&l->accept, c, queue_link);
        l->accept_count--;
    }
    c->in_half_open = false;
    c->in_accept = false;
    c->listener = NULL;
}

struct sock *tcp_accept(struct sock *listener)
{
    struct tcp_listener *l = tcp_listener_of(listener);
    struct tcp_conn *c = TAILQ_FIRST(&l->accept);

    if (c == NULL)
        return NULL;
    tcp_listener_forget(c);
    c->sock.owned = true;
    return &c->sock;
}

void tcp_listener_close(struct tcp_listener *l)
{
    struct tcp *t = l->sock.tcp;
    struct tcp_conn *c;

    while ((c = TAILQ_FIRST(&l->half_open)) != NULL)
        tcp_conn_end(c, SOCK_OK);
    while ((c = TAILQ_FIRST(&l->accept)) != NULL) {
        tcp_output_reset(c);
        tcp_conn_end(c, SOCK_OK);
    }
    if (l->sock.ready)
        TAILQ_REMOVE(&t->ready, &l->sock, ready_link);
    LIST_REMOVE(l, link);
    free(l);
}
