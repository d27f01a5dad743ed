/*
 * The firewall as one would write it without thinking of time: the reference for random tests. And
 * random rules and packets out of a small world, in which much matches.
 */
#ifndef TESTS_UNIT_FIREWALL_FIREWALL_NAIVE_H
#define TESTS_UNIT_FIREWALL_FIREWALL_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "firewall/firewall.h"

uint32_t naive_random(void);
void naive_seed(uint64_t seed);

/* Up to `limit` - 1. */
unsigned naive_below(unsigned limit);

struct ip_addr naive_addr(bool v6);
struct ip_prefix naive_prefix(bool v6);

#define NAIVE_SETS     3
#define NAIVE_PREFIXES 40
#define NAIVE_LIST_MAX 3
#define NAIVE_IFACES   4

struct naive_set {
    struct ip_prefix prefixes[NAIVE_PREFIXES];
    unsigned count;
};

bool naive_set_has(const struct naive_set *s, const struct ip_addr *a);

/* A rule and the lists that it points to; not to be copied. */
struct naive_rule {
    char name[24];
    struct firewall_origin sources[NAIVE_LIST_MAX], destinations[NAIVE_LIST_MAX];
    struct firewall_ports source_ports[NAIVE_LIST_MAX], ports[NAIVE_LIST_MAX];
    uint8_t protocols[NAIVE_LIST_MAX], icmp_types[NAIVE_LIST_MAX];
};

void naive_rule_draw(struct naive_rule *n, struct firewall_rule *r, unsigned index);
struct packet naive_packet_draw(void);

bool naive_matches(const struct firewall_rule *r, const struct naive_set *sets,
                   const struct packet *p);

#endif
