/*
 * A load client: a number of connections that each make one request after the other, as fast as the
 * answers come. Every body is compared with what it ought to be: the bytes of --expect, or those of
 * the first answer.
 *
 * A request that fails is counted and not made again; its connection is replaced. The time of a
 * request is that from when it was written, or with --close from when its connection was begun, to
 * the last byte of its answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/http.h"
#include "programs/latency.h"
#include "programs/options.h"
#include "programs/reactor.h"

#define LOAD_READ         65536
#define LOAD_LINK_WAIT    (5 * CLOCK_SEC)
#define LOAD_ADDRESS_WAIT (5 * CLOCK_SEC)
#define LOAD_GRACE        (2 * CLOCK_SEC) /* for answers still on their way when the time is over */
#define LOAD_EXPECT_MAX   (1ul << 30)

enum {
    OPTION_TO = OPTION_OWN,
    OPTION_PATH,
    OPTION_PARALLEL,
    OPTION_REQUESTS,
    OPTION_SECONDS,
    OPTION_CLOSE,
    OPTION_EXPECT,
};

static const struct option long_options[] = {
    OPTIONS_LONG,
    OPTIONS_LONG_PLACES,
    {"to", required_argument, NULL, OPTION_TO},
    {"path", required_argument, NULL, OPTION_PATH},
    {"parallel", required_argument, NULL, OPTION_PARALLEL},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"close", no_argument, NULL, OPTION_CLOSE},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {0},
};

static const char help[] =
    "usage: load_client --device KIND:NAME --address ADDRESS/BITS --to ADDRESS:PORT [OPTION...]\n"
    "\n"
    "Asks a web server again and again, checks each answer, and prints rates and latencies.\n"
    "Exit status 1 when a request failed.\n"
    "\n"
    "  --to ADDRESS:PORT        the server\n"
    "  --path PATH              what to ask for; /\n"
    "  --parallel N             connections of each thread; 1\n"
    "  --requests N             of all threads; 1000\n"
    "  --seconds N              instead: for so long\n"
    "  --close                  a new connection for each request\n"
    "  --expect FILE            what each body ought to be; the first answer's\n" OPTIONS_PLACES
        OPTIONS_HELP;

struct load_result {
    uint64_t requests, failed, bytes;
    clock_ns begun, ended;
    int error; /* errno value of the first failure; 0: a wrong answer */
    char fault[64];
    struct latency latency;
};

struct load {
    struct options options;
    struct ip_endpoint to;
    const char *path, *expect;
    unsigned long parallel, requests, seconds;
    bool close;
    char request[1024];
    size_t request_len;
    char *body; /* of --expect; NULL: none */
    size_t body_len;
    struct load_result result[APP_THREADS_MAX];
};

/* One thread of it. */
struct load_thread {
    struct load *load;
    struct reactor *reactor;
    struct load_result *result;
    uint64_t left; /* requests to be begun */
    clock_ns end;  /* CLOCK_NEVER: when none is left */
    bool stood;    /* a connection did */
    unsigned active, wanted;
    /* What each body ought to be. */
    char *body;
    size_t body_len, body_room;
    bool body_known; /* else the answer that is being read by `teacher` tells */
    const struct load_conn *teacher;
    struct load_conn *conns;
    char buffer[LOAD_READ];
};

struct load_conn {
    struct stream *stream; /* NULL: none */
    bool asked;            /* a request is out, in part at least */
    size_t sent;           /* bytes of it */
    clock_ns begun;
    bool in_body;
    struct http_response head;
    uint64_t body_seen;
    uint32_t head_len;
    char head_bytes[HTTP_HEAD_MAX];
};

/* ---- outcomes ---- */

static bool may_begin(const struct load_thread *t)
{
    if (reactor_stopping(t->reactor))
        return false;
    return t->end == CLOCK_NEVER ? t->left > 0 : clock_now() < t->end;
}

static void fault(struct load_thread *t, int error, const char *text)
{
    struct load_result *r = t->result;

    if (r->failed++ > 0)
        return;
    r->error = error;
    snprintf(r->fault, sizeof r->fault, "%s", error != 0 ? strerror(error) : text);
}

/* Over IPv6 an address is ours a second or two after the start (RFC 4862, 5.4). */
static bool is_too_early(const struct load_thread *t, int error)
{
    return error == EADDRNOTAVAIL && !t->stood &&
           clock_now() - t->result->begun < LOAD_ADDRESS_WAIT;
}

