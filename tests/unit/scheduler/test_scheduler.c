/*
 * The scheduler over a device that takes as many frames as the test allows. Frames are mbufs
 * without a pool: the device "frees" them by forgetting them, so only what the scheduler itself
 * frees needs a real mbuf (and there rte_pktmbuf_free() is given one whose reference count stays
 * above zero).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_mbuf.h>

#include "scheduler/scheduler.h"

#define FRAMES 4096

struct device {
    uint32_t room; /* frames it will take */
    uint32_t calls;
    uint32_t largest;
    uint32_t sent_count;
    struct rte_mbuf *sent[FRAMES];
};

struct fixture {
    struct device device;
    struct scheduler *s;
    struct stack_egress egress;
    struct rte_mbuf frames[FRAMES];
};

static uint16_t device_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    struct device *d = ctx;
    uint16_t taken = count < d->room ? count : (uint16_t)d->room;

    d->calls++;
    if (count > d->largest)
        d->largest = count;
    memcpy(d->sent + d->sent_count, frames, taken * sizeof *frames);
    d->sent_count += taken;
    d->room -= taken;
    return taken;
}

static struct fixture *fixture_new(uint32_t control_max, uint32_t data_max)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    for (unsigned i = 0; i < FRAMES; i++) {
        rte_mbuf_refcnt_set(&f->frames[i], 2);
        f->frames[i].nb_segs = 1;
    }
    f->device.room = FRAMES;
    f->s = scheduler_create(&(struct scheduler_config){.control_max = control_max,
                                                       .data_max = data_max,
                                                       .send = device_send,
                                                       .send_ctx = &f->device},
                            NULL);
    assert_non_null(f->s);
    f->egress = scheduler_egress(f->s);
    return f;
}

static void fixture_free(struct fixture *f)
{
    scheduler_destroy(f->s);
    free(f);
}

static void offer(struct fixture *f, unsigned first, unsigned count, enum egress_band band)
{
    for (unsigned i = first; i < first + count; i++)
        f->egress.enqueue(f->egress.ctx, &f->frames[i], band, 0);
}

static void assert_sent(const struct fixture *f, unsigned at, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_ptr_equal(f->device.sent[at + i], &f->frames[first + i]);
}

static void test_control_overtakes_data(void **state)
{
    struct fixture *f = fixture_new(0, 0);

    (void)state;
    offer(f, 0, 10, EGRESS_DATA);
    offer(f, 10, 3, EGRESS_CONTROL);
    assert_int_equal(scheduler_waiting(f->s), 13);
    assert_int_equal(scheduler_flush(f->s, 0), 0);
    assert_int_equal(f->device.calls, 1);
    assert_sent(f, 0, 10, 3);
    assert_sent(f, 3, 0, 10);
    assert_int_equal(scheduler_counters(f->s)->scheduler_sent, 13);
    assert_int_equal(scheduler_counters(f->s)->scheduler_device_full, 0);
    fixture_free(f);
}

static void test_nothing_to_send_asks_nobody(void **state)
{
    struct fixture *f = fixture_new(0, 0);

    (void)state;
    assert_int_equal(scheduler_flush(f->s, 0), 0);
    assert_int_equal(f->device.calls, 0);
    fixture_free(f);
}

/* Wherever the device stops, order is kept and control that came meanwhile goes first. */
static void test_device_takes_part(void **state)
{
    for (uint32_t room = 0; room <= 8; room++) {
        struct fixture *f = fixture_new(0, 0);

        (void)state;
        offer(f, 0, 5, EGRESS_DATA);
        offer(f, 5, 3, EGRESS_CONTROL);
        f->device.room = room;
        assert_int_equal(scheduler_flush(f->s, 0), 8 - room);
        assert_int_equal(f->device.calls, 1);
        assert_int_equal(scheduler_counters(f->s)->scheduler_device_full, room < 8);
        offer(f, 8, 1, EGRESS_CONTROL);
        f->device.room = FRAMES;
        assert_int_equal(scheduler_flush(f->s, 0), 0);
        assert_int_equal(f->device.sent_count, 9);
        if (room < 3) {
            assert_sent(f, 0, 5, 4);
            assert_sent(f, 4, 0, 5);
        } else {
            assert_sent(f, 0, 5, 3);
            assert_sent(f, 3, 0, room - 3);
            assert_sent(f, room, 8, 1);
            assert_sent(f, room + 1, room - 3, 8 - room);
        }
        fixture_free(f);
    }
}

