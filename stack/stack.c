/* One stack: the layers put together, and the way of a burst through them. */
#include "stack/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "stack/event.h"
#include "stack/stack_internal.h"
#include "stack/wire/wire.h"

#define STACK_BURST            64
#define STACK_FRAGMENT_BUFFERS 1024

static uint32_t fragment_buffers(const struct stack_config *config)
{
    return config->fragment_buffers != 0 ? config->fragment_buffers : STACK_FRAGMENT_BUFFERS;
}

struct stack *stack_create(const struct stack_config *config, clock_ns now, struct error *e)
{
    struct stack *s = calloc(1, sizeof *s);
    struct siphash_key key;

    if (s == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    snprintf(s->name, sizeof s->name, "%s", config->name != NULL ? config->name : "stack");
    memcpy(&key, config->secret, sizeof key);
    s->ingress = config->ingress;
    s->ingress_ctx = config->ingress_ctx;
    s->owns_flow = config->owns_flow;
    s->owns_flow_ctx = config->owns_flow_ctx;
    s->pass = config->pass;
    s->now = now;
    s->net = net_create(&key, &s->counters, now, e);
    if (s->net == NULL)
        goto fail;
    if (config->fragments == STACK_FRAGMENTS_REASSEMBLE &&
        net_fragments_enable(s->net, fragment_buffers(config), s->ingress, s->ingress_ctx, e) != 0)
        goto fail;
    s->tcp = tcp_create(config, s->net, &s->counters, now, e);
    if (s->tcp == NULL)
        goto fail;
    return s;
fail:
    error_prefix(e, "%s", s->name);
    stack_destroy(s);
    return NULL;
}

void stack_destroy(struct stack *s)
{
    if (s == NULL)
        return;
    tcp_destroy(s->tcp);
    net_destroy(s->net);
    free(s);
}

int stack_iface_add(struct stack *s, const struct stack_iface_config *config, struct error *e)
{
    return net_iface_add(s->net, config, s->now, e);
}

int stack_route_add(struct stack *s, const struct stack_route *route, struct error *e)
{
    return net_route_add(s->net, route, e);
}

/* A frame of another VLAN is not the interface's, whatever is in it. */
static void vlan_check(struct packet *p, uint16_t vlan)
{
    if (p->vlan != vlan)
        p->drop = drop_vlan;
}

/* Parses a whole burst before the first packet is acted on: the reads of the headers overlap.
 * Returns whether there are fragments in it. */
static bool parse_burst(struct stack *s, unsigned iface, struct rte_mbuf **frames, unsigned count,
                        struct packet *packets)
{
    uint16_t vlan = net_vlan(s->net, (uint8_t)iface);
    bool fragments = false;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++)
        rte_prefetch0(rte_pktmbuf_mtod(frames[i], void *));
    for (unsigned i = 0; i < count; i++) {
        packets[i].m = frames[i];
        packets[i].iface = (uint8_t)iface;
        bytes += frames[i]->pkt_len;
        wire_parse(&packets[i]);
        vlan_check(&packets[i], vlan);
        fragments |= packets[i].fragment;
    }
    COUNTER_ADD(s->counters.rx_packets, count);
    COUNTER_ADD(s->counters.rx_bytes, bytes);
    return fragments;
}

/* Fragments have no ports, so that all of them come to one worker, whoever's the flow is. */
static bool is_others(const struct stack *s, const struct packet *p)
{
    struct ip_endpoint remote = {p->src, p->sport}, local = {p->dst, p->dport};

    return p->reassembled && p->drop == DROP_NONE && p->kind == PACKET_TCP && s->pass != NULL &&
           !s->owns_flow(s->owns_flow_ctx, &remote, &local);
}

/* Whole packets in place of their fragments. Returns how many packets remain. */
static unsigned reassemble(struct stack *s, struct packet *packets, unsigned count, clock_ns now)
{
    unsigned kept = 0;

    count = net_fragments_input(s->net, packets, count, now);
    for (unsigned i = 0; i < count; i++) {
        if (is_others(s, &packets[i]))
            s->pass(s->owns_flow_ctx, packets[i].iface, packets[i].m);
        else
            packets[kept++] = packets[i];
    }
    return kept;
}

uint16_t stack_frame_vlan(const struct rte_mbuf *frame)
{
    return wire_ether_vlan(frame);
}

void stack_input(struct stack *s, unsigned iface, struct rte_mbuf **frames, unsigned count,
                 clock_ns now)
{
    struct packet packets[STACK_BURST];

    s->now = now;
    tcp_now_set(s->tcp, now);
    while (count > 0) {
        unsigned n = count < STACK_BURST ? count : STACK_BURST;
        unsigned left = n;

        if (parse_burst(s, iface, frames, n, packets))
            left = reassemble(s, packets, n, now);
        if (s->ingress != NULL)
            s->ingress(s->ingress_ctx, packets, left, now);
        tcp_prepare(s->tcp, packets, left);
        net_input(s->net, packets, left, now);
        frames += n;
        count -= n;
    }
}

void stack_flush(struct stack *s, clock_ns now)
{
    s->now = now;
    net_timers(s->net, now);
    tcp_flush(s->tcp, now);
    net_round_end(s->net);
}

clock_ns stack_deadline(const struct stack *s)
{
    clock_ns tcp = tcp_deadline(s->tcp), net = net_deadline(s->net);

    return tcp < net ? tcp : net;
}

bool stack_expects(const struct stack *s, const struct packet *segment)
{
    return tcp_expects(s->tcp, segment);
}

void stack_inject(struct stack *s, unsigned iface, struct rte_mbuf *frame, clock_ns now)
{
    s->now = now;
    net_inject(s->net, iface, frame);
}

clock_ns stack_now(const struct stack *s)
{
    return s->now;
}

bool event_next(struct stack *s, struct event *out)
{
    return tcp_event_next(s->tcp, out);
}

unsigned event_take(struct stack *s, struct event *out, unsigned max)
{
    unsigned n = 0;

    while (n < max && tcp_event_next(s->tcp, &out[n]))
        n++;
    return n;
}

const struct stack_counters *stack_counters(const struct stack *s)
{
    return &s->counters;
}

void stack_usage(const struct stack *s, struct stack_usage *out)
{
    tcp_usage(s->tcp, out);
    out->neighbours = net_neighbour_count(s->net);
    out->addresses_tentative = net_tentative_count(s->net);
}
