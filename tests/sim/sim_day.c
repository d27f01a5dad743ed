/*
 * A day of mixed traffic on a virtual clock: connections come and go between one server and three
 * clients, of which one is far away and one, on IPv6, loses its cable now and then. Some ask and
 * are answered, some move megabytes, some idle for hours with keepalives, some read with long
 * pauses, some are reset in the middle, some are left behind by a peer that is gone. Every hour
 * there is a flood of SYNs and of segments that belong to nothing.
 *
 * Every quarter of the time arrivals cease until what was open has ended; then connections,
 * buffers, mbufs and neighbours must be where they were before the first packet. What was not meant
 * to fail must have arrived byte for byte.
 *
 *     sim_day [--hours N] [--seed S] [--verbose]
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "tests/sim/flow.h"
#include "tests/unit/support/test_frame.h"

#define CLIENTS   3
#define SLOTS     400  /* connections of one client at a time */
#define ORPHANS   2000 /* idle connections end all at once before a quarter's reckoning */
#define HOUR      (3600 * CLOCK_SEC)
#define MINUTE    (60 * CLOCK_SEC)
#define QUARTERS  4
#define FLOOD     (20 * CLOCK_SEC)
#define FLOOD_GAP (5 * CLOCK_MS)
#define SETTLE    (3 * HOUR) /* the longest reader's pauses, then timeouts and TIME_WAIT */

enum kind { KIND_REQUEST, KIND_BULK, KIND_IDLE, KIND_PAUSES, KIND_RESET, KIND_COUNT };

struct slot {
    bool used;
    enum kind kind;
    bool left_behind;        /* its client is gone without a word */
    struct flow out, in;     /* the client's end, the server's */
    clock_ns until, word_at; /* of an idle one: its end, its next few bytes */
};

struct client {
    struct day *day;
    const char *name, *address, *server; /* with prefix length; with port */
    struct sim_path path;
    bool unplugs;
    struct sim_host *host;
    struct slot slot[SLOTS];
    clock_ns arrival_at, wake;
    clock_ns cable_at; /* it goes out, or comes back */
    bool out;          /* the cable is */
    uint64_t opened[KIND_COUNT], failed, refused;
};

struct day {
    struct sim *sim;
    struct sim_host *server;
    struct sock *listener;
    struct client client[CLIENTS];
    bool open;     /* arrivals go on */
    clock_ns wake; /* of the server's flows */
    clock_ns flood_at, flood_until;
    uint64_t frames_of_flood;
    const char *wrong;
    clock_ns start;
};

struct level {
    uint32_t connections, buffers, neighbours, mbufs;
};

static struct day day;
static bool verbose;

static clock_ns sooner(clock_ns a, clock_ns b)
{
    return a < b ? a : b;
}

static clock_ns within(struct sim *s, clock_ns span)
{
    return 1 + (clock_ns)sim_random(s, 1000000) * (span / 1000000);
}

/* ---- one connection ---- */

static const char *const kind_name[KIND_COUNT] = {"requests", "bulk", "idle", "pauses", "resets"};

static enum kind random_kind(struct sim *s)
{
    uint32_t n = sim_random(s, 100);

    return n < 70   ? KIND_REQUEST
           : n < 73 ? KIND_BULK
           : n < 83 ? KIND_IDLE
           : n < 90 ? KIND_PAUSES
                    : KIND_RESET;
}

static void sizes(struct sim *s, enum kind kind, uint64_t *there, uint64_t *back)
{
    *there = sim_random(s, 3000);
    *back = sim_random(s, 50000);
    if (kind == KIND_BULK && sim_random(s, 2) == 0)
        *there = 1000000 + sim_random(s, 1000000);
    else if (kind == KIND_BULK)
        *back = 1000000 + sim_random(s, 1000000);
    else if (kind == KIND_PAUSES)
        *there = *back = 200000;
}