static void test_bursts_are_full(void **state)
{
    struct fixture *f = fixture_new(0, 0);

    (void)state;
    offer(f, 0, 100, EGRESS_CONTROL);
    offer(f, 100, 92, EGRESS_DATA);
    assert_int_equal(scheduler_flush(f->s, 0), 0);
    assert_sent(f, 0, 0, 192);
    assert_int_equal(f->device.largest, 64);
    assert_int_equal(f->device.calls, 3);
    fixture_free(f);
}

static void test_room_is_free_data_slots(void **state)
{
    struct fixture *f = fixture_new(4, 100);

    (void)state;
    assert_int_equal(f->egress.room(f->egress.ctx, 0), 100);
    offer(f, 0, 4, EGRESS_CONTROL);
    assert_int_equal(f->egress.room(f->egress.ctx, 0), 100);
    offer(f, 4, 97, EGRESS_DATA);
    assert_int_equal(f->egress.room(f->egress.ctx, 0), 3);
    f->device.room = 14;
    scheduler_flush(f->s, 0);
    assert_int_equal(f->egress.room(f->egress.ctx, 0), 13);
    fixture_free(f);
}

static void test_bounds_drop_and_count(void **state)
{
    struct fixture *f = fixture_new(3, 5);

    (void)state;
    offer(f, 0, 5, EGRESS_CONTROL);
    offer(f, 5, 9, EGRESS_DATA);
    assert_int_equal(scheduler_waiting(f->s), 8);
    assert_int_equal(scheduler_counters(f->s)->scheduler_control_dropped, 2);
    assert_int_equal(scheduler_counters(f->s)->scheduler_data_dropped, 4);
    /* Dropped frames are given up by exactly one reference, waiting ones are not. */
    assert_int_equal(rte_mbuf_refcnt_read(&f->frames[2]), 2);
    assert_int_equal(rte_mbuf_refcnt_read(&f->frames[3]), 1);
    assert_int_equal(rte_mbuf_refcnt_read(&f->frames[9]), 2);
    assert_int_equal(rte_mbuf_refcnt_read(&f->frames[10]), 1);
    scheduler_flush(f->s, 0);
    assert_sent(f, 0, 0, 3);
    assert_sent(f, 3, 5, 5);
    fixture_free(f);
}

static void test_queues_wrap(void **state)
{
    struct fixture *f = fixture_new(6, 6);

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        offer(f, i * 4, 2, EGRESS_DATA);
        offer(f, i * 4 + 2, 2, EGRESS_CONTROL);
        assert_int_equal(scheduler_flush(f->s, 0), 0);
        assert_sent(f, i * 4, i * 4 + 2, 2);
        assert_sent(f, i * 4 + 2, i * 4, 2);
    }
    assert_int_equal(scheduler_counters(f->s)->scheduler_sent, 2000);
    fixture_free(f);
}

static void test_destroy_frees_what_waits(void **state)
{
    struct fixture *f = fixture_new(0, 0);

    (void)state;
    f->device.room = 1;
    offer(f, 0, 2, EGRESS_CONTROL);
    offer(f, 2, 2, EGRESS_DATA);
    scheduler_flush(f->s, 0);
    scheduler_destroy(f->s);
    assert_int_equal(rte_mbuf_refcnt_read(&f->frames[0]), 2);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(rte_mbuf_refcnt_read(&f->frames[i]), 1);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_overtakes_data),
        cmocka_unit_test(test_nothing_to_send_asks_nobody),
        cmocka_unit_test(test_device_takes_part),
        cmocka_unit_test(test_bursts_are_full),
        cmocka_unit_test(test_room_is_free_data_slots),
        cmocka_unit_test(test_bounds_drop_and_count),
        cmocka_unit_test(test_queues_wrap),
        cmocka_unit_test(test_destroy_frees_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