static void conn_close(struct load_thread *t, struct load_conn *c)
{
    if (c->stream != NULL)
        stream_close(c->stream);
    c->stream = NULL;
    if (t->teacher == c)
        t->teacher = NULL;
    t->active--;
}

/* The request has failed, and with it the connection. */
static void conn_fail(struct load_thread *t, struct load_conn *c, int error, const char *text)
{
    if (!is_too_early(t, error))
        fault(t, error, text);
    else if (t->end == CLOCK_NEVER)
        t->left++;
    conn_close(t, c);
}

/* ---- asking ---- */

static void request_begin(struct load_thread *t, struct load_conn *c)
{
    if (t->end == CLOCK_NEVER)
        t->left--;
    c->asked = true;
    c->sent = 0;
    c->in_body = false;
    c->head_len = 0;
    c->body_seen = 0;
}

/* Returns whether it is worth to go on: descriptors of connections that were closed may not be free
 * again yet, or our address not ours. */
static bool conn_begin(struct load_thread *t, struct load_conn *c)
{
    c->stream = reactor_connect(t->reactor, &t->load->to, c);
    if (c->stream == NULL && (errno == EMFILE || is_too_early(t, errno)))
        return false;
    t->active++;
    request_begin(t, c);
    c->begun = clock_now();
    if (c->stream == NULL)
        conn_fail(t, c, errno, NULL);
    return true;
}

/* 0: wait for more; -1: the connection is done for. */
static int request_send(struct load_thread *t, struct load_conn *c)
{
    const struct load *l = t->load;

    while (c->sent < l->request_len) {
        ssize_t n = stream_write(c->stream, l->request + c->sent, l->request_len - c->sent);

        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0) {
            conn_fail(t, c, errno, NULL);
            return -1;
        }
        c->sent += (size_t)n;
    }
    return 0;
}

/* ---- reading the answer ---- */

/* The body of the first answer is what the others are compared with. */
static bool learn(struct load_thread *t, const char *data, size_t len)
{
    if (t->body_room - t->body_len < len) {
        size_t room = (t->body_len + len) * 2;
        char *more = room <= LOAD_EXPECT_MAX ? realloc(t->body, room) : NULL;

        if (more == NULL)
            return false;
        t->body = more;
        t->body_room = room;
    }
    memcpy(t->body + t->body_len, data, len);
    t->body_len += len;
    return true;
}

/* Answers that come before the first one is complete have nothing to be compared with. */
static bool body_right(struct load_thread *t, const struct load_conn *c, const char *data,
                       size_t len)
{
    if (t->teacher == c)
        return learn(t, data, len);
    if (!t->body_known)
        return true;
    return c->body_seen + len <= t->body_len && memcmp(t->body + c->body_seen, data, len) == 0;
}

/* Returns the bytes taken; 0 with *why when the answer is wrong. */
static size_t take_head(struct load_thread *t, struct load_conn *c, const char *data, size_t len,
                        const char **why)
{
    size_t room = sizeof c->head_bytes - c->head_len, n = len < room ? len : room;
    uint32_t before = c->head_len;
    int result;

    memcpy(c->head_bytes + c->head_len, data, n);
    c->head_len += (uint32_t)n;
    result = http_response_parse(c->head_bytes, c->head_len, &c->head);
    if (result == 0)
        return n;
    if (result < 0)
        *why = "an answer that is not HTTP with a Content-Length";
    else if (c->head.status != 200)
        *why = "an answer with a status other than 200";
    else if (t->body_known && c->head.content != t->body_len)
        *why = "an answer of another length";
    if (*why != NULL)
        return 0;
    c->in_body = true;
    if (!t->body_known && t->teacher == NULL) {
        t->teacher = c;
        t->body_len = 0;
    }
    return c->head.length - before;
}

/* -1: the connection is done for. */
static int answer_complete(struct load_thread *t, struct load_conn *c)
{
    clock_ns now = clock_now();

    if (t->teacher == c) {
        t->body_known = true;
        t->teacher = NULL;
    }
    t->result->requests++;
    t->result->bytes += c->head.length + c->head.content;
    latency_add(&t->result->latency, now - c->begun);
    c->asked = false;
    if (t->load->close || !c->head.keep_alive || !may_begin(t)) {
        conn_close(t, c);
        return -1;
    }
    request_begin(t, c);
    c->begun = now;
    return request_send(t, c);
}