static void slot_fill(struct client *c, struct slot *t, clock_ns now)
{
    struct sim *s = c->day->sim;
    uint64_t a = sim_random(s, UINT32_MAX), b = sim_random(s, UINT32_MAX), there, back;

    memset(t, 0, sizeof *t);
    t->used = true;
    t->kind = random_kind(s);
    sizes(s, t->kind, &there, &back);
    t->out = (struct flow){
        .random = a, .send_pattern = a, .receive_pattern = b, .to_send = there, .to_receive = back};
    t->in = (struct flow){
        .random = b, .send_pattern = b, .receive_pattern = a, .to_send = back, .to_receive = there};
    if (t->kind == KIND_PAUSES) {
        struct flow *slow = sim_random(s, 2) == 0 ? &t->out : &t->in;

        slow->pause = within(s, 5 * MINUTE);
        slow->open =
            true; /* so that the writer waits as well: nobody waits for an orphan for long */
    }
    if (t->kind == KIND_RESET)
        (sim_random(s, 2) == 0 ? &t->out : &t->in)->abort_at = 1 + sim_random(s, 20000);
    if (t->kind != KIND_IDLE)
        return;
    t->out.open = t->in.open = true;
    t->until = now + within(s, 3 * HOUR);
    t->word_at = now + within(s, 10 * MINUTE);
}

static void connect_one(struct client *c, clock_ns now)
{
    struct sock_options o = {.keepalive = 5 * MINUTE};
    struct slot *t = c->slot;
    struct ip_endpoint to;
    enum sock_error error;

    while (t < c->slot + SLOTS && t->used)
        t++;
    if (t == c->slot + SLOTS) {
        c->refused++;
        return;
    }
    ip_endpoint_parse(c->server, &to);
    slot_fill(c, t, now);
    t->out.sock = sock_connect(sim_host_stack(c->host), &to, &o, &t->out, &error);
    if (t->out.sock == NULL) {
        c->day->wrong = sock_error_text(error);
        t->used = false;
        return;
    }
    c->opened[t->kind]++;
}

static const char *end_of(const struct flow *f)
{
    if (f->finished)
        return f->aborted ? "aborted" : sock_error_text(f->error);
    return f->sock != NULL ? tcp_state_name(sock_state(f->sock)) : "never began";
}

static void print_end(const char *whose, const struct flow *f)
{
    printf("; %s sent %" PRIu64 "/%" PRIu64 ", received %" PRIu64 "/%" PRIu64 "%s, %s", whose,
           f->sent, f->to_send, f->received, f->to_receive,
           f->mismatch_at != 0 ? ", WRONG BYTES" : "", end_of(f));
}

static void slot_print(const struct client *c, const struct slot *t)
{
    printf("  %s, %s%s", c->name, kind_name[t->kind], t->left_behind ? ", left behind" : "");
    print_end("client", &t->out);
    print_end("server", &t->in);
    printf("\n");
}

/* Both ends are through: it went as it was meant to, or there was a reason. */
static void slot_judge(struct client *c, struct slot *t)
{
    bool good = flow_good(&t->out) && flow_good(&t->in);

    if (t->out.mismatch_at != 0 || t->in.mismatch_at != 0)
        c->day->wrong = "wrong bytes";
    if (!good && t->kind != KIND_RESET && !t->left_behind) {
        c->failed++;
        if (!c->unplugs)
            c->day->wrong = "a connection failed";
    }
    t->used = false;
    if (c->day->wrong != NULL)
        slot_print(c, t);
}

static clock_ns slot_progress(const struct slot *t, struct flow *f, clock_ns now)
{
    clock_ns at = flow_progress(f, now);

    if (t->kind != KIND_PAUSES || !f->open || f->received < f->to_receive)
        return at;
    f->open = false;
    return flow_progress(f, now);
}

static bool slot_over(const struct slot *t)
{
    return t->out.finished && (t->in.finished || t->in.sock == NULL);
}

/* An idle one says a few bytes, or ends. */
static void slot_idle(struct client *c, struct slot *t, clock_ns now)
{
    if (!t->out.open)
        return;
    if (now >= t->until || !c->day->open) {
        t->out.open = t->in.open = false;
        c->day->wake = now;
    } else if (now >= t->word_at) {
        uint32_t n = 1 + sim_random(c->day->sim, 500);

        t->out.to_send += n;
        t->in.to_receive += n;
        t->word_at = now + within(c->day->sim, 10 * MINUTE);
    }
    c->wake = sooner(c->wake, sooner(t->until, t->word_at));
}

/* ---- the clients ---- */

