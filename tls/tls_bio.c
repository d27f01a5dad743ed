/*
 * The BIO between OpenSSL and struct tls_transport. The end of the stream is not passed on: OpenSSL
 * would take it as fatal, send a decode_error alert and refuse to write from then on, while a
 * client that has half-closed without close_notify may well be waiting for its answer. It is kept
 * in the connection instead, and tls_conn.c says what it means.
 */
#include "tls/tls_internal.h"

static int bio_read(BIO *bio, char *out, int len)
{
    struct tls_conn *c = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (c->idle_records > TLS_CONN_IDLE_RECORDS_MAX)
        return -1;
    n = c->eof ? -1 : c->transport->read(c->transport_ctx, out, (size_t)len);
    if (n > 0) {
        if (c->client != NULL && !c->established)
            tls_conn_client_received(c, (const uint8_t *)out, (size_t)n);
        return (int)n;
    }
    if (n < 0)
        c->eof = true;
    BIO_set_retry_read(bio);
    return -1;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_conn *c = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    n = c->transport->write(c->transport_ctx, data, (size_t)len);
    if (n > 0)
        return (int)n;
    if (n == 0)
        BIO_set_retry_write(bio);
    return -1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH; /* nothing is held here */
}

BIO_METHOD *tls_bio_method_create(void)
{
    /* No BIO_get_new_index(): the numbers are few, process-wide, and only for searching BIO chains.
     */
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "transport");

    if (m == NULL || BIO_meth_set_read(m, bio_read) != 1 || BIO_meth_set_write(m, bio_write) != 1 ||
        BIO_meth_set_ctrl(m, bio_ctrl) != 1) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

BIO *tls_bio_create(struct tls_worker *w, struct tls_conn *c)
{
    BIO *bio = BIO_new_ex(w->lib, w->bio);

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    return bio;
}
