/* What the files of the firewall share. */
#ifndef FIREWALL_FIREWALL_INTERNAL_H
#define FIREWALL_FIREWALL_INTERNAL_H

#include <rte_acl.h>

#include "base/log.h"
#include "base/siphash.h"
#include "firewall/firewall.h"

#define FIREWALL_BURST 64 /* packets classified at once */

/* ---- what is always dropped: firewall_sanity.c ---- */

struct firewall_sanity;

struct firewall_sanity *firewall_sanity_create(const struct ip_addr *own, unsigned own_count);
void firewall_sanity_destroy(struct firewall_sanity *s);
void firewall_sanity_check(const struct firewall_sanity *s, struct packet *packets, unsigned count);

/* ---- addresses as numbers ---- */

enum firewall_family { FIREWALL_IPV4, FIREWALL_IPV6, FIREWALL_FAMILIES };

typedef unsigned __int128 firewall_u128;

static inline enum firewall_family firewall_family_of(const struct ip_addr *a)
{
    return ip_is_v4(a) ? FIREWALL_IPV4 : FIREWALL_IPV6;
}

/* 32 bits of an IPv4 address, 128 of an IPv6 address. */
static inline firewall_u128 firewall_number(const struct ip_addr *a, enum firewall_family family)
{
    if (family == FIREWALL_IPV4)
        return __builtin_bswap32(a->w[3]);
    return (firewall_u128)__builtin_bswap64(a->q[0]) << 64 | __builtin_bswap64(a->q[1]);
}

/* ---- sets: firewall_set.c, firewall_map.c ---- */

/* Where membership of a set begins, ends, begins …, ascending; one family. */
struct firewall_edges {
    enum firewall_family family;
    uint32_t count;
    union {
        void *any;
        uint32_t *v4;
        firewall_u128 *v6;
    };
};

static inline firewall_u128 firewall_edge(const struct firewall_edges *e, uint32_t i)
{
    return e->family == FIREWALL_IPV4 ? e->v4[i] : e->v6[i];
}

const struct firewall_edges *firewall_set_edges(const struct firewall_set *s,
                                                enum firewall_family family);

/* Bit s of the word that it finds for an address: sets[s] has it. */
struct firewall_map;

struct firewall_map *firewall_map_create(struct firewall_set *const *sets, unsigned count,
                                         struct error *e);
void firewall_map_destroy(struct firewall_map *m);

/* Up to FIREWALL_BURST addresses of one family. */
void firewall_map_lookup(const struct firewall_map *m, enum firewall_family family,
                         const struct ip_addr *const *addrs, unsigned count, uint32_t *sets);

/* ---- rules as ACLs: firewall_expand.c, firewall_acl.c ---- */

/*
 * What the ACL library looks at: in groups of four bytes after the first one, numbers in network
 * byte order.
 */
struct firewall_key {
    uint8_t protocol, pad[3];
    uint32_t src[4], dst[4]; /* IPv4: src[0], dst[0] */
    uint16_t sport, dport;
    uint16_t iface; /* one bit */
    uint8_t tcp_flags, icmp_type;
    uint32_t src_sets, dst_sets; /* a bit for each set that has the address */
};

/* All of it but the sets. */
void firewall_key_fill(struct firewall_key *k, const struct packet *p, enum firewall_family family);

/* In the order of the tries' levels. Fields of one group of four bytes are neighbours. */
enum firewall_field {
    FIREWALL_FIELD_PROTOCOL,
    FIREWALL_FIELD_SRC, /* four each: IPv4 has the first one */
    FIREWALL_FIELD_DST = FIREWALL_FIELD_SRC + 4,
    FIREWALL_FIELD_SPORT = FIREWALL_FIELD_DST + 4,
    FIREWALL_FIELD_DPORT,
    FIREWALL_FIELD_IFACE,
    FIREWALL_FIELD_TCP_FLAGS,
    FIREWALL_FIELD_ICMP_TYPE,
    FIREWALL_FIELD_SRC_SETS,
    FIREWALL_FIELD_DST_SETS,
    FIREWALL_FIELDS,
};

RTE_ACL_RULE_DEF(firewall_acl_rule, FIREWALL_FIELDS);

/* A rule as what any packet of it is one of: the product of its lists. */
struct firewall_terms {
    const struct firewall_rule *rule;
    enum firewall_family family;
    uint8_t protocols[UINT8_MAX + 1];
    unsigned protocol_count; /* 0: any */
    uint32_t combinations;   /* 0: no packet of the family */
};

/* Returns -1 with the cause when the lists have more combinations than the library should bear. */
int firewall_terms_init(struct firewall_terms *t, const struct firewall_rule *rule,
                        enum firewall_family family, struct error *e);

/* Writes the fields of the i-th combination; false when no packet of the family is of it. */
bool firewall_terms_get(const struct firewall_terms *t, uint32_t i, struct firewall_acl_rule *out);

/* Rules `chosen` (ascending), compiled for both families. With `categories` 1, a packet's result is
 * the first rule that matches; with more, one result for each of as many rules. */
struct firewall_acl;

