/* Explicit congestion notification (RFC 3168) of one connection. */
#ifndef STACK_TCP_TCP_ECN_H
#define STACK_TCP_TCP_ECN_H

#include <stdbool.h>
#include <stdint.h>

struct packet;
struct packet_tcp;
struct tcp;
struct tcp_conn;

/* What the peer's SYN or SYN-ACK says; before ours is answered. */
void tcp_ecn_syn_received(struct tcp_conn *c, const struct packet *p);

/* Does this SYN ask for it, and do we agree? */
bool tcp_ecn_offered(const struct tcp *t, const struct packet *syn);

/* The same, of the SYN as a cookie remembers it: we had agreed. */
void tcp_ecn_remembered(struct tcp_conn *c, const struct packet_tcp *syn);

/* Flags for the SYN or SYN-ACK that goes out now. */
uint8_t tcp_ecn_syn_flags(struct tcp_conn *c);

/* Does an acceptable acknowledgement ask for a reduction? */
bool tcp_ecn_echoed(const struct tcp_conn *c, const struct packet *p);

/* Data came that lies in the window. */
void tcp_ecn_data_received(struct tcp_conn *c, const struct packet *p);

/* Adds to the flags of a segment with `len` bytes from `seq` on; sets what its packet is to say
 * (c->path.ecn). */
uint8_t tcp_ecn_mark(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags);

/* A segment with these flags went out. */
void tcp_ecn_sent(struct tcp_conn *c, uint8_t flags);

/* The window is reduced, whatever for: the peer may stop echoing marks. */
void tcp_ecn_reduced(struct tcp_conn *c);

/* It is not, after all. */
void tcp_ecn_undone(struct tcp_conn *c);

/* snd_una has moved. To be told at least once in half the sequence space. */
void tcp_ecn_progress(struct tcp_conn *c);

/* Is what is unacknowledged of a window that was reduced already? */
bool tcp_ecn_window_reduced(const struct tcp_conn *c);

#endif
