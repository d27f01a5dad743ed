/*
 * A connection's bytes, in the clear or through tls/'s client. Chains are not verified, as load
 * tools do not: that would be the load's CPU and none of the proxy's. The handshake's signature,
 * the Finished and every record are.
 *
 * The client keeps a session by server name, and OpenSSL lets one be used once. So there is a name
 * for each of the connections that are made at a time: those that are kept bring its first session,
 * each that follows the next one's. Connections that are not to resume have a name of their own,
 * and so no session. All are below a wildcard of the certificate.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/memload/client_internal.h"

static ssize_t transport_read(void *ctx, void *out, size_t len)
{
    struct sock *k = ctx;
    uint32_t n = sock_read(k, out, len < INT32_MAX ? (uint32_t)len : INT32_MAX);

    return n == 0 && (sock_eof(k) || sock_error(k) != SOCK_OK) ? -1 : (ssize_t)n;
}

static ssize_t transport_write(void *ctx, const void *data, size_t len)
{
    struct sock *k = ctx;
    uint32_t n = sock_write(k, data, len < INT32_MAX ? (uint32_t)len : INT32_MAX);

    return n == 0 && sock_error(k) != SOCK_OK ? -1 : (ssize_t)n;
}

static const struct tls_transport transport = {.read = transport_read, .write = transport_write};

int client_tls_start(struct client *c, struct error *e)
{
    const struct tls_client_config config = {.min_version = TLS_VERSION_1_3,
                                             .max_version = TLS_VERSION_1_3};

    c->tls_worker = tls_worker_create(e);
    if (c->tls_worker == NULL)
        return -1;
    c->tls_client = tls_client_create(c->tls_worker, &config, e);
    return c->tls_client != NULL ? 0 : -1;
}

void client_tls_stop(struct client *c)
{
    if (c->tls_client != NULL)
        tls_client_destroy(c->tls_client);
    if (c->tls_worker != NULL)
        tls_worker_destroy(c->tls_worker);
}

int client_tls_open(struct load_conn *k)
{
    struct client *c = k->client;
    const struct load_config *config = &c->load->config;
    char name[64];

    snprintf(name, sizeof name, "c%" PRIu64 ".bench.example",
             config->resume ? (uint64_t)(k - c->conns) % config->kept : c->names++);
    k->closed = false;
    k->tls = tls_conn_create_client(c->tls_client, name, &transport, k->sock);
    return k->tls != NULL ? 0 : -1;
}

/* Of a call that moved nothing. */
static int verdict(enum tls_result result)
{
    switch (result) {
    case TLS_DONE:
        return 1;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return 0;
    default:
        return -1;
    }
}

int client_tls_handshake(struct load_conn *k)
{
    return verdict(tls_conn_handshake(k->tls));
}

ssize_t client_write(struct load_conn *k, const void *data, size_t len)
{
    enum tls_result result;
    size_t taken = 0;

    if (k->tls == NULL)
        return transport_write(k->sock, data, len);
    result = tls_conn_write(k->tls, data, len, &taken);
    return result == TLS_DONE ? (ssize_t)taken : verdict(result);
}

ssize_t client_read(struct load_conn *k, void *out, size_t len)
{
    enum tls_result result;
    size_t got = 0;

    if (k->tls == NULL)
        return transport_read(k->sock, out, len);
    result = tls_conn_read(k->tls, out, len, &got);
    if (result == TLS_CLOSED)
        k->closed = true;
    return result == TLS_DONE ? (ssize_t)got : verdict(result);
}

ssize_t client_peek(struct load_conn *k, void *out, size_t len)
{
    enum tls_result result;
    size_t got = 0;
    uint32_t n;

    if (k->tls == NULL) {
        n = sock_peek(k->sock, 0, out, (uint32_t)len);
        return n == 0 && (sock_eof(k->sock) || sock_error(k->sock) != SOCK_OK) ? -1 : (ssize_t)n;
    }
    result = tls_conn_peek(k->tls, out, len, &got);
    return result == TLS_DONE ? (ssize_t)got : verdict(result);
}

bool client_ended_well(const struct load_conn *k)
{
    return k->tls != NULL ? k->closed : sock_error(k->sock) == SOCK_OK;
}
