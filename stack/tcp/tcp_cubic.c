/*
 * CUBIC (RFC 9438). After a reduction the window follows a cubic function of the time since then,
 * first back towards the window at which it lost, slowly around that, then beyond it: so that what
 * a flow gets hardly depends on its round trip. Where Reno would be faster, on short and thin
 * paths, CUBIC is as fast as Reno.
 *
 * All is integer arithmetic on bytes and milliseconds. A third power of the time is exact; its
 * product with the segment size loses less than a thousandth of a segment. Fractions of a byte are
 * kept for the next acknowledgement.
 *
 * The clock of a stage stands while something else than the window is the limit (4.2 and 5.8): the
 * curve would otherwise run away while the window is not tested.
 */
#include "stack/tcp/tcp_cubic.h"

#include <assert.h>

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_tick.h"

/* beta = 0.7; C = 0.4 segments for a cubic second; alpha = 3 (1 - beta) / (1 + beta) = 9 / 17 */
#define BETA_NUM       7
#define BETA_DEN       10
#define ALPHA_NUM      9
#define ALPHA_DEN      17

#define FRACTION_BITS  10

#define CLASSIC_SEARCH 20 /* segments for one at the least, until a loss */
#define CLASSIC_FLAT   UINT16_MAX

/* The curve is cut off where it is beyond any window: 2^18 ms from K. */
#define CURVE_SPAN INT64_C(262144)

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* As the configuration's cubic_classic says. */
static bool classic(const struct tcp_conn *c)
{
    return c->sock.tcp->config.cubic_classic;
}

/* The largest number whose third power is not above x; x below 2^63. */
static uint32_t cube_root(uint64_t x)
{
    uint64_t root = 0;

    for (int bit = 20; bit >= 0; bit--) {
        uint64_t next = root | UINT64_C(1) << bit;

        if (next * next * next <= x)
            root = next;
    }
    return (uint32_t)root;
}

/* K of 4.2: the time in which C t^3 makes `bytes`. */
static uint32_t time_to_gain(uint32_t bytes, uint32_t mss)
{
    return cube_root(bytes * UINT64_C(2500000000) / mss);
}

/* W_cubic of 4.2, at `ms` of the stage. */
static uint32_t window_at(const struct tcp_cubic_curve *v, uint64_t ms, uint32_t mss)
{
    int64_t t = (int64_t)ms - v->k, gain, window;

    if (t > CURVE_SPAN)
        t = CURVE_SPAN;
    if (t < -CURVE_SPAN)
        t = -CURVE_SPAN;
    gain = t * t * t / 1000000 * mss * 2 / 5000;
    window = v->w_max + gain;
    if (window < 0)
        return 0;
    return window < TCP_CWND_MAX ? (uint32_t)window : TCP_CWND_MAX;
}

static void cubic_init(struct tcp_conn *c)
{
    c->cc.cubic = (struct tcp_cubic){.searching = classic(c)};
}

static void stage_begin(struct tcp_conn *c)
{
    struct tcp_cubic *u = &c->cc.cubic;
    struct tcp_cubic_curve *v = &u->curve;

    /* 4.10: after slow start without a loss, and 4.8: after a timeout, the curve begins flat. */
    if (v->w_max <= c->cwnd) {
        v->w_max = c->cwnd;
        v->k = 0;
    } else {
        v->k = time_to_gain(v->w_max - c->cwnd, tcp_segment_size(c));
    }
    v->w_est = c->cwnd;
    v->elapsed = 0;
    u->running = false;
    u->fraction = 0;
    u->est_fraction = 0;
}

static uint32_t milliseconds(const struct tcp_conn *c)
{
    return (uint32_t)(c->sock.tcp->now / CLOCK_MS);
}

static void count_time(struct tcp_cubic *u, uint32_t now)
{
    uint64_t elapsed = u->curve.elapsed;

    if (u->running)
        elapsed += now - u->counted_at;
    u->curve.elapsed = elapsed < UINT32_MAX ? (uint32_t)elapsed : UINT32_MAX;
    u->counted_at = now;
    u->running = true;
}

/* `acked` bytes make the window grow by `rate` for each `window` of them; the fraction of a byte is
 * kept. */
static uint32_t growth(uint16_t *fraction, uint32_t acked, uint64_t rate, uint64_t window)
{
    uint64_t grown = ((acked * rate) << FRACTION_BITS) / window + *fraction;

    *fraction = (uint16_t)(grown & ((1u << FRACTION_BITS) - 1));
    return (uint32_t)(grown >> FRACTION_BITS);
}

