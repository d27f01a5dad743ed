/*
 * Theory of operation: this is where the modules are joined. The firewall becomes the stack's
 * ingress hook; each port gets a scheduler, which is the interface's egress hook above and sends to
 * the port below; the policy's interfaces and routes become the stack's. No module knows another
 * one or the policy.
 */
#include "appliance/worker_setup.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include <stdlib.h>
#include <string.h>

static int setup_data_pool(struct worker *w, struct error *e)
{
    w->data_pool = io_data_pool_create(w->config.index, w->config.memory->data_mbufs, e);
    return w->data_pool != NULL ? 0 : -1;
}

/* For the firewall's default; it is built before the stack, and asks when packets come. */
static bool is_expected(void *ctx, const struct packet *segment)
{
    const struct worker *w = ctx;

    return stack_expects(w->stack, segment);
}

static int setup_firewall(struct worker *w, struct error *e)
{
    struct ip_addr own[STACK_MAX_IFACES * STACK_IFACE_ADDRS];
    const char *interfaces[STACK_MAX_IFACES];
    struct firewall_config config = {
        .own = own,
        .interfaces = interfaces,
        .interface_count = w->config.ports->count,
        .ruleset = w->config.ruleset,
        .limits = w->config.limits,
        .expected = is_expected,
        .expected_ctx = w,
        .name = w->name,
    };
    unsigned count = 0;

    for (unsigned i = 0; i < w->config.ports->count; i++) {
        const struct port *p = &w->config.ports->port[i];

        interfaces[i] = p->name;

        for (unsigned a = 0; a < p->addr_count; a++)
            own[count++] = p->addrs[a].addr;
    }
    config.own_count = count;
    w->firewall = firewall_create(&config, e);
    return w->firewall != NULL ? 0 : -1;
}

static uint16_t port_send_captured(const struct worker_port *p, struct rte_mbuf **frames,
                                   uint16_t count)
{
    unsigned done = 0, sent, n;

    do {
        n = RTE_MIN(count - done, (unsigned)CAPTURE_OFFER);
        capture_offered(p->capture, p->index, frames + done, n);
        sent = io_port_transmit(p->io, p->worker, frames + done, n);
        capture_sent(p->capture, sent);
        done += sent;
    } while (sent == n && done < count);
    return (uint16_t)done;
}

static uint16_t port_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    const struct worker_port *p = ctx;

    if (unlikely(p->capture != NULL))
        return port_send_captured(p, frames, count);
    return (uint16_t)io_port_transmit(p->io, p->worker, frames, count);
}

static int setup_schedulers(struct worker *w, struct error *e)
{
    for (unsigned i = 0; i < w->config.ports->count; i++) {
        struct worker_port *p = &w->port[i];
        struct scheduler_config config = {
            .shaper = w->config.snapshot->classes->shaper[i], .send = port_send, .send_ctx = p};

        p->io = w->config.ports->port[i].io;
        p->worker = w->config.index;
        p->index = i;
        p->scheduler = scheduler_create(&config, e);
        if (p->scheduler == NULL)
            return -1;
    }
    return 0;
}

static bool owns_flow(void *ctx, const struct ip_endpoint *remote, const struct ip_endpoint *local)
{
    const struct worker *w = ctx;
    const struct port *p = ports_of_address(w->config.ports, &local->addr);

    return io_port_worker_of(p->io, remote, local) == w->config.index;
}

static struct stack_tcp_config tcp_config(const struct policy_tcp *tcp)
{
    static const enum stack_congestion congestion[] = {
        [POLICY_CUBIC] = STACK_CUBIC,
        [POLICY_NEW_RENO] = STACK_NEWRENO,
    };
    static const enum stack_ecn ecn[] = {
        [POLICY_ECN_PASSIVE] = STACK_ECN_PASSIVE,
        [POLICY_ECN_ACTIVE] = STACK_ECN_ACTIVE,
        [POLICY_ECN_OFF] = STACK_ECN_OFF,
    };
    static const enum stack_mtu_probing mtu_probing[] = {
        [POLICY_MTU_PROBING_BLACK_HOLE] = STACK_MTU_PROBING_BLACK_HOLE,
        [POLICY_MTU_PROBING_ALWAYS] = STACK_MTU_PROBING_ALWAYS,
        [POLICY_MTU_PROBING_OFF] = STACK_MTU_PROBING_OFF,
    };

