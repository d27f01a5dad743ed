/*
 * Packet buffers: one connection's share of those of all. When they run short, everybody may hold
 * less, in both queues, before anything has to be dropped; writers that find nothing left wait.
 */
#include "stack/tcp/tcp_memory.h"

#include "base/log.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"

/*
 * Dynamic thresholds (Choudhury and Hahne, 1998): a queue may be as long as a quarter of what all
 * queues together have left. One connection alone is hardly limited; a thousand that stall at once
 * share what there is, and a part always stays free for those that come after them.
 */
static uint32_t share_of_all(const struct tcp_conn *c)
{
    const struct tcp *t = c->sock.tcp;
    uint32_t usable = t->held_max / 4 * 3;
    uint32_t segments = t->held < usable ? (usable - t->held) / 4 : 0;

    return (segments > TCP_SHARE_MIN ? segments : TCP_SHARE_MIN) * c->mss;
}

uint32_t tcp_memory_send_limit(const struct tcp_conn *c)
{
    uint32_t share = share_of_all(c);

    return share < c->buffers.send ? share : c->buffers.send;
}

uint32_t tcp_memory_receive_limit(const struct tcp_conn *c)
{
    uint32_t share = share_of_all(c);

    return share < c->buffers.receive ? share : c->buffers.receive;
}

bool tcp_memory_tight(const struct tcp_conn *c)
{
    const struct tcp *t = c->sock.tcp;

    return t->held >= t->held_max && c->send_queue.segs >= TCP_SHARE_MIN;
}

bool tcp_memory_room(const struct tcp_conn *c, bool in_order)
{
    const struct tcp *t = c->sock.tcp;

    if (!in_order)
        return t->held < t->held_max / 4 * 3;
    /* The last eighth is for connections that hold next to nothing: they go on, however slowly. */
    return t->held < t->held_max / 8 * 7 || (t->held < t->held_max && c->receive_queue.segs < 4);
}

/* ---- those who wait ---- */

void tcp_memory_wait(struct tcp_conn *c)
{
    if (c->memory_waiting)
        return;
    TAILQ_INSERT_TAIL(&c->sock.tcp->memory_waiters, c, memory_link);
    c->memory_waiting = true;
}

void tcp_memory_wait_end(struct tcp_conn *c)
{
    if (c->memory_waiting)
        TAILQ_REMOVE(&c->sock.tcp->memory_waiters, c, memory_link);
    c->memory_waiting = false;
}

/* Writers that found the buffer budget exhausted are told when an eighth of it is free again. */
static void wake_memory_waiters(struct tcp *t)
{
    struct tcp_conn *c;

    if (TAILQ_EMPTY(&t->memory_waiters) || t->held > t->held_max - t->held_max / 8)
        return;
    while ((c = TAILQ_FIRST(&t->memory_waiters)) != NULL) {
        tcp_memory_wait_end(c);
        if (c->want_write) {
            c->want_write = false;
            tcp_event_raise(&c->sock, EVENT_WRITABLE);
        }
    }
}

/* Says so once when queues have shrunk to their least, and when there is room again. */
static void watch_memory(struct tcp *t)
{
    uint32_t suppressed;

    if (!t->memory_short && t->held > t->held_max / 4 * 3 &&
        log_limit_pass(&t->memory_log, t->now, &suppressed)) {
        t->memory_short = true;
        log_warn("tcp",
                 "packet buffers run short: %u of %u are in use, windows are closing; more come "
                 "with limits.buffer-memory",
                 t->held, t->held_max);
    } else if (t->memory_short && t->held < t->held_max / 2) {
        t->memory_short = false;
        log_info("tcp", "packet buffers suffice again: %u of %u are in use", t->held, t->held_max);
    }
}

void tcp_memory_round(struct tcp *t)
{
    wake_memory_waiters(t);
    watch_memory(t);
}
