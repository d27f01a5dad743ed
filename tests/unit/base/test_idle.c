/* On virtual time: each round costs a microsecond, a sleep takes as long as it was asked for. */
#include "tests/unit/support/test_unit.h"

#include "base/idle.h"

#define ROUND CLOCK_US

/* A worker that has never done anything: its first silence begins at `now`. */
static struct idle fresh(clock_ns now)
{
    struct idle idle = {.slept = true};

    idle_busy(&idle, now, 0);
    return idle;
}

/* Turns empty rounds from `now` until `end`; returns how many. */
static unsigned rounds_until(struct idle *idle, clock_ns now, clock_ns end, clock_ns *longest_sleep)
{
    unsigned rounds = 0;

    *longest_sleep = 0;
    for (; now < end; rounds++) {
        clock_ns sleep = idle_sleep(idle, now, CLOCK_NEVER);

        if (sleep > *longest_sleep)
            *longest_sleep = sleep;
        now += sleep + ROUND;
    }
    return rounds;
}

static void test_polls_on_for_a_few_rounds(void **state)
{
    struct idle idle = fresh(CLOCK_SEC);
    clock_ns now = CLOCK_SEC;

    (void)state;
    for (unsigned i = 0; i < IDLE_SPIN_ROUNDS; i++)
        assert_int_equal(idle_sleep(&idle, now += ROUND, CLOCK_NEVER), 0);
    assert_int_equal(idle_sleep(&idle, now += ROUND, CLOCK_NEVER), IDLE_SLEEP_MIN);
}

static void test_work_ends_the_silence(void **state)
{
    struct idle idle = fresh(0);
    clock_ns longest;

    (void)state;
    rounds_until(&idle, 0, 10 * CLOCK_SEC, &longest);
    idle_busy(&idle, 10 * CLOCK_SEC, 1);
    assert_int_equal(idle_sleep(&idle, 10 * CLOCK_SEC + ROUND, CLOCK_NEVER), 0);
    rounds_until(&idle, 10 * CLOCK_SEC, 10 * CLOCK_SEC + 100 * CLOCK_US, &longest);
    assert_int_equal(longest, IDLE_SLEEP_MIN);
}

/* Rounds with work from `now` on, then empty ones; returns the first sleep. */
static clock_ns sleep_after_work(struct idle *idle, clock_ns now, clock_ns work, uint32_t frames)
{
    clock_ns end = now + work, sleep = 0;

    for (; now < end; now += 10 * ROUND, frames = 0)
        idle_busy(idle, now, frames);
    for (; sleep == 0; now += ROUND)
        sleep = idle_sleep(idle, now, CLOCK_NEVER);
    return sleep;
}

static void test_sleep_follows_the_work(void **state)
{
    struct idle idle = fresh(CLOCK_SEC);

    (void)state;
    assert_int_equal(sleep_after_work(&idle, CLOCK_SEC, 20 * CLOCK_US, 1), IDLE_SLEEP_MIN);
    assert_int_equal(sleep_after_work(&idle, 2 * CLOCK_SEC, 400 * CLOCK_US, 1), 100 * CLOCK_US);
    assert_int_equal(sleep_after_work(&idle, 3 * CLOCK_SEC, 40 * CLOCK_MS, 1), IDLE_SLEEP_SHORT);
    /* What counts is the work since the last sleep. */
    assert_int_equal(sleep_after_work(&idle, 4 * CLOCK_SEC, 20 * CLOCK_US, 1), IDLE_SLEEP_MIN);
}

static void test_many_frames_share_a_wake_up(void **state)
{
    struct idle idle = fresh(CLOCK_SEC);

    (void)state;
    assert_int_equal(sleep_after_work(&idle, CLOCK_SEC, 20 * CLOCK_US, IDLE_MANY - 1),
                     IDLE_SLEEP_MIN);
    assert_int_equal(sleep_after_work(&idle, 2 * CLOCK_SEC, 20 * CLOCK_US, IDLE_MANY),
                     IDLE_SLEEP_MANY);
    assert_int_equal(sleep_after_work(&idle, 3 * CLOCK_SEC, 600 * CLOCK_US, IDLE_MANY),
                     150 * CLOCK_US);
    /* What counts is what came since the last sleep. */
    assert_int_equal(sleep_after_work(&idle, 4 * CLOCK_SEC, 20 * CLOCK_US, 1), IDLE_SLEEP_MIN);
}

static void test_sleep_is_a_fraction_of_the_silence(void **state)
{
    struct idle idle = fresh(CLOCK_SEC);
    clock_ns now = CLOCK_SEC;

    (void)state;
    while (now < CLOCK_SEC + 2 * IDLE_LONG) {
        clock_ns silence = now - CLOCK_SEC;
        clock_ns sleep = idle_sleep(&idle, now, CLOCK_NEVER);

        assert_true(sleep <= IDLE_SLEEP_MIN || sleep <= silence / IDLE_FRACTION);
        if (silence < IDLE_LONG)
            assert_true(sleep <= IDLE_SLEEP_SHORT);
        assert_true(sleep <= IDLE_SLEEP_LONG);
        now += sleep + ROUND;
    }
}

static void test_long_silence_takes_few_rounds(void **state)
{
    struct idle idle = fresh(0);
    clock_ns longest;

    (void)state;
    rounds_until(&idle, 0, CLOCK_SEC, &longest);
    assert_true(rounds_until(&idle, CLOCK_SEC, 2 * CLOCK_SEC, &longest) <= 1000);
    assert_int_equal(longest, IDLE_SLEEP_LONG);
}

static void test_never_past_a_deadline(void **state)
{
    struct idle idle = fresh(0);
    clock_ns longest, now = CLOCK_SEC;

    (void)state;
    rounds_until(&idle, 0, now, &longest);
    assert_int_equal(idle_sleep(&idle, now, now + 100 * CLOCK_US), 100 * CLOCK_US);
    assert_int_equal(idle_sleep(&idle, now, now + CLOCK_US), 0); /* not worth it */
    assert_int_equal(idle_sleep(&idle, now, now), 0);            /* queued work */
    assert_int_equal(idle_sleep(&idle, now, now - CLOCK_MS), 0); /* overdue */
    assert_int_equal(idle_sleep(&idle, now, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_polls_on_for_a_few_rounds),
        cmocka_unit_test(test_work_ends_the_silence),
        cmocka_unit_test(test_sleep_follows_the_work),
        cmocka_unit_test(test_many_frames_share_a_wake_up),
        cmocka_unit_test(test_sleep_is_a_fraction_of_the_silence),
        cmocka_unit_test(test_long_silence_takes_few_rounds),
        cmocka_unit_test(test_never_past_a_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
