/*
 * Records of what was sent and is not yet acknowledged, for loss recovery (RFC 6675, RFC 8985).
 *
 * A record stands for bytes that were sent at the same time and have fared alike so far: at first
 * for a frame, which may be many segments. It is cut where a SACK block, an acknowledgement or a
 * retransmission ends inside it; neighbours that were both selectively acknowledged become one.
 * Every record is in the list of all, by sequence number, and in one of two more, unless it is
 * SACKED: that of what is in flight, by the time it was sent, or of what is lost, by sequence
 * number. So what to look at next is always at the head of a list.
 *
 * Only where a SACK block lies must be searched for, and the peer chooses the blocks: one who
 * acknowledges every other segment, and names them in an order of its own, could have thousands of
 * records passed for each packet. So places found before are remembered, which suffices for what
 * honest peers report, and the steps of a search are limited.
 *
 * Only a connection with something unacknowledged has a tcp_flight. Pools: there is one for each
 * connection, and of records one for each connection and one for each mbuf that may be held. When
 * only the former are left, or a connection has TCP_SENT_MAX of them, it goes on with what it has:
 * what is sent joins the newest record, SACK blocks that would cut one are passed over, and a
 * retransmission that would cut one stands for the whole of it.
 */
#ifndef STACK_TCP_TCP_SENT_H
#define STACK_TCP_TCP_SENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"

struct rte_mbuf;
struct tcp_conn;

#define TCP_SENT_MAX   8192
#define TCP_SENT_HINTS 4   /* as many as an acknowledgement has blocks */
#define TCP_SENT_STEPS 256 /* from record to record, that one acknowledgement is worth */

/* Where the byte with a sequence number lies in the send queue. The offset counts from buf_addr, so
 * that dropping acknowledged bytes in front does not move it. */
struct tcp_cursor {
    struct rte_mbuf *m; /* NULL: unknown, walk from the head */
    uint32_t offset;
    uint32_t seq;
};

enum tcp_sent_state { TCP_SENT_IN_FLIGHT, TCP_SENT_LOST, TCP_SENT_SACKED };

struct tcp_sent {
    TAILQ_ENTRY(tcp_sent) link;  /* of all */
    TAILQ_ENTRY(tcp_sent) queue; /* of those in flight, or lost */
    uint32_t seq, end;           /* a FIN counts one */
    clock_ns sent_at;            /* last; frames of a connection never have the same time */
    uint32_t segments;
    uint8_t state;      /* enum tcp_sent_state */
    bool retransmitted; /* sent more than once */
};

TAILQ_HEAD(tcp_sents, tcp_sent);

struct tcp_flight {
    struct tcp_sents all, in_flight, lost;
    struct tcp_sent *hint[TCP_SENT_HINTS]; /* where searches have ended; NULL: none has */
    uint32_t hint_oldest;
    uint32_t count; /* records */
    uint32_t in_flight_bytes, lost_bytes, sacked_bytes, sacked_segments;
    clock_ns last_sent_at;

    /* RFC 8985, 5.2: of what was delivered, that which was sent last; the highest of all. */
    clock_ns rack_sent_at, rack_rtt;
    uint32_t rack_end, rack_fack;

    struct tcp_cursor cursor;       /* behind the newest that was sent */
    struct tcp_cursor cursor_again; /* behind what was sent again last */

    uint32_t duplicate_bytes; /* without SACK: what duplicates say has left the network */

    uint32_t prr_delivered, prr_out, prr_flight; /* RFC 6937, 3: since the reduction began */
    bool prr_marked; /* it is for a mark, not for a loss: until its window is acknowledged */
};

/* May something new be recorded? When not, try again later, as without mbufs. */
bool tcp_sent_room(const struct tcp_conn *c);

/* [seq, end) is sent for the first time. tcp_sent_room() has said yes. */
void tcp_sent_new(struct tcp_conn *c, uint32_t seq, uint32_t end);

/* The record is sent again: it is in flight anew. */
void tcp_sent_again(struct tcp_conn *c, struct tcp_sent *s);

/* Cuts a record at `seq`, which lies inside it; the record keeps the first part. Returns false when
 * there was no other for the second. */
bool tcp_sent_cut(struct tcp_conn *c, struct tcp_sent *s, uint32_t seq);

/* In flight -> lost. */
void tcp_sent_lose(struct tcp_conn *c, struct tcp_sent *s);

/* The first, and whatever was last sent at `until` or before, is lost; when the peer has `reneged`
 * what was SACKed, too (RFC 2018, 8). */
void tcp_sent_lose_old(struct tcp_conn *c, clock_ns until, bool reneged);

/* What was thought lost is in flight. */
void tcp_sent_lost_none(struct tcp_conn *c);

/* Makes one of a lost record and those behind it that are lost as well, until it has `bytes`: small
 * segments go out again together. */
void tcp_sent_gather(struct tcp_conn *c, struct tcp_sent *s, uint32_t bytes);

/* It was selectively acknowledged. Returns the record that it has become part of. */
struct tcp_sent *tcp_sent_sack(struct tcp_conn *c, struct tcp_sent *s);

/* The first record, or the first part of it up to `end`, is acknowledged. */
void tcp_sent_release(struct tcp_conn *c, uint32_t end);

/* Forgets everything. */
void tcp_sent_free(struct tcp_conn *c);

/* The record that holds the byte with this sequence number, of [snd_una, snd_max). It is looked for
 * from the nearest place known, over *steps records at most, from which the steps taken are
 * subtracted. NULL: they did not suffice; the next search for it goes on where this one ended. */
struct tcp_sent *tcp_sent_at(struct tcp_conn *c, uint32_t seq, uint32_t *steps);

#endif
