/*
 * Source ports (RFC 6056), their reuse (RFC 6191), and the flow table.
 */
#include "tests/unit/stack/tcp_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_table.h"

static struct script *s;
static struct script_conn *c;
static uint16_t owned_port; /* 0: those that divide by `owned_step` */
static uint16_t owned_step = 1;
static unsigned asked;

static bool owns_flow(void *ctx, const struct ip_endpoint *remote, const struct ip_endpoint *local)
{
    asked++;
    assert_ptr_equal(ctx, &owned_port);
    assert_int_equal(remote->port, c->peer_port); /* as the wire has it: from there to here */
    return owned_port != 0 ? local->port == owned_port : local->port % owned_step == 0;
}

static int setup(void **state)
{
    (void)state;
    owned_port = 0;
    owned_step = 1;
    s = script_create(
        &(struct script_config){.owns_flow = owns_flow, .owns_flow_ctx = &owned_port});
    c = script_conn(s);
    c->peer_port = 9000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static struct sock *connect_to(uint8_t host, enum sock_error *error)
{
    struct ip_endpoint to = script_endpoint(host, 9000);

    return sock_connect(script_stack(s), &to, NULL, c, error);
}

static uint16_t port_of(struct sock *k)
{
    struct ip_endpoint local;

    sock_local(k, &local);
    return local.port;
}

/* In the range, distinct, and not the same for another destination. */
static void test_range(void **state)
{
    enum sock_error error;
    struct sock *k[20], *other;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        k[i] = connect_to(2, &error);
        assert_non_null(k[i]);
        assert_true(port_of(k[i]) >= 16384);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(port_of(k[i]), port_of(k[j]));
    }
    other = connect_to(3, &error);
    assert_true(abs(port_of(other) - port_of(k[19])) > 40); /* a hash of its own */
}

/* Only ports whose replies come to this worker. */
static void test_owned_flows_only(void **state)
{
    enum sock_error error;

    (void)state;
    owned_step = 7;
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(port_of(connect_to(2, &error)) % 7, 0);
}

static void test_exhausted(void **state)
{
    enum sock_error error = SOCK_OK;
    struct sock *k;

    (void)state;
    owned_port = 20000;
    k = connect_to(2, &error);
    assert_int_equal(port_of(k), 20000);
    assert_null(connect_to(2, &error));
    assert_int_equal(error, SOCK_NO_PORT);
    assert_int_equal(script_counters(s)->tcp_no_ports, 1);
    assert_non_null(connect_to(3, &error)); /* another peer: another flow */
    sock_close(k);
    assert_non_null(connect_to(2, &error));
}

/* All of many ports are in use: each is found, and the connect that fails is not dear. */
static void test_exhausted_cheaply(void **state)
{
    enum sock_error error = SOCK_OK;
    unsigned n = 0;

    (void)state;
    script_destroy(s);
    s = script_create(&(struct script_config){
        .owns_flow = owns_flow, .owns_flow_ctx = &owned_port, .max_connections = 5000});
    c = script_conn(s);
    c->peer_port = 9000;
    owned_step = 12;
    while (connect_to(2, &error) != NULL)
        n++;
    assert_int_equal(error, SOCK_NO_PORT);
    assert_int_equal(n, 65535 / 12 - 16383 / 12);
    asked = 0;
    assert_null(connect_to(2, &error));
    assert_true(asked <= 12 * 1024);
}

/* Our own close leaves the port in TIME-WAIT. */
static void to_time_wait(bool timestamps)
{
    owned_port = 20000;
    c->timestamps = timestamps;
    script_establish_active(c, NULL);
    sock_close(c->sock);
    script_flush(s);
    script_expect(c, TCP_FIN | TCP_ACK, 1, 1, 0);
    script_send(c, TCP_FIN | TCP_ACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(script_usage(s).connections[TCP_TIME_WAIT], 1);
}

/* RFC 6191: with timestamps it can be used again after a second, with numbers beyond the old. */
static void test_time_wait_reuse(void **state)
{
    enum sock_error error;
    uint32_t old_end;

    (void)state;
    to_time_wait(true);
    old_end = c->stack_iss + 2;
    assert_null(connect_to(2, &error));
    script_advance(s, 1100 * CLOCK_MS);
    c->sock = connect_to(2, &error);
    assert_non_null(c->sock);
    assert_int_equal(script_counters(s)->tcp_time_wait_reused, 1);
    assert_int_equal(script_usage(s).connections_used, 1);
    script_flush(s);
    script_expect(c, TCP_SYN, 0, 0, 0);
    assert_true((int32_t)(c->stack_iss - old_end) > 0);
}

/* Without timestamps nothing tells the old segments from the new: it waits. */
static void test_time_wait_no_reuse_without_timestamps(void **state)
{
    enum sock_error error;

    (void)state;
    to_time_wait(false);
    script_advance(s, 59 * CLOCK_SEC);
    assert_null(connect_to(2, &error));
    assert_int_equal(error, SOCK_NO_PORT);
    script_advance(s, 2 * CLOCK_SEC);
    assert_non_null(connect_to(2, &error));
}

/* ---- the flow table ---- */

#define FLOWS 5000

static struct tcp_conn *flow(unsigned i)
{
    static struct tcp_conn flows[FLOWS];
    struct tcp_conn *f = &flows[i];

    f->local.port = (uint16_t)(i % 7);
    f->remote.port = (uint16_t)(i / 7);
    memset(&f->remote.addr, (int)(i % 3), sizeof f->remote.addr);
    return f;
}

static void test_table(void **state)
{
    struct siphash_key key = {1, 2};
    struct tcp_table t;

    (void)state;
    assert_int_equal(tcp_table_init(&t, 100, &key), 0); /* fewer buckets than flows */
    for (unsigned i = 0; i < FLOWS; i++) {
        struct tcp_conn *f = flow(i);

        f->hash = tcp_table_hash(&t, &f->local, &f->remote);
        assert_null(tcp_table_find(&t, f->hash, &f->local, &f->remote));
        tcp_table_insert(&t, f);
    }
    for (unsigned i = 0; i < FLOWS; i += 2)
        tcp_table_remove(&t, flow(i));
    for (unsigned i = 0; i < FLOWS; i++) {
        struct tcp_conn *f = flow(i);

        assert_ptr_equal(tcp_table_find(&t, f->hash, &f->local, &f->remote), i % 2 == 1 ? f : NULL);
    }
    tcp_table_fini(&t);
}

/* Buckets depend on a secret: nobody can aim at one. */
static void test_table_key(void **state)
{
    struct siphash_key a = {1, 2}, b = {1, 3};
    struct tcp_table t, u;
    unsigned same = 0;

    (void)state;
    assert_int_equal(tcp_table_init(&t, 1000, &a), 0);
    assert_int_equal(tcp_table_init(&u, 1000, &b), 0);
    for (unsigned i = 0; i < 100; i++) {
        struct tcp_conn *f = flow(i);

        same +=
            tcp_table_hash(&t, &f->local, &f->remote) == tcp_table_hash(&u, &f->local, &f->remote);
    }
    assert_int_equal(same, 0);
    tcp_table_fini(&t);
    tcp_table_fini(&u);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_range),
        TEST(test_owned_flows_only),
        TEST(test_exhausted),
        TEST(test_exhausted_cheaply),
        TEST(test_time_wait_reuse),
        TEST(test_time_wait_no_reuse_without_timestamps),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
