/*
 * Scripted peers against one real stack on a virtual clock. The test plays every host
 * of 10.0.0.0/24 (tcp_script_wire.h: or of an IPv6 network) except 10.0.0.1, which is the stack: it
 * sends segments, and says which ones it expects back, with sequence numbers counted from each
 * side's SYN (the SYN is 0, the first byte of data 1).
 *
 *     script_listen(s, 80, 16, NULL);
 *     script_establish(s, c);                      handshake and accept
 *     script_send(c, TCP_ACK, 1, 1, 100);          100 bytes of the peer's stream
 *     script_expect(c, TCP_ACK, 1, 101, 0);        the stack's next frame
 *     script_advance(s, 40 * CLOCK_MS);
 *     script_expect_none(s);
 *
 * Both directions carry known streams: the payload of everything that the stack sends is compared
 * with what script_write() wrote, byte for byte; script_read() compares what arrived. ARP is
 * answered behind the test's back. script_destroy() fails the test when an mbuf is missing.
 */
#ifndef TESTS_UNIT_STACK_TCP_SCRIPT_H
#define TESTS_UNIT_STACK_TCP_SCRIPT_H

#include "base/clock.h"
#include "stack/event.h"
#include "stack/hooks.h"
#include "stack/socket.h"
#include "stack/stack.h"
#include "tests/unit/support/test_unit.h"

struct rte_mempool;
struct script;

#define SCRIPT_START     (1000 * CLOCK_SEC)  /* not zero: code must not take zero for "never" */
#define SCRIPT_WRAP      (UINT64_C(1) << 52) /* when the stack's ticks of 32 bits begin anew */
#define SCRIPT_UNLIMITED UINT32_MAX
#define SCRIPT_NO_WSCALE (-1)
#define SCRIPT_TICK      (2 * CLOCK_MS) /* timers may be late by a tick of the wheel */

/* A frame that the stack has sent. Numbers are absolute. */
struct script_segment {
    clock_ns at;
    enum egress_band band;
    uint8_t egress_class, dscp, ecn;
    uint8_t host; /* 10.0.0.host is the destination */
    uint16_t sport, dport;
    struct packet_tcp tcp;
    uint32_t len;
    uint8_t *payload;
    unsigned mbufs;    /* segments of the frame */
    uint16_t tso_size; /* 0: no segmentation asked for */
};

/* One end of a connection, the test's. The upper half is set before the handshake. */
struct script_conn {
    struct script *s;
    uint8_t host; /* 10.0.0.host */
    uint16_t peer_port, stack_port;
    uint32_t peer_iss;
    uint16_t mss; /* 0: no option */
    int wscale;   /* SCRIPT_NO_WSCALE: no option */
    bool timestamps;
    bool sack;              /* SACK permitted */
    uint8_t ecn;            /* of every packet sent from now on */
    uint16_t window;        /* the field of every segment sent from now on */
    uint16_t quoted_length; /* of the packets that script_icmp() quotes; 0: 1,500 */

    uint32_t stack_iss; /* learned from the stack's SYN */
    uint32_t ts_base;   /* the timestamp is this plus the milliseconds since the start */
    uint32_t ts_recent; /* the stack's latest, echoed */
    struct sock *sock;
    uint64_t written, read; /* positions in the two streams */
};

struct script_config {
    uint32_t max_connections; /* 0: 64 */
    uint32_t max_buffers;     /* 0: 4096 */
    uint32_t offloads;        /* STACK_TX_* */
    uint16_t mtu;             /* 0: 1500 */
    clock_ns time_wait;       /* 0: 60 s */
    struct stack_tcp_config tcp;
    clock_ns start;            /* 0: SCRIPT_START */
    uint32_t frame_max;        /* of the egress hook; 0: no bound */
    bool one_queue;            /* all classes share the room of class 0 */
    struct packet_label label; /* which the firewall puts on every packet */
    stack_owns_flow *owns_flow;
    void *owns_flow_ctx;
};

/* NULL: all defaults. */
struct script *script_create(const struct script_config *config);
void script_destroy(struct script *s);

/* A connection block of the script: peer 10.0.0.2, a port of its own, MSS 1460, no other options,
 * window 65535. Freed with the script. */
struct script_conn *script_conn(struct script *s);

struct stack *script_stack(struct script *s);
clock_ns script_now(const struct script *s);
const struct stack_counters *script_counters(const struct script *s);
struct stack_usage script_usage(const struct script *s);

/* ---- the stack's application ---- */

/* A host's address, 1 being the stack's. */
struct ip_endpoint script_endpoint(uint8_t host, uint16_t port);