/* The machine is gone: it says nothing, and knows of nothing when it is back. */
static void client_forget(struct client *c)
{
    for (struct slot *t = c->slot; t < c->slot + SLOTS; t++) {
        if (!t->used || t->out.sock == NULL || sim_random(c->day->sim, 2) == 0)
            continue;
        sock_abort(t->out.sock);
        t->out.sock = NULL;
        t->out.finished = t->left_behind = true;
    }
}

static void client_cable(struct client *c, clock_ns now)
{
    struct sim_path path = c->path;

    if (!c->unplugs || now < c->cable_at)
        return;
    c->out = !c->out && c->day->open;
    path.loss = c->out ? 1000000 : c->path.loss;
    sim_path_set(c->host, 0, &path);
    sim_path_set(c->day->server, (unsigned)(c - c->day->client), &path);
    if (c->out)
        client_forget(c);
    c->cable_at = now + within(c->day->sim, c->out ? 40 * MINUTE : 2 * HOUR);
}

static void client_scan(struct client *c, clock_ns now)
{
    c->wake = CLOCK_NEVER;
    for (struct slot *t = c->slot; t < c->slot + SLOTS; t++) {
        if (!t->used)
            continue;
        if (t->kind == KIND_IDLE)
            slot_idle(c, t, now);
        c->wake = sooner(c->wake, slot_progress(t, &t->out, now));
        if (slot_over(t))
            slot_judge(c, t);
    }
}

static clock_ns client_app(void *ctx, clock_ns now)
{
    struct client *c = ctx;
    struct event e;

    while (event_next(sim_host_stack(c->host), &e)) {
        flow_event(e.user, &e, now);
        c->wake = now;
    }
    client_cable(c, now);
    if (c->day->open && now >= c->arrival_at) {
        connect_one(c, now);
        c->arrival_at = now + within(c->day->sim, 6 * CLOCK_SEC);
        c->wake = now;
    }
    if (now >= c->wake)
        client_scan(c, now);
    return sooner(c->wake, sooner(c->day->open ? c->arrival_at : CLOCK_NEVER,
                                  c->unplugs ? c->cable_at : CLOCK_NEVER));
}

/* ---- the server ---- */

static struct slot *slot_of(struct day *d, const struct ip_endpoint *remote)
{
    struct ip_endpoint local;

    for (struct client *c = d->client; c < d->client + CLIENTS; c++) {
        for (struct slot *t = c->slot; t < c->slot + SLOTS; t++) {
            if (!t->used || t->out.sock == NULL || t->in.sock != NULL || t->in.finished)
                continue;
            sock_local(t->out.sock, &local);
            if (local.port == remote->port && ip_equal(&local.addr, &remote->addr))
                return t;
        }
    }
    return NULL;
}

static void serve(struct day *d, struct sock *k, clock_ns now)
{
    struct ip_endpoint remote;
    struct slot *t;

    sock_remote(k, &remote);
    t = slot_of(d, &remote);
    if (t == NULL) { /* left behind before it was accepted */
        sock_abort(k);
        return;
    }
    t->in.sock = k;
    t->in.established = true;
    sock_user_set(k, &t->in);
    flow_progress(&t->in, now);
}

/* Frames that nobody waits for: SYNs from everywhere, segments of no connection. */
static void flood_frame(struct day *d)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0}, from_mac[6] = {2, 0, 0, 0, 1, 0};
    static const uint8_t flags[] = {TCP_SYN,           TCP_SYN,          TCP_SYN,
                                    TCP_ACK,           TCP_RST,          TCP_FIN | TCP_ACK,
                                    TCP_SYN | TCP_ACK, TCP_ACK | TCP_PSH};
    struct test_frame f;
    char from[20];

    if (sim_random(d->sim, 4) == 0) /* a neighbour that is not there */
        snprintf(from, sizeof from, "10.0.0.%u", 3 + sim_random(d->sim, 250));
    else
        snprintf(from, sizeof from, "198.51.100.%u", sim_random(d->sim, 256));
    test_frame_ether(&f, mac, from_mac, 0x0800);
    test_frame_ipv4(&f, 6, from, "10.0.0.1");
    test_frame_tcp(&f, (uint16_t)(1024 + sim_random(d->sim, 60000)), 80,
                   sim_random(d->sim, UINT32_MAX), sim_random(d->sim, UINT32_MAX),
                   flags[sim_random(d->sim, sizeof flags)]);
    test_frame_append(&f, "nonsense", sim_random(d->sim, 9));
    test_frame_finish(&f);
    sim_inject(d->sim, d->server, 0, f.b, (uint32_t)f.len);
    d->frames_of_flood++;
}

