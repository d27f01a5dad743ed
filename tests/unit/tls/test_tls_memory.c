/*
 * What a connection holds on to: counted by standing in for OpenSSL's allocator.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

/* A record's buffer, which an idle connection must not keep, is larger than all the rest. */
#define IDLE_MAX 20000

static size_t live;

static void *counted_malloc(size_t n, const char *file, int line)
{
    void *p = malloc(n);

    (void)file, (void)line;
    live += malloc_usable_size(p);
    return p;
}

static void counted_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    live -= malloc_usable_size(p);
    free(p);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    live -= malloc_usable_size(p);
    p = realloc(p, n);
    live += malloc_usable_size(p);
    return p;
}

static struct tls_cert_file *shop;
static struct tls_worker *worker;
static struct tls_server *server;
static SSL_CTX *clients[2];

static int set_up(void **state)
{
    (void)state;
    fixture_dir_create();
    shop = fixture_cert_file("shop", &(struct fixture_spec){.alt_names = "DNS:shop.example"});
    worker = fixture_worker();
    server = fixture_server(worker, &shop, 1);
    clients[0] = fixture_client_ctx();
    clients[1] = fixture_client_ctx();
    SSL_CTX_set_max_proto_version(clients[1], TLS1_2_VERSION);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(clients[0]);
    SSL_CTX_free(clients[1]);
    tls_server_destroy(server);
    tls_worker_destroy(worker);
    tls_cert_file_unref(shop);
    fixture_dir_remove();
    return 0;
}

static void establish(struct fixture_pair *p, SSL_CTX *ctx)
{
    fixture_pair_open(p, server, 0, ctx, "shop.example");
    assert_true(fixture_pair_handshake(p));
    SSL_read(p->client, (char[1]){0}, 1);
}

/* What the server's side frees when it goes. */
static size_t close_counting(struct fixture_pair *p)
{
    size_t before = live;

    tls_conn_destroy(p->server);
    p->server = NULL;
    before -= live;
    fixture_pair_close(p);
    return before;
}

static void test_idle(void **state)
{
    static const uint8_t data[50000];
    uint8_t buffer[20000];
    struct fixture_pair p;
    size_t got;

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, clients[i]);
        assert_in_range(close_counting(&p), 1, IDLE_MAX);

        establish(&p, clients[i]);
        fixture_client_send(&p, data, sizeof data);
        fixture_server_send(&p, data, sizeof data);
        while (tls_conn_read(p.server, buffer, sizeof buffer, &got) == TLS_DONE)
            ;
        assert_in_range(close_counting(&p), 1, IDLE_MAX);
    }
}

/* Half-closed, either side may wait for long. */
static void test_half_closed(void **state)
{
    struct fixture_pair p;
    char buffer[16];
    size_t got;

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, clients[i]);
        assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
        assert_in_range(close_counting(&p), 1, IDLE_MAX);

        establish(&p, clients[i]);
        SSL_shutdown(p.client);
        fixture_pair_pump(&p);
        assert_int_equal(tls_conn_read(p.server, buffer, sizeof buffer, &got), TLS_CLOSED);
        assert_in_range(close_counting(&p), 1, IDLE_MAX);
    }
}

/* What our end of a connection to a server frees: the server's certificate is its largest part. */
static void test_idle_client(void **state)
{
    char path[FIXTURE_PATH_MAX];
    struct tls_ca_file *ca = tls_ca_file_load(fixture_path("shop.crt", path), NULL);
    struct tls_client_config config = {.verify = true,
                                       .ca = ca,
                                       .server_name = "shop.example",
                                       .min_version = TLS_VERSION_1_2,
                                       .max_version = TLS_VERSION_1_3};
    struct tls_client *c;
    struct fixture_link l;
    size_t before;

    (void)state;
    c = tls_client_create(worker, &config, NULL);
    assert_non_null(c);
    for (int i = 0; i < 4; i++) {
        fixture_link_open(&l, server, 0, c, NULL);
        assert_true(fixture_link_handshake(&l));
        fixture_link_exchange(&l);
        before = live;
        tls_conn_destroy(l.client);
        l.client = NULL;
        assert_in_range(before - live, 1, IDLE_MAX);
        fixture_link_close(&l);
    }
    tls_client_destroy(c);
    tls_ca_file_unref(ca);
}

static void connect_once(SSL_CTX *ctx, bool good)
{
    struct fixture_pair p;

    fixture_pair_open(&p, server, 0, ctx, good ? "shop.example" : "other.example");
    if (!good)
        SSL_set_alpn_protos(p.client, (const uint8_t *)"\x04mqtt", 5);
    assert_int_equal(fixture_pair_handshake(&p), good);
    fixture_pair_close(&p);
}

static void test_no_growth(void **state)
{
    size_t before = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            before = live;
        connect_once(clients[i % 2], i % 5 != 0);
    }
    assert_int_equal(live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_idle_client),
        cmocka_unit_test(test_no_growth),
    };

    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