static int take_bytes(struct load_thread *t, struct load_conn *c, const char *data, size_t len)
{
    while (len > 0) {
        uint64_t left = c->in_body ? c->head.content - c->body_seen : 0;
        size_t n = c->in_body && left < len ? (size_t)left : len;
        const char *why = NULL;

        if (!c->asked)
            why = "bytes that nobody asked for";
        else if (!c->in_body)
            n = take_head(t, c, data, len, &why);
        else if (!body_right(t, c, data, n))
            why = "another body than expected";
        else
            c->body_seen += n;
        if (why != NULL) {
            conn_fail(t, c, 0, why);
            return -1;
        }
        data += n;
        len -= n;
        if (c->in_body && c->body_seen == c->head.content && answer_complete(t, c) < 0)
            return -1;
    }
    return 0;
}

/* Time begins with the first connection: before that neighbours are looked for. */
static void start_clock(struct load_thread *t)
{
    t->stood = true;
    t->result->begun = clock_now();
    if (t->load->seconds > 0)
        t->end = t->result->begun + t->load->seconds * CLOCK_SEC;
}

static void load_ready(void *state, struct stream *s)
{
    struct load_thread *t = state;
    struct load_conn *c = stream_user(s);
    ssize_t n;

    if (!t->stood && stream_connected(s))
        start_clock(t);

    if (stream_connected(s) && c->sent < t->load->request_len && request_send(t, c) < 0)
        return;
    while ((n = stream_read(s, t->buffer, sizeof t->buffer)) > 0) {
        if (take_bytes(t, c, t->buffer, (size_t)n) < 0)
            return;
    }
    if (n == 0)
        conn_fail(t, c, 0, "a connection that ended before the answer did");
    else if (errno != EAGAIN)
        conn_fail(t, c, errno, NULL);
}

/* ---- a thread ---- */

static bool load_accepted(void *state, struct stream *s)
{
    (void)state;
    (void)s;
    return false; /* it does not listen */
}

static void thread_free(struct load_thread *t)
{
    if (t->body != t->load->body)
        free(t->body);
    free(t->conns);
    free(t);
}

static int load_start(void *ctx, struct reactor *r, unsigned thread, void **state, struct error *e)
{
    struct load *l = ctx;
    unsigned threads = l->options.cpu_count > 0 ? l->options.cpu_count : 1;
    struct load_thread *t = calloc(1, sizeof *t);

    if (t == NULL)
        return error_set(e, "out of memory");
    t->load = l;
    t->reactor = r;
    t->result = &l->result[thread];
    t->left = l->requests / threads + (thread < l->requests % threads);
    t->wanted = (unsigned)l->parallel;
    t->body = l->body;
    t->body_len = l->body_len;
    t->body_known = l->body != NULL;
    t->conns = calloc(t->wanted, sizeof *t->conns);
    t->result->begun = clock_now();
    t->end = l->seconds > 0 ? t->result->begun + l->seconds * CLOCK_SEC : CLOCK_NEVER;
    *state = t;
    if (t->conns != NULL)
        return 0;
    thread_free(t);
    return error_set(e, "out of memory");
}

/* The time is over, and the patience with what was asked before. */
static void give_up(struct load_thread *t)
{
    for (unsigned i = 0; i < t->wanted; i++) {
        if (t->conns[i].stream != NULL)
            conn_fail(t, &t->conns[i], ETIMEDOUT, NULL);
    }
}

/* Keeps as many connections as are wanted. */
static clock_ns load_round(void *state, clock_ns now)
{
    struct load_thread *t = state;

    if (t->result->ended != 0)
        return CLOCK_NEVER;
    for (unsigned i = 0; t->active < t->wanted && i < t->wanted && may_begin(t); i++) {
        if (t->conns[i].stream == NULL && !conn_begin(t, &t->conns[i]))
            break;
    }
    if (t->end < now && now - t->end > LOAD_GRACE)
        give_up(t);
    if (t->active == 0 && !may_begin(t)) {
        t->result->ended = now;
        reactor_done(t->reactor);
    }
    return t->end > now ? t->end : now + CLOCK_MS;
}

static void load_stop(void *state)
{
    struct load_thread *t = state;

    if (t->result->ended == 0)
        t->result->ended = clock_now();
    for (unsigned i = 0; i < t->wanted; i++) {
        if (t->conns[i].stream != NULL)
            conn_close(t, &t->conns[i]);
    }
    thread_free(t);
}

/* ---- the report ---- */

