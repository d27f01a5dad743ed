/*
 * A stack without a network: stack/socket.h and stack/event.h in memory. The test plays every peer
 * and decides on the order of events.
 *
 * The calls that the code under test makes are checked as they come: a socket that was given up is
 * not touched again, nothing is written after a shutdown, no event of a dead socket is delivered.
 * A socket stays readable for the test after it was given up, until fake_stack_free().
 */
#ifndef TESTS_UNIT_PROXY_FAKE_STACK_H
#define TESTS_UNIT_PROXY_FAKE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "stack/event.h"
#include "stack/socket.h"
#include "stack/stack.h"

struct fake_bytes {
    uint8_t *data;
    size_t len, size;
};

enum fake_end { FAKE_HELD, FAKE_CLOSED, FAKE_ABORTED };

struct sock {
    TAILQ_ENTRY(sock) link;  /* of stack->socks */
    TAILQ_ENTRY(sock) ready; /* of stack->ready */
    TAILQ_ENTRY(sock) queue; /* of its listener's backlog */
    TAILQ_HEAD(, sock) backlog;
    struct stack *stack;
    void *user;
    uint32_t events;
    bool listener, refusing, accepted, attached, is_ready;
    bool want_write;   /* a write was cut short */
    bool fin_received; /* by us, from the peer */
    bool fin_sent;     /* sock_shutdown() or sock_close() */
    bool short_write;  /* takes one byte less than sock_writable() promised, once */
    enum fake_end end;
    enum tcp_state state;
    enum sock_error error;
    struct ip_endpoint local, remote;
    struct sock_options options;
    struct packet_label label;
    uint8_t egress_class, dscp; /* as set; of connections that were opened, by their options */
    bool class_set;
    uint32_t backlog_size;
    enum sock_cookies cookies;
    uint32_t room; /* of the send queue as a whole */
    struct fake_bytes rx, tx;
};

TAILQ_HEAD(fake_socks, sock);

struct stack {
    clock_ns now;
    uint32_t send_buffer;        /* for new connections */
    uint16_t connect_fails_port; /* sock_connect() to it returns NULL with this error */
    enum sock_error connect_error;
    uint16_t listen_fails_port;
    struct fake_socks socks, ready;
    struct packet_label label; /* of clients from now on */
    unsigned connects;         /* sock_connect() calls */
    struct sock *last_connect;
};

struct stack *fake_stack_create(clock_ns now);
void fake_stack_free(struct stack *s);

/* The listening socket of an address, or NULL. */
struct sock *fake_listener(struct stack *s, const char *local);

/* A client's connection, completed and waiting in the listener's backlog. */
struct sock *fake_client(struct sock *listener, const char *remote);

/* What the peer does. */
void fake_deliver(struct sock *k, const void *data, size_t len);
void fake_deliver_fin(struct sock *k);
void fake_error(struct sock *k,
                enum sock_error error); /* received data stays readable after a FIN */
void fake_connected(struct sock *k);

/* The peer takes bytes that were sent to it; makes room. Returns how many. */
size_t fake_take(struct sock *k, void *out, size_t len);
/* Limits the send queue from now on; may be less than is in it. */
void fake_room_set(struct sock *k, uint32_t room);
void fake_raise(struct sock *k, uint32_t what);

/* Sockets that the code under test holds: neither closed nor aborted, listeners apart. */
unsigned fake_held(const struct stack *s);

#endif
