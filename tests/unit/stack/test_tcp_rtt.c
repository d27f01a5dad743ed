/* The round trip as it is measured: from the handshake on, once in a round trip. */
#include "tests/unit/stack/tcp_script.h"

#define SLOW (300 * CLOCK_MS)
#define FAST (20 * CLOCK_MS)

/* Half of the sequence space as the clock of RFC 6528 runs through it. */
#define HALF (UINT64_C(0x80000000) * 4 * CLOCK_US)

/* A path that is shorter than its handshake was. */
static struct sock_info after_rounds(clock_ns start, bool timestamps)
{
    const struct script_config config = {.start = start};
    struct script *s = script_create(&config);
    struct script_conn *c = script_conn(s);
    struct sock_info info;

    c->timestamps = timestamps;
    script_connect(c, NULL);
    script_advance(s, SLOW);
    script_send(c, TCP_SYN | TCP_ACK, 0, 1, 0);
    script_discard(s);
    for (uint32_t at = 1; at < 40001; at += 1000) {
        script_write(c, 1000);
        script_flush(s);
        assert_int_equal(script_discard(s), 1);
        script_advance(s, FAST);
        script_send(c, TCP_ACK, 1, at + 1000, 0);
    }
    sock_info(c->sock, &info);
    assert_int_equal(info.retransmissions, 0);
    script_destroy(s);
    return info;
}

/* Wherever the sequence numbers begin. */
static void test_follows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct sock_info info = after_rounds(SCRIPT_START + i / 2 * HALF, i % 2 != 0);

        assert_in_range(info.srtt, FAST, 2 * FAST);
        assert_in_range(info.rto, FAST, SLOW);
        assert_in_range(info.rtt_min, FAST, FAST + SCRIPT_TICK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_follows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
