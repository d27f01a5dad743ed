/*
 * Leader and followers: of the threads that wait, one sleeps on the channel, without the lock; it
 * takes the events under the lock and wakes the threads whose descriptors became ready. When it
 * leaves, another one that waits leads. A call that does not wait may take events, too: then it
 * wakes those that they are for, and the leader, which might sleep on though its own event came.
 */
#include "app/app_block.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "app/app_internal.h"

struct waiter {
    int fd;
    uint32_t events; /* EPOLL* */
    pthread_cond_t wake;
    TAILQ_ENTRY(waiter) link;
};

struct app_block {
    struct app_channel *channel;
    pthread_mutex_t lock;
    bool led; /* a thread sleeps on the channel, or is about to */
    TAILQ_HEAD(, waiter) followers;
    uint64_t seen; /* channel->taken when followers were last looked at */
    atomic_bool interrupted;
};

struct app_block *app_block_create(struct app_channel *c)
{
    struct app_block *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->channel = c;
    pthread_mutex_init(&b->lock, NULL);
    TAILQ_INIT(&b->followers);
    atomic_init(&b->interrupted, false);
    return b;
}

void app_block_destroy(struct app_block *b)
{
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* What the descriptor is ready for; -1: it is none. */
static int64_t ready_for(struct app_block *b, int fd, uint32_t events)
{
    struct app_desc *d = app_socket_find(b->channel, fd);

    return d != NULL ? (int64_t)(app_socket_ready(d) & (events | EPOLLERR | EPOLLHUP)) : -1;
}

/* Those whose wait may be over. */
static void wake_followers(struct app_block *b)
{
    struct waiter *w;

    b->seen = b->channel->taken;
    TAILQ_FOREACH (w, &b->followers, link) {
        if (ready_for(b, w->fd, w->events) != 0)
            pthread_cond_signal(&w->wake);
    }
}

static void lock(struct app_block *b)
{
    pthread_mutex_lock(&b->lock);
}

static void unlock(struct app_block *b)
{
    int err = errno;

    if (b->seen != b->channel->taken) {
        wake_followers(b);
        if (b->led)
            app_bell_force(&b->channel->bell);
    }
    app_channel_flush(b->channel);
    pthread_mutex_unlock(&b->lock);
    errno = err;
}

static void lead(struct app_block *b, clock_ns timeout)
{
    b->led = true;
    if (app_channel_arm(b->channel)) {
        pthread_mutex_unlock(&b->lock);
        app_bell_sleep(&b->channel->bell, timeout);
        pthread_mutex_lock(&b->lock);
    }
    b->led = false;
    app_channel_poll(b->channel);
    wake_followers(b);
}

static void follow(struct app_block *b, struct waiter *w, clock_ns end)
{
    const struct timespec ts = {.tv_sec = (time_t)(end / CLOCK_SEC),
                                .tv_nsec = (long)(end % CLOCK_SEC)};

    TAILQ_INSERT_TAIL(&b->followers, w, link);
    if (end == CLOCK_NEVER)
        pthread_cond_wait(&w->wake, &b->lock);
    else
        pthread_cond_clockwait(&w->wake, &b->lock, CLOCK_MONOTONIC, &ts);
    TAILQ_REMOVE(&b->followers, w, link);
}

/* 0 when it is ready, else an errno value. */
static int wait_until(struct app_block *b, struct waiter *w, clock_ns end)
{
    for (;;) {
        int64_t ready = ready_for(b, w->fd, w->events);
        clock_ns now;

        if (ready != 0)
            return ready > 0 ? 0 : EBADF;
        if (atomic_load_explicit(&b->interrupted, memory_order_relaxed))
            return EINTR;
        now = clock_now();
        if (now >= end)
            return ETIMEDOUT;
        if (b->led)
            follow(b, w, end);
        else
            lead(b, end != CLOCK_NEVER ? end - now : CLOCK_NEVER);
    }
}

/* Waits, under the lock, until one of `events` holds for the descriptor. */
static int wait_for(struct app_block *b, int fd, uint32_t events, clock_ns end)
{
    struct waiter w = {.fd = fd, .events = events}, *next;
    int err;

    pthread_cond_init(&w.wake, NULL);
    app_channel_poll(b->channel);
    err = wait_until(b, &w, end);
    pthread_cond_destroy(&w.wake);
    next = TAILQ_FIRST(&b->followers);
    if (!b->led && next != NULL)
        pthread_cond_signal(&next->wake); /* to lead */
    return err;
}

static clock_ns end_of(clock_ns timeout)
{
    clock_ns now = timeout != CLOCK_NEVER ? clock_now() : 0;

    return timeout < CLOCK_NEVER - now ? now + timeout : CLOCK_NEVER;
}

/* The outcome of a call that found nothing: 0 to try again, -1 with errno. */
static int wait_again(struct app_block *b, int fd, uint32_t events, clock_ns end)
{
    int err = errno;

    if (err == EAGAIN)
        err = wait_for(b, fd, events, end);
    errno = err;
    return err == 0 ? 0 : -1;
}

/* ---- calls ---- */

int app_block_listen(struct app_block *b, const struct ip_endpoint *local, uint32_t backlog,
                     const struct sock_options *options)
{
    int fd;

    lock(b);
    fd = app_listen(b->channel, local, backlog, options);
    unlock(b);
    return fd;
}

int app_block_accept(struct app_block *b, int fd, struct ip_endpoint *remote, clock_ns timeout)
{
    clock_ns end = end_of(timeout);
    int result;

    lock(b);
    while ((result = app_accept(b->channel, fd, remote)) < 0) {
        if (wait_again(b, fd, EPOLLIN, end) < 0)
            break;
    }
    unlock(b);
    return result;
}

/* 0 when it stands, else an errno value. */
static int await_connection(struct app_block *b, int fd, clock_ns end)
{
    int err = wait_for(b, fd, EPOLLOUT, end);

    return err == 0 ? app_error(b->channel, fd) : err;
}

int app_block_connect(struct app_block *b, const struct ip_endpoint *remote,
                      const struct sock_options *options, clock_ns timeout)
{
    clock_ns end = end_of(timeout);
    int fd, err;

    lock(b);
    fd = app_connect(b->channel, remote, options);
    if (fd >= 0 && (err = await_connection(b, fd, end)) != 0) {
        app_close(b->channel, fd);
        errno = err;
        fd = -1;
    }
    unlock(b);
    return fd;
}

ssize_t app_block_read(struct app_block *b, int fd, void *out, size_t len, clock_ns timeout)
{
    clock_ns end = end_of(timeout);
    ssize_t n;

    lock(b);
    while ((n = app_read(b->channel, fd, out, len)) < 0) {
        if (wait_again(b, fd, EPOLLIN, end) < 0)
            break;
    }
    unlock(b);
    return n;
}

ssize_t app_block_write(struct app_block *b, int fd, const void *data, size_t len, clock_ns timeout)
{
    clock_ns end = end_of(timeout);
    const uint8_t *from = data;
    size_t done = 0;

    lock(b);
    while (done < len) {
        ssize_t n = app_write(b->channel, fd, from + done, len - done);

        if (n > 0)
            done += (size_t)n;
        else if (wait_again(b, fd, EPOLLOUT, end) < 0)
            break;
    }
    unlock(b);
    return done > 0 || len == 0 ? (ssize_t)done : -1;
}

int app_block_shutdown(struct app_block *b, int fd)
{
    int result;

    lock(b);
    result = app_shutdown(b->channel, fd);
    unlock(b);
    return result;
}

int app_block_close(struct app_block *b, int fd)
{
    int result;

    lock(b);
    result = app_close(b->channel, fd);
    wake_followers(b);
    if (b->led)
        app_bell_force(&b->channel->bell); /* it may be the one that waits for this */
    unlock(b);
    return result;
}

void app_block_interrupt(struct app_block *b)
{
    atomic_store_explicit(&b->interrupted, true, memory_order_relaxed);
    app_bell_force(&b->channel->bell);
}
