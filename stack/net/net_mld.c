/*
 * Which groups we listen to, told to the routers of the link (RFC 3810, as a listener only): a
 * switch that snoops on these reports forwards neighbour solicitations to no one else.
 *
 * The groups are those in which others ask for our addresses; all-nodes needs no report. They are
 * not kept in a list: the addresses say what they are. A report names them all, whatever was asked
 * for, and goes out twice when they change.
 */
#include "stack/net/net_internal.h"

#define ROBUSTNESS      2                 /* RFC 3810, 9.1 */
#define REPORT_INTERVAL (1 * CLOCK_SEC)   /* 9.11 */
#define ANSWER_INTERVAL (100 * CLOCK_MS)  /* of version 1 an answer is a report for each group */
#define V1_PRESENT      (260 * CLOCK_SEC) /* 9.12: Older Version Querier Present Timeout */

static const struct ip_addr all_nodes = {.b = {0xff, 2, [15] = 1}};
static const struct ip_addr all_listeners = {.b = {0xff, 2, [15] = 0x16}}; /* MLDv2 routers */

/* Each once; returns how many. */
static unsigned groups_of(const struct net_iface *iface, struct ip_addr out[NET_ADDR6_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];
        struct ip_addr group = net_nd_group(&a->addr);
        unsigned k = 0;

        while (k < count && !ip_equal(&out[k], &group))
            k++;
        if (k == count && a->state != NET_ADDR6_DUPLICATE)
            out[count++] = group;
    }
    return count;
}

bool net_mld_is_member(const struct net_iface *iface, const struct ip_addr *group)
{
    struct ip_addr groups[NET_ADDR6_MAX];
    unsigned count;

    if (!iface->ipv6.on)
        return false;
    if (ip_equal(group, &all_nodes))
        return true;
    count = groups_of(iface, groups);
    for (unsigned i = 0; i < count; i++) {
        if (ip_equal(group, &groups[i]))
            return true;
    }
    return false;
}

/* ---- reports ---- */

/* From the unspecified address while the link-local one is not ours yet (RFC 3590). */
static struct net_nd_frame report_frame(const struct net_iface *iface, const struct ip_addr *to)
{
    struct net_nd_frame f = {.dst = *to, .hop_limit = 1, .alert = true};

    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];

        if (a->origin == NET_ADDR6_LINK_LOCAL && net_addr6_usable(a))
            f.src = a->addr;
    }
    return f;
}

static void report_v1(struct net *n, struct net_iface *iface, const struct ip_addr *group)
{
    struct net_nd_frame to = report_frame(iface, group);
    struct rte_mbuf *m;
    uint8_t *out;

    m = net_nd_message(n, iface, WIRE_MLD_REPORT_V1_LEN, &out);
    if (m == NULL)
        return;
    wire_mld_report_v1_emit(group, out);
    COUNTER_INC(n->counters->mld_reports_sent);
    net_nd_send(n, iface, &to, m);
}

static void report(struct net *n, struct net_iface *iface, enum wire_mld_record record,
                   clock_ns now)
{
    struct net_nd_frame to = report_frame(iface, &all_listeners);
    struct ip_addr groups[NET_ADDR6_MAX];
    unsigned count = groups_of(iface, groups);
    struct rte_mbuf *m;
    uint8_t *out;

    if (iface->ipv6.v1_until > now) {
        for (unsigned i = 0; i < count; i++)
            report_v1(n, iface, &groups[i]);
        return;
    }
    m = count > 0 ? net_nd_message(n, iface, wire_mld_report_length(count), &out) : NULL;
    if (m == NULL)
        return;
    wire_mld_report_emit(groups, count, record, out);
    COUNTER_INC(n->counters->mld_reports_sent);
    net_nd_send(n, iface, &to, m);
}

void net_mld_changed(struct net_iface *iface, clock_ns now)
{
    if (iface->follower)
        return;
    iface->ipv6.reports = ROBUSTNESS;
    iface->ipv6.report_at = now;
}

void net_mld_query(struct net *n, struct net_iface *iface, const struct wire_mld_query *query,
                   clock_ns now)
{
    clock_ns delay = query->delay * CLOCK_MS;
    struct ip_addr asked = query->group;

    if (iface->follower || (!ip_is_unspecified(&asked) && !net_mld_is_member(iface, &asked)))
        return;
    if (query->v1)
        iface->ipv6.v1_until = now + V1_PRESENT;
    if (delay > 0) /* random, so that not all answer at once (RFC 3810, 6.2) */
        delay = siphash(&now, sizeof now, &n->neighbours.key) % delay;
    delay = RTE_MAX(now + delay, iface->ipv6.answer_from);
    iface->ipv6.answer_at = RTE_MIN(iface->ipv6.answer_at, delay);
}

void net_mld_timers(struct net *n, struct net_iface *iface, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    if (v6->report_at <= now) {
        report(n, iface, WIRE_MLD_TO_EXCLUDE, now);
        v6->reports--;
        v6->report_at = v6->reports > 0 ? now + REPORT_INTERVAL : CLOCK_NEVER;
    }
    if (v6->answer_at <= now) {
        v6->answer_at = CLOCK_NEVER;
        v6->answer_from = now + ANSWER_INTERVAL;
        report(n, iface, WIRE_MLD_IS_EXCLUDE, now);
    }
}

clock_ns net_mld_deadline(const struct net_iface *iface)
{
    return RTE_MIN(iface->ipv6.report_at, iface->ipv6.answer_at);
}
