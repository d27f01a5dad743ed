/*
 * How much a connection may keep in its two queues, as its path and its user ask for it. What all
 * connections together may keep is tcp_window.c's.
 */
#ifndef STACK_TCP_TCP_BUFFER_H
#define STACK_TCP_TCP_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct sock_options;
struct tcp_conn;

struct tcp_buffers {
    uint32_t receive, send; /* bytes */
    /* What the reader takes: */
    uint32_t read;        /* bytes, in the present round trip */
    uint32_t read_before; /* in the last one */
    uint32_t since;       /* the microsecond in which the present one began */
};

void tcp_buffer_init(struct tcp_conn *c, const struct sock_options *options);

/* The reader has taken bytes out of the receive queue. */
void tcp_buffer_read(struct tcp_conn *c, uint32_t bytes);

/* The congestion window has grown. */
void tcp_buffer_window(struct tcp_conn *c);

/* Data is about to be sent after a rest. */
void tcp_buffer_rest(struct tcp_conn *c, clock_ns idle);

#endif
