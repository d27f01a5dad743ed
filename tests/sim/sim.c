#include "tests/sim/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "base/error.h"
#include "scheduler/scheduler.h"

#define SIM_MAX_HOSTS  16
#define SIM_MAX_IFACES 4
#define SIM_BURST      32
#define SIM_POOL_SIZE  98303
#define SIM_START      (1000 * CLOCK_SEC) /* not zero: code must not take zero for "never" */

struct frame {
    clock_ns at;
    uint64_t order; /* of sending: ties are delivered in this order */
    struct sim_host *to;
    unsigned iface;
    uint32_t len;
    uint8_t *bytes;
};

struct port {
    struct sim_host *host, *peer;
    unsigned index, peer_index;
    struct sim_path path;
    struct sim_path_stats stats;
    struct scheduler *scheduler;
    struct scheduler_shaper *shaper;
    clock_ns busy_until; /* of the rate limit */
    uint32_t offloads;
};

struct sim_host {
    struct sim *sim;
    char name[32];
    struct stack *stack;
    struct port port[SIM_MAX_IFACES];
    unsigned ports;
    uint16_t mtu;
    uint32_t offloads;
    sim_app *app;
    void *app_ctx;
    clock_ns app_deadline;
};

struct sim {
    uint64_t random;
    clock_ns now;
    uint64_t order;
    struct sim_host host[SIM_MAX_HOSTS];
    unsigned hosts;
    struct frame *heap;
    size_t frames, room;
    sim_tap *tap;
    void *tap_ctx;
};

static struct rte_mempool *sim_pool, *sim_attach_pool;

uint64_t sim_mix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t sim_random(struct sim *s, uint32_t n)
{
    return (uint32_t)(sim_mix(&s->random) % n);
}

static bool chance(struct sim *s, uint32_t per_million)
{
    return per_million > 0 && sim_random(s, 1000000) < per_million;
}

