/* Bytes pass untouched: the stack moves them from queue to queue without a copy. */
#include "proxy/proxy_internal.h"

/*
 * Moves about a quantum, then the end of the stream when it is reached. The stack moves whole
 * segments: only a call that moved nothing says that the one queue is empty or the other is full.
 */
static enum relay_result splice(struct session *s, struct sock *from, struct sock *to, uint8_t done,
                                uint32_t *moved)
{
    uint32_t n;

    *moved = 0;
    do {
        n = sock_splice(from, to, PROXY_QUANTUM);
        *moved += n;
    } while (n > 0 && *moved < PROXY_QUANTUM);
    if (sock_eof(from)) {
        sock_shutdown(to);
        s->flags |= done;
        return RELAY_IDLE;
    }
    return n > 0 ? RELAY_MORE : RELAY_IDLE;
}

enum relay_result proxy_splice_request(struct session *s)
{
    uint32_t moved;
    enum relay_result r = splice(s, s->client, s->backend, SESSION_REQUEST_DONE, &moved);

    if (moved > 0)
        session_count_request(s, moved);
    return r;
}

enum relay_result proxy_splice_response(struct session *s)
{
    uint32_t moved;
    enum relay_result r = splice(s, s->backend, s->client, SESSION_RESPONSE_DONE, &moved);

    if (moved > 0)
        session_count_response(s, moved);
    return r;
}
