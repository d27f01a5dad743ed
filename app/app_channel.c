/*
 * The program's side of a channel. Requests are put on the ring at once and seen by a stack thread
 * that is awake; the bell is rung once for all of them when the program is about to wait.
 *
 * Connections to accept need descriptors before the program knows of them: while it listens, up to
 * a quarter of its descriptors, and at most APP_SPARES_MAX, wait at the stack thread. Spares that
 * have become connections are made up for at the next poll.
 */
#include "app/app_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_common.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#define CHANNEL_DESCRIPTORS     4096
#define CHANNEL_DESCRIPTORS_MAX (1u << 20)
#define CHANNEL_RING            65536
#define CHANNEL_RING_MIN        4096
#define CHANNEL_RING_MAX        (1u << 30)
#define CHANNEL_BURST           64
#define CHANNEL_ASK_SLICE       CLOCK_MS /* another thread may have read the bell */

static struct rte_ring *ring_create(const char *name, uint32_t count)
{
    uint32_t size = rte_align32pow2(count + 1);
    ssize_t bytes = rte_ring_get_memsize_elem(sizeof(uint32_t), size);
    struct rte_ring *ring = bytes > 0 ? aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)bytes) : NULL;

    if (ring != NULL && rte_ring_init(ring, name, size, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0)
        return ring;
    free(ring);
    return NULL;
}

static uint32_t or_default(uint32_t value, uint32_t value_if_zero)
{
    return value != 0 ? value : value_if_zero;
}

static bool ring_size_good(uint32_t size)
{
    return size >= CHANNEL_RING_MIN && size <= CHANNEL_RING_MAX && (size & (size - 1)) == 0;
}

static int config_check(const struct app_channel_config *c, struct error *e)
{
    if (c->descriptors > CHANNEL_DESCRIPTORS_MAX)
        return error_set(e, "%u descriptors are more than %u", c->descriptors,
                         CHANNEL_DESCRIPTORS_MAX);
    if (!ring_size_good(c->receive_ring) || !ring_size_good(c->send_ring))
        return error_set(e, "rings of %u and %u bytes: expected powers of two from %u on",
                         c->receive_ring, c->send_ring, CHANNEL_RING_MIN);
    return 0;
}

static int channel_alloc(struct app_channel *c, const struct app_channel_config *config)
{
    size_t each = (size_t)config->receive_ring + config->send_ring;
    size_t table = c->count * sizeof *c->desc;

    c->desc = aligned_alloc(alignof(struct app_desc), table);
    c->free = calloc(c->count, sizeof *c->free);
    c->requests = ring_create("requests", c->count);
    c->spares = ring_create("spares", c->count);
    c->events = ring_create("events", c->count);
    if (c->desc == NULL || c->free == NULL || c->requests == NULL || c->spares == NULL ||
        c->events == NULL)
        return -1;
    memset(c->desc, 0, table);
    c->bytes_size = c->count * each;
    c->bytes = mmap(NULL, c->bytes_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->bytes == MAP_FAILED)
        return -1;
    for (uint32_t i = 0; i < c->count; i++) {
        c->desc[i].channel = c;
        c->desc[i].in.bytes = c->bytes + i * each;
        c->desc[i].in.mask = config->receive_ring - 1;
        c->desc[i].out.bytes = c->desc[i].in.bytes + config->receive_ring;
        c->desc[i].out.mask = config->send_ring - 1;
        c->free[c->count - 1 - i] = i;
    }
    c->free_count = c->count;
    return 0;
}

struct app_channel *app_channel_create(const struct app_channel_config *config,
                                       struct app_bell *stack_bell, struct error *e)
{
    struct app_channel_config full = config != NULL ? *config : (struct app_channel_config){0};
    struct app_channel *c;

    full.descriptors = or_default(full.descriptors, CHANNEL_DESCRIPTORS);
    full.receive_ring = or_default(full.receive_ring, CHANNEL_RING);
    full.send_ring = or_default(full.send_ring, CHANNEL_RING);
    if (config_check(&full, e) < 0)
        return NULL;
    c = aligned_alloc(alignof(struct app_channel), sizeof *c);
    if (c == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    memset(c, 0, sizeof *c);
    c->count = full.descriptors;
    c->spin = full.spin;
    c->stack_bell = stack_bell;
    c->bytes = MAP_FAILED;
    c->bell.fd = -1;
    TAILQ_INIT(&c->closing);
    if (channel_alloc(c, &full) < 0)
        error_set(e, "no memory for %u descriptors", c->count);
    else if (app_bell_open(&c->bell, e) == 0)
        return c;
    app_channel_destroy(c);
    return NULL;
}

void app_channel_destroy(struct app_channel *c)
{
    if (c->bell.fd >= 0)
        app_bell_close(&c->bell);
    if (c->bytes != MAP_FAILED)
        munmap(c->bytes, c->bytes_size);
    free(c->requests);
    free(c->spares);
    free(c->events);
    free(c->free);
    free(c->desc);
    free(c);
}

struct app_channel *app_channel_attach(struct app *a, unsigned thread,
                                       const struct app_channel_config *config, struct error *e)
{
    struct app_thread *t;
    struct app_channel *c;

    if (thread >= app_thread_count(a)) {
        error_set(e, "there is no stack thread %u", thread);
        return NULL;
    }
    t = app_thread_of(a, thread);
    c = app_channel_create(config, app_thread_bell(t), e);
    if (c == NULL)
        return NULL;
    c->thread = t;
    if (app_thread_attach(t, c) < 0) {
        error_set(e, "stack thread %u takes no more channels", thread);
        app_channel_destroy(c);
        return NULL;
    }
    return c;
}

void app_channel_detach(struct app_channel *c, clock_ns linger)
{
    c->linger = linger;
    atomic_store_explicit(&c->detaching, true, memory_order_release);
    app_bell_force(c->stack_bell);
    while (!atomic_load_explicit(&c->gone, memory_order_acquire)) {
        app_bell_arm(&c->bell);
        if (!atomic_load_explicit(&c->gone, memory_order_acquire))
            app_bell_sleep(&c->bell, CHANNEL_ASK_SLICE);
    }
    app_channel_destroy(c);
}

/* ---- descriptors ---- */

uint32_t app_channel_index(const struct app_channel *c, const struct app_desc *d)
{
    return (uint32_t)(d - c->desc);
}

struct app_desc *app_channel_get(struct app_channel *c, enum desc_kind kind)
{
    struct app_desc *d;

