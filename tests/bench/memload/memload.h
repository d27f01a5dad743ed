/*
 * The load of the memory lab, for the files of this folder: clients and their server in one stack
 * thread, which is all that runs on the load's CPU while it is measured. The main thread tells the
 * phases and reads the result; the stack thread does the rest.
 */
#ifndef TESTS_BENCH_MEMLOAD_H
#define TESTS_BENCH_MEMLOAD_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "programs/latency.h"
#include "stack/event.h"
#include "stack/socket.h"

#define LOAD_TARGETS_MAX 256
#define LOAD_REQUEST_MAX 256

/* Content is the alphabet over and over, as that of programs/site.c, so any piece of it can be
 * made or checked from its place alone. */
#define LOAD_PERIOD 26
#define LOAD_CHUNK  65536 /* bytes written or checked at a time */

struct load_config {
    struct ip_endpoint to[LOAD_TARGETS_MAX]; /* taken in turn */
    unsigned to_count;
    uint64_t size;          /* bytes of content to ask for */
    uint32_t kept;          /* connections that are opened before, and stay */
    uint32_t parallel;      /* requests at a time */
    uint64_t rate;          /* requests a second at most; 0: as fast as answers come */
    bool renew;             /* each request on a connection of its own, else on the kept ones */
    bool tls, resume;       /* resume: all but the first handshake, else none */
    uint16_t listen, ports; /* the server's first port, and how many; 0: no server here */
};

/* In this order. */
enum load_phase {
    LOAD_OPEN, /* until the thread says `opened` */
    LOAD_RUN,
    LOAD_DRAIN, /* begin nothing more; until the thread says `drained` */
};

/* The stack thread's, until it has said `drained`. */
struct load_result {
    uint64_t requests, failed, bytes;
    uint64_t handshakes, resumed; /* of TLS, while it ran */
    clock_ns opening, begun, ended;
    struct latency latency;
    char fault[160]; /* the first one */
};

struct load {
    struct load_config config;
    _Atomic enum load_phase phase;
    atomic_bool opened, drained;
    struct load_result result;
};

/* What an event is for. */
struct load_sink {
    void (*take)(struct load_sink *s, const struct event *e);
};

/* LOAD_CHUNK bytes of content as it goes on from byte `at`. */
const char *load_content(uint64_t at);

/* ---- client.c: all on the stack thread ---- */

struct client;

struct client *client_create(struct load *l, struct stack *s, struct error *e);
void client_round(struct client *c, clock_ns now);

/* When client_round() has something to begin though nothing comes; CLOCK_NEVER: not by itself. */
clock_ns client_deadline(const struct client *c);
void client_destroy(struct client *c);

/* ---- server.c: likewise ---- */

struct server;

struct server *server_create(const struct load *l, struct stack *s, struct error *e);
void server_destroy(struct server *s);

#endif
