/*
 * The PROXY header of a client's connection, on listeners with `proxy-protocol`.
 *
 * A peer in one of those prefixes is a proxy of the user's: it must say whom it speaks for, before
 * TLS and before payload, and is believed. Without that duty a client that reaches the listener
 * through it unheard would pass for the proxy itself. Anybody else is not believed: to such a peer
 * the listener is like any other, and a header is payload, wherever it may lead.
 *
 * The header is looked at in the receive queue, and only it is taken out: what follows is the
 * stream that the rest of the proxy sees. The time for it and for the ClientHello is one.
 */
#include "proxy/proxy_internal.h"

#include "proxy/proxy_header.h"

static_assert(PROXY_HEADER_MAX <= PROXY_SCRATCH, "a header is parsed in the scratch buffer");

bool proxy_client_header_due(const struct session *s)
{
    const struct policy_listener *l = s->listener;
    struct ip_endpoint peer;

    sock_remote(s->client.sock, &peer);
    for (unsigned i = 0; i < l->proxy_from_count; i++) {
        if (ip_in_prefix(&peer.addr, &l->proxy_from[i]))
            return true;
    }
    return false;
}

static void header_taken(struct session *s, const struct proxy_header *header)
{
    COUNTER_INC(s->proxy->counters.proxy_header_accepted);
    sock_skip(s->client.sock, (uint32_t)header->length);
    if (!header->local) {
        struct session_extra *extra = proxy_session_extra(s);

        extra->proxied = true;
        extra->source = header->source;
        extra->destination = header->destination;
    }
    proxy_hello_begin(s);
}

static void header_absent(struct session *s)
{
    COUNTER_INC(s->proxy->counters.proxy_header_missing);
    proxy_log_client(s, LOG_LEVEL_WARN,
                     "no PROXY header: proxy-protocol.from of the listener holds this peer, which "
                     "must send one first");
    proxy_session_end(s, "no PROXY header");
}

static void header_malformed(struct session *s, const char *what)
{
    COUNTER_INC(s->proxy->counters.proxy_header_malformed);
    proxy_log_client(s, LOG_LEVEL_WARN, "malformed PROXY header: %s", what);
    proxy_session_end(s, "malformed PROXY header");
}

/* The start of a header. Waits for the rest, unless it cannot come. */
static void header_wait(struct session *s, uint32_t len, size_t need)
{
    s->hello_need = (uint16_t)need;
    if (sock_state(s->client.sock) != TCP_CLOSE_WAIT)
        return;
    if (len > 0)
        header_malformed(s, "the connection ends within it");
    else
        proxy_session_end(s, "closed without a word"); /* as proxies do to see whether we live */
}

void proxy_client_header_begin(struct session *s)
{
    s->state = SESSION_CLIENT_HEADER;
    proxy_timeout_arm(s);
}

void proxy_client_header_read(struct session *s)
{
    uint8_t *scratch = s->proxy->scratch;
    uint32_t len = sock_readable(s->client.sock);
    struct proxy_header header;

    if (len == 0 || len < s->hello_need) {
        header_wait(s, len, s->hello_need);
        return;
    }
    len = sock_peek(s->client.sock, 0, scratch, PROXY_HEADER_MAX);
    switch (proxy_header_parse(scratch, len, &header)) {
    case PROXY_HEADER_OK:
        s->hello_need = 0;
        header_taken(s, &header);
        break;
    case PROXY_HEADER_MORE:
        header_wait(s, len, header.need);
        break;
    case PROXY_HEADER_ABSENT:
        header_absent(s);
        break;
    case PROXY_HEADER_MALFORMED:
        header_malformed(s, header.why);
        break;
    }
}

void proxy_client_header_timeout(struct session *s)
{
    uint32_t len = sock_readable(s->client.sock);

    COUNTER_INC(s->proxy->counters.proxy_header_timeout);
    if (len > 0)
        proxy_log_client(s, LOG_LEVEL_WARN, "no whole PROXY header within %llu s: %u bytes came",
                         (unsigned long long)((s->proxy->now - s->opened) / CLOCK_SEC), len);
    proxy_session_end(s, "no PROXY header in time");
}