void sim_setup(void)
{
    char *argv[] = {"sim", "--no-huge", "--no-pci",       "--no-shconf",       "-m", "512",
                    "-l",  "0",         "--no-telemetry", "--log-level=error", NULL};

    if (rte_eal_init((int)(sizeof argv / sizeof argv[0]) - 1, argv) < 0) {
        fprintf(stderr, "sim: EAL does not start\n");
        exit(2);
    }
    sim_pool = rte_pktmbuf_pool_create("sim", SIM_POOL_SIZE, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    sim_attach_pool = rte_pktmbuf_pool_create("sim_attach", SIM_POOL_SIZE, 256, 0, 0, 0);
    if (sim_pool == NULL || sim_attach_pool == NULL) {
        fprintf(stderr, "sim: no memory for mbufs\n");
        exit(2);
    }
}

void sim_teardown(void)
{
    rte_mempool_free(sim_pool);
    rte_mempool_free(sim_attach_pool);
    rte_eal_cleanup();
}

uint32_t sim_mbufs_in_use(void)
{
    return rte_mempool_in_use_count(sim_pool) + rte_mempool_in_use_count(sim_attach_pool);
}

struct sim *sim_create(uint64_t seed)
{
    struct sim *s = calloc(1, sizeof *s);

    assert(s != NULL);
    s->random = seed;
    s->now = SIM_START + sim_random(s, 1000000000);
    return s;
}

void sim_destroy(struct sim *s)
{
    for (unsigned h = 0; h < s->hosts; h++) {
        stack_destroy(s->host[h].stack);
        for (unsigned i = 0; i < s->host[h].ports; i++) {
            scheduler_destroy(s->host[h].port[i].scheduler);
            scheduler_shaper_destroy(s->host[h].port[i].shaper);
        }
    }
    for (size_t i = 0; i < s->frames; i++)
        free(s->heap[i].bytes);
    free(s->heap);
    free(s);
}

/* ---- frames on their way: a binary heap by time ---- */

static bool earlier(const struct frame *a, const struct frame *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct sim *s, struct frame f)
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

static struct frame heap_pop(struct sim *s)
{
    struct frame top = s->heap[0], last = s->heap[--s->frames];
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

static void schedule(struct sim *s, struct port *p, clock_ns at, const uint8_t *bytes, uint32_t len)
{
    struct frame f = {
        .at = at, .order = s->order++, .to = p->peer, .iface = p->peer_index, .len = len};

    f.bytes = malloc(len);
    assert(f.bytes != NULL);
    memcpy(f.bytes, bytes, len);
    if (chance(s, p->path.corrupt)) {
        f.bytes[sim_random(s, len)] ^= (uint8_t)(1 + sim_random(s, 255));
        p->stats.corrupted++;
    }
    heap_push(s, f);
}

/* A router's word on a packet that its next link does not take (RFC 792, RFC 1191, 4). */
static void tell_too_big(struct port *p, const uint8_t *bytes, clock_ns at)
{
    enum { QUOTE = 28, L3 = RTE_ETHER_HDR_LEN, LEN = L3 + 20 + 8 + QUOTE };
    struct frame f = {
        .at = at, .order = p->host->sim->order++, .to = p->host, .iface = p->index, .len = LEN};
    struct rte_ipv4_hdr *ip;
    uint8_t *icmp;

    f.bytes = calloc(1, LEN);
    assert(f.bytes != NULL);
    memcpy(f.bytes, bytes + 6, 6);
    memcpy(f.bytes + 6, bytes, 6);
    memcpy(f.bytes + 12, bytes + 12, 2);
    ip = (struct rte_ipv4_hdr *)(void *)(f.bytes + L3);
    *ip = (struct rte_ipv4_hdr){.version_ihl = 0x45, .time_to_live = 64, .next_proto_id = 1};
    ip->total_length = rte_cpu_to_be_16(LEN - L3);
    ip->src_addr = RTE_BE32(RTE_IPV4(198u, 51, 100, 1));
    memcpy(&ip->dst_addr, bytes + L3 + 12, 4);
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    icmp = f.bytes + L3 + 20;
    icmp[0] = 3; /* unreachable: fragmentation needed and DF set */
    icmp[1] = 4;
    if (p->path.mtu_kind == SIM_MTU_TOLD) {
        icmp[6] = (uint8_t)(p->path.mtu >> 8);
        icmp[7] = (uint8_t)p->path.mtu;
    }
    memcpy(icmp + 8, bytes + L3, QUOTE);
    memcpy(icmp + 2, &(uint16_t){(uint16_t)~rte_raw_cksum(icmp, 8 + QUOTE)}, 2);
    heap_push(p->host->sim, f);
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

/* One packet on the wire: waits for the rate, then takes its chances. */
static void wire_send(struct port *p, uint8_t *bytes, uint32_t len)
{
    struct sim *s = p->host->sim;
    const struct sim_path *path = &p->path;
    clock_ns start = s->now, at;

    p->stats.sent++;
    if (s->tap != NULL)
        s->tap(s->tap_ctx, p->host, bytes, len, s->now);
    if (path->rate != 0) {
        clock_ns each = (clock_ns)len * 8 * CLOCK_SEC / path->rate;
        uint32_t queue = path->queue != 0 ? path->queue : 1000;

        if (p->busy_until > s->now)
            start = p->busy_until;
        if (start - s->now > packets_time(path, queue)) {
            p->stats.overflown++;
            return;
        }
        if (path->ecn_mark != 0 && start - s->now > packets_time(path, path->ecn_mark))
            p->stats.marked += mark(bytes);
        p->busy_until = start + each;
        start = p->busy_until;
    }
    if (chance(s, path->loss)) {
        p->stats.lost++;
        return;
    }
    if (path->mtu != 0 && len > path->mtu + (uint32_t)RTE_ETHER_HDR_LEN) {
        p->stats.too_big++;
        if (path->mtu_kind != SIM_MTU_SILENT)
            tell_too_big(p, bytes, start + path->delay);
        return;
    }
    at = start + path->delay + (path->jitter > 0 ? sim_random(s, (uint32_t)path->jitter) : 0);
    if (chance(s, path->reorder)) {
        at += sim_random(s, (uint32_t)(path->delay + 3 * CLOCK_MS));
        p->stats.reordered++;
    }
    schedule(s, p, at, bytes, len);
    if (chance(s, path->duplicate)) {
        schedule(s, p, at + sim_random(s, (uint32_t)CLOCK_MS), bytes, len);
        p->stats.duplicated++;
    }
}

/* ---- the device: does in software what the stack left to it ---- */

static bool is_ipv6(const uint8_t *l3)
{
    return l3[0] >> 4 == 6;
}

/* Bytes of IP header and payload, as the header has it. */
static uint32_t ip_length(const uint8_t *l3)
{
    return is_ipv6(l3) ? 40u + (uint32_t)(l3[4] << 8 | l3[5]) : (uint32_t)(l3[2] << 8 | l3[3]);
}

static void ip_length_set(uint8_t *l3, uint32_t len)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)l3;

    if (is_ipv6(l3)) {
        ((struct rte_ipv6_hdr *)(void *)l3)->payload_len = rte_cpu_to_be_16((uint16_t)(len - 40));
        return;
    }
    ip->total_length = rte_cpu_to_be_16((uint16_t)len);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void finish_checksums(uint8_t *frame, const struct rte_mbuf *m)
{
    uint8_t *l3 = frame + m->l2_len;

    if ((m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
        ip_length_set(l3, ip_length(l3));
    if ((m->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)) != 0) {
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(l3 + m->l3_len);
        uint32_t sum = rte_raw_cksum(tcp, ip_length(l3) - m->l3_len);

        /* the pseudo-header's sum is in the field */
        sum = (sum & 0xffff) + (sum >> 16);
        tcp->cksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
    }
}

static void segment(struct port *p, const struct rte_mbuf *m, const uint8_t *frame, uint32_t len)
{
    uint32_t header = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);
    uint8_t out[9100 + 64];

    for (uint32_t done = 0; header + done < len; done += m->tso_segsz) {
        uint32_t n = len - header - done < m->tso_segsz ? len - header - done : m->tso_segsz;
        uint8_t *l3 = out + m->l2_len;
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(l3 + m->l3_len);

        memcpy(out, frame, header);
        memcpy(out + header, frame + header + done, n);
        ip_length_set(l3, header - m->l2_len + n);
        tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + done);
        if (header + done + n < len)
            tcp->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
        tcp->cksum = 0;
        tcp->cksum = is_ipv6(l3) ? rte_ipv6_udptcp_cksum((const void *)l3, tcp)
                                 : rte_ipv4_udptcp_cksum((const void *)l3, tcp);
        wire_send(p, out, header + n);
    }
}

static void device_send(struct port *p, struct rte_mbuf *m)
{
    static uint8_t frame[70000];
    uint32_t len = m->pkt_len;
    const uint8_t *bytes = rte_pktmbuf_read(m, 0, len, frame);

    assert(len <= sizeof frame && bytes != NULL);
    assert(m->nb_segs == 1 || (p->offloads & STACK_TX_MULTI_SEGMENT) != 0);
    if (bytes != frame)
        memcpy(frame, bytes, len);
    if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0) {
        assert((p->offloads & STACK_TX_TCP_SEGMENT) != 0);
        segment(p, m, frame, len);
    } else {
        assert(len <= (uint32_t)p->host->mtu + RTE_ETHER_HDR_LEN);
        finish_checksums(frame, m);
        wire_send(p, frame, len);
    }
    rte_pktmbuf_free(m);
}

