/*
 * Frames between workers, where a device has fewer queues than there are workers or spreads flows
 * otherwise than we do.
 *
 *     device queue --> owner --inbox ring--> worker        received frames, by io_steer()
 *     device queue <-- owner <---tx ring---- worker        frames of a worker without a queue
 *
 * Each ring has one producer and one consumer, so a worker that is preempted in the midst of it
 * stops nobody else. All rings are bounded: a full inbox drops the frame and counts it, as a full
 * receive queue of a device would; a full transmit ring takes fewer frames, which is back-pressure
 * on the stack like that of a full device.
 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_prefetch.h>

#include "stack/io/io_internal.h"

static struct rte_ring *io_handoff_ring(struct io_port *p, struct error *e)
{
    char name[RTE_RING_NAMESIZE];
    struct rte_ring *ring;

    snprintf(name, sizeof name, "io%u_%u", p->device.ethdev[0], p->ring_count);
    ring = rte_ring_create(name, IO_RING_SIZE,
                           p->device.numa_node >= 0 ? p->device.numa_node : SOCKET_ID_ANY,
                           RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == NULL)
        error_set(e, "no memory for a ring between workers: %s", rte_strerror(rte_errno));
    else
        p->rings[p->ring_count++] = ring;
    return ring;
}

static int io_handoff_inboxes(struct io_port *p, struct error *e)
{
    for (unsigned from = 0; from < p->queues; from++) {
        for (unsigned to = 0; to < p->workers; to++) {
            struct rte_ring *ring;

            if (to == from)
                continue;
            ring = io_handoff_ring(p, e);
            if (ring == NULL)
                return -1;
            p->lane[from].outbox[to] = p->lane[to].inbox[from] = ring;
        }
    }
    return 0;
}

static int io_handoff_clients(struct io_port *p, struct error *e)
{
    for (unsigned w = p->queues; w < p->workers; w++) {
        struct io_lane *owner = &p->lane[w % p->queues];

        p->lane[w].tx_ring = io_handoff_ring(p, e);
        if (p->lane[w].tx_ring == NULL)
            return -1;
        owner->clients[owner->client_count++] = p->lane[w].tx_ring;
    }
    return 0;
}

int io_handoff_create(struct io_port *p, struct error *e)
{
    size_t most = (size_t)p->queues * (p->workers - 1) + (p->workers - p->queues);

    if (p->workers == 1)
        return 0;
    p->rings = calloc(most, sizeof *p->rings);
    if (p->rings == NULL)
        return error_set(e, "no memory for %zu rings", most);
    for (unsigned w = 0; w < p->workers; w++) {
        struct io_lane *lane = &p->lane[w];

        lane->inbox = calloc(p->queues, sizeof *lane->inbox);
        lane->outbox = calloc(p->workers, sizeof *lane->outbox);
        lane->clients = calloc(p->workers, sizeof *lane->clients);
        if (lane->inbox == NULL || lane->outbox == NULL || lane->clients == NULL)
            return error_set(e, "no memory for the rings between workers");
    }
    return io_handoff_inboxes(p, e) != 0 || io_handoff_clients(p, e) != 0 ? -1 : 0;
}

static void io_handoff_ring_free(struct rte_ring *ring)
{
    struct rte_mbuf *m;

    while (rte_ring_dequeue(ring, (void **)&m) == 0)
        rte_pktmbuf_free(m);
    rte_ring_free(ring);
}

void io_handoff_destroy(struct io_port *p)
{
    for (unsigned i = 0; i < p->ring_count; i++)
        io_handoff_ring_free(p->rings[i]);
    for (unsigned w = 0; w < p->workers; w++) {
        struct io_lane *lane = &p->lane[w];

        rte_pktmbuf_free_bulk(lane->pending, lane->pending_count);
        free(lane->inbox);
        free(lane->outbox);
        free(lane->clients);
    }
    free(p->rings);
}

static void io_handoff_give(struct io_lane *from, unsigned to, struct rte_mbuf *m)
{
    if (rte_ring_sp_enqueue(from->outbox[to], m) == 0) {
        COUNTER_INC(from->counters.io_handoff_sent);
        return;
    }
    COUNTER_INC(from->counters.io_handoff_dropped);
    rte_pktmbuf_free(m);
}

/* A copy for each of the others: what the frame's data becomes is each worker's own affair. */
static void io_handoff_give_all(struct io_port *p, unsigned from, const struct rte_mbuf *m)
{
    struct io_lane *lane = &p->lane[from];

    for (unsigned to = 0; to < p->workers; to++) {
        struct rte_mbuf *copy;

        if (to == from)
            continue;
        copy = rte_pktmbuf_copy(m, lane->own->pool, 0, UINT32_MAX);
        if (copy != NULL)
            io_handoff_give(lane, to, copy);
        else
            COUNTER_INC(lane->counters.io_rx_no_mbuf);
    }
}

unsigned io_handoff_spread(struct io_port *p, unsigned from, struct rte_mbuf **frames,
                           unsigned count, struct rte_mbuf **out)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned to = p->undivided ? from : io_steer(&p->rss, frames[i], from, p->hw_rss);

        if (to == from) {
            out[kept++] = frames[i];
        } else if (to == IO_STEER_ALL) {
            io_handoff_give_all(p, from, frames[i]);
            out[kept++] = frames[i];
        } else {
            io_handoff_give(&p->lane[from], to, frames[i]);
        }
    }
    return kept;
}

void io_port_pass(struct io_port *p, unsigned from, struct rte_mbuf *m)
{
    struct io_lane *lane = &p->lane[from];
    unsigned to = io_steer(&p->rss, m, from, false);

    if (to != from && to != IO_STEER_ALL && lane->own != NULL) {
        io_handoff_give(lane, to, m);
        return;
    }
    COUNTER_INC(lane->counters.io_handoff_dropped);
    rte_pktmbuf_free(m);
}

unsigned io_handoff_collect(struct io_port *p, unsigned worker, struct rte_mbuf **out, unsigned max)
{
    struct io_lane *lane = &p->lane[worker];
    unsigned n = 0;

    for (unsigned q = 0; q < p->queues && n < max; q++) {
        if (lane->inbox[q] != NULL)
            n += rte_ring_sc_dequeue_burst(lane->inbox[q], (void **)(out + n), max - n, NULL);
    }
    return n;
}
