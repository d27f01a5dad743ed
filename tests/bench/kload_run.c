/*
 * When requests begin.
 *
 * Warming up: each connection makes its requests one after the other, few connections at a time, so
 * that opening thousands is no flood. Then, at the word, either a closed loop (every connection
 * that is free asks at once), or with a rate an open one: request i is due at start + i / rate
 * whatever the answers do. It takes the connection that has been idle longest, or waits for one,
 * and its time counts from when it was due. A server that stalls thus pays for all requests that
 * came meanwhile (no coordinated omission).
 */
#include "tests/bench/kload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define WARMING_AT_ONCE 64
#define EVENTS          256
#define PATIENCE        (20 * CLOCK_SEC) /* without any event, while something is asked */

static void kload_idle_push(struct kload *k, struct kload_conn *c)
{
    unsigned long last = k->idle_first + k->idle_count++;

    k->idle[last < k->parallel ? last : last - k->parallel] = c;
}

static struct kload_conn *kload_idle_pop(struct kload *k)
{
    struct kload_conn *c = k->idle[k->idle_first];

    k->idle_first = k->idle_first + 1 < k->parallel ? k->idle_first + 1 : 0;
    k->idle_count--;
    return c;
}

void kload_answered(struct kload *k, struct kload_conn *c)
{
    k->done++;
    if (!k->warming)
        latency_add(&k->latency, clock_now() - c->due);
}

void kload_free(struct kload *k, struct kload_conn *c)
{
    kload_idle_push(k, c);
}

/* ---- what is to be asked now; returns when the next request is due, CLOCK_NEVER: when one of the
 * answers has come ---- */

static clock_ns kload_warm(struct kload *k, clock_ns now)
{
    unsigned busy = (unsigned)k->parallel - k->idle_count;

    /* Those that are done go round in the ring. */
    for (unsigned i = k->idle_count; i > 0 && busy < WARMING_AT_ONCE; i--) {
        struct kload_conn *c = kload_idle_pop(k);

        if (c->warm_left == 0) {
            kload_idle_push(k, c);
            continue;
        }
        c->warm_left--;
        busy++;
        k->begun++;
        kload_conn_ask(k, c, now);
    }
    return CLOCK_NEVER;
}

static bool kload_may_begin(const struct kload *k, clock_ns at)
{
    return k->seconds > 0 ? at < k->started + k->seconds * CLOCK_SEC : k->begun < k->requests;
}

static clock_ns kload_closed_loop(struct kload *k, clock_ns now)
{
    while (k->idle_count > 0 && kload_may_begin(k, now)) {
        k->begun++;
        kload_conn_ask(k, kload_idle_pop(k), now);
    }
    return CLOCK_NEVER;
}

static clock_ns kload_due(const struct kload *k)
{
    return k->started + (clock_ns)((double)k->begun * 1e9 / (double)k->rate);
}

static clock_ns kload_open_loop(struct kload *k, clock_ns now)
{
    clock_ns due = kload_due(k);

    while (kload_may_begin(k, due) && due <= now && k->idle_count > 0) {
        k->begun++;
        kload_conn_ask(k, kload_idle_pop(k), due);
        due = kload_due(k);
    }
    return kload_may_begin(k, due) && k->idle_count > 0 ? due : CLOCK_NEVER;
}

/* ---- the loop ---- */

static int kload_wait(struct kload *k, clock_ns until)
{
    struct epoll_event events[EVENTS];
    clock_ns now = clock_now(), span = until == CLOCK_NEVER ? PATIENCE : 0;
    struct timespec timeout;
    int count;

    if (until != CLOCK_NEVER && until > now)
        span = until - now;
    timeout = (struct timespec){(time_t)(span / CLOCK_SEC), (long)(span % CLOCK_SEC)};
    count = epoll_pwait2(k->epoll, events, EVENTS, &timeout, NULL);
    if (count < 0)
        return errno == EINTR ? 0 : kload_fail(k, "epoll: %s", strerror(errno));
    if (count == 0 && until == CLOCK_NEVER)
        return kload_fail(k, "no answer in %u s", (unsigned)(PATIENCE / CLOCK_SEC));
    for (int i = 0; i < count && k->failure[0] == '\0'; i++)
        kload_conn_progress(k, events[i].data.ptr);
    return k->failure[0] == '\0' ? 0 : -1;
}

/* Asks as `begin` says until it begins nothing more and every answer is there. */
static int kload_phase(struct kload *k, clock_ns (*begin)(struct kload *, clock_ns))
{
    k->begun = 0;
    k->started = clock_now();
    for (;;) {
        clock_ns next = begin(k, clock_now());

        if (k->failure[0] != '\0')
            return -1;
        if (next == CLOCK_NEVER && k->idle_count == k->parallel)
            break;
        if (kload_wait(k, next) < 0)
            return -1;
    }
    k->ended = clock_now();
    return 0;
}

static int kload_await_word(void)
{
    char word;

    puts("ready");
    fflush(stdout);
    return read(STDIN_FILENO, &word, 1) == 1 ? 0 : -1;
}

static int kload_verify_idle(struct kload *k)
{
    for (unsigned i = 0; i < k->parallel; i++) {
        if (kload_conn_verify_idle(k, &k->conns[i]) < 0)
            return -1;
    }
    return 0;
}

int kload_run(struct kload *k)
{
    for (unsigned i = 0; i < k->parallel; i++) {
        k->conns[i].warm_left = (unsigned)k->warm;
        kload_idle_push(k, &k->conns[i]);
    }
    k->warming = true;
    if (kload_phase(k, kload_warm) < 0 || kload_await_word() < 0)
        return -1;
    k->warming = false;
    k->done = k->bytes = k->handshakes = k->resumed = 0;
    if (kload_phase(k, k->rate > 0 ? kload_open_loop : kload_closed_loop) < 0)
        return -1;
    return k->close ? 0 : kload_verify_idle(k);
}
