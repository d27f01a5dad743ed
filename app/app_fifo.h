/*
 * A ring of bytes with one producer and one consumer, each on a thread of its own: one direction of
 * a descriptor. Positions run freely modulo 2^32; each is written by one side. All zeros but for
 * bytes and mask is an empty ring.
 */
#ifndef APP_APP_FIFO_H
#define APP_APP_FIFO_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct app_fifo {
    uint8_t *bytes;
    uint32_t mask;                     /* size - 1; the size is a power of two */
    atomic_bool starved;               /* the producer waits to be told of room */
    alignas(64) _Atomic uint32_t tail; /* the producer's */
    alignas(64) _Atomic uint32_t head; /* the consumer's */
};

/* By a side that has both for itself at the moment. */
void app_fifo_reset(struct app_fifo *f);

/* ---- the producer's ---- */

static inline uint32_t app_fifo_room(const struct app_fifo *f)
{
    return f->mask + 1 -
           (atomic_load_explicit(&f->tail, memory_order_relaxed) -
            atomic_load_explicit(&f->head, memory_order_acquire));
}

/* Room in one piece, at most to the end of the ring, and where it is. Fill it, then produce. */
uint32_t app_fifo_space(struct app_fifo *f, uint8_t **at);
void app_fifo_produce(struct app_fifo *f, uint32_t len);

/* Copies in; returns how many bytes found room. */
uint32_t app_fifo_write(struct app_fifo *f, const void *data, uint32_t len);

/* Half of the ring: room worth being told of. */
static inline uint32_t app_fifo_half(const struct app_fifo *f)
{
    return f->mask / 2 + 1;
}

static inline bool app_fifo_roomy(const struct app_fifo *f)
{
    return app_fifo_room(f) >= app_fifo_half(f);
}

/* Asks to be told of room. Returns true when there is enough by now, so that the producer can go on
 * at once (it may be told all the same). */
bool app_fifo_starve(struct app_fifo *f);

/* ---- the consumer's ---- */

static inline uint32_t app_fifo_used(const struct app_fifo *f)
{
    return atomic_load_explicit(&f->tail, memory_order_acquire) -
           atomic_load_explicit(&f->head, memory_order_relaxed);
}

/* Bytes in one piece, and where they are. Use them, then consume. */
uint32_t app_fifo_data(struct app_fifo *f, const uint8_t **at);
void app_fifo_consume(struct app_fifo *f, uint32_t len);

/* Copies out and consumes; returns how many. */
uint32_t app_fifo_read(struct app_fifo *f, void *out, uint32_t len);

/* After consuming: is the producer to be told of room now? True once for each time it asked. */
bool app_fifo_relieved(struct app_fifo *f);

#endif
