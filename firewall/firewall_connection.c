/*
 * Limits as connections meet them. A SYN asks: it takes a token of its source's, and finds out how
 * many connections stand. The connection that comes of it is counted when its owner tells so, and
 * looked at once more there, since several SYNs may pass before the first handshake is complete.
 * With SYN cookies the segment that begins a connection is the ACK; it has no SYN and takes no
 * second token.
 *
 * What ties the two together is the label: it names a rule of this worker's firewall, and goes on
 * naming that rule when a reload moves it to another place in the list.
 */
#include "firewall/firewall_internal.h"

static bool asks_for_connection(const struct packet *p)
{
    return p->kind == PACKET_TCP && (p->tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

bool firewall_connection_asked(struct firewall *f, const struct firewall_verdict *rule,
                               const struct packet *p, clock_ns now)
{
    if (f->limits == NULL || !asks_for_connection(p))
        return true;
    switch (firewall_limits_ask(f->limits, rule->id, &rule->limit, &p->src, now)) {
    case FIREWALL_TOO_MANY:
        COUNTER_INC(f->counters.firewall_limited_connections);
        return false;
    case FIREWALL_TOO_FAST:
        COUNTER_INC(f->counters.firewall_limited_rate);
        return false;
    case FIREWALL_UNTRACKED:
        COUNTER_INC(f->counters.firewall_limit_untracked);
        return true;
    case FIREWALL_WITHIN:
        break;
    }
    return true;
}

/* The rule of a label, or NULL when it limits no more. */
static const struct firewall_verdict *rule_of(const struct firewall *f,
                                              const struct packet_label *label)
{
    uint32_t rule = f->label_rule != NULL ? f->label_rule[label->limit] : 0;

    return rule > 0 && f->limits != NULL ? &f->ruleset->program->rules[rule - 1] : NULL;
}

bool firewall_connection_opened(struct firewall *f, const struct packet_label *label,
                                const struct ip_addr *source, uint64_t *handle)
{
    const struct firewall_verdict *rule = rule_of(f, label);

    *handle = 0;
    if (rule == NULL || rule->limit.connections == 0)
        return true;
    switch (firewall_limits_open(f->limits, rule->id, &rule->limit, source, handle)) {
    case FIREWALL_TOO_MANY:
        COUNTER_INC(f->counters.firewall_limited_connections);
        return false;
    case FIREWALL_UNTRACKED:
        if (rule->limit.connections_per_second == 0) /* else its SYN was counted */
            COUNTER_INC(f->counters.firewall_limit_untracked);
        return true;
    case FIREWALL_TOO_FAST:
    case FIREWALL_WITHIN:
        break;
    }
    return true;
}

void firewall_connection_closed(struct firewall *f, uint64_t handle)
{
    if (handle != 0)
        firewall_limits_close(f->limits, handle);
}

bool firewall_handshake_allowed(struct firewall *f, const struct packet_label *label,
                                const struct ip_addr *source, clock_ns now)
{
    const struct firewall_verdict *rule = rule_of(f, label);

    if (rule == NULL || rule->limit.handshakes_per_second == 0)
        return true;
    if (firewall_limits_handshake(f->limits, rule->id, &rule->limit, source, now) !=
        FIREWALL_TOO_FAST)
        return true;
    COUNTER_INC(f->counters.firewall_limited_handshakes);
    return false;
}
