/*
 * What happens to sockets: gathered in the socket, which is in the list of those that have
 * something to tell. However much happens between two looks, it is one event.
 */
#include "stack/event.h"
#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"

void tcp_event_raise(struct sock *k, uint32_t what)
{
    k->events |= what;
    if (!k->attached || k->ready)
        return;
    TAILQ_INSERT_TAIL(&k->tcp->ready, k, ready_link);
    k->ready = true;
}

bool tcp_event_next(struct tcp *t, struct event *out)
{
    struct sock *k = TAILQ_FIRST(&t->ready);

    if (k == NULL)
        return false;
    TAILQ_REMOVE(&t->ready, k, ready_link);
    k->ready = false;
    *out = (struct event){.sock = k, .user = k->user, .what = k->events};
    k->events = 0;
    return true;
}

void tcp_event_cancel(struct sock *k)
{
    if (k->ready)
        TAILQ_REMOVE(&k->tcp->ready, k, ready_link);
    k->ready = false;
    k->attached = false;
}
