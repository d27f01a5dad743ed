/*
 * Sockets: the face of TCP towards the code above. Non-blocking; every call belongs to the thread
 * that owns the stack. A `struct sock *` stays valid until sock_close() or sock_abort(), whatever
 * happens on the network: a dead connection reports EVENT_ERROR and waits to be closed.
 */
#ifndef STACK_SOCKET_H
#define STACK_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/ip.h"

#include "stack/packet.h"

struct stack;
struct sock;

/* RFC 9293, 3.3.2. */
enum tcp_state {
    TCP_CLOSED,
    TCP_LISTEN,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
};

const char *tcp_state_name(enum tcp_state state);

enum sock_error {
    SOCK_OK,
    SOCK_REFUSED,     /* RST in answer to our SYN */
    SOCK_RESET,       /* RST by the peer */
    SOCK_TIMED_OUT,   /* no answer to retransmissions, probes or keepalives */
    SOCK_UNREACHABLE, /* no route, neighbour silent, or ICMP said so before the connection stood */
    SOCK_NO_MEMORY,   /* connection pool exhausted */
    SOCK_NO_PORT,     /* no source port free */
    SOCK_IN_USE,      /* listener exists already */
    SOCK_BAD_ADDRESS, /* not an address of ours, or no route */
    SOCK_NOT_YET,     /* our address on the way is still being tried out (RFC 4862, 5.4) */
};

const char *sock_error_text(enum sock_error error);

/*
 * SYN cookies (RFC 4987, 3.6). AUTO: while a listener's half-open connections are over half its
 * backlog. What a cookie can carry of the options: MSS (rounded down), window scale, SACK.
 */
enum sock_cookies { SOCK_COOKIES_AUTO, SOCK_COOKIES_ALWAYS, SOCK_COOKIES_OFF };

/* Zero means the default named in the comment. */
struct sock_options {
    uint32_t receive_buffer;   /* bytes, the largest window we offer; default: what the path takes,
                                  from 64 KiB up to stack_tcp_config.receive_buffer_max */
    uint32_t send_buffer;      /* bytes not yet acknowledged that we keep; default: twice the
                                  congestion window, from 64 KiB up to .send_buffer_max */
    clock_ns keepalive;        /* idle time before the first keepalive probe; 0: none */
    clock_ns connect_timeout;  /* 75 s */
    clock_ns user_timeout;     /* unacknowledged data older than this ends the connection
                                  (RFC 9293, 3.8.3); 120 s */
    uint8_t egress_class;      /* of its segments; accepted connections have their SYN's instead */
    uint16_t mss;              /* largest segment that we offer to take, and send; what the path
                                  takes (RFC 9293, 3.7.1) */
    uint8_t dscp;              /* of its packets (RFC 2474), 0 to 63 */
    enum sock_cookies cookies; /* listeners: when SYNs are answered without keeping state */
    bool nagle;                /* hold small segments back (RFC 9293, 3.7.4); off by default, as
                                  proxies write whole records */
};

/*
 * Listens on an address of ours (or any, when unspecified) and port. `backlog` bounds half-open
 * plus not yet accepted connections; `options` are copied for the accepted ones. Returns NULL with
 * the cause in *error.
 */
struct sock *sock_listen(struct stack *s, const struct ip_endpoint *local, uint32_t backlog,
                         const struct sock_options *options, void *user, enum sock_error *error);

/* Changes a listener that stays: from now on. */
void sock_listener_set(struct sock *listener, uint32_t backlog, enum sock_cookies cookies);

/* Takes no more connections: those not handed out are reset, SYNs answered with a RST. The port
 * stays the listener's until it is closed, so that nothing of it is handed to a punt hook. */
void sock_listener_refuse(struct sock *listener);

/* Takes an established connection from a listener, or NULL. Its user pointer is NULL: set it. Data
 * may be readable already, which is reported as an event after the user pointer is set. */
struct sock *sock_accept(struct sock *listener);

