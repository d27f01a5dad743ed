/*
 * The packet path: bursts to and from the device, and through the rings between workers.
 *
 * With one worker a call goes straight to the driver. With more, a worker takes first what others
 * received for it (it is older), then reads its own queue if it has one and passes on what is not
 * its own. A burst of which nothing was its own is followed by another, a few times, so that an
 * owner that mostly distributes does not look idle to its loop.
 */
#include <rte_prefetch.h>

#include "stack/io/io_internal.h"

#define IO_BURST_ROUNDS 4

static void io_burst_prefetch(struct rte_mbuf *const *frames, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        rte_prefetch0(rte_pktmbuf_mtod(frames[i], void *));
}

static unsigned io_burst_read(const struct io_queue *q, struct rte_mbuf **out, unsigned max)
{
    unsigned n = rte_eth_rx_burst(q->ethdev, q->queue, out, (uint16_t)RTE_MIN(max, UINT16_MAX));

    io_burst_prefetch(out, n);
    return n;
}

/* The driver's own look at frames with offloads. One that it refuses would be refused for ever: it
 * is dropped, and counts as taken. Returns how many frames from the front are fit to send. */
static unsigned io_burst_prepare(struct io_lane *lane, struct rte_mbuf **frames, unsigned count)
{
    return rte_eth_tx_prepare(lane->own->ethdev, lane->own->queue, frames, (uint16_t)count);
}

unsigned io_burst_send(const struct io_port *p, struct io_lane *lane, struct rte_mbuf **frames,
                       unsigned count)
{
    unsigned done = 0;

    while (done < count) {
        unsigned want = RTE_MIN(count - done, UINT16_MAX);
        unsigned fit = p->tx_prepare ? io_burst_prepare(lane, frames + done, want) : want;
        unsigned sent =
            rte_eth_tx_burst(lane->own->ethdev, lane->own->queue, frames + done, (uint16_t)fit);

        done += sent;
        if (sent < fit) {
            COUNTER_ADD(lane->tx_refused, fit - sent);
            break;
        }
        if (fit < want) {
            rte_pktmbuf_free(frames[done++]);
            COUNTER_INC(lane->counters.io_tx_errors);
        }
    }
    return done;
}

static void io_burst_send_pending(const struct io_port *p, struct io_lane *lane)
{
    unsigned sent = io_burst_send(p, lane, lane->pending, lane->pending_count);

    lane->pending_count -= sent;
    for (unsigned i = 0; i < lane->pending_count; i++)
        lane->pending[i] = lane->pending[i + sent];
}

/* Sends what the workers without a queue have put into their rings. */
static void io_burst_serve_clients(const struct io_port *p, struct io_lane *lane)
{
    for (unsigned c = 0; c < lane->client_count; c++) {
        unsigned room = IO_BURST - lane->pending_count;

        lane->pending_count += rte_ring_sc_dequeue_burst(
            lane->clients[c], (void **)(lane->pending + lane->pending_count), room, NULL);
        if (lane->pending_count == IO_BURST)
            io_burst_send_pending(p, lane);
    }
    if (lane->pending_count > 0)
        io_burst_send_pending(p, lane);
}

static unsigned io_burst_receive_shared(struct io_port *p, unsigned worker, struct rte_mbuf **out,
                                        unsigned max)
{
    struct io_lane *lane = &p->lane[worker];
    unsigned n;

    /* Neither source may keep the other waiting: beside a queue the rings get half. */
    n = io_handoff_collect(p, worker, out, lane->own != NULL ? (max + 1) / 2 : max);
    io_burst_prefetch(out, n);
    if (lane->own == NULL)
        return n;
    io_burst_serve_clients(p, lane);
    for (unsigned round = 0; round < IO_BURST_ROUNDS && n < max; round++) {
        struct rte_mbuf *burst[IO_BURST];
        unsigned want = RTE_MIN(max - n, (unsigned)IO_BURST);
        unsigned got = io_burst_read(lane->own, burst, want);

        n += io_handoff_spread(p, worker, burst, got, out + n);
        if (got < want)
            break;
    }
    return n;
}

unsigned io_port_receive(struct io_port *p, unsigned worker, struct rte_mbuf **out, unsigned max)
{
    if (p->workers == 1)
        return io_burst_read(p->queue, out, max);
    return io_burst_receive_shared(p, worker, out, max);
}

unsigned io_port_transmit(struct io_port *p, unsigned worker, struct rte_mbuf **frames,
                          unsigned count)
{
    struct io_lane *lane = &p->lane[worker];

    if (lane->tx_ring != NULL)
        return rte_ring_sp_enqueue_burst(lane->tx_ring, (void *const *)frames, count, NULL);
    if (lane->client_count > 0)
        io_burst_serve_clients(p, lane);
    return io_burst_send(p, lane, frames, count);
}
