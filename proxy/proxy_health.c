/*
 * Health checks: a TCP connection to each server from time to time, given up as soon as it stands.
 *
 * Each server is checked by one worker, which publishes the result in server->health for all. A
 * server begins as usable; `fall` failed checks in a row take it out, `rise` good ones bring it
 * back. The gap between two checks varies by a tenth, and the first one by its whole length, so
 * that checks which begin together, as at start, do not stay together.
 *
 * Checks belong to the current generation. A reload hands a check over to the new generation as it
 * is, count, timer and connection, where the server is in it again; so reloads in quick succession
 * neither stop checks nor multiply them. The rest end.
 *
 * Errors of our own (no memory, no port, no address yet) say nothing about the server and count
 * neither way.
 *
 * A check's sockets and a session's arrive at the same place, proxy.c; the lowest bit of the
 * socket's user pointer tells them apart.
 */
#include "proxy/proxy_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/siphash.h"
#include "proxy/proxy_header.h"

#define CHECK_TAG UINT64_C(1)

struct proxy_check {
    struct wheel_timer timer; /* the next check, or the end of this one's time */
    struct proxy *proxy;
    const struct policy_backend *backend;
    struct proxy_server *server;
    struct proxy_server *const *servers; /* all of the backend's */
    struct sock *sock;                   /* owned; NULL between two checks */
    clock_ns due;                        /* when the running check began, or the next one will */
    unsigned streak;                     /* checks in a row that contradict server->health */
    uint32_t number;                     /* of checks begun */
};
static_assert(alignof(struct proxy_check) > CHECK_TAG, "the tag's bit is free");

static wheel_fire check_fire;

static void *tagged(struct proxy_check *c)
{
    return (void *)((uintptr_t)c | CHECK_TAG);
}

bool proxy_health_owns(const void *user)
{
    return ((uintptr_t)user & CHECK_TAG) != 0;
}

/* ---- what a result means ---- */

static enum proxy_health health_of(const struct proxy_server *server)
{
    return (enum proxy_health)atomic_load_explicit(&server->health, memory_order_relaxed);
}

static void publish(struct proxy_check *c, enum proxy_health health)
{
    c->streak = 0;
    atomic_store_explicit(&c->server->health, health, memory_order_relaxed);
}

static unsigned count_left(const struct proxy_check *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->backend->server_count; i++) {
        n += health_of(c->servers[i]) != PROXY_HEALTH_DOWN &&
             !atomic_load_explicit(&c->servers[i]->drained, memory_order_relaxed);
    }
    return n;
}

static void went_down(struct proxy_check *c, const char *why)
{
    char text[IP_TEXT_MAX];
    unsigned left;

    publish(c, PROXY_HEALTH_DOWN);
    COUNTER_INC(c->proxy->counters.servers_went_down);
    left = count_left(c);
    log_warn("backend", "%s: %s is down: %s (%u check%s failed); %u of %u servers left",
             c->backend->name, ip_endpoint_format(&c->server->endpoint, text), why,
             c->backend->health_check.fall, c->backend->health_check.fall == 1 ? "" : "s", left,
             c->backend->server_count);
    if (left == 0)
        log_error("backend", "%s: no server is left; its sessions are refused", c->backend->name);
}

static void came_up(struct proxy_check *c)
{
    char text[IP_TEXT_MAX];

    publish(c, PROXY_HEALTH_UP);
    COUNTER_INC(c->proxy->counters.servers_came_up);
    /* An ejection is older news than the checks that succeeded since. */
    atomic_store_explicit(&c->server->ejected_until, 0, memory_order_relaxed);
    log_info("backend", "%s: %s is up again; %u of %u servers in use", c->backend->name,
             ip_endpoint_format(&c->server->endpoint, text), count_left(c),
             c->backend->server_count);
}

static void check_passed(struct proxy_check *c)
{
    switch (health_of(c->server)) {
    case PROXY_HEALTH_UNCHECKED:
        publish(c, PROXY_HEALTH_UP);
        break;
    case PROXY_HEALTH_UP:
        c->streak = 0;
        break;
    case PROXY_HEALTH_DOWN:
        if (++c->streak >= c->backend->health_check.rise)
            came_up(c);
        break;
    }
}

static void check_failed(struct proxy_check *c, const char *why)
{
    COUNTER_INC(c->proxy->counters.health_checks_failed);
    COUNTER_INC(c->server->worker[c->proxy->worker].counters.server_checks_failed);
    if (health_of(c->server) == PROXY_HEALTH_DOWN)
        c->streak = 0;
    else if (++c->streak >= c->backend->health_check.fall)
        went_down(c, why);
}

/* ---- one check ---- */

/* Between 0 and 2^20, from the server and the number of the check: the same in every run. */
static uint64_t jitter(const struct proxy_check *c)
{
    static const struct siphash_key key = {5, 0};
    uint8_t bytes[24] = {0};

    memcpy(bytes, c->server->endpoint.addr.b, 16);
    memcpy(bytes + 16, &c->server->endpoint.port, 2);
    memcpy(bytes + 20, &c->number, 4);
    return siphash(bytes, sizeof bytes, &key) >> 44;
}

/* From the beginning of one check to that of the next. */
static clock_ns gap(const struct proxy_check *c)
{
    clock_ns interval = c->backend->health_check.interval;

    if (c->number <= 1)
        return (interval >> 20) * jitter(c);
    return interval / 10 * 9 + (interval / 5 >> 20) * jitter(c);
}

