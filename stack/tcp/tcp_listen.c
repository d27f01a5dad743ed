/*
 * Listeners: half-open connections, and those that wait to be accepted.
 *
 * A half-open connection is a whole control block, and the backlog bounds how many there are. When
 * half of it is taken, SYNs are answered with cookies (tcp_cookie.h), which cost no block, until
 * only a quarter is; likewise while the pool has no block to give, and to SYNs for which the
 * firewall asks for one. Where cookies are off, or where
 * the backlog is full all the same, the oldest half-open connection gives way: an honest client
 * still has the time of a round trip to answer, whereas refusing the newest would lock everybody
 * out.
 *
 * An acknowledgement is held against a cookie only where the listener has sent one that may still
 * hold. Where that says that an earlier segment of the peer's is missing, it is dropped in silence.
 */
#include "stack/tcp/tcp_listen.h"

#include <stdlib.h>

#include "base/log.h"
#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_cookie.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_input.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_isn.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_seq.h"

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

/* Of the pool, for connections to backends: a proxied connection needs a second block. */
static uint32_t pool_reserve(const struct tcp *t)
{
    return t->conns.capacity / 8;
}

/* A block for a connection that begins, or NULL: the backlog is full, or the pool but for the
 * reserve. */
static struct tcp_conn *block_get(struct tcp_listener *l)
{
    struct tcp *t = l->sock.tcp;

    if (l->half_open_count + l->accept_count >= l->backlog)
        return NULL;
    return tcp_conn_create(t, pool_reserve(t));
}

/* Is the pool full of connections that nobody may end? Then a cookie would promise in vain. */
static bool pool_taken(const struct tcp_listener *l)
{
    const struct tcp *t = l->sock.tcp;

    return t->conns.capacity - t->conns.used <= pool_reserve(t) && TAILQ_EMPTY(&t->time_waiters) &&
           l->half_open_count == 0;
}

/* The same at the expense of an older half-open one. */
static struct tcp_conn *block_insist(struct tcp_listener *l)
{
    struct tcp_conn *c = block_get(l);

    return c == NULL && half_open_evict(l) ? block_get(l) : c;
}

/* ---- cookies ---- */

static void cookies_switch(struct tcp_listener *l, bool on)
{
    struct tcp *t = l->sock.tcp;
    char text[IP_TEXT_MAX];
    uint32_t suppressed;

    l->cookies_on = on;
    if (on) {
        l->cookies_told = log_limit_pass(&t->cookie_log, t->now, &suppressed);
        if (l->cookies_told)
            log_warn("tcp", "%s: %u half-open connections of a backlog of %u: SYN cookies are sent",
                     ip_endpoint_format(&l->local, text), l->half_open_count, l->backlog);
    } else if (l->cookies_told) {
        log_info("tcp", "%s: %u half-open connections: no SYN cookies any more",
                 ip_endpoint_format(&l->local, text), l->half_open_count);
    }
}

/* With hysteresis, or the listener would go in and out with every other SYN. */
static void cookies_update(struct tcp_listener *l)
{
    bool automatic = l->options.cookies == SOCK_COOKIES_AUTO;

    if (!l->cookies_on && automatic && l->half_open_count > l->backlog / 2)
        cookies_switch(l, true);
    else if (l->cookies_on && (!automatic || l->half_open_count <= l->backlog / 4))
        cookies_switch(l, false);
}

void sock_listener_set(struct sock *listener, uint32_t backlog, enum sock_cookies cookies)
{
    struct tcp_listener *l = tcp_listener_of(listener);

    l->backlog = backlog > 0 ? backlog : 1;
    l->options.cookies = cookies;
    cookies_update(l);
}

static bool cookies_wanted(const struct tcp_listener *l)
{
    return l->options.cookies == SOCK_COOKIES_ALWAYS || l->cookies_on;
}

/* May a cookie of the listener's still hold? */
static bool cookies_recent(const struct tcp_listener *l)
{
    return l->cookie_at != 0 && l->sock.tcp->now - l->cookie_at < 2 * TCP_COOKIE_EPOCH;
}

/* What a SYN with a cookie offers, whatever the pressure, as the ACK must find the same: no
 * client's first flight is longer (RFC 6928), and the next acknowledgement opens the window. */
static uint16_t cookie_window(const struct tcp_listener *l)
{
    uint32_t buffer = l->options.receive_buffer;

    return (uint16_t)(buffer != 0 && buffer < TCP_COOKIE_WINDOW ? buffer : TCP_COOKIE_WINDOW);
}

static void cookie_answer(struct tcp_listener *l, const struct packet *p,
                          const struct net_path *path)
{
    struct net_path marked = *path;

    marked.egress_class = p->label.egress_class;
    marked.dscp = l->options.dscp;
    l->cookie_at = l->sock.tcp->now;
    tcp_reply_cookie(l->sock.tcp, p, &marked, cookie_window(l),
                     tcp_mtu_offer(&marked, l->options.mss));
}

/* ---- half-open connections ---- */

/* Room and memory for another connection, and a way to its peer. Sets p->drop when there is none.
 */
static bool admissible(struct tcp_listener *l, struct packet *p, struct net_path *path)
{
    struct tcp *t = l->sock.tcp;

    if (l->accept_count >= l->backlog)
        p->drop = drop_tcp_backlog;
    else if (t->held > t->held_max / 16 * 15 || pool_taken(l) ||
             net_path_find(t->net, &p->src, path) < 0)
        p->drop = drop_tcp_no_memory;
    return p->drop == DROP_NONE;
}