static clock_ns flood(struct day *d, clock_ns now)
{
    if (!d->open)
        return CLOCK_NEVER;
    if (now < d->flood_at)
        return d->flood_at;
    if (now > d->flood_until) {
        d->flood_at = now + HOUR - FLOOD;
        d->flood_until = d->flood_at + FLOOD;
        return d->flood_at;
    }
    flood_frame(d);
    d->flood_at = now + FLOOD_GAP;
    return d->flood_at;
}

static void server_scan(struct day *d, clock_ns now)
{
    d->wake = CLOCK_NEVER;
    for (struct client *c = d->client; c < d->client + CLIENTS; c++) {
        for (struct slot *t = c->slot; t < c->slot + SLOTS; t++) {
            if (t->used && t->in.sock != NULL)
                d->wake = sooner(d->wake, slot_progress(t, &t->in, now));
            if (t->used && slot_over(t))
                c->wake = now;
        }
    }
}

static clock_ns server_app(void *ctx, clock_ns now)
{
    struct day *d = ctx;
    struct event e;
    struct sock *k;

    while (event_next(sim_host_stack(d->server), &e)) {
        if (e.sock == d->listener) {
            while ((k = sock_accept(d->listener)) != NULL)
                serve(d, k, now);
        } else {
            flow_event(e.user, &e, now);
        }
        d->wake = now;
    }
    if (now >= d->wake)
        server_scan(d, now);
    return sooner(flood(d, now), d->wake);
}

/* ---- the world ---- */

static void day_set_up(struct day *d, uint64_t seed)
{
    static const struct client clients[CLIENTS] = {
        {.name = "near",
         .address = "10.0.0.2/24",
         .server = "10.0.0.1:80",
         .path = {.delay = 2 * CLOCK_MS, .rate = 100000000, .queue = 100}},
        {.name = "far",
         .address = "10.0.1.2/24",
         .server = "10.0.1.1:80",
         .path = {.delay = 60 * CLOCK_MS,
                  .jitter = CLOCK_MS,
                  .loss = 10000,
                  .reorder = 5000,
                  .duplicate = 1000,
                  .corrupt = 500,
                  .rate = 20000000,
                  .queue = 60}},
        {.name = "loose",
         .address = "2001:db8:2::2/64",
         .server = "[2001:db8:2::1]:80",
         .unplugs = true,
         .path = {.delay = 15 * CLOCK_MS, .loss = 1000, .rate = 50000000, .queue = 100}},
    };
    static const char *const server[CLIENTS] = {"10.0.0.1/24", "10.0.1.1/24", "2001:db8:2::1/64"};
    struct sock_options o = {.keepalive = 5 * MINUTE};
    struct sim_host_config h = {
        .name = "server", .max_connections = 4096, .tcp.orphans_max = ORPHANS};
    struct ip_endpoint at;
    enum sock_error error;

    memset(d, 0, sizeof *d);
    d->sim = sim_create(seed);
    d->start = sim_now(d->sim);
    d->server = sim_host_add(d->sim, &h);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &d->client[i];

        *c = clients[i];
        c->day = d;
        h = (struct sim_host_config){.name = c->name, .tcp.orphans_max = ORPHANS};
        c->host = sim_host_add(d->sim, &h);
        sim_link(d->sim, d->server, server[i], c->host, c->address, &c->path, &c->path);
        sim_host_app(c->host, client_app, c);
    }
    sim_route(d->server, "0.0.0.0/0", "10.0.0.2");
    ip_endpoint_parse("[::]:80", &at);
    d->listener = sock_listen(sim_host_stack(d->server), &at, 256, &o, NULL, &error);
    assert(d->listener != NULL);
    sim_host_app(d->server, server_app, d);
}

static struct level level(const struct day *d)
{
    struct level l = {.mbufs = sim_mbufs_in_use()};
    struct stack_usage u;

    for (unsigned i = 0; i <= CLIENTS; i++) {
        stack_usage(sim_host_stack(i < CLIENTS ? d->client[i].host : d->server), &u);
        l.connections += u.connections_used;
        l.buffers += u.buffers_used;
        l.neighbours += u.neighbours;
    }
    return l;
}

