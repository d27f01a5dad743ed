/*
 * DPDK's ACL library, which compiles rules to a few tries and walks those for a burst of packets at
 * once with vector instructions. A trie has a level for each byte; groups of four bytes that none
 * of its rules looks at the library leaves out.
 *
 * The first rule that matches decides, so a rule's priority falls with its index. The library
 * keeps at most one match for each category; rules that do not end the walk get a category each.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include "firewall/firewall_internal.h"

#define ACL_RULES_MAX (128 * 1024) /* after expansion; what the memory reserved at start allows */
#define ACL_TRIES_MAX ((size_t)64 << 20) /* bytes of one context's tries */

struct firewall_acl {
    struct rte_acl_ctx *ctx[FIREWALL_FAMILIES]; /* NULL: no rule is for this family */
    unsigned categories;
};

/* ---- keys ---- */

void firewall_key_fill(struct firewall_key *k, const struct packet *p, enum firewall_family family)
{
    uint8_t icmp = family == FIREWALL_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;

    k->protocol = p->ip_protocol;
    k->iface = rte_cpu_to_be_16((uint16_t)(1u << p->iface));
    k->tcp_flags = p->ip_protocol == IPPROTO_TCP ? p->tcp.flags : 0;
    k->icmp_type = p->ip_protocol == icmp ? p->icmp.type : 0;
    k->sport = rte_cpu_to_be_16(p->sport);
    k->dport = rte_cpu_to_be_16(p->dport);
    k->src_sets = k->dst_sets = 0;
    if (family == FIREWALL_IPV4) {
        k->src[0] = ip_to_v4(&p->src);
        k->dst[0] = ip_to_v4(&p->dst);
    } else {
        memcpy(k->src, p->src.b, sizeof k->src);
        memcpy(k->dst, p->dst.b, sizeof k->dst);
    }
}

/* ---- fields ---- */

/* A field's index in a rule is its place in this list: DPDK 22.11 takes one for the other where it
 * leaves fields out. */

#define FIELD(NAME, kind, member, bytes, group)                      \
    [FIREWALL_FIELD_##NAME] = {.type = RTE_ACL_FIELD_TYPE_##kind,    \
                               .size = (bytes),                      \
                               .field_index = FIREWALL_FIELD_##NAME, \
                               .input_index = (group),               \
                               .offset = offsetof(struct firewall_key, member)}
/* NOLINTBEGIN(bugprone-macro-parentheses): a designator and a member cannot have any */
#define WORD(NAME, member, word, group) \
    FIELD(NAME + (word), MASK, member[word], 4, (group) + (word))
#define ADDRESS(NAME, member, group)                                                          \
    WORD(NAME, member, 0, group), WORD(NAME, member, 1, group), WORD(NAME, member, 2, group), \
        WORD(NAME, member, 3, group)
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct rte_acl_field_def fields[FIREWALL_FIELDS] = {
    FIELD(PROTOCOL, BITMASK, protocol, 1, 0),
    ADDRESS(SRC, src, 1),
    ADDRESS(DST, dst, 5),
    FIELD(SPORT, RANGE, sport, 2, 9),
    FIELD(DPORT, RANGE, dport, 2, 9),
    FIELD(IFACE, BITMASK, iface, 2, 10),
    FIELD(TCP_FLAGS, BITMASK, tcp_flags, 1, 10),
    FIELD(ICMP_TYPE, BITMASK, icmp_type, 1, 10),
    FIELD(SRC_SETS, BITMASK, src_sets, 4, 11),
    FIELD(DST_SETS, BITMASK, dst_sets, 4, 12),
};

/* ---- compilation ---- */

struct build {
    const struct firewall_acl_config *config;
    enum firewall_family family;
    struct rte_acl_ctx *ctx; /* NULL: only count */
    uint32_t count;
};

static int add_rule(struct build *b, struct firewall_acl_rule *rule, unsigned ordinal,
                    struct error *e)
{
    b->count++;
    if (b->ctx == NULL) {
        return b->count <= ACL_RULES_MAX
                   ? 0
                   : error_set(e,
                               "the firewall's rules have more than %d combinations of addresses, "
                               "ports and protocols; put addresses into sets",
                               ACL_RULES_MAX);
    }
    rule->data.userdata = b->config->chosen[ordinal] + 1;
    rule->data.priority = (int32_t)(RTE_ACL_MAX_PRIORITY - ordinal);
    rule->data.category_mask = b->config->categories > 1 ? UINT32_C(1) << ordinal : 1;
    if (rte_acl_add_rules(b->ctx, (const struct rte_acl_rule *)rule, 1) < 0)
        return error_set(e, "the ACL library takes no more rules");
    return 0;
}

