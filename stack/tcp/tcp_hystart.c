/*
 * A queue that builds up shows in the least round trip of a round before anything is lost. When it
 * exceeds the last round's by an eighth, slow start goes on at a quarter of its pace for five
 * rounds: if the round trip falls below what it was meanwhile, the delay was jitter, and slow start
 * proper resumes; else it ends. The names are those of RFC 9406, 4.2.
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

static bool delayed(const struct tcp_hystart *h)
{
    uint32_t thresh = h->last_min / MIN_RTT_DIVISOR;

    if (h->samples < N_RTT_SAMPLE || h->last_min == UINT32_MAX || h->current_min == UINT32_MAX)
        return false;
    thresh = thresh > MIN_RTT_THRESH ? thresh : MIN_RTT_THRESH;
    thresh = thresh < MAX_RTT_THRESH ? thresh : MAX_RTT_THRESH;
    return (uint64_t)h->current_min >= (uint64_t)h->last_min + thresh;
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

uint32_t tcp_hystart_growth(struct tcp_hystart *h, uint32_t bytes)
{
    bytes += h->acked;
    h->acked = (uint8_t)(bytes % CSS_GROWTH_DIVISOR);
    return bytes / CSS_GROWTH_DIVISOR;
}
