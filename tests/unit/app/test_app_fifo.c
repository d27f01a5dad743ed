/* Rings of bytes: against a plain array, and between two threads. */
#include "tests/unit/support/test_unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "app/app_fifo.h"

#define SIZE 64

static uint8_t bytes[SIZE];

static struct app_fifo empty(void)
{
    struct app_fifo f = {.bytes = bytes, .mask = SIZE - 1};

    app_fifo_reset(&f);
    return f;
}

static void test_random_against_array(void **state)
{
    static uint8_t written[1 << 16], seen[1 << 16];
    struct app_fifo f = empty();
    uint32_t in = 0, out = 0;

    (void)state;
    srandom(1);
    for (uint32_t i = 0; i < sizeof written; i++)
        written[i] = (uint8_t)random();
    /* Positions run over the end of 32 bits on the way. */
    atomic_store(&f.head, UINT32_MAX - 100);
    atomic_store(&f.tail, UINT32_MAX - 100);
    while (out < sizeof written) {
        uint32_t want = (uint32_t)random() % (2 * SIZE), room = app_fifo_room(&f), n;

        want = want < sizeof written - in ? want : (uint32_t)sizeof written - in;
        n = app_fifo_write(&f, written + in, want);
        assert_int_equal(n, want < room ? want : room);
        in += n;
        assert_int_equal(app_fifo_used(&f), in - out);
        want = (uint32_t)random() % (2 * SIZE);
        want = want < sizeof seen - out ? want : (uint32_t)sizeof seen - out;
        n = app_fifo_read(&f, seen + out, want);
        assert_int_equal(n, want < in - out ? want : in - out);
        out += n;
    }
    assert_memory_equal(written, seen, sizeof written);
}

static void test_in_pieces(void **state)
{
    struct app_fifo f = empty();
    const uint8_t *data;
    uint8_t *space;

    (void)state;
    assert_int_equal(app_fifo_space(&f, &space), SIZE);
    app_fifo_produce(&f, 40);
    assert_int_equal(app_fifo_data(&f, &data), 40);
    assert_ptr_equal(data, bytes);
    app_fifo_consume(&f, 30);
    assert_int_equal(app_fifo_space(&f, &space), 24); /* to the end */
    app_fifo_produce(&f, 24);
    assert_int_equal(app_fifo_space(&f, &space), 30); /* from the start */
    assert_ptr_equal(space, bytes);
    assert_int_equal(app_fifo_data(&f, &data), 34);
}

/* Asked once, told once, when half is free. */
static void test_told_of_room(void **state)
{
    struct app_fifo f = empty();
    uint8_t chunk[SIZE] = {0};

    (void)state;
    assert_int_equal(app_fifo_write(&f, chunk, SIZE), SIZE);
    assert_int_equal(app_fifo_read(&f, chunk, SIZE / 2), SIZE / 2);
    assert_false(app_fifo_relieved(&f)); /* nobody asked */
    assert_int_equal(app_fifo_write(&f, chunk, SIZE), SIZE / 2);
    assert_false(app_fifo_starve(&f));
    assert_int_equal(app_fifo_read(&f, chunk, SIZE / 2 - 1), SIZE / 2 - 1);
    assert_false(app_fifo_relieved(&f));
    assert_int_equal(app_fifo_read(&f, chunk, 1), 1);
    assert_true(app_fifo_relieved(&f));
    assert_false(app_fifo_relieved(&f));
    assert_true(app_fifo_starve(&f)); /* there is room already */
}

/* A producer that sleeps until it is told must always be told. */
#define STREAM 4000000u

struct pair {
    struct app_fifo f;
    atomic_uint told;
};

static void *producer(void *arg)
{
    struct pair *p = arg;
    uint32_t sent = 0;

    while (sent < STREAM) {
        uint8_t chunk[37];
        uint32_t n, len = sizeof chunk < STREAM - sent ? sizeof chunk : STREAM - sent;
        unsigned before = atomic_load(&p->told);

        for (uint32_t i = 0; i < len; i++)
            chunk[i] = (uint8_t)(sent + i);
        n = app_fifo_write(&p->f, chunk, len);
        sent += n;
        if (n == len || app_fifo_starve(&p->f))
            continue;
        while (atomic_load(&p->told) == before)
            sched_yield();
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    struct pair p = {.f = empty()};
    uint32_t seen = 0;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, producer, &p), 0);
    while (seen < STREAM) {
        uint8_t chunk[23];
        uint32_t n = app_fifo_read(&p.f, chunk, sizeof chunk);

        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(chunk[i], (uint8_t)(seen + i));
        seen += n;
        if (n == 0)
            sched_yield();
        else if (app_fifo_relieved(&p.f))
            atomic_fetch_add(&p.told, 1);
    }
    pthread_join(thread, NULL);
    assert_int_equal(app_fifo_used(&p.f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_array),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_told_of_room),
        cmocka_unit_test(test_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
