/*
 * Buffers of the right size (Fisk and Feng, 2001: dynamic right-sizing). A sender that the window
 * does not hold back brings a congestion window in a round trip, so twice what the reader took in
 * the last one is room for that and for what is under way to be sent again. While it takes ever
 * more, as in the sender's slow start, there is room for the next doubling as well, and for what
 * is sent meanwhile: after the first loss nothing can be read until it is repaired, and what the
 * window held back until then would come as one burst. A reader that is slow takes little, and its
 * window stays small. The send buffer is twice the congestion window: what is in flight, and what
 * follows when that is acknowledged.
 *
 * Buffers only grow while bytes flow. Who has rested for some seconds begins anew, with the next
 * byte: the limits of a connection that does nothing cost nothing. The window offered goes down as
 * it is used, never by taking back (RFC 9293, 3.8.6). Buffers that the user has set stay so.
 */
#include "stack/tcp/tcp_buffer.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"

#define START      65536u
#define SPARE      16 /* segments, for what comes in pieces */
#define REST_LIMIT (5 * CLOCK_SEC)

/* Comes round in 71 minutes: who has rested for longer may seem to have rested for less. */
static uint32_t microseconds(const struct tcp_conn *c)
{
    return (uint32_t)(c->sock.tcp->now / CLOCK_US);
}

static uint32_t start(uint32_t max)
{
    return START < max ? START : max;
}

void tcp_buffer_init(struct tcp_conn *c, const struct sock_options *options)
{
    const struct stack_tcp_config *config = &c->sock.tcp->config;
    struct tcp_buffers *b = &c->buffers;

    c->receive_fixed = options->receive_buffer != 0;
    c->send_fixed = options->send_buffer != 0;
    b->receive = c->receive_fixed ? options->receive_buffer : start(config->receive_buffer_max);
    b->send = c->send_fixed ? options->send_buffer : start(config->send_buffer_max);
    b->since = microseconds(c);
}

static uint32_t grown(uint32_t from, uint64_t to, uint32_t max)
{
    if (to > max)
        to = max;
    return to > from ? (uint32_t)to : from;
}

/* What was taken in a round trip, and how much more than before that was. */
static uint64_t worth_receiving(const struct tcp_conn *c, uint64_t read)
{
    uint64_t before = c->buffers.read_before, want = 2 * read;

    if (read > before)
        want += read - before < before ? 4 * (read - before) : 4 * read;
    return want + SPARE * tcp_segment_size(c);
}

void tcp_buffer_read(struct tcp_conn *c, uint32_t bytes)
{
    const struct tcp *t = c->sock.tcp;
    uint64_t rtt = (c->srtt != 0 ? c->srtt : c->rto) / CLOCK_US, read;
    uint32_t now = microseconds(c), passed = now - c->buffers.since;
    struct tcp_buffers *b = &c->buffers;

    if (c->receive_fixed || bytes == 0)
        return;
    b->read += bytes; /* at most a window in a round trip */
    if (passed < rtt || passed == 0)
        return;
    /* Nothing was read for so long, and nothing was there to be read. */
    if (passed > REST_LIMIT / CLOCK_US && bytes + c->receive_queue.len < START) {
        b->receive = start(t->config.receive_buffer_max);
        b->read = bytes;
    }
    read = b->read * rtt / passed;
    b->receive = grown(b->receive, worth_receiving(c, read), t->config.receive_buffer_max);
    b->read_before = (uint32_t)read;
    b->read = 0;
    b->since = now;
}

void tcp_buffer_window(struct tcp_conn *c)
{
    struct tcp_buffers *b = &c->buffers;

    if (!c->send_fixed)
        b->send = grown(b->send, 2 * (uint64_t)c->cwnd, c->sock.tcp->config.send_buffer_max);
}

void tcp_buffer_rest(struct tcp_conn *c, clock_ns idle)
{
    if (!c->send_fixed && idle > REST_LIMIT)
        c->buffers.send = start(c->sock.tcp->config.send_buffer_max);
}
