/*
 * Congestion control: what all algorithms have in common. The initial window (RFC 6928), slow start
 * by bytes (RFC 3465), for the first time with HyStart++ (RFC 9406), the validation of the window
 * (RFC 7661), what a reduction without reason is undone to, the restart after a rest.
 */
#include "stack/tcp/tcp_cc.h"

#include "stack/tcp/tcp_buffer.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_hystart.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_seq.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const struct tcp_cc *algorithm(const struct tcp_conn *c)
{
    return c->sock.tcp->cc;
}

const struct tcp_cc *tcp_cc_find(enum stack_congestion which)
{
    return which == STACK_NEWRENO ? &tcp_newreno : &tcp_cubic;
}

/* RFC 6928, 2: ten segments, but no more bytes than those of Ethernet are. */
static uint32_t initial_window(const struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c), segments = c->sock.tcp->config.initial_window;

    return min_u32(segments * mss, max_u32(2 * mss, segments * TCP_ETHERNET_MSS));
}

void tcp_cc_init(struct tcp_conn *c)
{
    c->cwnd = initial_window(c);
    /* RFC 6298, 5.7 and RFC 5681, 3.1: a lost SYN says that the path is bad. */
    if (c->retries > 0)
        c->cwnd = tcp_segment_size(c);
    c->ssthresh = UINT32_MAX;
    c->round_end = c->snd_max;
    tcp_hystart_init(&c->cc.hystart);
}

/* ---- growth ---- */

/* RFC 3465, 2.2's L. One acknowledgement may answer a long train where the receiver's device joins
 * segments, and pacing keeps what it releases from being a burst; without, RFC 9406, 4.2 names a
 * bound. What was not in flight proves nothing: an acknowledgement after a timeout jumps far where
 * the peer had most of it. */
static uint32_t countable(const struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    const struct stack_tcp_config *config = &c->sock.tcp->config;
    uint32_t bytes = min_u32(a->acked, min_u32(a->prior_flight, c->cwnd));

    return config->pacing_off ? min_u32(bytes, config->abc_limit * tcp_segment_size(c)) : bytes;
}

static enum tcp_hystart_phase hystart(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    bool large = c->cwnd >= TCP_HYSTART_WINDOW * tcp_segment_size(c);

    if (c->sock.tcp->config.hystart_classic)
        return tcp_hystart_classic(&c->cc.hystart, a, c->snd_una, c->snd_max, large);
    return tcp_hystart_ack(&c->cc.hystart, a);
}

void tcp_cc_slow_start(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    enum tcp_hystart_phase phase = TCP_HYSTART_SLOW_START;
    uint32_t bytes = countable(c, a);

    if (c->ssthresh == UINT32_MAX)
        phase = hystart(c, a);
    if (phase == TCP_HYSTART_DONE) {
        c->ssthresh = c->cwnd;
        algorithm(c)->init(c);
        return;
    }
    if (!a->window_limited)
        return;
    if (phase == TCP_HYSTART_CONSERVATIVE)
        bytes = tcp_hystart_growth(&c->cc.hystart, bytes);
    c->cwnd = min_u32(c->cwnd + bytes, c->ssthresh);
}

/* RFC 7661, 4.3: the window grows only while it is what limits us; a sender that never fills it
 * would otherwise build up a burst. In slow start more than half of it is enough, at any time in
 * the round trip: the other half is what its acknowledgements open. */
void tcp_cc_progress(struct tcp_conn *c, struct tcp_cc_ack *a)
{
    c->round_flight = max_u32(c->round_flight, a->prior_flight);
    a->round_ended = !seq_lt(c->snd_una, c->round_end);
    a->window_limited = c->cwnd_limited || c->cwnd_limited_before ||
                        (c->cwnd < c->ssthresh && c->round_flight > c->cwnd / 2);
    if (a->round_ended) {
        c->round_end = c->snd_max;
        c->round_flight = a->prior_flight;
        c->cwnd_limited_before = c->cwnd_limited;
        c->cwnd_limited = false;
    }
}

void tcp_cc_sent(struct tcp_conn *c)
{
    if (seq_lt(c->snd_max, tcp_send_end(c)) && c->cwnd < c->snd_wnd &&
        c->cwnd < tcp_in_flight(c) + tcp_segment_size(c))
        c->cwnd_limited = true;
}

void tcp_cc_ack(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    algorithm(c)->ack(c, a);
    c->cwnd = min_u32(c->cwnd, TCP_CWND_MAX);
    tcp_buffer_window(c);
}

/* ---- reductions ---- */

uint32_t tcp_cc_window_used(const struct tcp_conn *c)
{
    uint32_t flight = c->snd_max - c->snd_una;

    if (c->cwnd_limited || c->cwnd_limited_before || c->sock.tcp->config.reduce_from_cwnd)
        return c->cwnd;
    return min_u32(c->cwnd, flight);
}

/* RFC 5681, 3.1: the first timeout of a segment reduces, further ones change nothing. RFC 3168,
 * 6.1.2: marks and losses of one window are one reason. */
static bool reduced_already(const struct tcp_conn *c, enum tcp_cc_event event)
{
    return event == TCP_CC_TIMEOUT ? c->retries > 1 : tcp_ecn_window_reduced(c);
}

void tcp_cc_reduce(struct tcp_conn *c, enum tcp_cc_event event)
{
    if (!reduced_already(c, event)) {
        if (c->ssthresh == UINT32_MAX)
            algorithm(c)->init(c);
        c->prior_cwnd = c->cwnd;
        c->prior_ssthresh = c->ssthresh;
        c->ssthresh = algorithm(c)->reduce(c, event);
        tcp_ecn_reduced(c);
    } else if (event == TCP_CC_LOSS) {
        c->prior_cwnd = c->cwnd;
        c->prior_ssthresh = c->ssthresh;
    }
    if (event == TCP_CC_TIMEOUT)
        c->cwnd = tcp_segment_size(c);
}

void tcp_cc_reduced(struct tcp_conn *c)
{
    c->cwnd = c->ssthresh;
}

void tcp_cc_undo(struct tcp_conn *c)
{
    if (c->ssthresh == c->prior_ssthresh) /* it had changed nothing */
        return;
    tcp_ecn_undone(c);
    c->cwnd = max_u32(c->cwnd, c->prior_cwnd);
    c->ssthresh = max_u32(c->ssthresh, c->prior_ssthresh);
    algorithm(c)->undo(c);
    if (c->ssthresh == UINT32_MAX)
        tcp_hystart_init(&c->cc.hystart);
}

/* ---- after a rest ---- */

/*
 * The window halves for every RTO of rest, down to the initial one: RFC 5681, 4.1 knows no better
 * than that at once, RFC 7661 keeps all of it for minutes. What was reached is remembered in
 * ssthresh.
 */
void tcp_cc_restart(struct tcp_conn *c)
{
    uint32_t restart = min_u32(initial_window(c), c->cwnd), was = c->cwnd;
    clock_ns idle = c->sock.tcp->now - c->sent_at;

    if (idle <= c->rto)
        return;
    tcp_buffer_rest(c, idle);
    if (c->sock.tcp->config.rest_keeps_window)
        restart = c->cwnd;
    for (clock_ns left = idle; left > c->rto && c->cwnd > restart; left -= c->rto)
        c->cwnd = max_u32(c->cwnd / 2, restart);
    if (c->ssthresh == UINT32_MAX)
        return;
    if (c->cwnd < was)
        c->ssthresh = max_u32(c->ssthresh, (uint32_t)((uint64_t)was * 3 / 4));
    algorithm(c)->idle(c, idle);
}