/* Opens a connection; EVENT_CONNECTED or EVENT_ERROR follows. The source address is that of the
 * route, the port random among those whose replies reach this worker (RFC 6056). Returns NULL with
 * the cause in *error. */
struct sock *sock_connect(struct stack *s, const struct ip_endpoint *remote,
                          const struct sock_options *options, void *user, enum sock_error *error);

void sock_user_set(struct sock *k, void *user);
void *sock_user(const struct sock *k);

/* What the firewall attached to the segment that began the connection; zero for our own. */
struct packet_label sock_label(const struct sock *k);

/* From now on; for queued segments too. */
void sock_class_set(struct sock *k, uint8_t egress_class, uint8_t dscp);

void sock_local(const struct sock *k, struct ip_endpoint *out);
void sock_remote(const struct sock *k, struct ip_endpoint *out);
enum tcp_state sock_state(const struct sock *k);
enum sock_error sock_error(const struct sock *k);

/* Bytes in order and not yet read. */
uint32_t sock_readable(const struct sock *k);

/* True when the peer has sent its FIN and everything before it has been read. */
bool sock_eof(const struct sock *k);

/* Copy out bytes; sock_peek() leaves them. Return how many. Reading opens the window. */
uint32_t sock_read(struct sock *k, void *out, uint32_t len);
uint32_t sock_peek(const struct sock *k, uint32_t offset, void *out, uint32_t len);

/* Consumes bytes without copying them. */
void sock_skip(struct sock *k, uint32_t len);

/* What sock_write() would take now; 0 after sock_shutdown() and on a dead connection. When it is 0
 * on a live one, EVENT_WRITABLE follows as soon as there is worthwhile room. */
uint32_t sock_writable(struct sock *k);

/* Queues bytes; returns how many were taken. When fewer than asked for, EVENT_WRITABLE follows as
 * soon as there is worthwhile room. */
uint32_t sock_write(struct sock *k, const void *data, uint32_t len);

/* Moves bytes from the receive queue of one connection to the send queue of another on the same
 * stack, without copying: whole segments until `max` or the room in `to` is reached, which the last
 * segment may exceed. Returns the bytes moved; as for sock_write() when `to` is full. */
uint32_t sock_splice(struct sock *from, struct sock *to, uint32_t max);

/* Bytes queued or in flight: 0 means that the peer has acknowledged everything written. */
uint32_t sock_unacknowledged(const struct sock *k);

/* No more writes: the FIN follows what is queued. Reading goes on. */
void sock_shutdown(struct sock *k);

/*
 * Gives the socket up: no more events, the pointer is dead. What is queued is still sent, then a
 * FIN; where received data was never read, or more comes, a RST tells the peer (RFC 9293, 3.10.4;
 * RFC 1122, 4.2.2.13). Closing a listener resets the connections that it had not handed out.
 */
void sock_close(struct sock *k);

/* Gives the socket up with a RST; queued data is dropped. */
void sock_abort(struct sock *k);

/* Facts about one connection, for log lines and reports. */
struct sock_info {
    enum tcp_state state;
    clock_ns srtt, rttvar, rto;
    uint32_t mss, cwnd, ssthresh;         /* bytes */
    uint32_t send_window, receive_window; /* bytes, scaled */
    uint64_t bytes_received, bytes_acked;
    uint32_t retransmissions;
    uint32_t send_queue, receive_queue, out_of_order;
    uint32_t send_buffer, receive_buffer; /* as they have grown, bytes */
    const char *congestion;               /* the algorithm's name */
    uint64_t pacing_rate;                 /* bytes a second; 0: none */
    clock_ns rtt_min;
    uint32_t in_flight;         /* bytes sent, less those acknowledged, selectively too, or lost */
    uint32_t lost;              /* segments marked lost, all in all */
    uint32_t spurious;          /* recoveries and timeouts that were found spurious and undone */
    uint32_t reordering;        /* segments; what RACK has seen */
    bool sack, timestamps, ecn; /* negotiated */
    uint16_t path_mtu;
};

void sock_info(const struct sock *k, struct sock_info *out);

#endif
