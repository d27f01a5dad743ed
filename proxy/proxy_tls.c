/*
 * Joins a client's socket to its TLS connection.
 *
 * Request: a record is decrypted only as far as the server's socket has room for its plaintext; the
 * rest stays in the client's receive queue as ciphertext. Response: plaintext is looked at in the
 * server's receive queue and leaves it only when its record is wholly in the client's send queue.
 * Until then tls_conn_write() is given the same bytes again, perhaps with more behind them, as it
 * asks for.
 */
#include "proxy/proxy_internal.h"

static uint32_t clamp(size_t len)
{
    return len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
}

static ssize_t transport_read(void *ctx, void *out, size_t len)
{
    struct session *s = ctx;
    uint32_t n = sock_read(s->client, out, clamp(len));

    if (n > 0)
        return (ssize_t)n;
    /* 0 also on a dead socket, whose EVENT_ERROR tells better what happened. */
    return sock_eof(s->client) && sock_error(s->client) == SOCK_OK ? -1 : 0;
}

static ssize_t transport_write(void *ctx, const void *data, size_t len)
{
    struct session *s = ctx;

    return (ssize_t)sock_write(s->client, data, clamp(len));
}

const struct tls_transport proxy_tls_transport = {
    .read = transport_read,
    .write = transport_write,
};

static enum relay_result tls_failed(const struct session *s)
{
    return tls_conn_truncated(s->tls) ? RELAY_TRUNCATED : RELAY_TLS_ERROR;
}

static enum relay_result request_end(struct session *s)
{
    sock_shutdown(s->backend);
    s->flags |= SESSION_REQUEST_DONE;
    return RELAY_IDLE;
}

/* Nothing to read before the client's next event: spares OpenSSL the question. */
static bool client_drained(const struct session *s)
{
    return !tls_conn_pending(s->tls) && sock_readable(s->client) == 0 && !sock_eof(s->client);
}

enum relay_result proxy_tls_request(struct session *s)
{
    uint8_t *scratch = s->proxy->scratch;
    uint32_t moved = 0;

    s->flags &= (uint8_t)~SESSION_READ_BLOCKED;
    while (moved < PROXY_QUANTUM) {
        uint32_t room = sock_writable(s->backend);
        size_t got = 0;

        if (room == 0)
            return RELAY_IDLE; /* EVENT_WRITABLE will follow */
        switch (tls_conn_read(s->tls, scratch, room < PROXY_SCRATCH ? room : PROXY_SCRATCH, &got)) {
        case TLS_DONE:
            break;
        case TLS_WANT_READ:
            return RELAY_IDLE;
        case TLS_WANT_WRITE:
            s->flags |= SESSION_READ_BLOCKED;
            return RELAY_IDLE;
        case TLS_CLOSED:
            return request_end(s);
        case TLS_FAILED:
            return tls_failed(s);
        }
        if (sock_write(s->backend, scratch, (uint32_t)got) < got)
            return RELAY_NO_BUFFER;
        session_count_request(s, (uint32_t)got);
        if (client_drained(s))
            return RELAY_IDLE;
        moved += (uint32_t)got;
    }
    return RELAY_MORE;
}

static enum relay_result response_end(struct session *s)
{
    switch (tls_conn_close_notify(s->tls)) {
    case TLS_DONE:
        sock_shutdown(s->client);
        s->flags |= SESSION_RESPONSE_DONE;
        return RELAY_IDLE;
    case TLS_FAILED:
        return tls_failed(s);
    default:
        return RELAY_IDLE; /* the client's EVENT_WRITABLE leads here again */
    }
}

enum relay_result proxy_tls_response(struct session *s)
{
    uint8_t *scratch = s->proxy->scratch;
    uint32_t moved = 0;

    s->flags &= (uint8_t)~SESSION_WRITE_BLOCKED;
    while (moved < PROXY_QUANTUM) {
        uint32_t len = sock_peek(s->backend, 0, scratch, PROXY_SCRATCH);
        size_t taken = 0;

        if (len == 0)
            return sock_eof(s->backend) ? response_end(s) : RELAY_IDLE;
        switch (tls_conn_write(s->tls, scratch, len, &taken)) {
        case TLS_DONE:
            break;
        case TLS_WANT_READ:
            s->flags |= SESSION_WRITE_BLOCKED;
            return RELAY_IDLE;
        case TLS_WANT_WRITE:
            return RELAY_IDLE;
        case TLS_CLOSED:
        case TLS_FAILED:
            return tls_failed(s);
        }
        sock_skip(s->backend, (uint32_t)taken);
        session_count_response(s, (uint32_t)taken);
        moved += (uint32_t)taken;
    }
    return RELAY_MORE;
}
