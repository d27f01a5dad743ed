/*
 * Theory of operation: worker 0 owns the TAP's queue. It reads for all and writes for all; frames
 * of the other workers reach it through the port's rings. Those may wait there, so they are copied
 * into mbufs of the TAP's own: the port's pool is measured for its own rings and queues.
 *
 * The kernel leaves no checksum to us and merges no segments on a TAP that is opened without virtio
 * headers: what is read can go on a wire.
 */
#include "appliance/punt.h"

#include <rte_mbuf.h>

COUNTER_TABLE(punt_counter_table, PUNT_COUNTERS);

static void drop(struct punt *p, struct rte_mbuf *m)
{
    COUNTER_INC(p->counters.punt_dropped);
    rte_pktmbuf_free(m);
}

void punt_frame(void *ctx, struct rte_mbuf *m)
{
    struct punt *p = ctx;
    struct rte_mbuf *own = m;

    if (p->count == PUNT_ROUND) {
        drop(p, m);
        return;
    }
    if (p->worker != 0) {
        own = rte_pktmbuf_copy(m, io_port_tx_pool(p->tap, p->worker), 0, UINT32_MAX);
        if (own == NULL) {
            drop(p, m);
            return;
        }
        rte_pktmbuf_free(m);
    }
    own->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    own->tx_offload = 0;
    p->waiting[p->count++] = own;
}

void punt_flush(struct punt *p)
{
    unsigned done = 0;

    while (done < p->count) {
        unsigned sent = io_port_transmit(p->tap, p->worker, p->waiting + done, p->count - done);

        COUNTER_ADD(p->counters.punt_sent, sent);
        done += sent;
        /* One that the driver refuses (too long for the TAP) must not hold up the rest. */
        if (done < p->count)
            drop(p, p->waiting[done++]);
    }
    p->count = 0;
}

unsigned punt_receive(struct punt *p, struct stack *s, unsigned iface, clock_ns now)
{
    struct rte_mbuf *burst[PUNT_ROUND];
    unsigned n;

    if (p->tap == NULL || p->worker != 0)
        return 0;
    n = io_port_receive(p->tap, 0, burst, PUNT_ROUND);
    for (unsigned i = 0; i < n; i++)
        stack_inject(s, iface, burst[i], now);
    COUNTER_ADD(p->counters.punt_received, n);
    return n;
}
