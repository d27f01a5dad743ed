/*
 * One direction of a relay, up to a quantum a call. Where both sides are plain, the stack moves
 * segments from queue to queue without a copy; else bytes pass through the worker's scratch buffer.
 */
#include "proxy/proxy_internal.h"

/*
 * Moves about a quantum, then the end of the stream when it is reached. The stack moves whole
 * segments: only a call that moved nothing says that the one queue is empty or the other is full.
 */
static enum relay_result splice(struct proxy_side *from, struct proxy_side *to, uint32_t *moved)
{
    uint32_t n;

    do {
        n = sock_splice(from->sock, to->sock, PROXY_QUANTUM);
        *moved += n;
    } while (n > 0 && *moved < PROXY_QUANTUM);
    if (sock_eof(from->sock)) {
        proxy_side_finish(to);
        return RELAY_IDLE;
    }
    return n > 0 ? RELAY_MORE : RELAY_IDLE;
}

static enum relay_result write_result(enum side_status status)
{
    return status == SIDE_FAILED ? RELAY_WRITE_FAILED : RELAY_IDLE;
}

static enum relay_result copy(struct proxy_side *from, struct proxy_side *to, uint8_t *scratch,
                              uint32_t *moved)
{
    while (*moved < PROXY_QUANTUM) {
        uint32_t room = proxy_side_room(to);
        size_t len = 0, taken = 0;
        enum side_status status;

        if (room == 0)
            return RELAY_IDLE; /* EVENT_WRITABLE will follow */
        status = proxy_side_peek(from, scratch, room < PROXY_SCRATCH ? room : PROXY_SCRATCH, &len);
        if (status == SIDE_END)
            return write_result(proxy_side_finish(to));
        if (status != SIDE_OK)
            return status == SIDE_FAILED ? RELAY_READ_FAILED : RELAY_IDLE;
        status = proxy_side_write(to, scratch, len, &taken);
        if (status != SIDE_OK)
            return write_result(status);
        proxy_side_skip(from, scratch, taken);
        *moved += (uint32_t)taken;
        if (proxy_side_drained(from))
            return RELAY_IDLE; /* spares OpenSSL the question */
    }
    return RELAY_MORE;
}

static enum relay_result pump(struct session *s, struct proxy_side *from, struct proxy_side *to,
                              uint32_t *moved)
{
    if ((to->flags & SIDE_FINISHED) != 0)
        return RELAY_IDLE;
    if (from->tls == NULL && to->tls == NULL)
        return splice(from, to, moved);
    return copy(from, to, s->proxy->scratch, moved);
}

enum relay_result proxy_pump_request(struct session *s)
{
    uint32_t moved = 0;
    enum relay_result r;

    if ((s->backend.flags & SIDE_DEAD) != 0)
        return RELAY_IDLE;
    r = pump(s, &s->client, &s->backend, &moved);
    if (moved > 0) {
        s->from_client += moved;
        proxy_backend_sent(s, moved);
        s->active = s->proxy->now;
        COUNTER_ADD(s->proxy->counters.bytes_from_clients, moved);
    }
    return r;
}

enum relay_result proxy_pump_response(struct session *s)
{
    uint32_t moved = 0;
    enum relay_result r = pump(s, &s->backend, &s->client, &moved);

    if (moved > 0) {
        session_mark(s, &s->at_first_byte);
        s->from_backend += moved;
        proxy_backend_received(s, moved);
        s->active = s->proxy->now;
        COUNTER_ADD(s->proxy->counters.bytes_from_backends, moved);
    }
    return r;
}