    return (struct stack_tcp_config){
        .congestion = congestion[tcp->congestion],
        .ecn = ecn[tcp->ecn],
        .mtu_probing = mtu_probing[tcp->mtu_probing],
        .pacing_off = !tcp->pacing,
        .sack_off = !tcp->sack,
        .timestamps_off = !tcp->timestamps,
        .initial_window = tcp->initial_window,
        .rto_min = tcp->min_rto,
        .delayed_ack = tcp->delayed_ack,
        .receive_buffer_max = (uint32_t)tcp->receive_buffer_max,
        .send_buffer_max = (uint32_t)tcp->send_buffer_max,
        .fin_wait_2 = tcp->fin_wait,
        .orphans_max = tcp->max_orphans,
        .syn_retries = tcp->syn_retries,
        .synack_retries = tcp->synack_retries,
    };
}

static void pass(void *ctx, unsigned iface, struct rte_mbuf *frame)
{
    const struct worker *w = ctx;

    io_port_pass(w->config.ports->port[iface].io, w->config.index, frame);
}

static int setup_stack(struct worker *w, struct error *e)
{
    struct stack_config config = {
        .name = "stack",
        .max_connections = w->config.memory->connections,
        .max_buffers = w->config.memory->buffers,
        .data_pool = w->data_pool,
        .fragments = w->config.snapshot->policy->fragments == POLICY_FRAGMENTS_DROP
                         ? STACK_FRAGMENTS_DROP
                         : STACK_FRAGMENTS_REASSEMBLE,
        .fragment_buffers = MEMORY_FRAGMENT_BUFFERS,
        .owns_flow = w->config.worker_count > 1 ? owns_flow : NULL,
        .pass = w->config.worker_count > 1 ? pass : NULL,
        .owns_flow_ctx = w,
        .ingress = firewall_ingress,
        .ingress_ctx = w->firewall,
        .time_wait = w->config.snapshot->policy->tcp.time_wait,
        .tcp = tcp_config(&w->config.snapshot->policy->tcp),
    };

    memcpy(config.secret, w->config.secrets->stack, sizeof config.secret);
    w->stack = stack_create(&config, clock_now(), e);
    explicit_bzero(config.secret, sizeof config.secret);
    return w->stack != NULL ? 0 : -1;
}

static int setup_iface(struct worker *w, unsigned index, struct error *e)
{
    const struct port *p = &w->config.ports->port[index];
    struct stack_iface_config config = {
        .name = p->name,
        .mtu = p->mtu,
        .vlan = p->vlan,
        .offloads = p->facts.offloads,
        .tx_pool = io_port_tx_pool(p->io, w->config.index),
        .egress = scheduler_egress(w->port[index].scheduler),
        .addr_count = p->addr_count,
        .router_advertisements = p->router_advertisements,
        .follower = w->config.index > 0,
    };

    w->port[index].punt = (struct punt){.tap = p->tap, .worker = w->config.index};
    if (p->tap != NULL) {
        config.punt = punt_frame;
        config.punt_ctx = &w->port[index].punt;
    }

    memcpy(config.mac, p->facts.mac, sizeof config.mac);
    memcpy(config.addrs, p->addrs, sizeof config.addrs);
    return stack_iface_add(w->stack, &config, e) < 0 ? -1 : 0;
}