static int add_rules(struct build *b, struct error *e)
{
    struct firewall_acl_rule rule;
    struct firewall_terms terms;

    b->count = 0;
    for (unsigned i = 0; i < b->config->chosen_count; i++) {
        if (firewall_terms_init(&terms, &b->config->rules[b->config->chosen[i]], b->family, e) < 0)
            return -1;
        for (uint32_t k = 0; k < terms.combinations; k++) {
            if (firewall_terms_get(&terms, k, &rule) && add_rule(b, &rule, i, e) < 0)
                return -1;
        }
    }
    return 0;
}

static struct rte_acl_ctx *create_context(const struct build *b, const void *owner, struct error *e)
{
    char name[RTE_ACL_NAMESIZE];
    const struct rte_acl_param param = {
        .name = name,
        .socket_id = b->config->numa_node < 0 ? SOCKET_ID_ANY : b->config->numa_node,
        .rule_size = RTE_ACL_RULE_SZ(FIREWALL_FIELDS),
        .max_rule_num = b->count,
    };
    struct rte_acl_ctx *ctx;

    /* The library finds contexts by name. */
    snprintf(name, sizeof name, "%p.%u", owner, b->family);
    ctx = rte_acl_create(&param);
    if (ctx == NULL)
        error_set(e, "no memory for %u firewall rules: %s", b->count, rte_strerror(rte_errno));
    return ctx;
}

static int compile(struct build *b, struct error *e)
{
    struct rte_acl_config config = {
        .num_categories = b->config->categories,
        .num_fields = FIREWALL_FIELDS,
        .max_size = ACL_TRIES_MAX,
    };
    int result;

    memcpy(config.defs, fields, sizeof fields);
    result = rte_acl_build(b->ctx, &config);
    if (result < 0)
        return error_set(e, "the firewall's rules cannot be compiled: %s", rte_strerror(-result));
    return 0;
}

int firewall_acl_check(const struct firewall_acl_config *config, struct error *e)
{
    for (unsigned f = 0; f < FIREWALL_FAMILIES; f++) {
        struct build b = {.config = config, .family = (enum firewall_family)f};

        if (add_rules(&b, e) < 0)
            return -1;
    }
    return 0;
}

static int build_family(struct firewall_acl *a, const struct firewall_acl_config *config,
                        enum firewall_family family, struct error *e)
{
    struct build b = {.config = config, .family = family};

    if (add_rules(&b, e) < 0)
        return -1;
    if (b.count == 0)
        return 0;
    a->ctx[family] = b.ctx = create_context(&b, a, e);
    if (b.ctx == NULL)
        return -1;
    return add_rules(&b, e) < 0 ? -1 : compile(&b, e);
}

struct firewall_acl *firewall_acl_create(const struct firewall_acl_config *config, struct error *e)
{
    struct firewall_acl *a = calloc(1, sizeof *a);

    if (a == NULL) {
        error_set(e, "out of memory for the firewall's rules");
        return NULL;
    }
    a->categories = config->categories;
    for (unsigned f = 0; f < FIREWALL_FAMILIES; f++) {
        if (build_family(a, config, (enum firewall_family)f, e) < 0) {
            firewall_acl_destroy(a);
            return NULL;
        }
    }
    return a;
}

void firewall_acl_destroy(struct firewall_acl *a)
{
    if (a == NULL)
        return;
    for (unsigned f = 0; f < FIREWALL_FAMILIES; f++)
        rte_acl_free(a->ctx[f]);
    free(a);
}

/* ---- classification ---- */

void firewall_acl_classify(const struct firewall_acl *a, enum firewall_family family,
                           const struct firewall_key *keys, unsigned count, uint32_t *results)
{
    const uint8_t *data[FIREWALL_BURST];

    assert(count <= FIREWALL_BURST);
    if (a->ctx[family] == NULL) {
        memset(results, 0, count * a->categories * sizeof *results);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        data[i] = (const uint8_t *)&keys[i];
    rte_acl_classify(a->ctx[family], data, results, count, a->categories);
}