/* 4.3: Reno's window with CUBIC's beta. Once it is where the last loss was, it grows as Reno. */
static void reno_grow(struct tcp_conn *c, uint32_t acked)
{
    struct tcp_cubic *u = &c->cc.cubic;
    bool caught_up = u->curve.w_est >= c->prior_cwnd;
    uint64_t mss = tcp_segment_size(c);

    u->curve.w_est +=
        caught_up ? growth(&u->est_fraction, acked, mss, c->cwnd)
                  : growth(&u->est_fraction, acked, mss * ALPHA_NUM, (uint64_t)c->cwnd * ALPHA_DEN);
    if (u->curve.w_est > TCP_CWND_MAX)
        u->curve.w_est = TCP_CWND_MAX;
}

/* Where the curve is a round trip from now, at most half as much again (4.2). */
static uint32_t target(const struct tcp_conn *c)
{
    const struct tcp_cubic_curve *v = &c->cc.cubic.curve;
    clock_ns ahead = classic(c) ? tcp_rtt_min(c) : c->srtt;
    uint64_t ms = v->elapsed + ahead / CLOCK_MS;
    uint32_t window = window_at(v, ms, tcp_segment_size(c)), most = c->cwnd + c->cwnd / 2;

    if (window < c->cwnd)
        return c->cwnd;
    return window < most ? window : most;
}

/* How many segments are to be acknowledged for each by which the window grows. */
static uint32_t classic_pace(const struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c), window = c->cwnd / mss, gap = target(c) / mss - window;
    uint32_t most = c->cc.cubic.searching ? CLASSIC_SEARCH : CLASSIC_FLAT;
    uint32_t pace = gap > 0 ? window / gap : most;

    return max_u32(pace < most ? pace : most, 1);
}

/* Whole segments are counted, and count in full when the pace is faster by then. */
static uint32_t classic_growth(struct tcp_conn *c, uint32_t acked)
{
    uint32_t mss = tcp_segment_size(c), pace = classic_pace(c), grown = 0;
    uint32_t counted = c->cc.cubic.fraction;

    assert(pace > 0);
    if (counted >= pace) {
        counted = 0;
        grown = 1;
    }
    counted += acked / mss;
    c->cc.cubic.fraction = (uint16_t)(counted % pace);
    return (grown + counted / pace) * mss;
}

static uint32_t curve_growth(struct tcp_conn *c, uint32_t acked)
{
    if (classic(c))
        return classic_growth(c, acked);
    return growth(&c->cc.cubic.fraction, acked, target(c) - c->cwnd, c->cwnd);
}

static void avoid(struct tcp_conn *c, uint32_t acked)
{
    struct tcp_cubic *u = &c->cc.cubic;

    if (u->curve.w_est == 0)
        stage_begin(c);
    count_time(u, milliseconds(c));
    reno_grow(c, acked);
    if (window_at(&u->curve, u->curve.elapsed, tcp_segment_size(c)) < u->curve.w_est &&
        !u->searching)
        c->cwnd = max_u32(c->cwnd, u->curve.w_est);
    else
        c->cwnd += curve_growth(c, acked);
}

static void cubic_ack(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    bool slow_start = c->cwnd < c->ssthresh;

    if (slow_start)
        tcp_cc_slow_start(c, a);
    if (c->cwnd < c->ssthresh)
        return;
    if (a->window_limited)
        avoid(c, slow_start ? 0 : a->acked); /* the stage begins, if it does */
    else if (!classic(c))
        c->cc.cubic.running = false;
}

/* 4.6, and 4.7: who loses below the window of the last loss gives room to others. */
static uint32_t cubic_reduce(struct tcp_conn *c, enum tcp_cc_event event)
{
    uint32_t window = tcp_cc_window_used(c), least = 2 * tcp_segment_size(c);
    struct tcp_cubic *u = &c->cc.cubic;

    u->prior = u->curve;
    if (event == TCP_CC_TIMEOUT)
        u->curve.w_max = 0;
    else if (window < u->curve.w_max)
        u->curve.w_max = (uint32_t)((uint64_t)window * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN));
    else
        u->curve.w_max = window;
    u->curve.w_est = 0;
    u->searching = event == TCP_CC_TIMEOUT && classic(c);
    return max_u32((uint32_t)((uint64_t)window * BETA_NUM / BETA_DEN), least);
}

/* 4.9.1 */
static void cubic_undo(struct tcp_conn *c)
{
    c->cc.cubic.curve = c->cc.cubic.prior;
    c->cc.cubic.running = false;
}

/* Slow start leads back to ssthresh; the stage after that is a new one. */
static void cubic_idle(struct tcp_conn *c, clock_ns idle)
{
    (void)idle;
    if (c->cwnd < c->ssthresh)
        c->cc.cubic.curve.w_est = 0;
    c->cc.cubic.running = classic(c);
    c->cc.cubic.counted_at = milliseconds(c);
}

const struct tcp_cc tcp_cubic = {
    .name = "cubic",
    .init = cubic_init,
    .ack = cubic_ack,
    .reduce = cubic_reduce,
    .undo = cubic_undo,
    .idle = cubic_idle,
};
