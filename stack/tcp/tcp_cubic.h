/* What CUBIC (tcp_cubic.c) remembers of a connection. Windows are in bytes. */
#ifndef STACK_TCP_TCP_CUBIC_H
#define STACK_TCP_TCP_CUBIC_H

#include <stdbool.h>
#include <stdint.h>

/* The curve of a congestion avoidance stage, named as in RFC 9438, 4.1.2. */
struct tcp_cubic_curve {
    uint32_t w_max;   /* 0: none is known, the stage begins with its own window */
    uint32_t w_est;   /* what Reno would have reached; 0: the stage has not begun */
    uint32_t k;       /* milliseconds until the curve is back at w_max */
    uint32_t elapsed; /* milliseconds of the stage in which the window was the limit */
};

struct tcp_cubic {
    struct tcp_cubic_curve curve;
    struct tcp_cubic_curve prior;    /* before the last reduction */
    uint32_t counted_at;             /* elapsed is counted up to this millisecond */
    bool running;                    /* the clock of the stage does not stand */
    bool searching;                  /* cubic_classic: no window that was too large is known */
    uint16_t fraction, est_fraction; /* of a byte, which cwnd and w_est have grown; cubic_classic:
                                        segments counted */
};

#endif
