#include "tests/sim/sim_internal.h"

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

#define SIM_BURST     32
#define SIM_POOL_SIZE 98303
#define SIM_START     (1000 * CLOCK_SEC) /* not zero: code must not take zero for "never" */

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

static uint16_t port_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    struct sim_port *p = ctx;
    uint16_t n = count;

    /* A device takes fewer frames than offered now and then. */
    if (sim_random(p->host->sim, 50) == 0)
        n = (uint16_t)sim_random(p->host->sim, count + 1u);
    for (uint16_t i = 0; i < n; i++)
        sim_device_send(p, frames[i]);
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
    struct sim_port *p = &h->port[h->ports];
    struct error e = {0};
    struct scheduler_config sched = {.send = port_send, .send_ctx = p};
    struct stack_iface_config ic = {.name = h->name,
                                    .mtu = h->mtu,
                                    .offloads = h->offloads,
                                    .tx_pool = sim_pool,
                                    .addr_count = 1};
    unsigned host_index = (unsigned)(h - h->sim->host);

    assert(h->ports < SIM_MAX_IFACES);
    *p = (struct sim_port){
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
    struct sim_port *p = &h->port[iface];
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
    sim_wire_schedule(s, to, iface, s->now, frame, len);
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
static struct rte_mbuf *mbuf_exact(struct sim_frame *f)
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
static struct rte_mbuf *mbuf_plain(struct sim *s, struct sim_frame *f)
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
    assert(head != NULL); /* no frame is empty */
    head->pkt_len = f->len;
    head->nb_segs = segs;
    free(f->bytes);
    return head;
}

static void deliver_due(struct sim *s)
{
    while (s->frames > 0 && s->heap[0].at <= s->now) {
        struct sim_frame f = sim_wire_next(s);
        struct rte_mbuf *burst[SIM_BURST];
        struct sim_host *to = f.to;
        unsigned iface = f.iface, n = 0;

        for (;;) {
            burst[n++] = sim_random(s, 4) == 0 ? mbuf_plain(s, &f) : mbuf_exact(&f);
            if (n == SIM_BURST || s->frames == 0 || s->heap[0].at > s->now || s->heap[0].to != to ||
                s->heap[0].iface != iface)
                break;
            f = sim_wire_next(s);
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
