/*
 * One end of a session: a socket, with TLS on it or without, behind one set of calls, so that a
 * pump need not know which of the two it moves bytes from or to.
 *
 * Bytes are looked at first and leave their side only when the other has wholly taken them. In a
 * plain side they wait in its receive queue; in one with TLS the record that is in work waits
 * inside OpenSSL and the rest as ciphertext in the receive queue. A write to TLS that was cut short
 * is given the same bytes again, perhaps with more behind them, as tls_conn_write() asks for.
 */
#include "proxy/proxy_internal.h"

static uint32_t clamp(size_t len)
{
    return len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
}

static ssize_t transport_read(void *ctx, void *out, size_t len)
{
    struct sock *k = ctx;
    uint32_t n = sock_read(k, out, clamp(len));

    if (n > 0)
        return (ssize_t)n;
    /* 0 also on a dead socket, whose EVENT_ERROR tells better what happened. */
    return sock_eof(k) && sock_error(k) == SOCK_OK ? -1 : 0;
}

static ssize_t transport_write(void *ctx, const void *data, size_t len)
{
    struct sock *k = ctx;

    return (ssize_t)sock_write(k, data, clamp(len));
}

const struct tls_transport proxy_side_transport = {
    .read = transport_read,
    .write = transport_write,
};

static enum side_status peek_tls(struct proxy_side *side, void *out, size_t len, size_t *got)
{
    side->flags &= (uint8_t)~SIDE_READ_BLOCKED;
    switch (tls_conn_peek(side->tls, out, len, got)) {
    case TLS_DONE:
        return SIDE_OK;
    case TLS_WANT_READ:
        return SIDE_WAIT;
    case TLS_WANT_WRITE:
        side->flags |= SIDE_READ_BLOCKED;
        return SIDE_WAIT;
    case TLS_CLOSED:
        side->flags |= SIDE_ENDED;
        return SIDE_END;
    case TLS_FAILED:
        return SIDE_FAILED;
    }
    return SIDE_FAILED;
}

enum side_status proxy_side_peek(struct proxy_side *side, void *out, size_t len, size_t *got)
{
    if (side->tls != NULL)
        return peek_tls(side, out, len, got);
    *got = sock_peek(side->sock, 0, out, clamp(len));
    if (*got > 0)
        return SIDE_OK;
    return sock_eof(side->sock) ? SIDE_END : SIDE_WAIT;
}

void proxy_side_skip(struct proxy_side *side, void *seen, size_t len)
{
    size_t got = 0;

    if (side->tls != NULL)
        tls_conn_read(side->tls, seen, len, &got); /* all of it: it is of one record */
    else
        sock_skip(side->sock, clamp(len));
}

uint32_t proxy_side_room(const struct proxy_side *side)
{
    return side->tls != NULL ? UINT32_MAX : sock_writable(side->sock);
}

static enum side_status write_tls(struct proxy_side *side, const void *data, size_t len,
                                  size_t *taken)
{
    side->flags &= (uint8_t)~SIDE_WRITE_BLOCKED;
    switch (tls_conn_write(side->tls, data, len, taken)) {
    case TLS_DONE:
        return SIDE_OK;
    case TLS_WANT_READ:
        side->flags |= SIDE_WRITE_BLOCKED;
        return SIDE_WAIT;
    case TLS_WANT_WRITE:
        return SIDE_WAIT;
    case TLS_CLOSED:
    case TLS_FAILED:
        return SIDE_FAILED;
    }
    return SIDE_FAILED;
}

enum side_status proxy_side_write(struct proxy_side *side, const void *data, size_t len,
                                  size_t *taken)
{
    if (side->tls != NULL)
        return write_tls(side, data, len, taken);
    *taken = sock_write(side->sock, data, clamp(len));
    return *taken > 0 ? SIDE_OK : SIDE_WAIT;
}

enum side_status proxy_side_finish(struct proxy_side *side)
{
    if (side->tls != NULL) {
        switch (tls_conn_close_notify(side->tls)) {
        case TLS_DONE:
            break;
        case TLS_FAILED:
            return SIDE_FAILED;
        default:
            return SIDE_WAIT; /* EVENT_WRITABLE leads here again */
        }
    }
    sock_shutdown(side->sock);
    side->flags |= SIDE_FINISHED;
    return SIDE_OK;
}

bool proxy_side_unread(const struct proxy_side *side)
{
    if (sock_readable(side->sock) > 0)
        return true;
    if (side->tls != NULL)
        return tls_conn_pending(side->tls) || (side->flags & SIDE_ENDED) != 0;
    return sock_eof(side->sock);
}

bool proxy_side_drained(const struct proxy_side *side)
{
    return !proxy_side_unread(side) && !sock_eof(side->sock);
}

void proxy_side_tls_drop(struct proxy_side *side)
{
    if (side->tls != NULL)
        tls_conn_destroy(side->tls);
    side->tls = NULL;
}

void proxy_side_close(struct proxy_side *side)
{
    struct sock *k = side->sock;

    if (k == NULL)
        return;
    proxy_side_tls_drop(side);
    if ((side->flags & SIDE_FINISHED) != 0) {
        /* Unread bytes would turn the close into a RST; nobody will read them any more. */
        sock_skip(k, sock_readable(k));
        sock_close(k);
    } else {
        sock_abort(k);
    }
    *side = (struct proxy_side){0};
}
