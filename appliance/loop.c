#include "appliance/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int loop_open(struct loop *l, struct error *e)
{
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->timer < 0 || l->epoll < 0)
        return error_set(e, "cannot wait for events: %s", strerror(errno));
    return loop_watch(l, l->timer, LOOP_TICK, e);
}

void loop_close(struct loop *l)
{
    if (l->timer >= 0)
        close(l->timer);
    if (l->epoll >= 0)
        close(l->epoll);
    l->timer = l->epoll = -1;
}

int loop_watch(struct loop *l, int fd, enum loop_event event, struct error *e)
{
    struct epoll_event watched = {.events = EPOLLIN, .data.u32 = event};

    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &watched) < 0)
        return error_set(e, "cannot wait for events: %s", strerror(errno));
    return 0;
}

void loop_tick_every(struct loop *l, clock_ns interval)
{
    const struct timespec ts = {.tv_sec = (time_t)(interval / CLOCK_SEC),
                                .tv_nsec = (long)(interval % CLOCK_SEC)};
    const struct itimerspec every = {.it_interval = ts, .it_value = ts};

    timerfd_settime(l->timer, 0, &every, NULL);
}

enum loop_event loop_wait(struct loop *l)
{
    struct epoll_event event;
    uint64_t expirations;

    while (epoll_wait(l->epoll, &event, 1, -1) < 1)
        ; /* EINTR: signals are read from a descriptor, but a debugger may interrupt */
    if (event.data.u32 == LOOP_TICK && read(l->timer, &expirations, sizeof expirations) < 0)
        expirations = 0; /* the timer was set anew meanwhile: a tick all the same */
    return (enum loop_event)event.data.u32;
}
