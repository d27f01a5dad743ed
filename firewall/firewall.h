/*
 * The stack's ingress hook: which packets may come in at all. Works on parsed bursts.
 *
 * Always dropped: impossible TCP flag combinations (SYN with FIN or RST, FIN without ACK, none at
 * all), sources that cannot be on a wire (martians) and our own addresses as source. ARP and IPv6
 * neighbour discovery are never
 * subject to rules. Then the ordered rules: the first one that matches and is not `count` or `log`
 * decides; those two count (and log) what reaches them and let it go on. Rules are stateless: they
 * see every packet, those of connections that stand as well. The default is not: with
 * `drop_by_default`, segments of connections of ours, the ACK that answers a SYN cookie, and ICMP
 * errors pass.
 *
 * A ruleset is compiled once (DPDK's ACL library; sets: FIB), is immutable and shared by all
 * workers. Its counters and log limits are each worker's own. Limits are the exception to "nothing
 * shared": they hold for a source over all workers, so their table is one, of atomic words, touched
 * when a connection begins or ends and never by other segments.
 */
#ifndef FIREWALL_FIREWALL_H
#define FIREWALL_FIREWALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/error.h"
#include "base/ip.h"
#include "stack/hooks.h"

/* ---- sets of prefixes (any thread; immutable; reference-counted) ---- */

#define FIREWALL_SETS_MAX                                                  \
    32 /* that the rules of one ruleset refer to, sources and destinations \
        */

struct firewall_set;

/* Both families; `prefixes` are copied. Returns NULL with the cause when memory is out. */
struct firewall_set *firewall_set_create(const char *name, const struct ip_prefix *prefixes,
                                         uint32_t count, struct error *e);
struct firewall_set *firewall_set_ref(struct firewall_set *s);
void firewall_set_unref(struct firewall_set *s);
bool firewall_set_has(const struct firewall_set *s, const struct ip_addr *addr);
uint32_t firewall_set_count(const struct firewall_set *s);

/* ---- rulesets ---- */

enum firewall_action {
    FIREWALL_ACCEPT,
    FIREWALL_DROP,
    FIREWALL_REJECT,
    FIREWALL_LIMIT,
    FIREWALL_COUNT,
    FIREWALL_LOG,
};

struct firewall_ports {
    uint16_t first, last;
};

/* A prefix, or all of a set. */
struct firewall_origin {
    int set; /* index into the ruleset's sets, or -1: prefix */
    struct ip_prefix prefix;
};

/* For each source prefix; 0: no limit. */
struct firewall_limit {
    uint32_t connections; /* at a time: accepted and not yet ended */
    uint32_t connections_per_second, connection_burst;
    uint32_t handshakes_per_second, handshake_burst;
    uint8_t prefix4, prefix6; /* bits of the source that count as one */
    bool reject;              /* beyond the limit: reject instead of drop */
};

/* Lists are empty where anything matches. */
struct firewall_rule {
    const char *name;
    uint32_t interfaces; /* a bit for each index of an interface; 0: any */
    const struct firewall_origin *sources, *destinations;
    unsigned source_count, destination_count;
    const uint8_t *protocols;
    unsigned protocol_count;
    const struct firewall_ports *source_ports, *ports;
    unsigned source_port_count, port_count;
    const uint8_t *icmp_types;
    unsigned icmp_type_count;
    uint8_t tcp_flags_set, tcp_flags_clear;
    enum firewall_action action;
    bool log;
    struct firewall_limit limit;
    uint8_t egress_class; /* 0: the default */
    bool syn_cookies;     /* connections that begin under it are proved by a cookie first */
};

struct firewall_ruleset_config {
    const struct firewall_rule *rules; /* all of it is copied */
    unsigned rule_count;
    struct firewall_set *const *sets; /* referenced */
    unsigned set_count;
    bool drop_by_default;
    int numa_node; /* -1: any */
};

struct firewall_ruleset;

/* Could it be compiled? All that firewall_ruleset_create() refuses but for want of memory. Needs no
 * DPDK. Returns 0, or -1 with the cause. */
int firewall_ruleset_check(const struct firewall_ruleset_config *config, struct error *e);

/* Bytes of DPDK's memory that so many rules take, as a rule. Reloads hold two rulesets at a time.
 */
