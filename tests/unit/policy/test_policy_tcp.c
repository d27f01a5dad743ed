/* Settings of TCP: values, defaults and mistakes. */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>

static void test_defaults(void **state)
{
    struct policy *p = policy_good(BASE);
    const struct policy_tcp *t = &p->tcp;

    (void)state;
    assert_int_equal(t->congestion, POLICY_CUBIC);
    assert_int_equal(t->ecn, POLICY_ECN_PASSIVE);
    assert_int_equal(t->mtu_probing, POLICY_MTU_PROBING_BLACK_HOLE);
    assert_true(t->pacing && t->sack && t->timestamps);
    assert_int_equal(t->initial_window, 10);
    assert_int_equal(t->min_rto, 200 * CLOCK_MS);
    assert_int_equal(t->delayed_ack, 40 * CLOCK_MS);
    assert_int_equal(t->receive_buffer_max, 6u << 20);
    assert_int_equal(t->send_buffer_max, 4u << 20);
    assert_int_equal(t->fin_wait, 60 * CLOCK_SEC);
    assert_int_equal(t->time_wait, 60 * CLOCK_SEC);
    assert_int_equal(t->max_orphans, 0);
    assert_int_equal(t->syn_retries, 6);
    assert_int_equal(t->synack_retries, 5);
    policy_free(p);
}

static void test_values(void **state)
{
    struct policy *p = policy_good(BASE "tcp:\n"
                                        "  congestion-control: new-reno\n"
                                        "  ecn: active\n"
                                        "  path-mtu-probing: always\n"
                                        "  pacing: false\n"
                                        "  sack: false\n"
                                        "  timestamps: false\n"
                                        "  initial-window: 4\n"
                                        "  min-rto: 20ms\n"
                                        "  delayed-ack: 5ms\n"
                                        "  receive-buffer-max: 64MiB\n"
                                        "  send-buffer-max: 128KiB\n"
                                        "  fin-wait-timeout: 10s\n"
                                        "  time-wait: 5s\n"
                                        "  max-orphans: 500\n"
                                        "  syn-retries: 3\n"
                                        "  synack-retries: 2\n");
    const struct policy_tcp *t = &p->tcp;

    (void)state;
    assert_int_equal(t->mark.line, 10);
    assert_int_equal(t->congestion, POLICY_NEW_RENO);
    assert_int_equal(t->ecn, POLICY_ECN_ACTIVE);
    assert_int_equal(t->mtu_probing, POLICY_MTU_PROBING_ALWAYS);
    assert_false(t->pacing || t->sack || t->timestamps);
    assert_int_equal(t->initial_window, 4);
    assert_int_equal(t->min_rto, 20 * CLOCK_MS);
    assert_int_equal(t->delayed_ack, 5 * CLOCK_MS);
    assert_int_equal(t->receive_buffer_max, 64u << 20);
    assert_int_equal(t->send_buffer_max, 128u << 10);
    assert_int_equal(t->fin_wait, 10 * CLOCK_SEC);
    assert_int_equal(t->time_wait, 5 * CLOCK_SEC);
    assert_int_equal(t->max_orphans, 500);
    assert_int_equal(t->syn_retries, 3);
    assert_int_equal(t->synack_retries, 2);
    policy_free(p);
}

static const struct policy_case cases[] = {
    {"not a mapping",
     BASE "tcp: cubic\n",
     {"10:6: error: tcp: expected a mapping of settings of TCP, found \"cubic\""}},
    {"a key that is nearly one",
     BASE "tcp: {congestion: cubic, recieve-buffer-max: 1MiB}\n",
     {"10:7: error: tcp.congestion: unknown key, did you mean \"congestion-control\"?",
      "10:26: error: tcp.recieve-buffer-max: unknown key, did you mean \"receive-buffer-max\"?"}},
    {"choices",
     BASE "tcp: {congestion-control: newreno, ecn: on, path-mtu-probing: blackhole}\n",
     {"10:27: error: tcp.congestion-control: expected cubic or new-reno, found \"newreno\", did "
      "you "
      "mean \"new-reno\"?",
      "10:41: error: tcp.ecn: expected passive, active or off, found \"on\"",
      "10:63: error: tcp.path-mtu-probing: expected black-hole, always or off, found "
      "\"blackhole\", "
      "did you mean \"black-hole\"?"}},
    {"numbers",
     BASE "tcp: {initial-window: 0, max-orphans: 0, syn-retries: 16, synack-retries: -1}\n",
     {"10:23: error: tcp.initial-window: expected a value from 1 to 100, found \"0\"",
      "10:39: error: tcp.max-orphans: expected a value from 1 to 16777216, found \"0\"",
      "10:55: error: tcp.syn-retries: expected a value from 1 to 15, found \"16\"",
      "10:75: error: tcp.synack-retries: expected a number of retransmissions, found \"-1\""}},
    {"durations",
     BASE "tcp: {min-rto: 4ms, delayed-ack: 500ms, fin-wait-timeout: 2h}\n",
     {"10:16: error: tcp.min-rto: expected a value from 5ms to 10s, found \"4ms\"",
      "10:34: error: tcp.delayed-ack: expected a value from 1ms to 499ms, found \"500ms\"",
      "10:59: error: tcp.fin-wait-timeout: expected a value from 1s to 1h, found \"2h\""}},
    {"sizes",
     BASE "tcp: {receive-buffer-max: 6MB, send-buffer-max: 2GiB}\n",
     {"10:27: error: tcp.receive-buffer-max: expected a size such as 6MiB, found \"6MB\", did you "
      "mean \"6MiB\"?",
      "10:49: error: tcp.send-buffer-max: expected a value from 4KiB to 1GiB, found \"2GiB\""}},
    {"switches",
     BASE "tcp: {pacing: yes, sack: 1}\n",
     {"10:15: error: tcp.pacing: expected true or false, found \"yes\"",
      "10:26: error: tcp.sack: expected true or false, found \"1\""}},
};

static void test_mistakes(void **state)
{
    (void)state;
    POLICY_CASES_RUN(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
