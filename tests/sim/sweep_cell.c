/*
 * Theory of operation: values are drawn from short lists whose ends are the ends of what is swept,
 * so that extremes meet often. Sizes follow from the path: a transfer is a few windows long and at
 * most some thousand segments, since a cell has to take milliseconds.
 */
#include "tests/sim/sweep_cell.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"

#define FRAME         1514.0
#define SLOWEST       1e6 /* bits a second */
#define HIGHEST       1e10
#define BUFFER_MAX    (4u << 20) /* to which buffers grow by themselves */
#define SEGMENTS_MIN  200
#define SEGMENTS_MAX  12000
#define EPOCHS        40 /* of congestion avoidance, in which two flows find their shares */
#define FAIR_SEGMENTS 400000

static uint32_t pick(struct sim *s, const uint32_t *values, unsigned count)
{
    return values[sim_random(s, count)];
}

#define PICK(s, ...) \
    pick(s, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static double seconds(clock_ns t)
{
    return (double)t / 1e9;
}

static clock_ns nanoseconds(double t)
{
    return (clock_ns)(t * 1e9);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

clock_ns sweep_cell_rtt_min(const struct sweep_cell *c)
{
    return c->there.delay + c->back.delay;
}

/* Frames that wait at the bottleneck. */
static double queue_time(const struct sim_path *p)
{
    return p->rate == 0 ? 0 : p->queue * FRAME * 8 / (double)p->rate;
}

clock_ns sweep_cell_rtt_max(const struct sweep_cell *c)
{
    double late = c->there.reorder > 0 || c->back.reorder > 0 ? 0.003 : 0;

    return (clock_ns)((c->there.reorder > 0 ? 2 : 1) * c->there.delay +
                      (c->back.reorder > 0 ? 2 : 1) * c->back.delay) +
           c->there.jitter + c->back.jitter +
           nanoseconds(queue_time(&c->there) + queue_time(&c->back) + late);
}

/* Segments that fill the path. */
static double bdp(const struct sweep_cell *c)
{
    return (double)c->there.rate * (seconds(sweep_cell_rtt_min(c)) + 0.001) / 8 / FRAME;
}

static struct sim_path random_path(struct sim *s, clock_ns delay, uint64_t rate)
{
    return (struct sim_path){
        .delay = delay,
        .jitter = delay / 1000 * PICK(s, 0, 0, 0, 10, 100),
        .loss = PICK(s, 0, 0, 100, 1000, 10000, 20000, 50000),
        .reorder = PICK(s, 0, 0, 0, 1000, 10000, 50000),
        .duplicate = PICK(s, 0, 0, 0, 1000, 10000),
        .rate = rate,
    };
}

static uint64_t random_rate(struct sim *s)
{
    return (uint64_t)PICK(s, 1, 2, 5, 10, 30, 100, 300, 1000, 3000, 10000) * UINT64_C(1000000);
}

/* A quarter of what fills the path to twice that; never fewer than an initial window. */
static uint32_t random_queue(struct sim *s, double segments)
{
    double queue = segments * PICK(s, 1, 2, 4, 8) / 4;

    return queue < 12 ? 12 : queue > 20000 ? 20000 : (uint32_t)queue;
}

struct sweep_cell sweep_cell_transfer(struct sim *s)
{
    struct sweep_cell c = {.ipv6 = sim_random(s, 2) != 0, .flows = 1};
    clock_ns delay = PICK(s, 0, 1, 5, 10, 25, 50, 100, 200) * CLOCK_MS;
    uint64_t rate = random_rate(s);
    double segments;

    c.there = random_path(s, delay, rate);
    c.back = random_path(s, delay, rate);
    c.there.queue = random_queue(s, bdp(&c));
    c.back.queue = c.there.queue;
    c.receive_buffer = PICK(s, 0, 0, 0, 4096, 8192, 16384, 65536, 262144);
    c.send_buffer = PICK(s, 0, 0, 0, 4096, 16384, 65536, 262144);
    segments = bdp(&c) * PICK(s, 1, 4, 16);
    segments = segments < SEGMENTS_MIN ? SEGMENTS_MIN : segments;
    segments = segments > SEGMENTS_MAX ? SEGMENTS_MAX : segments;
    if (c.there.loss + c.back.loss >= 20000 && segments > SEGMENTS_MAX / 4.0)
        segments = SEGMENTS_MAX / 4.0;
    c.bytes = (uint64_t)(segments * SWEEP_SEGMENT) + sim_random(s, SWEEP_SEGMENT);
    return c;
}

/* The chance that a segment or what answers it is lost. */
static double failure(const struct sweep_cell *c)
{
    return 1 - (1 - c->there.loss / 1e6) * (1 - c->back.loss / 1e6);
}

/* RFC 6298, with a variance of half of what queues and reordering may add. */
static double timeout(const struct sweep_cell *c)
{
    double most = seconds(sweep_cell_rtt_max(c)), least = seconds(sweep_cell_rtt_min(c));
    double rto = most + 2 * (most - least) + 0.04;

    return rto < 0.2 ? 0.2 : rto;
}

/* Before there is a sample the timeout is a second. */
static double first_timeout(const struct sweep_cell *c)
{
    double rto = timeout(c);

    return rto < 1 ? 1 : rto;
}

/* Bytes a second by RFC 5348, 3.1, b = 1. A reordered segment may pass for a lost one until the
 * sender has learned how late they come. */
static double equation(const struct sweep_cell *c)
{
    double p = c->there.loss / 1e6 + c->there.reorder / 1e6 / 4;
    double r = (seconds(sweep_cell_rtt_min(c)) + seconds(sweep_cell_rtt_max(c))) / 2;

    if (p == 0)
        return HIGHEST;
    return SWEEP_SEGMENT /
           (r * sqrt(2 * p / 3) + timeout(c) * 3 * sqrt(3 * p / 8) * p * (1 + 32 * p * p));
}

/* CUBIC's time from a reduction back to where it was (RFC 9438, 4.2), or Reno's. */
static double epoch(const struct sweep_cell *c)
{
    double window = bdp(c) + c->there.queue, cubic = cbrt(window * 0.3 / 0.4);
    double reno = window / 2 * seconds(sweep_cell_rtt_max(c));

    return cubic < reno ? cubic : reno;
}

struct sweep_cell sweep_cell_fair(struct sim *s)
{
    struct sweep_cell c = {.ipv6 = sim_random(s, 2) != 0, .flows = 2};
    clock_ns delay = PICK(s, 0, 1, 5, 10, 25, 50, 100) * CLOCK_MS;
    uint64_t rate = PICK(s, 1, 2, 5, 10, 20, 50) * UINT64_C(1000000);
    double time, most, share;

    c.there =
        (struct sim_path){.delay = delay, .rate = rate, .loss = PICK(s, 0, 0, 0, 100, 1000, 10000)};
    /* Without any noise a queue may serve one flow and drop the other's segments again and again;
     * as much as one segment's time on the way back ends that (Floyd, Jacobson, 1992). */
    c.back = (struct sim_path){.delay = delay,
                               .rate = rate,
                               .queue = 1000,
                               .jitter = nanoseconds(FRAME * 8 / (double)rate)};
    c.there.queue = random_queue(s, bdp(&c));
    time = EPOCHS * epoch(&c) + 100 * seconds(sweep_cell_rtt_max(&c)) + 5;
    share = least((double)rate / 8, 2 * equation(&c));
    most = FAIR_SEGMENTS * FRAME / share;
    time = time < most ? time : most;
    c.warm_up = nanoseconds(time / 4);
    c.measured = nanoseconds(time * 3 / 4);
    return c;
}

clock_ns sweep_cell_stall(const struct sweep_cell *c)
{
    double chance = (double)c->bytes / SWEEP_SEGMENT, total = 0, rto = first_timeout(c);
    unsigned tries = 0;

    /* Queues drop, too: two in a row are always allowed. */
    for (double left = chance; tries < 2 || left > 1e-6; left *= failure(c), tries++) {
        total += rto;
        rto = 2 * rto < 60 ? 2 * rto : 60;
    }
    return nanoseconds(total);
}

/* What the smaller buffer lets into flight in a round trip; with one of less than a few segments,
 * each waits for the acknowledgement that is delayed. */
static double buffers(const struct sweep_cell *c)
{
    double window = least(c->receive_buffer != 0 ? c->receive_buffer : BUFFER_MAX,
                          c->send_buffer != 0 ? c->send_buffer : BUFFER_MAX);

    return window / 2 / (seconds(sweep_cell_rtt_max(c)) + (window < 65536 ? 0.04 : 0));
}

bool sweep_cell_narrow(const struct sweep_cell *c)
{
    return (c->receive_buffer != 0 && c->receive_buffer <= 8192) ||
           (c->send_buffer != 0 && c->send_buffer <= 8192);
}

clock_ns sweep_cell_time(const struct sweep_cell *c)
{
    double rate = least((double)c->there.rate / 8, least(buffers(c), equation(c)));
    double rounds = log2((double)c->bytes / SWEEP_SEGMENT) + 4;

    return nanoseconds(1.5 * (double)c->bytes / rate + rounds * seconds(sweep_cell_rtt_max(c))) +
           sweep_cell_stall(c);
}

void sweep_cell_print(const struct sweep_cell *c)
{
    printf("%u flow%s over %s: %g Mb/s, %" PRIu64 " ms, queue %u; loss %g/%g %%, reorder %g/%g %%, "
           "duplicate %g %%, jitter %g ms; buffers %u/%u; %" PRIu64 " bytes\n",
           c->flows, c->flows > 1 ? "s" : "", c->ipv6 ? "IPv6" : "IPv4",
           (double)c->there.rate / 1e6, sweep_cell_rtt_min(c) / CLOCK_MS, c->there.queue,
           c->there.loss / 1e4, c->back.loss / 1e4, c->there.reorder / 1e4, c->back.reorder / 1e4,
           c->there.duplicate / 1e4, seconds(c->there.jitter) * 1e3, c->send_buffer,
           c->receive_buffer, c->bytes);
}
