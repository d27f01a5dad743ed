/*
 * Theory of operation: for every byte of a stream that may still be in flight, a ring knows whether
 * a copy of it is under way or has arrived. Sequence numbers are unwrapped against the newest byte.
 */
#include "tests/sim/sweep_wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_tcp.h>

#define RING (UINT64_C(1) << 24) /* more than a window */

/* The TCP header of a frame, and what it carries; NULL: it is another. */
static const struct rte_tcp_hdr *parse(const uint8_t *frame, uint32_t len, uint32_t *payload)
{
    bool v6 = frame[12] == 0x86;
    uint32_t l4 = v6 ? 54 : 34;
    const struct rte_tcp_hdr *tcp = (const void *)(frame + l4);
    uint32_t total =
        v6 ? 40u + (uint32_t)(frame[18] << 8 | frame[19]) : (uint32_t)(frame[16] << 8 | frame[17]);

    if (len < l4 + sizeof *tcp || frame[v6 ? 20 : 23] != 6)
        return NULL;
    *payload = 14 + total - l4 - (uint32_t)(tcp->data_off >> 4) * 4;
    return tcp;
}

static struct sweep_wire_flow *flow_of(struct sweep_wire *w, const struct rte_tcp_hdr *tcp)
{
    uint16_t port = rte_be_to_cpu_16(tcp->src_port);

    for (unsigned i = 0; i < SWEEP_WIRE_FLOWS; i++) {
        struct sweep_wire_flow *f = &w->flow[i];

        if (f->port == port)
            return f;
        if (f->port != 0)
            continue;
        *f = (struct sweep_wire_flow){.port = port, .iss = rte_be_to_cpu_32(tcp->sent_seq)};
        f->arrives = calloc(RING, 1);
        assert(f->arrives != NULL);
        return f;
    }
    return NULL;
}

static void mark(struct sweep_wire_flow *f, uint64_t from, uint64_t to, bool arrives)
{
    for (uint64_t at = from; at < to; at++)
        f->arrives[at % RING] = arrives;
}

static bool all_arrive(const struct sweep_wire_flow *f, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at++) {
        if (!f->arrives[at % RING])
            return false;
    }
    return true;
}

static void data(struct sweep_wire *w, struct sweep_wire_flow *f, uint64_t from, uint64_t to,
                 bool lost)
{
    if (from < f->sent) {
        uint64_t old = to < f->sent ? to : f->sent;

        w->again++;
        w->needless += all_arrive(f, from, old);
        if (!lost)
            mark(f, from, old, true);
    }
    if (to > f->sent) {
        mark(f, from > f->sent ? from : f->sent, to, !lost);
        f->sent = to;
    }
}

static void tap(void *ctx, const struct sim_host *from, const uint8_t *frame, uint32_t len,
                bool lost, clock_ns now)
{
    struct sweep_wire *w = ctx;
    const struct rte_tcp_hdr *tcp;
    struct sweep_wire_flow *f;
    uint32_t payload = 0;
    uint64_t at;

    (void)now;
    tcp = from == w->sender ? parse(frame, len, &payload) : NULL;
    f = tcp != NULL && (payload > 0 || (tcp->tcp_flags & RTE_TCP_SYN_FLAG) != 0) ? flow_of(w, tcp)
                                                                                 : NULL;
    if (f == NULL || payload == 0)
        return;
    /* the difference to the newest byte is less than half of the sequence space */
    at = f->sent + (uint64_t)(int64_t)(int32_t)(rte_be_to_cpu_32(tcp->sent_seq) - f->iss - 1 -
                                                (uint32_t)f->sent);
    data(w, f, at, at + payload, lost);
}

void sweep_wire_begin(struct sweep_wire *w, struct sim *s, const struct sim_host *sender)
{
    *w = (struct sweep_wire){.sender = sender};
    sim_tap_set(s, tap, w);
}

void sweep_wire_end(struct sweep_wire *w)
{
    for (unsigned i = 0; i < SWEEP_WIRE_FLOWS; i++) {
        free(w->flow[i].arrives);
        w->flow[i].arrives = NULL;
    }
}
