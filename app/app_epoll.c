/*
 * A set keeps a queue of the descriptors that something was told of. What holds of each is found
 * out when its turn comes, so that a report is never older than the call that makes it. One that is
 * level-triggered goes to the end of the queue after its report and leaves it when nothing holds
 * any more; from then on its next event brings it back.
 */
#include "app/app_epoll.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_pause.h>

#include "app/app_internal.h"

/* Comes unasked. */
#define EPOLL_ALWAYS (EPOLLERR | EPOLLHUP)
#define EPOLL_WORDS  (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLL_ALWAYS)

struct app_epoll {
    struct app_channel *channel;
    struct app_descs ready;
};

struct app_epoll *app_epoll_create(struct app_channel *c)
{
    struct app_epoll *e = calloc(1, sizeof *e);

    if (e == NULL)
        return NULL;
    e->channel = c;
    TAILQ_INIT(&e->ready);
    return e;
}

static void leave_queue(struct app_desc *d)
{
    if (d->queued)
        TAILQ_REMOVE(&d->epoll->ready, d, ready_link);
    d->queued = false;
}

void app_epoll_forget(struct app_desc *d)
{
    leave_queue(d);
    d->epoll = NULL;
    d->interest = 0;
}

void app_epoll_destroy(struct app_epoll *e)
{
    for (uint32_t i = 0; i < e->channel->count; i++) {
        if (e->channel->desc[i].epoll == e)
            app_epoll_forget(&e->channel->desc[i]);
    }
    free(e);
}

void app_epoll_notify(struct app_desc *d)
{
    if (d->epoll == NULL || d->queued || d->interest == 0)
        return;
    TAILQ_INSERT_TAIL(&d->epoll->ready, d, ready_link);
    d->queued = true;
}

static int set_interest(struct app_epoll *e, struct app_desc *d, const struct epoll_event *event)
{
    const uint32_t known = EPOLL_WORDS | EPOLLET | EPOLLONESHOT;

    if (event == NULL || (event->events & ~known) != 0)
        return EINVAL;
    leave_queue(d);
    d->epoll = e;
    d->interest = event->events | EPOLL_ALWAYS;
    d->data = event->data;
    app_epoll_notify(d);
    return 0;
}

static int control(struct app_epoll *e, int op, int fd, const struct epoll_event *event)
{
    struct app_desc *d = app_socket_find(e->channel, fd);

    if (d == NULL)
        return EBADF;
    switch (op) {
    case EPOLL_CTL_ADD:
        return d->epoll != NULL ? EEXIST : set_interest(e, d, event);
    case EPOLL_CTL_MOD:
        return d->epoll != e ? ENOENT : set_interest(e, d, event);
    case EPOLL_CTL_DEL:
        if (d->epoll != e)
            return ENOENT;
        app_epoll_forget(d);
        return 0;
    default:
        return EINVAL;
    }
}

int app_epoll_ctl(struct app_epoll *e, int op, int fd, const struct epoll_event *event)
{
    int err = control(e, op, fd, event);

    if (err == 0)
        return 0;
    errno = err;
    return -1;
}

/* One descriptor's turn; false when nothing of interest holds. */
static bool report(struct app_desc *d, struct epoll_event *out)
{
    uint32_t what = app_socket_ready(d) & d->interest & EPOLL_WORDS;

    leave_queue(d);
    if (what == 0)
        return false;
    *out = (struct epoll_event){.events = what, .data = d->data};
    if (d->interest & EPOLLONESHOT)
        d->interest = 0;
    else if (!(d->interest & EPOLLET))
        app_epoll_notify(d);
    return true;
}

static int collect(struct app_epoll *e, struct epoll_event *out, int max)
{
    struct app_desc *last = TAILQ_LAST(&e->ready, app_descs), *d;
    int n = 0;

    while (n < max && (d = TAILQ_FIRST(&e->ready)) != NULL) {
        n += report(d, &out[n]);
        if (d == last)
            break;
    }
    return n;
}

static int look(struct app_epoll *e, struct epoll_event *out, int max)
{
    app_channel_poll(e->channel);
    return collect(e, out, max);
}

/* Looks again and again for a short time, where that was asked for. */
static int look_for_a_while(struct app_epoll *e, struct epoll_event *out, int max)
{
    clock_ns end = clock_now() + e->channel->spin;
    int n = look(e, out, max);

    while (n == 0 && e->channel->spin > 0 && clock_now() < end) {
        rte_pause();
        n = look(e, out, max);
    }
    return n;
}

int app_epoll_wait(struct app_epoll *e, struct epoll_event *out, int max, clock_ns timeout)
{
    clock_ns end = CLOCK_NEVER, now;
    int n;

    if (max <= 0) {
        errno = EINVAL;
        return -1;
    }
    n = look(e, out, max);
    app_channel_flush(e->channel); /* after the look, which may give spares */
    if (n > 0 || timeout == 0)
        return n;
    if (timeout != CLOCK_NEVER)
        end = clock_now() + timeout;
    while ((n = look_for_a_while(e, out, max)) == 0) {
        now = end != CLOCK_NEVER ? clock_now() : 0;
        if (now >= end)
            return 0;
        if (app_channel_sleep(e->channel, end != CLOCK_NEVER ? end - now : CLOCK_NEVER) < 0)
            return -1;
    }
    return n;
}
