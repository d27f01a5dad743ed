/*
 * Telling the producer of room follows Dekker: the producer says that it waits and then looks for
 * room once more, the consumer makes room and then looks whether somebody waits, each with a full
 * fence between its store and its load. One of the two always sees the other.
 */
#include "app/app_fifo.h"

#include <string.h>

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void app_fifo_reset(struct app_fifo *f)
{
    atomic_store_explicit(&f->head, 0, memory_order_relaxed);
    atomic_store_explicit(&f->tail, 0, memory_order_relaxed);
    atomic_store_explicit(&f->starved, false, memory_order_relaxed);
}

uint32_t app_fifo_space(struct app_fifo *f, uint8_t **at)
{
    uint32_t begin = atomic_load_explicit(&f->tail, memory_order_relaxed) & f->mask;

    *at = f->bytes + begin;
    return smaller(app_fifo_room(f), f->mask + 1 - begin);
}

void app_fifo_produce(struct app_fifo *f, uint32_t len)
{
    uint32_t tail = atomic_load_explicit(&f->tail, memory_order_relaxed);

    atomic_store_explicit(&f->tail, tail + len, memory_order_release);
}

uint32_t app_fifo_write(struct app_fifo *f, const void *data, uint32_t len)
{
    const uint8_t *from = data;
    uint32_t done = 0;

    while (done < len) {
        uint8_t *at;
        uint32_t n = smaller(app_fifo_space(f, &at), len - done);

        if (n == 0)
            break;
        memcpy(at, from + done, n);
        app_fifo_produce(f, n);
        done += n;
    }
    return done;
}

bool app_fifo_starve(struct app_fifo *f)
{
    atomic_store_explicit(&f->starved, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return app_fifo_roomy(f);
}

uint32_t app_fifo_data(struct app_fifo *f, const uint8_t **at)
{
    uint32_t begin = atomic_load_explicit(&f->head, memory_order_relaxed) & f->mask;

    *at = f->bytes + begin;
    return smaller(app_fifo_used(f), f->mask + 1 - begin);
}

void app_fifo_consume(struct app_fifo *f, uint32_t len)
{
    uint32_t head = atomic_load_explicit(&f->head, memory_order_relaxed);

    atomic_store_explicit(&f->head, head + len, memory_order_release);
}

uint32_t app_fifo_read(struct app_fifo *f, void *out, uint32_t len)
{
    uint8_t *to = out;
    uint32_t done = 0;

    while (done < len) {
        const uint8_t *at;
        uint32_t n = smaller(app_fifo_data(f, &at), len - done);

        if (n == 0)
            break;
        memcpy(to + done, at, n);
        app_fifo_consume(f, n);
        done += n;
    }
    return done;
}

bool app_fifo_relieved(struct app_fifo *f)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&f->starved, memory_order_relaxed))
        return false;
    if (app_fifo_used(f) > app_fifo_half(f))
        return false;
    return atomic_exchange_explicit(&f->starved, false, memory_order_relaxed);
}
