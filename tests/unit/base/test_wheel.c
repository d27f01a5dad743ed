/*
 * The wheel against a naive reference on virtual time: a list of timers that is searched in full at
 * every step. Random arming, moving, cancelling and advancing by anything from less than a tick to
 * more than a turn of the top level; callbacks that arm and cancel.
 */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <string.h>

#include "base/wheel.h"

#define TIMERS 64
#define TICK   (UINT64_C(1) << WHEEL_TICK_SHIFT)

/* What a timer's callback does besides being noted. */
enum on_fire { FIRE_ONLY, FIRE_REARM, FIRE_CANCEL_OTHER };

struct model_timer {
    struct wheel_timer timer;
    struct world *world;
    bool armed;
    uint64_t due; /* the tick in which it has to fire */
    enum on_fire on_fire;
    unsigned other;
};

struct world {
    struct wheel wheel;
    struct model_timer t[TIMERS];
    clock_ns now;
    uint64_t tick;   /* all ticks up to it have been served */
    uint64_t firing; /* the tick of the last callback in this advance */
    uint32_t fired;
    uint64_t random;
};

/* xorshift64*: small, and the same everywhere. */
static uint64_t draw(struct world *w)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return w->random * UINT64_C(0x2545f4914f6cdd1d);
}

/* A distance in nanoseconds; each level of the wheel and beyond is equally likely. */
static uint64_t draw_distance(struct world *w)
{
    unsigned level = (unsigned)(draw(w) % 6);
    uint64_t range = level == 0 ? TICK : TICK << (level * WHEEL_SLOT_BITS - 4);

    return draw(w) % range;
}

static uint64_t tick_rounded_up(clock_ns t)
{
    return t / TICK + (t % TICK != 0);
}

static void model_arm(struct world *w, struct model_timer *m, clock_ns deadline)
{
    uint64_t due = tick_rounded_up(deadline);

    wheel_arm(&w->wheel, &m->timer, deadline);
    m->armed = true;
    m->due = due > w->tick ? due : w->tick + 1;
}

static void model_cancel(struct world *w, struct model_timer *m)
{
    wheel_cancel(&w->wheel, &m->timer);
    m->armed = false;
}

static uint64_t model_earliest(const struct world *w)
{
    uint64_t earliest = UINT64_MAX;

    for (unsigned i = 0; i < TIMERS; i++) {
        if (w->t[i].armed && w->t[i].due < earliest)
            earliest = w->t[i].due;
    }
    return earliest;
}

static uint32_t model_armed(const struct world *w)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < TIMERS; i++)
        n += w->t[i].armed;
    return n;
}

static void on_fire(struct wheel_timer *timer, clock_ns now)
{
    struct model_timer *m =
        (struct model_timer *)((char *)timer - offsetof(struct model_timer, timer));
    struct world *w = m->world;

    assert_true(m->armed);
    assert_false(wheel_is_armed(timer));
    assert_int_equal(now, w->now);
    assert_true(timer->deadline <= now);
    assert_int_equal(m->due,
                     model_earliest(w)); /* nothing that was due before has been passed over */
    assert_true(m->due <= now / TICK);
    m->armed = false;
    w->fired++;
    w->tick = m->due;
    if (m->on_fire == FIRE_REARM)
        model_arm(w, m, now + draw_distance(w));
    else if (m->on_fire == FIRE_CANCEL_OTHER)
        model_cancel(w, &w->t[m->other]);
}

static void model_advance(struct world *w, clock_ns by)
{
    uint32_t fired;

    w->now += by;
    w->fired = 0;
    fired = wheel_advance(&w->wheel, w->now);
    w->tick = w->now / TICK;
    assert_int_equal(fired, w->fired);
    /* Whatever is armed now is for later. */
    assert_true(model_earliest(w) > w->tick);
    assert_int_equal(w->wheel.armed, model_armed(w));
}

static void check_next(const struct world *w)
{
    clock_ns next = wheel_next(&w->wheel);
    uint64_t earliest = model_earliest(w);

    if (earliest == UINT64_MAX) {
        assert_int_equal(next, CLOCK_NEVER);
        return;
    }
    assert_true(next / TICK <= earliest);
    assert_true(next / TICK > w->tick); /* else its owner would spin */
}