static void schedule(struct proxy_check *c)
{
    clock_ns next = c->due + gap(c);

    c->due = next > c->proxy->now ? next : c->proxy->now;
    wheel_arm(&c->proxy->wheel, &c->timer, c->due);
}

static void give_up(struct proxy_check *c)
{
    if (c->sock != NULL)
        sock_abort(c->sock);
    c->sock = NULL;
}

static void begin(struct proxy_check *c)
{
    const struct sock_options options = {0}; /* our own timer is the shorter one */
    enum sock_error error = SOCK_OK;

    c->number++;
    c->due = c->proxy->now;
    c->sock = sock_connect(c->proxy->stack, &c->server->endpoint, &options, tagged(c), &error);
    if (c->sock == NULL) {
        if (error == SOCK_BAD_ADDRESS)
            check_failed(c, "no route");
        schedule(c);
        return;
    }
    COUNTER_INC(c->proxy->counters.health_checks);
    wheel_arm(&c->proxy->wheel, &c->timer, c->due + c->backend->health_check.timeout);
}

/* A server that expects a PROXY header would log its absence at every check. */
static void say_goodbye(struct proxy_check *c)
{
    uint8_t header[PROXY_HEADER_BUILD_MAX];
    size_t len;

    if (c->backend->proxy_protocol == POLICY_PROXY_NONE)
        return;
    len = proxy_header_build_local(c->backend->proxy_protocol == POLICY_PROXY_V1 ? 1 : 2, header);
    sock_write(c->sock, header, (uint32_t)len);
    sock_close(c->sock);
    c->sock = NULL;
}

void proxy_health_event(const struct event *ev)
{
    struct proxy_check *c = (struct proxy_check *)((uintptr_t)ev->user & ~CHECK_TAG);

    if ((ev->what & EVENT_ERROR) != 0) {
        check_failed(c, sock_error_text(sock_error(c->sock)));
    } else if ((ev->what & EVENT_CONNECTED) != 0) {
        check_passed(c);
        say_goodbye(c);
    } else {
        return;
    }
    give_up(c);
    schedule(c);
}

static void check_fire(struct wheel_timer *timer, clock_ns now)
{
    struct proxy_check *c =
        (struct proxy_check *)(void *)((uint8_t *)timer - offsetof(struct proxy_check, timer));
    char why[64];

    (void)now;
    if (c->sock == NULL) {
        begin(c);
        return;
    }
    snprintf(why, sizeof why, "no answer within %llu ms",
             (unsigned long long)(c->backend->health_check.timeout / CLOCK_MS));
    give_up(c);
    check_failed(c, why);
    schedule(c);
}

/* ---- the checks of a generation ---- */

static int compare_checks(const void *a, const void *b)
{
    const struct proxy_check *x = a, *y = b;

    return ((uintptr_t)x->server > (uintptr_t)y->server) -
           ((uintptr_t)x->server < (uintptr_t)y->server);
}

/* Calls for each server that this worker checks; `out` may be NULL to count them. */
static unsigned collect(struct proxy *p, struct proxy_generation *g, struct proxy_check *out)
{
    const struct policy *policy = generation_policy(g);
    unsigned position = 0, count = 0;

    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];
        struct proxy_server *const *servers = g->snapshot->servers[b->index];

        for (unsigned k = 0; b->health_check.enabled && k < b->server_count; k++) {
            if (position++ % p->workers != p->worker)
                continue;
            if (out != NULL)
                out[count] = (struct proxy_check){.timer.fire = check_fire,
                                                  .proxy = p,
                                                  .backend = b,
                                                  .server = servers[k],
                                                  .servers = servers};
            count++;
        }
    }
    return count;
}

int proxy_health_create(struct proxy *p, struct proxy_generation *g)
{
    unsigned count = collect(p, g, NULL);

    g->checks = calloc(count + 1, sizeof *g->checks);
    if (g->checks == NULL)
        return -1;
    g->check_count = collect(p, g, g->checks);
    qsort(g->checks, count, sizeof *g->checks, compare_checks);
    return 0;
}

/* Goes on with what the former generation's check of the same server was about. */
static void take_over(struct proxy_check *c, struct proxy_check *from)
{
    clock_ns deadline = from->timer.deadline;

    c->sock = from->sock;
    c->due = from->due;
    c->streak = from->streak;
    c->number = from->number;
    from->sock = NULL;
    wheel_cancel(&c->proxy->wheel, &from->timer);
    if (c->sock != NULL) {
        sock_user_set(c->sock, tagged(c));
    } else if (c->due > c->proxy->now + c->backend->health_check.interval) {
        c->due = c->proxy->now + gap(c); /* the interval is shorter now */
        deadline = c->due;
    }
    wheel_arm(&c->proxy->wheel, &c->timer, deadline);
}

void proxy_health_begin(struct proxy *p, struct proxy_generation *g, struct proxy_generation *from)
{
    for (unsigned i = 0; i < g->check_count; i++) {
        struct proxy_check *c = &g->checks[i], *former = NULL;

        if (from != NULL)
            former = bsearch(c, from->checks, from->check_count, sizeof *c, compare_checks);
        if (former != NULL && wheel_is_armed(&former->timer))
            take_over(c, former);
        else
            wheel_arm(&p->wheel, &c->timer, p->now);
    }
    if (from != NULL)
        proxy_health_stop(p, from);
}

void proxy_health_stop(struct proxy *p, struct proxy_generation *g)
{
    for (unsigned i = 0; i < g->check_count; i++) {
        give_up(&g->checks[i]);
        wheel_cancel(&p->wheel, &g->checks[i].timer);
    }
}
