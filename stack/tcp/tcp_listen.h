/* Listeners, and the connections that are not accepted yet. */
#ifndef STACK_TCP_TCP_LISTEN_H
#define STACK_TCP_TCP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "stack/packet.h"
#include "stack/tcp/tcp_conn.h"

struct tcp_listener {
    struct sock sock;
    LIST_ENTRY(tcp_listener) link;
    struct ip_endpoint local;
    struct sock_options options;
    uint32_t backlog;
    uint32_t half_open_count, accept_count;
    bool refusing;                    /* no more connections */
    bool cookies_on;                  /* SYNs are answered with cookies at present */
    bool cookies_told;                /* the log says so */
    clock_ns cookie_at;               /* when the last one was sent; 0: never */
    TAILQ_HEAD(, tcp_conn) half_open; /* oldest first */
    TAILQ_HEAD(, tcp_conn) accept;    /* oldest first */
};

static inline struct tcp_listener *tcp_listener_of(const struct sock *k)
{
    return (struct tcp_listener *)(uintptr_t)k;
}

struct tcp_listener *tcp_listener_find(const struct tcp *t, const struct ip_endpoint *local);
void tcp_listener_segment(struct tcp_listener *l, struct packet *p, uint32_t iss_min); /* a SYN */

/* A segment with ACK for which there is no connection: the half-open one that it completes, made
 * from its cookie, or NULL: then it may have been dropped (p->drop). */
struct tcp_conn *tcp_listener_cookie(struct tcp_listener *l, struct packet *p);

/* May tcp_listener_cookie() make one of it? */
bool tcp_listener_promised(const struct tcp_listener *l, const struct packet *p);
void tcp_listener_established(struct tcp_conn *c); /* half open -> waiting to be accepted */
void tcp_listener_forget(struct tcp_conn *c);      /* the connection leaves its listener's queues */
void tcp_listener_close(struct tcp_listener *l);

#endif