static uint16_t port_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    struct port *p = ctx;
    uint16_t n = count;

    /* A device takes fewer frames than offered now and then. */
    if (sim_random(p->host->sim, 50) == 0)
        n = (uint16_t)sim_random(p->host->sim, count + 1u);
    for (uint16_t i = 0; i < n; i++)
        device_send(p, frames[i]);
    return n;
}

/* ---- hosts ---- */

struct sim_host *sim_host_add(struct sim *s, const struct sim_host_config *config)
{
    struct sim_host *h = &s->host[s->hosts++];
    struct error e = {0};
    struct stack_config sc = {
        .name = config->name,
        .max_connections = config->max_connections != 0 ? config->max_connections : 1024,
        .max_buffers = config->max_buffers != 0 ? config->max_buffers : 32768,
        .data_pool = sim_pool,
        .time_wait = config->time_wait,
        .tcp = config->tcp,
        .ingress = config->ingress,
        .ingress_ctx = config->ingress_ctx,
    };

    assert(s->hosts <= SIM_MAX_HOSTS);
    for (unsigned i = 0; i < sizeof sc.secret; i++)
        sc.secret[i] = (uint8_t)sim_random(s, 256);
    h->sim = s;
    h->mtu = config->mtu != 0 ? config->mtu : 1500;
    h->offloads = config->offloads;
    h->app_deadline = CLOCK_NEVER;
    snprintf(h->name, sizeof h->name, "%s", config->name);
    h->stack = stack_create(&sc, s->now, &e);
    if (h->stack == NULL) {
        fprintf(stderr, "sim: %s\n", e.text);
        exit(2);
    }
    return h;
}

