/*
 * HyStart++ (RFC 9406): leaves the first slow start before it overruns the bottleneck's queue, when
 * the round trip grows. Any algorithm of congestion control may use it.
 */
#ifndef STACK_TCP_TCP_HYSTART_H
#define STACK_TCP_TCP_HYSTART_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_cc_ack;

#define TCP_HYSTART_WINDOW 16 /* segments, below which the classic one waits */

/* Least round trips in microseconds; UINT32_MAX: none measured. */
struct tcp_hystart {
    uint32_t last_min, current_min;
    union {
        uint32_t baseline;  /* in conservative slow start: the round trip that led there; else 0 */
        uint32_t round_end; /* classic: what the present round ends after */
    };
    uint8_t samples; /* of the present round */
    uint8_t rounds;  /* of conservative slow start; classic: 1 once they are counted */
    uint8_t acked;   /* what its growth has left of bytes */
};

enum tcp_hystart_phase {
    TCP_HYSTART_SLOW_START,
    TCP_HYSTART_CONSERVATIVE, /* slow start at a quarter of the pace */
    TCP_HYSTART_DONE,         /* congestion avoidance */
};

void tcp_hystart_init(struct tcp_hystart *h);
enum tcp_hystart_phase tcp_hystart_ack(struct tcp_hystart *h, const struct tcp_cc_ack *a);

/* HyStart as it was before (Ha and Rhee, 2011), by delay: done at once when a round trip has grown.
 * Counts rounds from [snd_una, snd_max), as long as the window is `large` enough for it. */
enum tcp_hystart_phase tcp_hystart_classic(struct tcp_hystart *h, const struct tcp_cc_ack *a,
                                           uint32_t snd_una, uint32_t snd_max, bool large);

/* Of `bytes` acknowledged in conservative slow start: by how much the window may grow. */
uint32_t tcp_hystart_growth(struct tcp_hystart *h, uint32_t bytes);

#endif
