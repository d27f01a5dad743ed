#include "app/app_bell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int app_bell_open(struct app_bell *b, struct error *e)
{
    atomic_init(&b->asleep, false);
    b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return b->fd >= 0 ? 0 : error_set(e, "no eventfd: %s", strerror(errno));
}

void app_bell_close(struct app_bell *b)
{
    close(b->fd);
}

void app_bell_force(struct app_bell *b)
{
    int err = errno;

    eventfd_write(b->fd, 1); /* fails only where it is readable already */
    errno = err;
}

void app_bell_ring(struct app_bell *b)
{
    /* Between the work that was made visible and the look at the flag. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&b->asleep, memory_order_relaxed) &&
        atomic_exchange_explicit(&b->asleep, false, memory_order_relaxed))
        app_bell_force(b);
}

void app_bell_arm(struct app_bell *b)
{
    atomic_store_explicit(&b->asleep, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void app_bell_disarm(struct app_bell *b)
{
    atomic_store_explicit(&b->asleep, false, memory_order_relaxed);
}

int app_bell_sleep(struct app_bell *b, clock_ns timeout)
{
    const struct timespec ts = {.tv_sec = (time_t)(timeout / CLOCK_SEC),
                                .tv_nsec = (long)(timeout % CLOCK_SEC)};
    struct pollfd p = {.fd = b->fd, .events = POLLIN};
    int ready = ppoll(&p, 1, timeout == CLOCK_NEVER ? NULL : &ts, NULL);
    eventfd_t count;

    app_bell_disarm(b);
    if (ready > 0)
        eventfd_read(b->fd, &count);
    return ready < 0 ? -1 : 0;
}
