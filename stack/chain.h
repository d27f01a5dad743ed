/*
 * A chain: a first-in-first-out queue of bytes held in mbufs, the form in which payload lives from
 * the wire to the wire.
 *
 * Segments are single mbufs linked by their `next` member; only data_off, data_len and next of a
 * segment mean anything while it is in a chain (nb_segs and pkt_len do not). The chain owns its
 * segments. A segment may be shared (its reference count above one, or an indirect mbuf): the
 * chain writes only into the tail room of segments that it alone refers to.
 *
 * A chain that is all zeros is empty and valid.
 */
#ifndef STACK_CHAIN_H
#define STACK_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

struct chain {
    struct rte_mbuf *head, *tail;
    uint32_t len;  /* bytes */
    uint32_t segs; /* mbufs */
};

static inline bool chain_empty(const struct chain *c)
{
    return c->len == 0;
}

/*
 * Appends a packet's payload: the packet's data must already be trimmed to the bytes that belong
 * to the stream. Takes the packet, single-segment or not; empty segments are freed. Small payloads
 * are copied into the tail's room, so that a peer that sends one byte a packet cannot hold one
 * mbuf a byte.
 */
void chain_append_packet(struct chain *c, struct rte_mbuf *m);

/* Copies bytes in, filling the tail's room first, then mbufs of `pool`. Returns how many bytes
 * were taken: fewer than `len` when the pool is empty. */
uint32_t chain_append_bytes(struct chain *c, struct rte_mempool *pool, const void *data,
                            uint32_t len);

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. No byte is copied. */
void chain_append_chain(struct chain *to, struct chain *from);

/* Moves whole segments from the start of `from` to the end of `to` until at least `len` bytes (or
 * all) are moved: it may exceed `len` by less than a segment. Only what chain_append_packet() would
 * copy is copied. Returns the bytes moved. */
uint32_t chain_move_segments(struct chain *to, struct chain *from, uint32_t len);

/* Drops the first `len` bytes (at most all) and frees the segments that become empty. */
void chain_drop(struct chain *c, uint32_t len);

/* Keeps the first `len` bytes (at most all) and frees the rest. */
void chain_truncate(struct chain *c, uint32_t len);

/* Copies `len` bytes starting at `offset` without consuming. Returns the bytes copied. */
uint32_t chain_peek(const struct chain *c, uint32_t offset, void *out, uint32_t len);

/* Copies out and consumes. Returns the bytes copied. */
uint32_t chain_read(struct chain *c, void *out, uint32_t len);

/* Frees everything; the chain is empty afterwards. */
void chain_free(struct chain *c);

#endif