static void print_result(const struct load_result *r)
{
    double seconds = (double)(r->ended - r->begun) / 1e9;
    const struct latency *l = &r->latency;

    printf("requests  %" PRIu64 ", failed %" PRIu64 ", in %.3f s\n", r->requests, r->failed,
           seconds);
    printf("rate      %.0f requests/s, %.1f MB/s\n", (double)r->requests / seconds,
           (double)r->bytes / seconds / 1e6);
    printf("latency   p50 %.1f us, p90 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n",
           (double)latency_percentile(l, 0.5) / 1e3, (double)latency_percentile(l, 0.9) / 1e3,
           (double)latency_percentile(l, 0.99) / 1e3, (double)latency_percentile(l, 0.999) / 1e3,
           (double)l->max / 1e3);
    if (r->failed > 0)
        printf("failure   %s\n", r->fault);
}

static void add_result(struct load_result *sum, const struct load_result *r)
{
    if (sum->begun == 0 || r->begun < sum->begun)
        sum->begun = r->begun;
    if (r->ended > sum->ended)
        sum->ended = r->ended;
    if (r->failed > 0 && sum->failed == 0)
        memcpy(sum->fault, r->fault, sizeof sum->fault);
    sum->requests += r->requests;
    sum->failed += r->failed;
    sum->bytes += r->bytes;
    latency_merge(&sum->latency, &r->latency);
}

/* ---- the command line ---- */

static int take(struct load *l, int option, const char *value)
{
    const struct options *o = &l->options;

    switch (option) {
    case OPTION_TO:
        if (ip_endpoint_parse(value, &l->to) < 0)
            return options_fail(o, "--to %s: expected ADDRESS:PORT", value);
        return 0;
    case OPTION_PATH:
        l->path = value;
        return value[0] == '/' ? 0 : options_fail(o, "--path %s: expected a leading /", value);
    case OPTION_PARALLEL:
        return options_number(o, "--parallel", value, 1, 1000000, &l->parallel);
    case OPTION_REQUESTS:
        return options_number(o, "--requests", value, 1, 1000000000000, &l->requests);
    case OPTION_SECONDS:
        return options_number(o, "--seconds", value, 1, 86400, &l->seconds);
    case OPTION_CLOSE:
        l->close = true;
        return 0;
    case OPTION_EXPECT:
        l->expect = value;
        return 0;
    default:
        return options_take(&l->options, option, value);
    }
}

static int read_expected(struct load *l)
{
    FILE *f = fopen(l->expect, "re");
    long size = -1;

    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size >= 0 && (unsigned long)size <= LOAD_EXPECT_MAX)
        l->body = malloc((size_t)size + 1);
    if (l->body != NULL) {
        rewind(f);
        l->body_len = fread(l->body, 1, (size_t)size, f);
    }
    if (f != NULL)
        fclose(f);
    if (l->body == NULL || l->body_len != (size_t)size)
        return options_fail(&l->options, "--expect %s: cannot be read", l->expect);
    return 0;
}

static int prepare(struct load *l, char *const *rest)
{
    char host[IP_TEXT_MAX];
    int len;

    if (options_finish(&l->options, rest) < 0)
        return -1;
    if (l->to.port == 0)
        return options_fail(&l->options, "--to which server?");
    len = snprintf(l->request, sizeof l->request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", l->path,
                   ip_endpoint_format(&l->to, host), l->close ? "Connection: close\r\n" : "");
    if (len < 0 || (size_t)len >= sizeof l->request)
        return options_fail(&l->options, "--path is too long");
    l->request_len = (size_t)len;
    return l->expect != NULL ? read_expected(l) : 0;
}

static int run(struct load *l)
{
    const struct reactor_program program = {.ctx = l,
                                            .start = load_start,
                                            .accepted = load_accepted,
                                            .ready = load_ready,
                                            .round = load_round,
                                            .stop = load_stop};
    static struct load_result sum;

    if (reactor_run(&l->options, &program, (unsigned)l->parallel + 1) < 0)
        return -1;
    for (unsigned i = 0; i < APP_THREADS_MAX; i++) {
        if (l->result[i].begun != 0)
            add_result(&sum, &l->result[i]);
    }
    print_result(&sum);
    return sum.failed == 0 && sum.requests > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct load l = {.path = "/", .parallel = 1, .requests = 1000};
    int option, result;

    options_init(&l.options, "load_client");
    l.options.link_wait = LOAD_LINK_WAIT;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (option == OPTION_HELP)
            return fputs(help, stdout) < 0;
        if (take(&l, option, optarg) < 0)
            return 2;
    }
    if (prepare(&l, argv + optind) < 0)
        return 2;
    result = run(&l);
    free(l.body);
    return result == 0 ? 0 : 1;
}
