/*
 * The rate is twice what the window makes in a round trip during slow start, so that it can double,
 * and 1.2 times that afterwards, so that it can grow. What is sent moves c->pace_at, the time from
 * which more may follow; the connection's timer is armed for it. As a timer may be late by a tick
 * of the wheel, as much as two ticks' worth may go out at once to make up for it: the rate is met
 * on average, with a resolution of about a millisecond.
 *
 * That also says who need not be paced: where a round trip is shorter than a tick, the window is
 * less than the wheel can tell apart, and an initial window is allowed as a burst (RFC 6928).
 */
#include "stack/tcp/tcp_pacing.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_tick.h"
#include "stack/tcp/tcp_timer.h"

#define BURST_MIN 4 /* segments */
#define FRAME_MIN 2

static bool paced(const struct tcp_conn *c)
{
    return !c->sock.tcp->config.pacing_off && c->srtt > TCP_TICK &&
           c->cwnd > TCP_INITIAL_SEGMENTS * tcp_segment_size(c);
}

/* At most 2^31 * 10^9. */
uint64_t tcp_pacing_rate(const struct tcp_conn *c)
{
    uint64_t window = c->cwnd;

    if (!paced(c))
        return 0;
    window = c->cwnd < c->ssthresh ? 2 * window : window + window / 5;
    return window * CLOCK_SEC / c->srtt;
}

static clock_ns time_for(uint32_t bytes, uint64_t rate)
{
    return bytes * CLOCK_SEC / rate;
}

static uint32_t bytes_in(clock_ns time, uint64_t rate)
{
    uint64_t bytes = rate * (time / CLOCK_US) / (CLOCK_SEC / CLOCK_US);

    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

uint32_t tcp_pacing_frame_max(const struct tcp_conn *c)
{
    uint32_t least = FRAME_MIN * tcp_segment_size(c), most;

    if (!paced(c))
        return UINT32_MAX;
    most = bytes_in(TCP_TICK, tcp_pacing_rate(c));
    return most > least ? most : least;
}

bool tcp_pacing_wait(struct tcp_conn *c)
{
    if (!paced(c) || c->pace_at <= c->sock.tcp->now)
        return false;
    tcp_timer_set(c, TCP_TIMER_PACE, c->pace_at);
    return true;
}

void tcp_pacing_sent(struct tcp_conn *c, uint32_t bytes)
{
    clock_ns now = c->sock.tcp->now, most, least;
    uint64_t rate = tcp_pacing_rate(c);

    if (rate == 0)
        return;
    least = time_for(BURST_MIN * tcp_segment_size(c), rate);
    most = least > 2 * TCP_TICK ? least : 2 * TCP_TICK;
    if (c->pace_at + most < now)
        c->pace_at = now - most;
    c->pace_at += time_for(bytes, rate);
}