    if (c->free_count == 0)
        app_channel_poll(c); /* some may have been released */
    if (c->free_count == 0)
        return NULL;
    d = &c->desc[c->free[--c->free_count]];
    d->kind = kind;
    return d;
}

void app_channel_put(struct app_channel *c, struct app_desc *d)
{
    app_fifo_reset(&d->in);
    app_fifo_reset(&d->out);
    d->kind = DESC_FREE;
    d->connected = d->eof = d->shut = d->replied = false;
    d->error = d->failure = 0;
    d->local = d->remote = (struct ip_endpoint){0};
    c->free[c->free_count++] = app_channel_index(c, d);
}

/* ---- to the stack thread ---- */

void app_channel_request(struct app_channel *c, struct app_desc *d, uint32_t what)
{
    uint32_t index = app_channel_index(c, d);

    c->asked = true;
    if (atomic_fetch_or_explicit(&d->requests, what, memory_order_acq_rel) != 0)
        return; /* it is on the ring */
    if (rte_ring_sp_enqueue_elem(c->requests, &index, sizeof index) != 0)
        assert(!"a ring as long as the table is never full");
}

void app_channel_flush(struct app_channel *c)
{
    if (c->asked)
        app_bell_ring(c->stack_bell);
    c->asked = false;
}

int app_channel_ask(struct app_channel *c, struct app_desc *d, uint32_t what)
{
    d->replied = false;
    app_channel_request(c, d, what);
    app_channel_flush(c);
    for (;;) {
        app_channel_poll(c);
        if (d->replied)
            return d->failure;
        app_channel_sleep(c, CHANNEL_ASK_SLICE);
    }
}

/* Called often: the first test is the one that fails. */
static void spares_give(struct app_channel *c)
{
    uint32_t wanted = RTE_MIN(c->count / 4 + 1, (uint32_t)APP_SPARES_MAX);

    if (c->listeners == 0 || c->spares_out > wanted / 2)
        return;
    while (c->spares_out < wanted && c->free_count > 0) {
        uint32_t index = c->free[--c->free_count];

        c->desc[index].kind = DESC_SPARE;
        if (rte_ring_sp_enqueue_elem(c->spares, &index, sizeof index) != 0)
            assert(!"a ring as long as the table is never full");
        c->spares_out++;
        c->asked = true;
    }
}

/* ---- from the stack thread ---- */

static void take_accepted(struct app_channel *c, struct app_desc *d)
{
    struct app_desc *l = &c->desc[d->listener];

    c->spares_out--;
    d->connected = true;
    if (l->kind != DESC_LISTENER) { /* closed meanwhile; released it is not, that comes later */
        d->kind = DESC_CLOSED;
        app_channel_request(c, d, RQ_ABORT);
        return;
    }
    TAILQ_INSERT_TAIL(&l->accepted, d, accepted_link);
    app_epoll_notify(l);
}

static void take(struct app_channel *c, struct app_desc *d)
{
    uint32_t what = atomic_exchange_explicit(&d->events, 0, memory_order_acq_rel);

    if (what & EV_RELEASED) {
        app_channel_put(c, d);
        return;
    }
    if (what & EV_ACCEPTED)
        take_accepted(c, d);
    if (what & EV_CONNECTED)
        d->connected = true;
    if (what & EV_EOF)
        d->eof = true;
    if (what & EV_ERROR)
        d->error = d->failure;
    if (what & EV_REPLY)
        d->replied = true;
    if (d->kind == DESC_CONNECTION)
        app_epoll_notify(d);
}

uint32_t app_channel_poll(struct app_channel *c)
{
    uint32_t index[CHANNEL_BURST], total = 0;
    unsigned n;

    do {
        n = rte_ring_sc_dequeue_burst_elem(c->events, index, sizeof *index, CHANNEL_BURST, NULL);
        for (unsigned i = 0; i < n; i++)
            take(c, &c->desc[index[i]]);
        total += n;
    } while (n == CHANNEL_BURST);
    c->taken += total;
    spares_give(c);
    return total;
}

int app_channel_fd(const struct app_channel *c)
{
    return c->bell.fd;
}

bool app_channel_arm(struct app_channel *c)
{
    app_channel_flush(c);
    app_bell_arm(&c->bell);
    if (rte_ring_empty(c->events))
        return true;
    app_bell_disarm(&c->bell);
    return false;
}

int app_channel_sleep(struct app_channel *c, clock_ns timeout)
{
    return app_channel_arm(c) ? app_bell_sleep(&c->bell, timeout) : 0;
}
