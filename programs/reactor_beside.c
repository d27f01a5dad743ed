/*
 * The program in threads beside the stack's: a channel and a set for readiness each.
 * Edge-triggered, as events inside are.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app_socket.h"
#include "programs/reactor_internal.h"

#define BESIDE_BATCH  64
#define BESIDE_LINGER CLOCK_SEC
#define BESIDE_LOOK   (20 * CLOCK_MS) /* how often the thread looks whether it is to end */
#define BESIDE_EDGES  (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct beside_thread {
    struct reactor reactor;
    struct reactor_run *run;
    unsigned index;
    pthread_t thread;
    sem_t started;
    int result;
    struct error error;
};

struct reactor_beside {
    unsigned count;
    struct beside_thread thread[APP_THREADS_MAX];
};

/* ---- streams ---- */

static int watch(struct stream *s)
{
    struct epoll_event e = {.events = BESIDE_EDGES, .data.ptr = s};

    return app_epoll_ctl(s->reactor->epoll, EPOLL_CTL_ADD, s->fd, &e);
}

static int beside_listen(struct stream *s, const struct ip_endpoint *local, uint32_t backlog,
                         struct error *e)
{
    s->fd = app_listen(s->reactor->channel, local, backlog, NULL);
    return s->fd >= 0 ? watch(s) : error_set(e, "%s", strerror(errno));
}

static int beside_connect(struct stream *s, const struct ip_endpoint *remote)
{
    s->fd = app_connect(s->reactor->channel, remote, NULL);
    return s->fd >= 0 ? watch(s) : -1;
}

static ssize_t beside_read(struct stream *s, void *out, size_t len)
{
    return app_read(s->reactor->channel, s->fd, out, len);
}

static ssize_t beside_write(struct stream *s, const void *data, size_t len)
{
    return app_write(s->reactor->channel, s->fd, data, len);
}

static void beside_shutdown(struct stream *s)
{
    app_shutdown(s->reactor->channel, s->fd);
}

static void beside_close(struct stream *s)
{
    app_close(s->reactor->channel, s->fd);
}

static const struct reactor_ops beside_ops = {
    .listen = beside_listen,
    .connect = beside_connect,
    .read = beside_read,
    .write = beside_write,
    .shutdown = beside_shutdown,
    .close = beside_close,
};

/* ---- the loop ---- */

static void accept_all(struct reactor *r, int listener)
{
    int fd;

    while ((fd = app_accept(r->channel, listener, NULL)) >= 0) {
        struct stream *s = reactor_stream(r);

        if (s == NULL) {
            app_abort(r->channel, fd);
            continue;
        }
        s->fd = fd;
        s->connected = true;
        if (watch(s) < 0 || !r->run->program->accepted(r->state, s))
            stream_close(s); /* of which the program has kept nothing */
    }
}

static void act(struct reactor *r, const struct epoll_event *e)
{
    struct stream *s = e->data.ptr;

    if (s->listener) {
        accept_all(r, s->fd);
        return;
    }
    if ((e->events & (EPOLLOUT | EPOLLERR)) == EPOLLOUT)
        s->connected = true;
    r->run->program->ready(r->state, s);
}

static clock_ns patience(clock_ns deadline)
{
    clock_ns now = deadline != CLOCK_NEVER ? clock_now() : 0;

    if (deadline <= now)
        return 0;
    return deadline - now < BESIDE_LOOK ? deadline - now : BESIDE_LOOK;
}

static void beside_loop(struct reactor *r)
{
    struct epoll_event event[BESIDE_BATCH];
    clock_ns deadline = 0;

    while (!reactor_stopping(r)) {
        int n = app_epoll_wait(r->epoll, event, BESIDE_BATCH, patience(deadline));

        for (int i = 0; i < n; i++)
            act(r, &event[i]);
        deadline = r->run->program->round(r->state, clock_now());
    }
}

/* ---- threads ---- */

static void pin(const struct options *o, unsigned index)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (o->app_cpu_count > 0)
        CPU_SET(o->app_cpus[index], &set);
    else
        memset(&set, 0xff, sizeof set); /* not where the thread that made us was pinned */
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0 && o->app_cpu_count > 0)
        options_fail(o, "CPU %u cannot be had; the thread runs where it may", o->app_cpus[index]);
}

static int beside_setup(struct beside_thread *t)
{
    /* Twice: those that were closed may have bytes to send. */
    const struct app_channel_config config = {.descriptors = t->run->streams * 2,
                                              .spin = t->run->options->spin};
    const struct reactor_program *program = t->run->program;
    struct reactor *r = &t->reactor;

    if (reactor_init(r, t->run, &beside_ops, &t->error) < 0)
        return -1;
    r->channel = app_channel_attach(t->run->app, t->index, &config, &t->error);
    r->epoll = r->channel != NULL ? app_epoll_create(r->channel) : NULL;
    if (r->epoll == NULL)
        return error_set(&t->error, "out of memory");
    return program->start(program->ctx, r, t->index, &r->state, &t->error);
}

static void beside_teardown(struct beside_thread *t)
{
    struct reactor *r = &t->reactor;

    if (r->epoll != NULL)
        app_epoll_destroy(r->epoll);
    if (r->channel != NULL)
        app_channel_detach(r->channel, BESIDE_LINGER);
    reactor_fini(r);
}

static void *beside_main(void *arg)
{
    struct beside_thread *t = arg;
    bool good;

    pin(t->run->options, t->index);
    t->result = beside_setup(t);
    good = t->result == 0;
    sem_post(&t->started);
    if (good) {
        beside_loop(&t->reactor);
        t->run->program->stop(t->reactor.state);
    }
    beside_teardown(t);
    return NULL;
}

static int thread_start(struct beside_thread *t, struct reactor_run *run, unsigned index,
                        struct error *e)
{
    int err;

    t->run = run;
    t->index = index;
    sem_init(&t->started, 0, 0);
    err = pthread_create(&t->thread, NULL, beside_main, t);
    if (err != 0)
        return error_set(e, "cannot start a thread: %s", strerror(err));
    while (sem_wait(&t->started) < 0)
        assert(errno == EINTR);
    if (t->result == 0)
        return 0;
    pthread_join(t->thread, NULL);
    return error_set(e, "%s", t->error.text);
}

struct reactor_beside *reactor_beside_start(struct reactor_run *run, struct error *e)
{
    struct reactor_beside *b = calloc(1, sizeof *b);

    if (b == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    for (; b->count < app_thread_count(run->app); b->count++) {
        if (thread_start(&b->thread[b->count], run, b->count, e) == 0)
            continue;
        atomic_store(&run->stop, true);
        reactor_beside_join(b);
        return NULL;
    }
    return b;
}

void reactor_beside_join(struct reactor_beside *b)
{
    if (b == NULL)
        return;
    for (unsigned i = 0; i < b->count; i++) {
        pthread_join(b->thread[i].thread, NULL);
        sem_destroy(&b->thread[i].started);
    }
    free(b);
}
