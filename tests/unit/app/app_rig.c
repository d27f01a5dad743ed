#include "tests/unit/app/app_rig.h"

#include <pthread.h>
#include <stdlib.h>

#define RIG_STEP    (20 * CLOCK_US) /* virtual */
#define RIG_TIMEOUT (20 * CLOCK_SEC)

struct rig_host {
    struct sim_host *sim;
    struct app_channel *channel;
};

struct rig {
    struct sim *sim;
    struct app_bell bell;
    struct rig_host host[2];
    pthread_t thread;
    pthread_mutex_t turn;
    atomic_bool stop;
};

/* What app_thread.c does in a round. */
static clock_ns host_serve(void *ctx, clock_ns now)
{
    struct rig_host *h = ctx;
    struct app_channel *c = h->channel;
    struct event e;

    if (c == NULL)
        return CLOCK_NEVER;
    app_serve_requests(c, now);
    while (event_next(c->stack, &e))
        app_serve_event(&e);
    app_serve_wake(c);
    if (c->linger_until != 0 && c->live == 0) {
        h->channel = NULL;
        atomic_store(&c->gone, true);
    }
    return CLOCK_NEVER;
}

static void *rig_main(void *arg)
{
    struct rig *r = arg;

    while (!atomic_load(&r->stop)) {
        pthread_mutex_lock(&r->turn);
        sim_run(r->sim, NULL, NULL, RIG_STEP);
        pthread_mutex_unlock(&r->turn);
        sched_yield();
    }
    return NULL;
}

static void add_host(struct rig *r, unsigned i, const struct app_channel_config *config)
{
    struct sim_host_config host = {.name = i == 0 ? "a" : "b"};
    struct rig_host *h = &r->host[i];

    h->sim = sim_host_add(r->sim, &host);
    h->channel = app_channel_create(config, &r->bell, NULL);
    assert_non_null(h->channel);
    h->channel->stack = sim_host_stack(h->sim);
    sim_host_app(h->sim, host_serve, h);
}

struct rig *rig_start(const struct app_channel_config *a, const struct app_channel_config *b,
                      uint32_t loss)
{
    const struct sim_path path = {.delay = 10 * CLOCK_US, .loss = loss};
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    assert_int_equal(app_bell_open(&r->bell, NULL), 0);
    r->sim = sim_create(1);
    add_host(r, 0, a);
    add_host(r, 1, b);
    sim_link(r->sim, r->host[0].sim, "10.0.0.1/24", r->host[1].sim, "10.0.0.2/24", &path, &path);
    pthread_mutex_init(&r->turn, NULL);
    assert_int_equal(pthread_create(&r->thread, NULL, rig_main, r), 0);
    return r;
}

void rig_stop(struct rig *r)
{
    struct app_channel *a = r->host[0].channel, *b = r->host[1].channel;

    app_channel_detach(a, CLOCK_SEC);
    app_channel_detach(b, CLOCK_SEC);
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    sim_destroy(r->sim);
    assert_int_equal(sim_mbufs_in_use(), 0);
    app_bell_close(&r->bell);
    pthread_mutex_destroy(&r->turn);
    free(r);
}

struct app_channel *rig_a(struct rig *r)
{
    return r->host[0].channel;
}

struct app_channel *rig_b(struct rig *r)
{
    return r->host[1].channel;
}

struct ip_endpoint rig_endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(text, &e), 0);
    return e;
}

uint32_t rig_wait(struct app_channel *c, int fd, uint32_t events)
{
    clock_ns end = clock_now() + RIG_TIMEOUT;

    for (;;) {
        struct app_desc *d = app_socket_find(c, fd);
        uint32_t ready;

        assert_non_null(d);
        app_channel_poll(c);
        ready = app_socket_ready(d) & events;
        if (ready != 0)
            return ready;
        assert_true(clock_now() < end);
        app_channel_sleep(c, CLOCK_MS);
    }
}

void rig_connect(struct rig *r, int listener, int *a_end, int *b_end)
{
    struct ip_endpoint to;

    assert_int_equal(app_local(rig_b(r), listener, &to), 0);
    *a_end = app_connect(rig_a(r), &to, NULL);
    assert_true(*a_end >= 0);
    assert_int_equal(rig_wait(rig_a(r), *a_end, EPOLLOUT | EPOLLERR), EPOLLOUT);
    rig_wait(rig_b(r), listener, EPOLLIN);
    *b_end = app_accept(rig_b(r), listener, NULL);
    assert_true(*b_end >= 0);
}

uint8_t rig_byte(uint64_t position)
{
    return (uint8_t)(position * 31 + (position >> 8) * 7 + (position >> 16));
}

void rig_pause(struct rig *r)
{
    pthread_mutex_lock(&r->turn);
}

void rig_resume(struct rig *r)
{
    pthread_mutex_unlock(&r->turn);
}

int rig_group_setup(void **state)
{
    (void)state;
    sim_setup();
    return 0;
}

int rig_group_teardown(void **state)
{
    (void)state;
    sim_teardown();
    return 0;
}
