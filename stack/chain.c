#include "stack/chain.h"

#include <string.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

/* Payloads up to this size are copied into the tail's room instead of being linked. */
#define CHAIN_COALESCE_MAX 512

/* May bytes be written behind the data of this segment? Not when somebody else looks at it. */
static uint32_t writable_room(struct rte_mbuf *m)
{
    if (m == NULL || !RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)
        return 0;
    return rte_pktmbuf_tailroom(m);
}

static void link_segment(struct chain *c, struct rte_mbuf *m)
{
    m->next = NULL;
    if (c->tail != NULL)
        c->tail->next = m;
    else
        c->head = m;
    c->tail = m;
    c->segs++;
    c->len += m->data_len;
}

static void copy_to_tail(struct chain *c, const void *data, uint32_t len)
{
    rte_memcpy(rte_pktmbuf_mtod_offset(c->tail, uint8_t *, c->tail->data_len), data, len);
    c->tail->data_len = (uint16_t)(c->tail->data_len + len);
    c->len += len;
}

/* Takes one mbuf: links it, or copies the little that it holds. */
static void append_segment(struct chain *c, struct rte_mbuf *m)
{
    uint32_t len = m->data_len;

    if (len > 0 && (len > CHAIN_COALESCE_MAX || writable_room(c->tail) < len)) {
        link_segment(c, m);
        return;
    }
    if (len > 0)
        copy_to_tail(c, rte_pktmbuf_mtod(m, void *), len);
    rte_pktmbuf_free_seg(m);
}

void chain_append_packet(struct chain *c, struct rte_mbuf *m)
{
    while (m != NULL) {
        struct rte_mbuf *next = m->next;

        m->next = NULL;
        m->nb_segs = 1;
        append_segment(c, m);
        m = next;
    }
}

uint32_t chain_append_bytes(struct chain *c, struct rte_mempool *pool, const void *data,
                            uint32_t len)
{
    const uint8_t *p = data;
    uint32_t done = 0;

    while (done < len) {
        uint32_t room = writable_room(c->tail);
        uint32_t n = len - done < room ? len - done : room;

        if (room == 0) {
            struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

            if (m == NULL)
                break;
            link_segment(c, m);
            continue;
        }
        copy_to_tail(c, p + done, n);
        done += n;
    }
    return done;
}

void chain_append_chain(struct chain *to, struct chain *from)
{
    if (from->head == NULL)
        return;
    if (to->tail != NULL)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->len += from->len;
    to->segs += from->segs;
    memset(from, 0, sizeof *from);
}

static struct rte_mbuf *unlink_head(struct chain *c)
{
    struct rte_mbuf *m = c->head;

    c->head = m->next;
    if (c->head == NULL)
        c->tail = NULL;
    c->segs--;
    c->len -= m->data_len;
    m->next = NULL;
    return m;
}

uint32_t chain_move_segments(struct chain *to, struct chain *from, uint32_t len)
{
    uint32_t moved = 0;

    while (moved < len && from->head != NULL) {
        moved += from->head->data_len;
        append_segment(to, unlink_head(from));
    }
    return moved;
}

void chain_drop(struct chain *c, uint32_t len)
{
    while (len > 0 && c->head != NULL) {
        struct rte_mbuf *m = c->head;

        if (m->data_len > len) {
            m->data_off = (uint16_t)(m->data_off + len);
            m->data_len = (uint16_t)(m->data_len - len);
            c->len -= len;
            return;
        }
        len -= m->data_len;
        rte_pktmbuf_free_seg(unlink_head(c));
    }
}

void chain_truncate(struct chain *c, uint32_t len)
{
    struct chain kept = {0};

    while (kept.len < len && c->head != NULL)
        link_segment(&kept, unlink_head(c));
    chain_free(c);
    if (kept.len > len) {
        kept.tail->data_len = (uint16_t)(kept.tail->data_len - (kept.len - len));
        kept.len = len;
    }
    *c = kept;
}

uint32_t chain_peek(const struct chain *c, uint32_t offset, void *out, uint32_t len)
{
    uint8_t *p = out;
    uint32_t done = 0;

    for (struct rte_mbuf *m = c->head; m != NULL && done < len; m = m->next) {
        uint32_t n;

        if (offset >= m->data_len) {
            offset -= m->data_len;
            continue;
        }
        n = m->data_len - offset;
        if (n > len - done)
            n = len - done;
        rte_memcpy(p + done, rte_pktmbuf_mtod_offset(m, uint8_t *, offset), n);
        done += n;
        offset = 0;
    }
    return done;
}

uint32_t chain_read(struct chain *c, void *out, uint32_t len)
{
    uint32_t n = chain_peek(c, 0, out, len);

    chain_drop(c, n);
    return n;
}

void chain_free(struct chain *c)
{
    while (c->head != NULL)
        rte_pktmbuf_free_seg(unlink_head(c));
}