uint64_t firewall_ruleset_memory(unsigned rule_count);

/* Compiles. Takes up to seconds for ten thousand rules: not on a worker's thread. */
struct firewall_ruleset *firewall_ruleset_create(const struct firewall_ruleset_config *config,
                                                 struct error *e);

/* The same rules with one set exchanged; cheap. */
struct firewall_ruleset *firewall_ruleset_with_set(struct firewall_ruleset *r, unsigned set,
                                                   struct firewall_set *with, struct error *e);
struct firewall_ruleset *firewall_ruleset_ref(struct firewall_ruleset *r);
void firewall_ruleset_unref(struct firewall_ruleset *r);

/* ---- limits: one table for all workers ---- */

struct firewall_limits;

/* Bounded: `entries` source prefixes (rounded up). When it is full of sources that have
 * connections, newcomers are not limited and counted (firewall_limit_untracked). `key` is a secret.
 */
struct firewall_limits *firewall_limits_create(uint32_t entries, const uint8_t key[16],
                                               struct error *e);
void firewall_limits_destroy(struct firewall_limits *l);

/* ---- one worker ---- */

#define FIREWALL_COUNTERS(X)                                                                  \
    X(firewall_accepted, "packets accepted by a rule")                                        \
    X(firewall_dropped, "packets dropped by a rule or the default")                           \
    X(firewall_rejected, "packets rejected by a rule")                                        \
    X(firewall_limited_connections, "SYNs refused: the source has too many connections")      \
    X(firewall_limited_rate, "SYNs refused: the source opens connections too fast")           \
    X(firewall_limited_handshakes, "TLS handshakes refused: the source begins them too fast") \
    X(firewall_limit_untracked, "connections not limited: the table of sources was full")

COUNTER_STRUCT(firewall_counters, FIREWALL_COUNTERS);
extern const struct counter_table firewall_counter_table;

/* Is the TCP segment of a connection of ours, or the ACK that a SYN cookie waits for (for the
 * default)? */
typedef bool firewall_expected(void *ctx, const struct packet *segment);

struct firewall_config {
    const struct ip_addr *own; /* the addresses of all interfaces, copied */
    unsigned own_count;
    const char *const *interfaces; /* their names, for log lines; copied */
    unsigned interface_count;
    struct firewall_ruleset *ruleset; /* referenced; NULL: everything else is accepted */
    struct firewall_limits *limits;   /* outlives the firewall; NULL when no rule limits */
    firewall_expected *expected;
    void *expected_ctx;
    const char *name; /* for log lines */
};

struct firewall;

struct firewall *firewall_create(const struct firewall_config *config, struct error *e);
void firewall_destroy(struct firewall *f);

/* Exchanges the ruleset; counters of rules whose name both have go on. On the worker's thread.
 * Allocates what it needs before it changes anything. */
int firewall_apply(struct firewall *f, struct firewall_ruleset *ruleset, struct error *e);

/* A stack_ingress function; ctx is the struct firewall. */
void firewall_ingress(void *ctx, struct packet *packets, unsigned count, clock_ns now);

/* Packets and bytes of the i-th rule; i == the number of rules: of the default, where
 * segments of connections and ICMP errors that a default of drop lets pass are not counted. Beyond
 * that they are 0. May be read by another thread while no firewall_apply() runs. */
struct firewall_hits {
    uint64_t packets, bytes;
};
void firewall_rule_hits(const struct firewall *f, unsigned rule, struct firewall_hits *out);

const struct firewall_counters *firewall_counters(const struct firewall *f);

/*
 * Limits of connections that stand: the owner of the sockets tells. `label` is the socket's
 * (sock_label()). firewall_connection_opened() may refuse (false: abort the connection), as several
 * SYNs pass before the first handshake is complete; where it returns true, *handle is to be given
 * to firewall_connection_closed() once.
 */
bool firewall_connection_opened(struct firewall *f, const struct packet_label *label,
                                const struct ip_addr *source, uint64_t *handle);
void firewall_connection_closed(struct firewall *f, uint64_t handle);

/* May the source begin a TLS handshake now? */
bool firewall_handshake_allowed(struct firewall *f, const struct packet_label *label,
                                const struct ip_addr *source, clock_ns now);

#endif
