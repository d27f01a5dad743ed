#include "programs/reactor.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "programs/reactor_internal.h"

int reactor_init(struct reactor *r, struct reactor_run *run, const struct reactor_ops *ops,
                 struct error *e)
{
    *r = (struct reactor){.ops = ops, .run = run};
    if (pool_init(&r->streams, sizeof(struct stream), run->streams) < 0)
        return error_set(e, "out of memory for %u streams", run->streams);
    return 0;
}

void reactor_fini(struct reactor *r)
{
    pool_fini(&r->streams);
}

struct stream *reactor_stream(struct reactor *r)
{
    struct stream *s = pool_get(&r->streams);

    if (s != NULL)
        *s = (struct stream){.reactor = r, .fd = -1};
    return s;
}

void reactor_stream_free(struct stream *s)
{
    pool_put(&s->reactor->streams, s);
}

void reactor_done(struct reactor *r)
{
    if (r->done)
        return;
    r->done = true;
    if (atomic_fetch_sub(&r->run->unfinished, 1) == 1)
        eventfd_write(r->run->done_fd, 1);
}

bool reactor_stopping(const struct reactor *r)
{
    return atomic_load_explicit(&r->run->stop, memory_order_relaxed);
}

int reactor_listen(struct reactor *r, const struct ip_endpoint *local, uint32_t backlog,
                   struct error *e)
{
    struct stream *s = reactor_stream(r);
    char text[IP_TEXT_MAX];

    if (s == NULL)
        return error_set(e, "no streams");
    s->listener = true;
    if (r->ops->listen(s, local, backlog, e) == 0)
        return 0;
    reactor_stream_free(s);
    return error_prefix(e, "%s", ip_endpoint_format(local, text));
}

struct stream *reactor_connect(struct reactor *r, const struct ip_endpoint *remote, void *user)
{
    struct stream *s = reactor_stream(r);

    if (s == NULL) {
        errno = EMFILE;
        return NULL;
    }
    s->user = user;
    if (r->ops->connect(s, remote) == 0)
        return s;
    reactor_stream_free(s);
    return NULL;
}

void stream_user_set(struct stream *s, void *user)
{
    s->user = user;
}

void *stream_user(const struct stream *s)
{
    return s->user;
}

ssize_t stream_read(struct stream *s, void *out, size_t len)
{
    return s->reactor->ops->read(s, out, len);
}

ssize_t stream_write(struct stream *s, const void *data, size_t len)
{
    return s->reactor->ops->write(s, data, len);
}

bool stream_connected(const struct stream *s)
{
    return s->connected;
}

void stream_shutdown(struct stream *s)
{
    s->reactor->ops->shutdown(s);
}

void stream_close(struct stream *s)
{
    s->reactor->ops->close(s);
    reactor_stream_free(s);
}

/* ---- the main thread ---- */

/* Whole lines at a time, so that whoever reads along need not wait for the end. */
static void tell_busy(const struct reactor_run *run)
{
    clock_ns busy = 0;

    for (unsigned i = 0; i < app_thread_count(run->app); i++)
        busy += app_busy(run->app, i);
    fprintf(stderr, "%s: busy %.6f s\n", run->options->program, (double)busy / 1e9);
}

/* Waits for a signal to end, or until all threads are done. */
static void await_end(const struct reactor_run *run, int signals)
{
    struct pollfd p[2] = {{.fd = signals, .events = POLLIN},
                          {.fd = run->done_fd, .events = POLLIN}};
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            assert(errno == EINTR);
            continue;
        }
        if (p[1].revents != 0 || read(signals, &info, sizeof info) != sizeof info ||
            info.ssi_signo != SIGUSR1)
            return;
        tell_busy(run);
    }
}

static int run_app(struct reactor_run *run, int signals, struct error *e)
{
    struct app_config config = options_app_config(run->options);
    struct reactor_beside *beside = NULL;

    if (run->options->inside)
        config.inside = reactor_inside(run);
    atomic_store(&run->unfinished, config.cpu_count);
    run->app = app_start(&config, e);
    if (run->app == NULL)
        return -1;
    if (!run->options->inside)
        beside = reactor_beside_start(run, e);
    if (run->options->inside || beside != NULL) {
        fprintf(stderr, "%s: ready\n", run->options->program);
        await_end(run, signals);
    }
    atomic_store(&run->stop, true);
    reactor_beside_join(beside);
    app_stop(run->app);
    return run->options->inside || beside != NULL ? 0 : -1;
}

int reactor_run(const struct options *o, const struct reactor_program *program, unsigned streams)
{
    struct reactor_run run = {.options = o, .program = program, .streams = streams};
    struct error e = {0};
    int signals, result;
    sigset_t set;

    /* Blocked before there are threads, so that all have them blocked. */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    run.done_fd = eventfd(0, EFD_CLOEXEC);
    if (signals < 0 || run.done_fd < 0)
        return options_fail(o, "cannot wait for signals: %s", strerror(errno));
    result = run_app(&run, signals, &e);
    close(signals);
    close(run.done_fd);
    return result == 0 ? 0 : options_fail(o, "%s", e.text);
}