struct sock *script_listen(struct script *s, uint16_t port, uint32_t backlog,
                           const struct sock_options *options);

/* A connection by the stack to c's peer_port; takes the SYN off the wire into c. */
void script_connect(struct script_conn *c, const struct sock_options *options);

/* Writes the next `len` bytes of the stream, at least as many as are taken; returns those. */
uint32_t script_write(struct script_conn *c, uint32_t len);

/* Reads at most `len` bytes and compares them with the stream; returns how many came. */
uint32_t script_read(struct script_conn *c, uint32_t len);

/* What was told of a socket since the last call: EVENT_*. */
uint32_t script_events(struct script *s, const struct sock *k);

/* From now on events stay in the stack, for the test to take by event_next() itself. */
void script_events_leave(struct script *s);

/* ---- the peer ---- */

/* Sends a segment with `len` bytes of the peer's stream, the first of which is that of `seq`. */
void script_send(struct script_conn *c, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len);

/* An acknowledgement with SACK blocks: `count` pairs of sequence numbers of the stack's stream. */
void script_send_sack(struct script_conn *c, uint32_t ack, unsigned count, const uint32_t *edges);

/* The same with nothing added: everything absolute, as it stands in *tcp, payload as given. */
void script_send_raw(struct script_conn *c, const struct packet_tcp *tcp, const void *payload,
                     uint32_t len);

/* An ICMP error (RFC 792) that quotes a segment of the stack with this sequence number. */
void script_icmp(struct script_conn *c, uint8_t type, uint8_t code, uint32_t rest, uint32_t seq);

/* The segments sent from now on arrive in one burst, at script_release(). */
void script_hold(struct script *s);
void script_release(struct script *s);

/* SYN, SYN-ACK, ACK with c's options, sock_accept(): c->sock is set. The listener is on
 * c->stack_port (80). */
void script_handshake(struct script_conn *c);              /* not accepted yet */
void script_accept(struct script_conn *c, struct sock *l); /* takes c->sock from the listener */
void script_establish(struct script_conn *c, struct sock *l);

/* script_connect() and the peer's side of the handshake. */
void script_establish_active(struct script_conn *c, const struct sock_options *options);

/* ---- expectations ---- */

/* The next frame on the wire is this one; PSH is not looked at. Returns it, valid until the next
 * expectation. */
#define script_expect(c, flags, seq, ack, len) \
    script_expect_at(c, flags, seq, ack, len, __FILE__, __LINE__)
const struct script_segment *script_expect_at(struct script_conn *c, uint8_t flags, uint32_t seq,
                                              uint32_t ack, uint32_t len, const char *file,
                                              int line);

/* Its SACK blocks are these: `count` pairs of sequence numbers of the peer's stream. */
#define script_assert_sack(c, segment, count, ...) \
    script_assert_sack_at(c, segment, count, (const uint32_t[]){__VA_ARGS__}, __FILE__, __LINE__)
void script_assert_sack_at(const struct script_conn *c, const struct script_segment *g,
                           unsigned count, const uint32_t *edges, const char *file, int line);

/* Nothing is on the wire. */
#define script_expect_none(s) script_expect_none_at(s, __FILE__, __LINE__)
void script_expect_none_at(struct script *s, const char *file, int line);

/* The next frame, whatever it is, or NULL. */
const struct script_segment *script_next(struct script *s);

/* Throws away what is on the wire; returns how many frames it was. */
unsigned script_discard(struct script *s);

/* The frame was sent at `when`, or a tick later. */
#define script_assert_at(segment, when) \
    assert_in_range((segment)->at, when, (clock_ns)(when) + SCRIPT_TICK)

/* ---- time and resources ---- */

/* Moves the clock on, calling the stack whenever it asks to be called. */
void script_advance(struct script *s, clock_ns time);

/* Lets the stack act at the present time. */
void script_flush(struct script *s);

/* How many data frames the interface takes before script_room() is called again. */
void script_room(struct script *s, uint32_t frames);
void script_class_room(struct script *s, uint8_t egress_class, uint32_t frames);

/* The device keeps the frames that it was given until false is set. */
void script_keep(struct script *s, bool keep);

/* Frames arrive in memory that the stack may not write to (false: in ordinary mbufs). */
void script_exact(struct script *s, bool exact);

/* Takes all mbufs of a pool but `left`, and gives them back. */
struct rte_mempool *script_tx_pool(void);
struct rte_mempool *script_data_pool(void);
void script_hog(struct script *s, struct rte_mempool *pool, unsigned left);
void script_unhog(struct script *s);

uint8_t script_byte(uint64_t position);

/* What the stack tells of the connection. */
struct sock_info script_info(const struct script_conn *c);

#endif