static int setup_routes(struct worker *w, struct error *e)
{
    const struct policy *policy = w->config.snapshot->policy;
    char text[IP_TEXT_MAX];

    for (unsigned i = 0; i < policy->route_count; i++) {
        struct stack_route route = {.to = policy->routes[i].to, .via = policy->routes[i].via};

        if (policy->routes[i].interface != NULL) /* ports are in the order of the policy's */
            route.iface = (unsigned)(policy->routes[i].interface - policy->interfaces);
        if (stack_route_add(w->stack, &route, e) < 0)
            return error_prefix(e, "route to %s", ip_prefix_format(&route.to, text));
    }
    return 0;
}

static int setup_network(struct worker *w, struct error *e)
{
    if (setup_stack(w, e) < 0)
        return -1;
    for (unsigned i = 0; i < w->config.ports->count; i++) {
        if (setup_iface(w, i, e) < 0)
            return -1;
    }
    return setup_routes(w, e);
}

static void session_ended(void *ctx, const struct proxy_record *record)
{
    const struct worker *w = ctx;

    session_log_ended(session_log_lane(w->config.session_log, w->config.index), record);
}

static bool connection_opened(void *ctx, const struct packet_label *label,
                              const struct ip_addr *source, uint64_t *handle)
{
    const struct worker *w = ctx;

    return firewall_connection_opened(w->firewall, label, source, handle);
}

static void connection_closed(void *ctx, uint64_t handle)
{
    const struct worker *w = ctx;

    firewall_connection_closed(w->firewall, handle);
}

static bool handshake_allowed(void *ctx, const struct packet_label *label,
                              const struct ip_addr *source, clock_ns now)
{
    const struct worker *w = ctx;

    return firewall_handshake_allowed(w->firewall, label, source, now);
}

static int setup_proxy(struct worker *w, struct error *e)
{
    struct proxy_config config = {
        .stack = w->stack,
        .max_sessions = w->config.memory->sessions,
        .name = w->name,
        .worker = w->config.index,
        .workers = w->config.worker_count,
        .hooks = {.ctx = w,
                  .opened = connection_opened,
                  .closed = connection_closed,
                  .handshake = handshake_allowed,
                  .ended = session_ended},
    };

    w->proxy = proxy_create(&config, e);
    return w->proxy != NULL ? 0 : -1;
}

static int setup_snapshot(struct worker *w, struct error *e)
{
    struct worker_snapshot *ws = worker_snapshot_create(
        w->config.snapshot, w->tls, w->config.secrets->ticket, &w->snapshots, e);

    if (ws == NULL)
        return -1;
    if (proxy_apply(w->proxy, &ws->proxy, e) < 0) {
        worker_snapshot_destroy(ws);
        return -1;
    }
    w->classes = ws->shared->classes;
    return 0;
}

int worker_setup(struct worker *w, struct error *e)
{
    if (io_worker_enter(w->config.cpu, w->config.numa_node, e) < 0)
        return error_prefix(e, "%s", w->name);
    w->entered = true;
    w->tls = tls_worker_create(e);
    if (w->tls == NULL || setup_data_pool(w, e) < 0 || setup_firewall(w, e) < 0 ||
        setup_schedulers(w, e) < 0 || setup_network(w, e) < 0 || setup_proxy(w, e) < 0 ||
        setup_snapshot(w, e) < 0) {
        worker_teardown(w);
        return error_prefix(e, "%s", w->name);
    }
    return 0;
}

void worker_teardown(struct worker *w)
{
    if (w->proxy != NULL)
        proxy_destroy(w->proxy);
    worker_snapshot_collect(&w->snapshots);
    rule_hits_free(&w->snapshots.hits);
    if (w->stack != NULL)
        stack_destroy(w->stack);
    for (unsigned i = 0; i < w->config.ports->count; i++) {
        if (w->port[i].scheduler != NULL)
            scheduler_destroy(w->port[i].scheduler);
    }
    if (w->firewall != NULL)
        firewall_destroy(w->firewall);
    if (w->tls != NULL)
        tls_worker_destroy(w->tls);
    if (w->entered)
        io_worker_leave();
}