static bool slots_free(void *ctx)
{
    const struct day *d = ctx;

    if (d->wrong != NULL)
        return true;
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (unsigned j = 0; j < SLOTS; j++) {
            if (d->client[i].slot[j].used)
                return false;
        }
    }
    return true;
}

static bool is_wrong(void *ctx)
{
    const struct day *d = ctx;

    return d->wrong != NULL;
}

static double hours(const struct day *d)
{
    return (double)(sim_now(d->sim) - d->start) / 3600e9;
}

static bool fail(const struct day *d, const char *what)
{
    struct level l = level(d);

    printf("FAIL after %.3f h: %s\n  %u connections, %u buffers, %u neighbours, %u mbufs\n",
           hours(d), what, l.connections, l.buffers, l.neighbours, l.mbufs);
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (unsigned j = 0; j < SLOTS; j++) {
            if (d->client[i].slot[j].used && !d->open)
                slot_print(&d->client[i], &d->client[i].slot[j]);
        }
    }
    return false;
}

/* ---- a quarter of the day ---- */

static void report(const struct day *d, double real)
{
    printf("%.1f h in %.1f s, %" PRIu64 " frames of floods;", hours(d), real, d->frames_of_flood);
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &d->client[i];

        printf(" %s:", c->name);
        for (unsigned k = 0; k < KIND_COUNT; k++)
            printf(" %" PRIu64 " %s", c->opened[k], kind_name[k]);
        printf(", %" PRIu64 " failed, %" PRIu64 " refused%s", c->failed, c->refused,
               i + 1 < CLIENTS ? ";" : "\n");
    }
}

static bool quarter(struct day *d, clock_ns span, const struct level *start)
{
    clock_ns now = sim_now(d->sim);
    struct level l;

    d->open = true;
    for (unsigned i = 0; i < CLIENTS; i++) {
        d->client[i].arrival_at = now;
        d->client[i].cable_at = now + within(d->sim, span / 2);
    }
    d->flood_at = now + within(d->sim, span / 4);
    d->flood_until = d->flood_at + FLOOD;
    if (sim_run(d->sim, is_wrong, d, span))
        return fail(d, d->wrong);
    d->open = false;
    for (unsigned i = 0; i < CLIENTS; i++) {
        d->client[i].wake = 0;
        d->client[i].cable_at = d->client[i].out ? 0 : CLOCK_NEVER;
    }
    if (!sim_run(d->sim, slots_free, d, SETTLE))
        return fail(d, "connections that do not end");
    if (d->wrong != NULL)
        return fail(d, d->wrong);
    sim_run(d->sim, NULL, NULL, HOUR); /* orphans, TIME_WAIT, neighbours */
    l = level(d);
    if (l.connections > start->connections || l.buffers > start->buffers ||
        l.mbufs > start->mbufs || l.neighbours > start->neighbours)
        return fail(d, "pools are not back at their levels");
    return true;
}

static bool run_day(struct day *d, uint64_t seed, clock_ns span)
{
    struct timespec a, b;
    struct level start;
    bool good = true;

    clock_gettime(CLOCK_MONOTONIC, &a);
    day_set_up(d, seed);
    sim_run(d->sim, NULL, NULL, 2 * CLOCK_SEC); /* the hosts have, and announce, their addresses */
    start = level(d);
    for (unsigned i = 0; i < QUARTERS && good; i++) {
        good = quarter(d, span / QUARTERS, &start);
        clock_gettime(CLOCK_MONOTONIC, &b);
        if (verbose || i + 1 == QUARTERS || !good)
            report(d, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    }
    sim_destroy(d->sim);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t span = 24, seed = 1;
    uint32_t before;
    bool good;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (value != NULL && strcmp(argv[i], "--hours") == 0) {
            span = strtoull(argv[++i], NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: sim_day [--hours N] [--seed S] [--verbose]\n");
            return 2;
        }
    }
    log_level_set(LOG_LEVEL_ERROR); /* floods make it talk */
    sim_setup();
    before = sim_mbufs_in_use();
    good = run_day(&day, seed, span * HOUR);
    if (good && sim_mbufs_in_use() != before) {
        printf("FAIL: mbufs leaked\n");
        good = false;
    }
    printf("sim_day: %" PRIu64 " hours %s\n", span, good ? "passed" : "failed");
    sim_teardown();
    return good ? 0 : 1;
}
