/*
 * Links. A packet waits for the rate of its link, in a queue of so many packets; then chance drops
 * it, delays it, doubles it or changes a byte. What is on its way is in a heap by the time of its
 * arrival.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "tests/sim/sim_internal.h"

/* ---- frames on their way: a binary heap by time ---- */

static bool earlier(const struct sim_frame *a, const struct sim_frame *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct sim *s, struct sim_frame f)
{
    size_t i = s->frames++;

    if (s->frames > s->room) {
        s->room = s->room != 0 ? s->room * 2 : 256;
        s->heap = realloc(s->heap, s->room * sizeof *s->heap);
        assert(s->heap != NULL);
    }
    while (i > 0 && earlier(&f, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = f;
}

struct sim_frame sim_wire_next(struct sim *s)
{
    struct sim_frame top = s->heap[0], last = s->heap[--s->frames];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= s->frames)
            break;
        if (child + 1 < s->frames && earlier(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!earlier(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

static bool chance(struct sim *s, uint32_t per_million)
{
    return per_million > 0 && sim_random(s, 1000000) < per_million;
}

uint8_t *sim_wire_schedule(struct sim *s, struct sim_host *to, unsigned iface, clock_ns at,
                           const uint8_t *bytes, uint32_t len)
{
    struct sim_frame f = {.at = at, .order = s->order++, .to = to, .iface = iface, .len = len};

    f.bytes = malloc(len);
    assert(f.bytes != NULL);
    memcpy(f.bytes, bytes, len);
    heap_push(s, f);
    return f.bytes;
}

static void arrive(struct sim_port *p, clock_ns at, const uint8_t *bytes, uint32_t len)
{
    struct sim *s = p->host->sim;
    uint8_t *copy = sim_wire_schedule(s, p->peer, p->peer_index, at, bytes, len);

    if (chance(s, p->path.corrupt)) {
        copy[sim_random(s, len)] ^= (uint8_t)(1 + sim_random(s, 255));
        p->stats.corrupted++;
    }
}

/* Says "congestion experienced" where the packet says that its ends understand. Returns whether it
 * does. */
static bool mark(uint8_t *frame)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + RTE_ETHER_HDR_LEN);
    bool v6 = frame[12] == 0x86;
    unsigned shift = v6 ? 4 : 0;

    if ((frame[15] >> shift & 3) == 0)
        return false;
    frame[15] |= (uint8_t)(3 << shift);
    if (!v6) {
        ip->hdr_checksum = 0;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
    return true;
}

/* The time that so many full packets take. */
static clock_ns packets_time(const struct sim_path *path, uint32_t packets)
{
    return (clock_ns)packets * 1514 * 8 * CLOCK_SEC / path->rate;
}

/* The time from which the link is free for a packet; CLOCK_NEVER: its queue is full. */
static clock_ns queue(struct sim_port *p, uint8_t *bytes, uint32_t len)
{
    const struct sim_path *path = &p->path;
    clock_ns now = p->host->sim->now, wait = p->busy_until > now ? p->busy_until - now : 0;

    if (path->rate == 0)
        return now;
    if (wait > packets_time(path, path->queue != 0 ? path->queue : 1000)) {
        p->stats.overflown++;
        return CLOCK_NEVER;
    }
    if (path->ecn_mark != 0 && wait > packets_time(path, path->ecn_mark))
        p->stats.marked += mark(bytes);
    p->busy_until = now + wait + (clock_ns)len * 8 * CLOCK_SEC / path->rate;
    return p->busy_until;
}

/* Does the link drop a packet that it has sent at `start`? */
static bool dropped(struct sim_port *p, const uint8_t *bytes, uint32_t len, clock_ns start)
{
    const struct sim_path *path = &p->path;

    if (chance(p->host->sim, path->loss)) {
        p->stats.lost++;
        return true;
    }
    if (path->mtu == 0 || len <= path->mtu + (uint32_t)RTE_ETHER_HDR_LEN)
        return false;
    p->stats.too_big++;
    if (path->mtu_kind != SIM_MTU_SILENT)
        sim_router_too_big(p, bytes, len, start + path->delay);
    return true;
}

void sim_wire_send(struct sim_port *p, uint8_t *bytes, uint32_t len)
{
    struct sim *s = p->host->sim;
    const struct sim_path *path = &p->path;
    clock_ns at = queue(p, bytes, len);
    bool lost = at == CLOCK_NEVER || dropped(p, bytes, len, at);

    p->stats.sent++;
    if (s->tap != NULL)
        s->tap(s->tap_ctx, p->host, bytes, len, lost, s->now);
    if (lost)
        return;
    at += path->delay + (path->jitter > 0 ? sim_random(s, (uint32_t)path->jitter) : 0);
    if (chance(s, path->reorder)) {
        at += sim_random(s, (uint32_t)(path->delay + 3 * CLOCK_MS));
        p->stats.reordered++;
    }
    arrive(p, at, bytes, len);
    if (chance(s, path->duplicate)) {
        arrive(p, at + sim_random(s, (uint32_t)CLOCK_MS), bytes, len);
        p->stats.duplicated++;
    }
}