/* The connection that a SYN begins; p is what brought it, the SYN or the ACK with its cookie. */
static void half_open_begin(struct tcp_listener *l, struct tcp_conn *c, const struct packet *p,
                            const struct net_path *path)
{
    struct ip_endpoint local = {p->dst, p->dport}, remote = {p->src, p->sport};

    tcp_conn_bind(c, &local, &remote, path, &l->options, p->flow_hash);
    tcp_conn_class(c, p->label.egress_class, l->options.dscp);
    c->label = p->label;
    c->listener = l;
    c->in_half_open = true;
    TAILQ_INSERT_TAIL(&l->half_open, c, queue_link);
    l->half_open_count++;
    tcp_conn_state(c, TCP_SYN_RECEIVED);
}

/* Where our stream begins, and what the peer's SYN said. */
static void half_open_synchronize(struct tcp_conn *c, uint32_t iss, const struct packet_tcp *syn)
{
    c->iss = iss;
    c->snd_una = c->snd_max = iss;
    c->send_queue_seq = iss + 1;
    tcp_input_syn_options(c, syn);
}

/* A cookie cannot say that a connection follows on an older one. */
static bool cookie_possible(const struct tcp_listener *l, uint32_t iss_min)
{
    return l->options.cookies != SOCK_COOKIES_OFF && iss_min == 0;
}

void tcp_listener_segment(struct tcp_listener *l, struct packet *p, uint32_t iss_min)
{
    struct tcp *t = l->sock.tcp;
    bool possible = cookie_possible(l, iss_min);
    struct tcp_conn *c = NULL;
    struct net_path path;
    uint32_t iss;

    if (!admissible(l, p, &path))
        return;
    if (p->payload_length > 0)
        tcp_count(t, tcp_syn_data_ignored); /* not acknowledged: it comes again */
    if (!possible)
        c = block_insist(l);
    else if (!cookies_wanted(l) && !p->label.cookies)
        c = block_get(l);
    if (c == NULL) {
        if (possible)
            cookie_answer(l, p, &path);
        else
            p->drop = drop_tcp_no_memory;
        return;
    }
    half_open_begin(l, c, p, &path);
    iss = tcp_isn(t, &c->local, &c->remote);
    half_open_synchronize(c, iss_min != 0 ? seq_max(iss, iss_min) : iss, &p->tcp);
    tcp_ecn_syn_received(c, p);
    c->send_syn = true;
    tcp_conn_output(c);
    cookies_update(l);
}

/* TCP_COOKIE_GOOD fills *syn. */
static enum tcp_cookie_verdict cookie_open(const struct tcp_listener *l, const struct packet *p,
                                           struct packet_tcp *syn)
{
    const struct tcp_cookie_flow flow = {{p->dst, p->dport}, {p->src, p->sport}};
    const struct tcp *t = l->sock.tcp;

    return tcp_cookie_open(&t->cookie_key, &flow, &p->tcp, t->now, syn);
}

bool tcp_listener_promised(const struct tcp_listener *l, const struct packet *p)
{
    struct packet_tcp syn;

    return cookies_recent(l) && cookie_open(l, p, &syn) == TCP_COOKIE_GOOD;
}

struct tcp_conn *tcp_listener_cookie(struct tcp_listener *l, struct packet *p)
{
    struct tcp *t = l->sock.tcp;
    enum tcp_cookie_verdict verdict;
    struct packet_tcp syn;
    struct net_path path;
    struct tcp_conn *c;

    if (!cookies_recent(l))
        return NULL;
    verdict = cookie_open(l, p, &syn);
    if (verdict != TCP_COOKIE_GOOD) {
        tcp_count(t, tcp_cookies_failed);
        if (verdict == TCP_COOKIE_AHEAD)
            p->drop = drop_tcp_no_connection;
        return NULL;
    }
    if (!admissible(l, p, &path))
        return NULL;
    c = block_insist(l);
    if (c == NULL) {
        p->drop = drop_tcp_no_memory;
        return NULL;
    }
    tcp_count(t, tcp_cookies_accepted);
    half_open_begin(l, c, p, &path);
    c->syn_window = cookie_window(l);
    half_open_synchronize(c, p->tcp.ack - 1, &syn);
    c->snd_max = c->iss + 1; /* the cookie went out */
    c->from_cookie = true;
    tcp_ecn_remembered(c, &syn);
    return c;
}

void tcp_listener_established(struct tcp_conn *c)
{
    struct tcp_listener *l = c->listener;

    TAILQ_REMOVE(&l->half_open, c, queue_link);
    c->in_half_open = false;
    l->half_open_count--;
    cookies_update(l);
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
        cookies_update(l);
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

static void backlog_reset(struct tcp_listener *l)
{
    struct tcp_conn *c;

    /* A peer that has our SYN-ACK takes its connection for established. */
    while ((c = TAILQ_FIRST(&l->half_open)) != NULL) {
        tcp_output_reset(c);
        tcp_conn_end(c, SOCK_OK);
    }
    while ((c = TAILQ_FIRST(&l->accept)) != NULL) {
        tcp_output_reset(c);
        tcp_conn_end(c, SOCK_OK);
    }
}

void sock_listener_refuse(struct sock *listener)
{
    struct tcp_listener *l = tcp_listener_of(listener);

    l->refusing = true;
    backlog_reset(l);
}

void tcp_listener_close(struct tcp_listener *l)
{
    struct tcp *t = l->sock.tcp;

    backlog_reset(l);
    if (l->sock.ready)
        TAILQ_REMOVE(&t->ready, &l->sock, ready_link);
    LIST_REMOVE(l, link);
    free(l);
}
