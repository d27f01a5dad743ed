/* Between net_fragment.c and net_fragment_table.c. */
#ifndef STACK_NET_NET_FRAGMENT_H
#define STACK_NET_NET_FRAGMENT_H

#include "stack/net/net_internal.h"

struct net_piece {
    struct rte_mbuf *m; /* of the first: a frame with its headers; of others: data only */
    uint16_t offset, len;
    struct net_piece *next;
};

/* A packet of which not all is there. */
struct net_partial {
    struct ip_addr src, dst;
    uint32_t id;
    uint8_t iface;
    uint8_t protocol; /* IPv4's identification is unique for each; IPv6's for all: 0 */
    uint8_t ecn;      /* a bit for each codepoint seen */
    bool dead;        /* overlapped: kept to recognise what still comes of it */
    bool whole;       /* its fragments are not dropped when it ends */
    uint16_t pieces;
    uint32_t buffers; /* mbufs */
    uint32_t bytes;   /* of data that are there */
    uint32_t reach;   /* where the data that are there end */
    uint32_t end;     /* of the packet's data; 0: not known yet */
    clock_ns since;
    struct net_fragment_source *source;
    struct net_piece *head;
    struct packet first; /* once the first fragment is there: where its headers are */
    struct net_partial *hash_next;
    TAILQ_ENTRY(net_partial) link;        /* of its family, the oldest first */
    TAILQ_ENTRY(net_partial) source_link; /* of its source, likewise */
};

/* The packet that a fragment is of, with room for `buffers` more mbufs; NULL when there is none.
 * Only the members of `key` that tell packets apart are read. */
struct net_partial *net_partial_get(struct net *n, const struct net_partial *key, uint32_t buffers,
                                    clock_ns now);

/* Puts a fragment at a place in the list, and counts its mbufs. Takes m; returns false, and leaves
 * it, when there is no room. */
bool net_partial_add(struct net *n, struct net_partial *p, struct net_piece **at,
                     const struct net_piece *piece);

/* Drops what was collected. */
void net_partial_clear(struct net *n, struct net_partial *p);
void net_partial_remove(struct net *n, struct net_partial *p);

#endif