struct firewall_acl_config {
    const struct firewall_rule *rules;
    const uint32_t *chosen;
    unsigned chosen_count; /* at most `categories` where those are more than one */
    unsigned categories;   /* 1, or a multiple of 4 up to 16 */
    int numa_node;
};

/* Counts the rules of the ACL library that they come to. Returns 0, or -1 with the cause when those
 * are too many. */
int firewall_acl_check(const struct firewall_acl_config *config, struct error *e);

struct firewall_acl *firewall_acl_create(const struct firewall_acl_config *config, struct error *e);
void firewall_acl_destroy(struct firewall_acl *a);

/* Writes for each of up to FIREWALL_BURST keys as many results as there are categories: the rule's
 * index plus 1, or 0. */
void firewall_acl_classify(const struct firewall_acl *a, enum firewall_family family,
                           const struct firewall_key *keys, unsigned count, uint32_t *results);

/* ---- rulesets: firewall_ruleset.c ---- */

/* What is left of a rule when its conditions are compiled. */
struct firewall_verdict {
    const char *name;
    uint64_t id; /* from the name: the same rule in another ruleset */
    enum firewall_action action;
    bool log;
    uint8_t egress_class;
    bool syn_cookies;
    struct firewall_limit limit;
};

/* `count` and `log` rules are compiled apart, a category each, at most 16 to an ACL. */
#define FIREWALL_OBSERVERS_PER_ACL 16
#define FIREWALL_OBSERVERS_MAX     256

struct firewall_observers {
    struct firewall_acl *acl;
    unsigned categories;
    uint32_t first; /* the lowest index of a rule in it */
};

/* The compiled rules. Rulesets that differ in their sets only share them. */
struct firewall_program {
    unsigned references; /* atomic */
    unsigned rule_count;
    struct firewall_verdict *rules;
    uint32_t *by_id;               /* indices of the rules in the order of their ids */
    struct firewall_acl *deciders; /* NULL: none */
    struct firewall_observers observers[FIREWALL_OBSERVERS_MAX / FIREWALL_OBSERVERS_PER_ACL];
    unsigned observer_count;
    bool source_sets, destination_sets; /* looked at by some rule */
    bool drop_by_default;
};

struct firewall_ruleset {
    unsigned references; /* atomic */
    struct firewall_program *program;
    struct firewall_set *sets[FIREWALL_SETS_MAX];
    unsigned set_count;
    struct firewall_map *map; /* of the sets; NULL where no rule looks at one */
};

/* ---- limits: firewall_limits.c ---- */

enum firewall_limit_verdict {
    FIREWALL_WITHIN,
    FIREWALL_TOO_MANY,  /* connections at a time */
    FIREWALL_TOO_FAST,  /* connections or handshakes a second */
    FIREWALL_UNTRACKED, /* not limited: no room for the source */
};

/* `id` is the rule's. A source of no connection asks for one. */
enum firewall_limit_verdict firewall_limits_ask(struct firewall_limits *l, uint64_t id,
                                                const struct firewall_limit *limit,
                                                const struct ip_addr *source, clock_ns now);

/* The connection stands. With FIREWALL_WITHIN, *handle is to be closed. */
enum firewall_limit_verdict firewall_limits_open(struct firewall_limits *l, uint64_t id,
                                                 const struct firewall_limit *limit,
                                                 const struct ip_addr *source, uint64_t *handle);
void firewall_limits_close(struct firewall_limits *l, uint64_t handle);

enum firewall_limit_verdict firewall_limits_handshake(struct firewall_limits *l, uint64_t id,
                                                      const struct firewall_limit *limit,
                                                      const struct ip_addr *source, clock_ns now);

/* ---- one worker: firewall.c, firewall_rules.c, firewall_connection.c, firewall_log.c ---- */

#define FIREWALL_LABELS (UINT16_MAX + 1)

/* A worker's part of a rule. */
struct firewall_rule_state {
    struct firewall_hits hits;
    struct log_limit log;
    uint16_t label; /* of rules that limit */
};

struct firewall {
    struct firewall_sanity *sanity;
    struct firewall_ruleset *ruleset;  /* NULL: none */
    struct firewall_rule_state *state; /* by rule; the last one is the default's */
    uint32_t *label_rule;              /* by packet_label.limit: the rule's index + 1, or 0 */
    uint16_t last_label;
    struct firewall_limits *limits;
    firewall_expected *expected;
    void *expected_ctx;
    struct firewall_counters counters;
    char (*interfaces)[32];
    unsigned interface_count;
    char name[32];
};

/* Classifies packets of one family and acts on them. */
void firewall_rules_run(struct firewall *f, struct packet *const *packets, unsigned count,
                        enum firewall_family family, clock_ns now);

/* A packet met a rule that limits: may it go on? Counts it where not. */
bool firewall_connection_asked(struct firewall *f, const struct firewall_verdict *rule,
                               const struct packet *p, clock_ns now);

/* At most LOG_LIMIT_PER_SECOND lines for each rule. */
void firewall_log_packet(struct firewall *f, uint32_t rule, const struct packet *p, clock_ns now);

#endif
