/*
 * A queue that builds up shows in the least round trip of a round before anything is lost. When it
 * exceeds the last round's by an eighth, slow start goes on at a quarter of its pace for five
 * rounds: if the round trip falls below what it was meanwhile, the delay was jitter, and slow start
 * proper resumes; else it ends. The names are those of RFC 9406, 4.2. What it comes from, HyStart
 * by delay, ends slow start with the first such round.
 */
#include "stack/tcp/tcp_hystart.h"

#include "stack/tcp/tcp_cc.h"

#define MIN_RTT_THRESH     4000u /* microseconds */
#define MAX_RTT_THRESH     16000u
#define MIN_RTT_DIVISOR    8
#define N_RTT_SAMPLE       8
#define CSS_GROWTH_DIVISOR 4
#define CSS_ROUNDS         5

void tcp_hystart_init(struct tcp_hystart *h)
{
    *h = (struct tcp_hystart){.last_min = UINT32_MAX, .current_min = UINT32_MAX};
}

static void round_begin(struct tcp_hystart *h)
{
    h->last_min = h->current_min;
    h->current_min = UINT32_MAX;
    h->samples = 0;
}

static void sample(struct tcp_hystart *h, clock_ns rtt)
{
    uint64_t us = rtt / CLOCK_US;

    if (us < h->current_min)
        h->current_min = (uint32_t)us;
    if (h->samples < UINT8_MAX)
        h->samples++;
}

static uint32_t threshold(const struct tcp_hystart *h)
{
    uint32_t thresh = h->last_min / MIN_RTT_DIVISOR;

    thresh = thresh > MIN_RTT_THRESH ? thresh : MIN_RTT_THRESH;
    return thresh < MAX_RTT_THRESH ? thresh : MAX_RTT_THRESH;
}

static bool delayed(const struct tcp_hystart *h)
{
    if (h->samples < N_RTT_SAMPLE || h->last_min == UINT32_MAX || h->current_min == UINT32_MAX)
        return false;
    return (uint64_t)h->current_min >= (uint64_t)h->last_min + threshold(h);
}

enum tcp_hystart_phase tcp_hystart_ack(struct tcp_hystart *h, const struct tcp_cc_ack *a)
{
    if (a->rtt != 0)
        sample(h, a->rtt);
    if (h->baseline == 0 && delayed(h)) {
        h->baseline = h->current_min;
        h->rounds = 0;
        h->acked = 0;
    } else if (h->baseline != 0 && h->samples >= N_RTT_SAMPLE && h->current_min < h->baseline) {
        h->baseline = 0;
    }
    if (a->round_ended) {
        /* The rest of the round in which it began counts as one. */
        if (h->baseline != 0 && ++h->rounds >= CSS_ROUNDS)
            return TCP_HYSTART_DONE;
        round_begin(h);
    }
    return h->baseline != 0 ? TCP_HYSTART_CONSERVATIVE : TCP_HYSTART_SLOW_START;
}

enum tcp_hystart_phase tcp_hystart_classic(struct tcp_hystart *h, const struct tcp_cc_ack *a,
                                           uint32_t snd_una, uint32_t snd_max, bool large)
{
    uint64_t us = a->rtt / CLOCK_US;

    if (a->rtt == 0)
        return TCP_HYSTART_SLOW_START;
    if (us < h->last_min) /* here the least of all */
        h->last_min = (uint32_t)us;
    if (!large)
        return TCP_HYSTART_SLOW_START;
    if (h->rounds == 0 || (int32_t)(snd_una - h->round_end) > 0) {
        h->rounds = 1;
        h->round_end = snd_max;
        h->current_min = UINT32_MAX;
        h->samples = 0;
    }
    sample(h, a->rtt);
    if (h->samples <= N_RTT_SAMPLE || h->current_min <= h->last_min + threshold(h))
        return TCP_HYSTART_SLOW_START;
    return TCP_HYSTART_DONE;
}

uint32_t tcp_hystart_growth(struct tcp_hystart *h, uint32_t bytes)
{
    bytes += h->acked;
    h->acked = (uint8_t)(bytes % CSS_GROWTH_DIVISOR);
    return bytes / CSS_GROWTH_DIVISOR;
}