void sim_host_app(struct sim_host *h, sim_app *app, void *ctx)
{
    h->app = app;
    h->app_ctx = ctx;
    h->app_deadline = h->sim->now;
}

struct stack *sim_host_stack(struct sim_host *h)
{
    return h->stack;
}

static void port_add(struct sim_host *h, const char *addr, struct sim_host *peer,
                     const struct sim_path *path)
{
    struct port *p = &h->port[h->ports];
    struct error e = {0};
    struct scheduler_config sched = {.send = port_send, .send_ctx = p};
    struct stack_iface_config ic = {.name = h->name,
                                    .mtu = h->mtu,
                                    .offloads = h->offloads,
                                    .tx_pool = sim_pool,
                                    .addr_count = 1};
    unsigned host_index = (unsigned)(h - h->sim->host);

    assert(h->ports < SIM_MAX_IFACES);
    *p = (struct port){
        .host = h, .peer = peer, .index = h->ports, .path = *path, .offloads = h->offloads};
    ic.mac[0] = 0x02;
    ic.mac[4] = (uint8_t)host_index;
    ic.mac[5] = (uint8_t)h->ports;
    p->scheduler = scheduler_create(&sched, &e);
    assert(p->scheduler != NULL);
    ic.egress = scheduler_egress(p->scheduler);
    if (ip_prefix_parse(addr, &ic.addrs[0]) < 0 || stack_iface_add(h->stack, &ic, &e) < 0) {
        fprintf(stderr, "sim: %s %s: %s\n", h->name, addr, e.text);
        exit(2);
    }
    h->ports++;
}

int sim_link(struct sim *s, struct sim_host *a, const char *a_addr, struct sim_host *b,
             const char *b_addr, const struct sim_path *a_to_b, const struct sim_path *b_to_a)
{
    unsigned ai = a->ports, bi = b->ports;

    (void)s;
    port_add(a, a_addr, b, a_to_b);
    port_add(b, b_addr, a, b_to_a);
    a->port[ai].peer_index = bi;
    b->port[bi].peer_index = ai;
    return (int)ai;
}

void sim_path_set(struct sim_host *from, unsigned iface, const struct sim_path *path)
{
    from->port[iface].path = *path;
}

const struct sim_path_stats *sim_path_stats(const struct sim_host *from, unsigned iface)
{
    return &from->port[iface].stats;
}

void sim_shape(struct sim_host *h, unsigned iface, const struct scheduler_shaper_config *config)
{
    struct port *p = &h->port[iface];
    struct error e = {0};
    struct scheduler_shaper *next = scheduler_shaper_create(config, h->sim->now, &e);

    if (next == NULL || scheduler_apply(p->scheduler, next, &e) < 0) {
        fprintf(stderr, "sim: %s: %s\n", h->name, e.text);
        exit(2);
    }
    scheduler_shaper_destroy(p->shaper);
    p->shaper = next;
}

void sim_route(struct sim_host *h, const char *to, const char *via)
{
    struct stack_route r;
    struct error e = {0};

    if (ip_prefix_parse(to, &r.to) < 0 || ip_parse(via, &r.via) < 0 ||
        stack_route_add(h->stack, &r, &e) < 0) {
        fprintf(stderr, "sim: route %s via %s: %s\n", to, via, e.text);
        exit(2);
    }
}

void sim_inject(struct sim *s, struct sim_host *to, unsigned iface, const void *frame, uint32_t len)
{
    struct port way = {.peer = to, .peer_index = iface};

    schedule(s, &way, s->now, frame, len);
}

void sim_tap_set(struct sim *s, sim_tap *tap, void *ctx)
{
    s->tap = tap;
    s->tap_ctx = ctx;
}

