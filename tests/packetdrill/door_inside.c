/*
 * What POSIX tells or lets a program change at any time, and the face of the stack does not: a
 * listener's queue, options of a connection that stands. This is the one file, beside door_info.c,
 * that reaches into a connection for it.
 */
#include "tests/packetdrill/door_internal.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_listen.h"
#include "stack/tcp/tcp_timer.h"

static struct tcp_conn *connection(struct sock *k)
{
    return k != NULL && k->kind == SOCK_CONNECTION ? tcp_conn_of(k) : NULL;
}

/* Zero is the default in the stack's configuration. */
void door_inside_opened(const struct door *d, struct sock *k)
{
    struct tcp_conn *c = connection(k);

    if (!d->config.quick_acks_off)
        return;
    k->tcp->config.quick_acks = 0;
    if (c != NULL)
        c->quick_acks = 0;
}

bool door_inside_acceptable(const struct sock *listener)
{
    return tcp_listener_of(listener)->accept_count > 0;
}

void door_inside_listener(const struct door_file *f)
{
    if (f->listening)
        tcp_listener_of(f->sock)->options = f->options;
}

void door_inside_send_buffer(struct door *d, struct sock *k, uint32_t bytes)
{
    struct tcp_conn *c = connection(k);

    if (c != NULL) {
        c->buffers.send = bytes;
        c->send_fixed = true;
    }
    door_settle(d);
}

void door_inside_receive_buffer(struct sock *k, uint32_t bytes)
{
    struct tcp_conn *c = connection(k);

    if (c != NULL) {
        c->buffers.receive = bytes;
        c->receive_fixed = true;
    }
}

void door_inside_nagle(struct door *d, struct sock *k, bool on)
{
    struct tcp_conn *c = connection(k);

    if (c == NULL)
        return;
    c->nagle = on;
    tcp_conn_output(c);
    door_settle(d);
}

void door_inside_keepalive(struct door *d, struct sock *k, clock_ns idle)
{
    struct tcp_conn *c = connection(k);

    if (c == NULL)
        return;
    c->keepalive = (uint32_t)(idle / CLOCK_MS);
    if (idle != 0 && tcp_synchronized(c))
        tcp_timer_set(c, TCP_TIMER_KEEPALIVE, d->now + idle);
}

void door_inside_user_timeout(struct sock *k, clock_ns timeout)
{
    struct tcp_conn *c = connection(k);

    if (c != NULL)
        c->user_timeout = (uint32_t)(timeout / CLOCK_MS);
}
