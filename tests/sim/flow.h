/*
 * A flow: one end of a connection that sends a known stream and checks the one it receives, byte
 * for byte. Reads and writes in pieces of random size, with random pauses; shuts down when it has
 * sent everything and closes when it has seen the peer's end as well.
 */
#ifndef TESTS_SIM_FLOW_H
#define TESTS_SIM_FLOW_H

#include "tests/sim/sim.h"

struct flow_tls; /* tests/sim/flow_tls.h: the client's end of TLS between the flow and its socket */

struct flow {
    struct sock *sock; /* NULL when closed */
    uint64_t random;
    uint64_t send_pattern, receive_pattern; /* seeds of the two streams */
    uint64_t to_send, sent;
    bool open; /* to_send may still grow: no shutdown yet */
    uint64_t to_receive, received;
    uint32_t piece;         /* largest read or write */
    clock_ns pause;         /* longest pause between reads; 0: none */
    clock_ns read_again;    /* the present pause ends then */
    struct flow_tls *tls;   /* NULL: plain */
    const uint8_t *preface; /* goes first, in pieces and below TLS; NULL: nothing */
    uint32_t preface_len, preface_sent;
    bool announce; /* the stream begins with the flow's number, four bytes */
    uint32_t number, announced;
    bool established, shut, finished, aborted;
    uint64_t abort_at; /* bytes sent and received after which we reset; 0: never */
    enum sock_error error;
    uint64_t mismatch_at; /* position + 1 of the first wrong byte; 0: none */
};

/* Byte `position` of a stream. */
uint8_t flow_byte(uint64_t pattern, uint64_t position);

/* Reacts to an event of its socket. */
void flow_event(struct flow *f, const struct event *e, clock_ns now);

/* Makes what progress it can; returns when it wants to be called again, or CLOCK_NEVER. */
clock_ns flow_progress(struct flow *f, clock_ns now);

/* Everything sent, everything received and equal, ended without an error. */
bool flow_good(const struct flow *f);

#endif