clock_ns sim_now(const struct sim *s)
{
    return s->now;
}

/* ---- delivery ---- */

struct exact {
    struct rte_mbuf_ext_shared_info shinfo;
    uint8_t *bytes;
};

static void exact_free(void *addr, void *opaque)
{
    struct exact *x = opaque;

    (void)addr;
    free(x->bytes);
    free(x);
}

/* Hands the frame's own allocation to an mbuf: nothing lies behind its last byte. */
static struct rte_mbuf *mbuf_exact(struct frame *f)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(sim_attach_pool);
    struct exact *x = malloc(sizeof *x);

    assert(m != NULL && x != NULL);
    x->bytes = f->bytes;
    x->shinfo.free_cb = exact_free;
    x->shinfo.fcb_opaque = x;
    rte_mbuf_ext_refcnt_set(&x->shinfo, 1);
    rte_pktmbuf_attach_extbuf(m, f->bytes, RTE_BAD_IOVA, (uint16_t)f->len, &x->shinfo);
    m->data_off = 0;
    m->data_len = (uint16_t)f->len;
    m->pkt_len = f->len;
    return m;
}

/* The same in ordinary mbufs, sometimes more than one. */
static struct rte_mbuf *mbuf_plain(struct sim *s, struct frame *f)
{
    struct rte_mbuf *head = NULL, **at = &head;
    uint32_t done = 0;
    uint16_t segs = 0;

    while (done < f->len) {
        uint32_t n = f->len - done < 1800 ? f->len - done : 1800;

        if (n > 1 && sim_random(s, 8) == 0)
            n = 1 + sim_random(s, n);
        *at = rte_pktmbuf_alloc(sim_pool);
        assert(*at != NULL);
        memcpy(rte_pktmbuf_mtod(*at, void *), f->bytes + done, n);
        (*at)->data_len = (uint16_t)n;
        at = &(*at)->next;
        done += n;
        segs++;
    }
    head->pkt_len = f->len;
    head->nb_segs = segs;
    free(f->bytes);
    return head;
}

static void deliver_due(struct sim *s)
{
    while (s->frames > 0 && s->heap[0].at <= s->now) {
        struct frame f = heap_pop(s);
        struct rte_mbuf *burst[SIM_BURST];
        struct sim_host *to = f.to;
        unsigned iface = f.iface, n = 0;

        for (;;) {
            burst[n++] = sim_random(s, 4) == 0 ? mbuf_plain(s, &f) : mbuf_exact(&f);
            if (n == SIM_BURST || s->frames == 0 || s->heap[0].at > s->now || s->heap[0].to != to ||
                s->heap[0].iface != iface)
                break;
            f = heap_pop(s);
        }
        stack_input(to->stack, iface, burst, n, s->now);
    }
}

static clock_ns host_round(struct sim_host *h)
{
    struct sim *s = h->sim;
    clock_ns next, deadline;

    stack_input(h->stack, 0, NULL, 0, s->now); /* the application acts in this round's time */
    if (h->app != NULL)
        h->app_deadline = h->app(h->app_ctx, s->now);
    stack_flush(h->stack, s->now);
    for (unsigned i = 0; i < h->ports; i++)
        scheduler_flush(h->port[i].scheduler, s->now);
    next = stack_deadline(h->stack);
    for (unsigned i = 0; i < h->ports; i++) {
        deadline = scheduler_deadline(h->port[i].scheduler);
        next = deadline < next ? deadline : next;
    }
    return next < h->app_deadline ? next : h->app_deadline;
}

bool sim_run(struct sim *s, bool (*done)(void *ctx), void *ctx, clock_ns limit)
{
    clock_ns end = s->now + limit;

    for (;;) {
        clock_ns next = CLOCK_NEVER;

        deliver_due(s);
        for (unsigned i = 0; i < s->hosts; i++) {
            clock_ns at = host_round(&s->host[i]);

            next = at < next ? at : next;
        }
        if (done != NULL && done(ctx))
            return true;
        if (s->frames > 0 && s->heap[0].at < next)
            next = s->heap[0].at;
        if (next > end) {
            s->now = end;
            return false;
        }
        /* A round of a real worker takes time too. */
        s->now = next > s->now + 200 ? next : s->now + 200;
    }
}
