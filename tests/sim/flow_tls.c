#include "tests/sim/flow_tls.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "stack/socket.h"

struct flow_tls {
    SSL *ssl;
    BIO *in, *out;
    struct sock *sock;
    bool shutdown_wanted, fin_sent, failed, closed;
};

struct flow_tls *flow_tls_create(SSL_CTX *ctx, struct sock *k, const char *name)
{
    struct flow_tls *t = calloc(1, sizeof *t);

    assert(t != NULL);
    t->sock = k;
    t->ssl = SSL_new(ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    assert(t->ssl != NULL && t->in != NULL && t->out != NULL);
    SSL_set_bio(t->ssl, t->in, t->out);
    if (name == NULL) {
        SSL_set_accept_state(t->ssl);
        return t;
    }
    SSL_set_connect_state(t->ssl);
    if (SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (void *)(uintptr_t)name) != 1)
        abort();
    return t;
}

void flow_tls_destroy(struct flow_tls *t)
{
    SSL_free(t->ssl);
    free(t);
}

/* Returns true when all that TLS has written is in the socket. */
static bool drain(struct flow_tls *t)
{
    char *data;
    long len = BIO_get_mem_data(t->out, &data);
    uint32_t n;

    while (len > 0) {
        uint8_t scratch[4096];
        int want = len < (long)sizeof scratch ? (int)len : (int)sizeof scratch;

        n = sock_write(t->sock, data, (uint32_t)want);
        if (n == 0)
            return false;
        BIO_read(t->out, scratch, (int)n);
        len = BIO_get_mem_data(t->out, &data);
    }
    return true;
}

static void fill(struct flow_tls *t)
{
    uint8_t data[16384];

    /* No more than a record or two ahead of the reader, so that the window closes on a slow one. */
    while (BIO_pending(t->in) < 32768) {
        uint32_t n = sock_read(t->sock, data, sizeof data);

        if (n == 0)
            return;
        BIO_write(t->in, data, (int)n);
    }
}

static void check(struct flow_tls *t, int result)
{
    int error = SSL_get_error(t->ssl, result);

    if (error == SSL_ERROR_ZERO_RETURN)
        t->closed = true;
    else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        t->failed = true;
    ERR_clear_error();
}

bool flow_tls_progress(struct flow_tls *t)
{
    int r;

    fill(t);
    if (!SSL_is_init_finished(t->ssl) && (r = SSL_do_handshake(t->ssl)) <= 0)
        check(t, r);
    if (drain(t) && t->shutdown_wanted && !t->fin_sent) {
        sock_shutdown(t->sock);
        t->fin_sent = true;
    }
    if (sock_eof(t->sock) && BIO_pending(t->in) == 0 && !t->closed && !SSL_is_init_finished(t->ssl))
        t->failed = true;
    return !t->failed;
}

uint32_t flow_tls_write(struct flow_tls *t, const void *data, uint32_t len)
{
    const uint8_t *p = data;
    uint32_t done = 0;

    /* A record at a time, and none while the socket is full: EVENT_WRITABLE follows then. */
    while (done < len && SSL_is_init_finished(t->ssl) && drain(t) && !t->shutdown_wanted) {
        uint32_t want = len - done < 16384 ? len - done : 16384;
        size_t n = 0;

        if (SSL_write_ex(t->ssl, p + done, want, &n) != 1) {
            check(t, 0);
            break;
        }
        done += (uint32_t)n;
    }
    drain(t);
    return done;
}

uint32_t flow_tls_read(struct flow_tls *t, void *out, uint32_t len)
{
    size_t n = 0;
    int r;

    if (!SSL_is_init_finished(t->ssl) || t->closed)
        return 0;
    fill(t);
    r = SSL_read_ex(t->ssl, out, len, &n);
    if (r != 1)
        check(t, r);
    /* A FIN without close_notify: the stream was cut. */
    if (r != 1 && !t->closed && sock_eof(t->sock) && BIO_pending(t->in) == 0)
        t->failed = true;
    return r == 1 ? (uint32_t)n : 0;
}

void flow_tls_shutdown(struct flow_tls *t)
{
    SSL_shutdown(t->ssl);
    ERR_clear_error();
    t->shutdown_wanted = true;
    flow_tls_progress(t);
}

bool flow_tls_eof(const struct flow_tls *t)
{
    return t->closed;
}

bool flow_tls_flushed(const struct flow_tls *t)
{
    return t->fin_sent;
}
