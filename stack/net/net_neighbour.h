/* Between net_neighbour.c and net_neighbour_table.c. */
#ifndef STACK_NET_NET_NEIGHBOUR_H
#define STACK_NET_NET_NEIGHBOUR_H

#include "stack/net/net_internal.h"

struct net_neighbour {
    struct ip_addr addr;
    uint8_t mac[6];
    uint8_t iface;
    uint8_t state;         /* enum net_neighbour_state */
    uint8_t kind;          /* enum net_neighbour_kind */
    uint8_t requests;      /* sent since the last answer */
    uint8_t pending_count; /* INCOMPLETE only */
    bool confirmed;        /* by the transport, once */
    clock_ns since;        /* of its place in the state's list */
    clock_ns silent_at;    /* when what we know becomes doubtful */
    struct net_neighbour *hash_next;
    TAILQ_ENTRY(net_neighbour) link;
    struct {
        struct rte_mbuf *m;
        struct net_place place;
    } pending[NET_NEIGHBOUR_PENDING];
};

struct net_neighbour *net_neighbour_find(const struct net *n, uint8_t iface,
                                         const struct ip_addr *addr);

/* A new entry; another one may give way to it. NULL: there is no room (counted). */
struct net_neighbour *net_neighbour_create(struct net *n, uint8_t iface, const struct ip_addr *addr,
                                           enum net_neighbour_kind kind,
                                           enum net_neighbour_state state, clock_ns now);
void net_neighbour_remove(struct net *n, struct net_neighbour *b);

/* Moves the entry to the end of the state's list, where the youngest are. */
void net_neighbour_enter(struct net *n, struct net_neighbour *b, enum net_neighbour_state state,
                         clock_ns now);

/* It is of this kind from now on. */
void net_neighbour_turn(struct net *n, struct net_neighbour *b, enum net_neighbour_kind kind,
                        clock_ns now);

/* Holds a packet until the neighbour answers; takes m. */
void net_neighbour_hold(struct net *n, struct net_neighbour *b, struct rte_mbuf *m,
                        struct net_place place);

/* Drops what waits for it. */
void net_neighbour_pending_drop(struct net *n, struct net_neighbour *b);

#endif
