/* What the files of the door share. */
#ifndef TESTS_PACKETDRILL_DOOR_INTERNAL_H
#define TESTS_PACKETDRILL_DOOR_INTERNAL_H

#include <linux/tcp.h>
#include <pthread.h>
#include <sys/queue.h>

#include "tests/packetdrill/door.h"

struct rte_mbuf;
struct rte_mempool;

#define DOOR_FILES 256
#define DOOR_PACKET_MAX \
    49152 /* bytes of a packet from the wire: receivers may have merged several */

/* A packet that the stack has sent. */
struct door_packet {
    STAILQ_ENTRY(door_packet) link;
    clock_ns at;
    size_t len;
    uint8_t bytes[];
};

STAILQ_HEAD(door_packets, door_packet);

enum door_kind { DOOR_SOCKET, DOOR_EPOLL };

/* What a connection with something to send waits for (door_info.c). */
enum door_limit { DOOR_LIMIT_NONE, DOOR_LIMIT_BUSY, DOOR_LIMIT_WINDOW, DOOR_LIMIT_BUFFER };

struct door_interest {
    int fd; /* negative: the entry is free */
    struct epoll_event event;
    uint64_t read, written; /* changes told already, of an edge-triggered entry */
    bool spent;             /* EPOLLONESHOT */
};

struct door_file {
    enum door_kind kind;
    int flags; /* O_RDWR, O_NONBLOCK */

    int domain;
    struct ip_endpoint local;
    struct sock_options options;
    uint32_t receive_reported, send_reported; /* SO_RCVBUF, SO_SNDBUF as getsockopt() tells them */
    bool send_fixed;                          /* SO_SNDBUF was set */
    uint32_t notsent_reported, notsent; /* TCP_NOTSENT_LOWAT as it was set, as it is; 0: none */
    uint32_t tail;                      /* bytes of the last buffer then (door_buffer.c) */
    bool bound, listening, connecting, connected;
    bool read_shut, write_shut;
    bool nodelay, corked, reset_on_close;
    bool queue_told;        /* TCP_INQ */
    int error;              /* SO_ERROR, until it is told */
    struct sock *sock;      /* NULL: none yet, or it is closed */
    uint64_t read, written; /* changes that an edge-triggered epoll reports */
    clock_ns data_at;       /* when data last came */
    bool writer_waits;      /* for room in the buffer */
    enum door_limit limit;
    clock_ns limit_at, limited[4]; /* since when; how long by each so far */
    uint64_t received;             /* bytes, as counted then */

    struct door_interest interest[16];
};

/* A call that waits in a second thread. */
struct door_sleeper {
    bool (*ready)(void *ctx);
    void *ctx;
    clock_ns deadline;
};

struct door {
    struct door_config config;
    struct stack *stack;
    struct rte_mempool *rx_pool, *tx_pool;
    clock_ns now;
    struct door_packets sent;
    struct door_packets answers; /* frames of the next hop: ARP and neighbour discovery */
    struct door_file *file[DOOR_FILES];

    pthread_t owner;
    pthread_mutex_t lock;
    pthread_cond_t wake, settled;
    struct door_sleeper *sleeper;
    bool second_runs;   /* the second thread was woken and is not back yet */
    clock_ns second_at; /* when its call came to an end; 0: told already */
};

/* ---- door.c ---- */

/* Lets the stack send what it has to, and wakes who waited for what happened. */
void door_settle(struct door *d);

/* ---- door_link.c ---- */

struct stack_egress door_link_egress(struct door *d);
uint32_t door_link_offloads(const struct door *d);
bool door_link_answer(struct door *d); /* hands the next hop's answers to the stack, if any */
void door_link_drain(struct door *d);
extern const uint8_t door_link_mac[6];

/* ---- door_file.c ---- */

struct door_file *door_file_create(struct door *d, enum door_kind kind, int *fd);
struct door_file *door_file(const struct door *d, int fd);        /* NULL with EBADF */
struct door_file *door_file_socket(const struct door *d, int fd); /* NULL with EBADF, ENOTSOCK */
void door_file_events(struct door *d);                            /* takes the stack's events */
int door_file_errno(enum sock_error error);
int door_file_take_error(struct door_file *f); /* and it is told */

/* ---- door_io.c ---- */

bool door_io_readable(const struct door_file *f);
bool door_io_writable(const struct door_file *f);

/* ---- door_buffer.c ---- */

uint32_t door_buffer_room(struct door_file *f); /* bytes that the next buffer takes */
void door_buffer_filled(struct door_file *f, uint32_t bytes);
bool door_buffer_fits(const struct door_file *f, size_t bytes); /* all at once */
bool door_buffer_writable(const struct door_file *f);           /* may who waited go on? */

/* The stack's own bound, which must not come before that of SO_SNDBUF. */
uint32_t door_buffer_bound(const struct door_file *f);

/* ---- door_inside.c: what the stack's face neither tells nor lets a program change later ---- */

void door_inside_opened(const struct door *d, struct sock *k);
bool door_inside_acceptable(const struct sock *listener);
void door_inside_listener(const struct door_file *f); /* its options have changed */
void door_inside_send_buffer(struct door *d, struct sock *k, uint32_t bytes);
void door_inside_receive_buffer(struct sock *k, uint32_t bytes);
void door_inside_nagle(struct door *d, struct sock *k, bool on);
void door_inside_keepalive(struct door *d, struct sock *k, clock_ns idle);
void door_inside_user_timeout(struct sock *k, clock_ns timeout);

/* ---- door_info.c ---- */

void door_info(const struct door *d, struct door_file *f, struct tcp_info *out);
void door_info_account(const struct door *d, struct door_file *f); /* the stack has come to rest */

/* ---- door_wait.c ---- */

void door_wait_init(struct door *d);
void door_wait_fini(struct door *d);

/* Waits until ready(ctx), at most until `deadline`. Returns 0; or -1 with EAGAIN at once where a
 * call must not wait: `nonblocking`, or in the door's own thread. */
int door_wait(struct door *d, bool nonblocking, bool (*ready)(void *ctx), void *ctx,
              clock_ns deadline);
void door_wait_wake(struct door *d);
clock_ns door_wait_deadline(const struct door *d);

#endif
