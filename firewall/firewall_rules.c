/*
 * The ordered rules over a burst. Three passes: the sets that each address is in, the first
 * deciding rule for each packet, then the rules that only look. One of those saw the packet when
 * its index is below that of the rule that decided: exactly as if the rules had been walked one by
 * one.
 */
#include "firewall/firewall_internal.h"

/* Packets of one family on their way through the passes. */
struct batch {
    struct firewall *f;
    struct packet *const *packets;
    unsigned count;
    enum firewall_family family;
    clock_ns now;
    struct firewall_key keys[FIREWALL_BURST];
    uint32_t decided[FIREWALL_BURST]; /* index of the rule; that of the default is the last */
};

static void look_up_sets(struct batch *b, const struct firewall_ruleset *r)
{
    const struct ip_addr *addrs[FIREWALL_BURST];
    uint32_t sets[FIREWALL_BURST];

    if (r->program->source_sets) {
        for (unsigned i = 0; i < b->count; i++)
            addrs[i] = &b->packets[i]->src;
        firewall_map_lookup(r->map, b->family, addrs, b->count, sets);
        for (unsigned i = 0; i < b->count; i++)
            b->keys[i].src_sets = __builtin_bswap32(sets[i]);
    }
    if (r->program->destination_sets) {
        for (unsigned i = 0; i < b->count; i++)
            addrs[i] = &b->packets[i]->dst;
        firewall_map_lookup(r->map, b->family, addrs, b->count, sets);
        for (unsigned i = 0; i < b->count; i++)
            b->keys[i].dst_sets = __builtin_bswap32(sets[i]);
    }
}

static void decide(struct batch *b, const struct firewall_program *program)
{
    uint32_t results[FIREWALL_BURST] = {0};

    if (program->deciders != NULL)
        firewall_acl_classify(program->deciders, b->family, b->keys, b->count, results);
    for (unsigned i = 0; i < b->count; i++)
        b->decided[i] = results[i] > 0 ? results[i] - 1 : program->rule_count;
}

static void count_hit(struct firewall *f, uint32_t rule, const struct packet *p)
{
    struct firewall_hits *hits = &f->state[rule].hits;

    COUNTER_INC(hits->packets);
    COUNTER_ADD(hits->bytes, p->l3_length);
}

static void observe_packet(struct batch *b, const struct firewall_program *program, unsigned i,
                           const uint32_t *results, unsigned categories)
{
    for (unsigned c = 0; c < categories; c++) {
        uint32_t rule = results[c] - 1;

        if (results[c] == 0 || rule > b->decided[i])
            continue;
        count_hit(b->f, rule, b->packets[i]);
        if (program->rules[rule].log)
            firewall_log_packet(b->f, rule, b->packets[i], b->now);
    }
}

static void observe(struct batch *b, const struct firewall_program *program)
{
    uint32_t results[FIREWALL_BURST * FIREWALL_OBSERVERS_PER_ACL];
    uint32_t last = 0;

    for (unsigned i = 0; i < b->count; i++)
        last = b->decided[i] > last ? b->decided[i] : last;
    for (unsigned n = 0; n < program->observer_count && program->observers[n].first < last; n++) {
        const struct firewall_observers *o = &program->observers[n];

        firewall_acl_classify(o->acl, b->family, b->keys, b->count, results);
        for (unsigned i = 0; i < b->count; i++)
            observe_packet(b, program, i, results + i * o->categories, o->categories);
    }
}

static void refuse(struct packet *p, bool reject)
{
    p->drop = drop_firewall;
    p->reject = reject;
}

/* Errors about connections of ours, which the transport looks at closely (RFC 5927). */
static bool is_icmp_error(const struct packet *p)
{
    enum { UNREACHABLE = 3, TIME_EXCEEDED = 11, PARAMETER_PROBLEM = 12 };
    enum { PROTOCOL_ICMPV6 = 58, ICMPV6_INFORMATIONAL = 128 };

    if (p->kind == PACKET_ICMP && p->ip_protocol == PROTOCOL_ICMPV6)
        return p->icmp.type < ICMPV6_INFORMATIONAL; /* RFC 4443, 2.1: errors have the lower half */
    return p->kind == PACKET_ICMP &&
           (p->icmp.type == UNREACHABLE || p->icmp.type == TIME_EXCEEDED ||
            p->icmp.type == PARAMETER_PROBLEM);
}

static bool is_expected(const struct firewall *f, const struct packet *p)
{
    return p->kind == PACKET_TCP && f->expected != NULL && f->expected(f->expected_ctx, p);
}

/* What drop leaves alone is not counted as the default's: its hits are what it has dropped. */
static void act_by_default(struct firewall *f, struct packet *p)
{
    const struct firewall_program *program = f->ruleset->program;

    if (program->drop_by_default && (is_icmp_error(p) || is_expected(f, p)))
        return;
    count_hit(f, program->rule_count, p);
    if (!program->drop_by_default)
        return;
    refuse(p, false);
    COUNTER_INC(f->counters.firewall_dropped);
}

static void accept(struct firewall *f, const struct firewall_verdict *rule, struct packet *p)
{
    p->label.egress_class = rule->egress_class;
    p->label.cookies = rule->syn_cookies;
    COUNTER_INC(f->counters.firewall_accepted);
}

static void act(struct firewall *f, uint32_t index, struct packet *p, clock_ns now)
{
    const struct firewall_verdict *rule = &f->ruleset->program->rules[index];

    switch (rule->action) {
    case FIREWALL_ACCEPT:
        accept(f, rule, p);
        break;
    case FIREWALL_DROP:
        refuse(p, false);
        COUNTER_INC(f->counters.firewall_dropped);
        break;
    case FIREWALL_REJECT:
        refuse(p, true);
        COUNTER_INC(f->counters.firewall_rejected);
        break;
    case FIREWALL_LIMIT:
        p->label.limit = f->state[index].label;
        if (firewall_connection_asked(f, rule, p, now))
            accept(f, rule, p);
        else
            refuse(p, rule->limit.reject);
        break;
    case FIREWALL_COUNT:
    case FIREWALL_LOG:
        break;
    }
}

void firewall_rules_run(struct firewall *f, struct packet *const *packets, unsigned count,
                        enum firewall_family family, clock_ns now)
{
    const struct firewall_program *program = f->ruleset->program;
    struct batch b = {.f = f, .packets = packets, .count = count, .family = family, .now = now};

    for (unsigned i = 0; i < count; i++)
        firewall_key_fill(&b.keys[i], packets[i], family);
    look_up_sets(&b, f->ruleset);
    decide(&b, program);
    observe(&b, program);
    for (unsigned i = 0; i < count; i++) {
        uint32_t rule = b.decided[i];

        if (rule == program->rule_count) {
            act_by_default(f, packets[i]);
            continue;
        }
        count_hit(f, rule, packets[i]);
        act(f, rule, packets[i], now);
        if (program->rules[rule].log)
            firewall_log_packet(f, rule, packets[i], now);
    }
}
