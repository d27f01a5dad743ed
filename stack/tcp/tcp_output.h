/* Segments that leave. */
#ifndef STACK_TCP_TCP_OUTPUT_H
#define STACK_TCP_TCP_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/net/net.h"
#include "stack/packet.h"

struct tcp;
struct tcp_conn;

/* ---- tcp_segment.c ---- */

/* Builds and sends one frame with `len` payload bytes from `seq` on. Returns false when no mbuf
 * could be had; nothing has changed then. */
bool tcp_segment_send(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags);

/* Of `len` bytes from `seq` on: what one frame may carry, a whole number of full segments unless it
 * is less than one. */
uint32_t tcp_segment_payload(const struct tcp_conn *c, uint32_t seq, uint32_t len);

/* ---- tcp_output.c ---- */

/* Sends what may be sent, data in turn. Returns false when there is something left that
 * tcp_output_bare() must see to: an acknowledgement when the data that would carry it waits for its
 * turn, a SYN or an acknowledgement without mbuf. */
bool tcp_output(struct tcp_conn *c);

/* SYN or acknowledgement without data. Returns false when it must be tried again. */
bool tcp_output_bare(struct tcp_conn *c);

enum tcp_data {
    TCP_DATA_DONE,    /* no more to send */
    TCP_DATA_SPENT,   /* more, but no credit */
    TCP_DATA_BLOCKED, /* more, but no room */
    TCP_DATA_NO_MBUF,
};

/* Sends data as far as windows, credit and room go. */
enum tcp_data tcp_output_data(struct tcp_conn *c);

/* Would new data go out, were there room in the congestion window for a segment? */
bool tcp_output_new_possible(const struct tcp_conn *c);

void tcp_output_reset(struct tcp_conn *c); /* RST for a synchronized connection */
void tcp_output_ack(struct tcp_conn *c);   /* at once, ahead of tcp_flush() */
bool tcp_output_tail(struct tcp_conn *c);  /* a tail loss probe; false: not now */
void tcp_output_probe(struct tcp_conn *c); /* window probe or keepalive: one below snd_una */
void tcp_output_now(struct tcp_conn *c);   /* persist timeout: send what fits, however small */

/* Ends the SYN_SENT or SYN_RECEIVED phase: windows, congestion state and timers start. */
void tcp_conn_established(struct tcp_conn *c, const struct packet *p);

/* ---- tcp_reply.c: segments without a connection ---- */

/* RST in answer to a segment without connection (RFC 9293, 3.10.7.1). */
void tcp_reply_reset(struct tcp *t, const struct packet *p);

/* SYN-ACK with a cookie, in answer to a SYN. `path` has class and DSCP. */
void tcp_reply_cookie(struct tcp *t, const struct packet *p, const struct net_path *path,
                      uint16_t window, uint16_t mss);

#endif
