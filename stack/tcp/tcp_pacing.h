/*
 * Pacing: a window that is opened at once, after a rest or by an acknowledgement for much, does not
 * leave as one burst, which a shallow queue on the way could not take.
 */
#ifndef STACK_TCP_TCP_PACING_H
#define STACK_TCP_TCP_PACING_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_conn;

/* Bytes a second; 0: the connection is not paced. */
uint64_t tcp_pacing_rate(const struct tcp_conn *c);

/* Must new data wait? Then a timer sends it in time. */
bool tcp_pacing_wait(struct tcp_conn *c);

/* The largest payload of one frame. */
uint32_t tcp_pacing_frame_max(const struct tcp_conn *c);

/* Payload was sent, new or again. */
void tcp_pacing_sent(struct tcp_conn *c, uint32_t bytes);

#endif