static void world_init(struct world *w, clock_ns start, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->now = start;
    w->tick = start / TICK;
    w->random = seed;
    wheel_init(&w->wheel, start);
    for (unsigned i = 0; i < TIMERS; i++) {
        w->t[i].world = w;
        w->t[i].timer.fire = on_fire;
    }
}

static void step(struct world *w)
{
    struct model_timer *m = &w->t[draw(w) % TIMERS];
    uint64_t distance = draw_distance(w);

    switch (draw(w) % 8) {
    case 0:
        model_cancel(w, m);
        break;
    case 1:
        model_arm(w, m, w->now > distance ? w->now - distance : 0); /* overdue */
        break;
    case 2:
    case 3:
    case 4:
        m->on_fire = (enum on_fire)(draw(w) % 3);
        m->other = (unsigned)(draw(w) % TIMERS);
        model_arm(w, m, w->now + distance);
        break;
    case 5:
        model_advance(w, wheel_next(&w->wheel) == CLOCK_NEVER ? 0
                         : wheel_next(&w->wheel) > w->now     ? wheel_next(&w->wheel) - w->now
                                                              : 0);
        break;
    default:
        model_advance(w, draw_distance(w) / 8);
        break;
    }
    check_next(w);
}

static void test_random_against_reference(void **state)
{
    static struct world w;

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        /* Start just before a level's wrap as often as anywhere. */
        clock_ns start = seed % 2 != 0 ? seed * UINT64_C(987654321987)
                                       : (TICK << (8 * (1 + seed / 2 % 4))) - TICK * (seed % 5);

        world_init(&w, start, seed * UINT64_C(0x9e3779b97f4a7c15));
        for (unsigned i = 0; i < 2000; i++)
            step(&w);
    }
}

static void test_exact_tick(void **state)
{
    static struct world w;

    (void)state;
    world_init(&w, 0, 1);
    model_arm(&w, &w.t[0], 10 * TICK);     /* on the tick: in it */
    model_arm(&w, &w.t[1], 10 * TICK + 1); /* after it: in the next one */
    model_advance(&w, 10 * TICK - 1);
    assert_int_equal(w.fired, 0);
    assert_int_equal(wheel_next(&w.wheel), 10 * TICK);
    model_advance(&w, 1);
    assert_int_equal(w.fired, 1);
    assert_false(w.t[0].armed);
    model_advance(&w, TICK);
    assert_int_equal(w.fired, 1);
    assert_int_equal(wheel_next(&w.wheel), CLOCK_NEVER);
}

static void test_moving_and_cancelling(void **state)
{
    static struct world w;

    (void)state;
    world_init(&w, 5 * TICK, 1);
    model_arm(&w, &w.t[0], 100 * TICK);
    model_arm(&w, &w.t[0], 20 * TICK);
    assert_int_equal(w.wheel.armed, 1);
    model_advance(&w, 15 * TICK);
    assert_int_equal(w.fired, 1);
    model_arm(&w, &w.t[0], 30 * TICK);
    wheel_cancel(&w.wheel, &w.t[0].timer);
    wheel_cancel(&w.wheel, &w.t[0].timer); /* idle: nothing happens */
    w.t[0].armed = false;
    assert_int_equal(w.wheel.armed, 0);
    model_advance(&w, 1000 * TICK);
    assert_int_equal(w.fired, 0);
}

static void test_far_deadlines(void **state)
{
    const uint64_t turn = UINT64_C(1) << (WHEEL_LEVELS * WHEEL_SLOT_BITS);
    static struct world w;

    (void)state;
    world_init(&w, 77 * TICK, 1);
    model_arm(&w, &w.t[0], (3 * turn + 5) * TICK); /* more than the wheel spans */
    model_arm(&w, &w.t[1], CLOCK_NEVER);
    while (w.tick < 3 * turn) {
        model_advance(&w, turn / 3 * TICK);
        check_next(&w);
        if (w.tick < 3 * turn)
            assert_int_equal(w.fired, 0);
    }
    model_advance(&w, 10 * TICK);
    assert_false(w.t[0].armed);
    assert_true(w.t[1].armed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_tick),
        cmocka_unit_test(test_moving_and_cancelling),
        cmocka_unit_test(test_far_deadlines),
        cmocka_unit_test(test_random_against_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
