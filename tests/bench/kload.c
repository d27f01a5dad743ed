/*
 * The command line of the wire lab's client, and its report: one JSON object on standard output,
 * after "ready" and a line from standard input. Exit status 1 when anything failed.
 */
#include "tests/bench/kload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char help[] =
    "usage: kload --to ADDRESS:PORT --path PATH --expect FILE [OPTION...]\n"
    "\n"
    "  --to ADDRESS:PORT   the server, IPv4\n"
    "  --path PATH         what to GET, or to PUT\n"
    "  --expect FILE       the bytes of each answer's body\n"
    "  --put FILE          send these bytes to the path instead\n"
    "  --tls 1.2|1.3       in TLS of this version, with --ca and --name\n"
    "  --ca FILE           the authority of the server's certificate\n"
    "  --name NAME         the server's name\n"
    "  --resume            each connection resumes a session; without: none does\n"
    "  --close             a new connection for each request\n"
    "  --parallel N        connections; 1\n"
    "  --warm N            requests of each before the word is awaited; 1\n"
    "  --requests N        after it; 0: connections are only held\n"
    "  --seconds N         instead: for so long\n"
    "  --rate N            requests a second, whatever the answers do; as fast as they come\n";

enum {
    OPTION_TO = 256,
    OPTION_PATH,
    OPTION_EXPECT,
    OPTION_PUT,
    OPTION_TLS,
    OPTION_CA,
    OPTION_NAME,
    OPTION_RESUME,
    OPTION_CLOSE,
    OPTION_PARALLEL,
    OPTION_WARM,
    OPTION_REQUESTS,
    OPTION_SECONDS,
    OPTION_RATE,
};

static const struct option long_options[] = {
    {"to", required_argument, NULL, OPTION_TO},
    {"path", required_argument, NULL, OPTION_PATH},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {"put", required_argument, NULL, OPTION_PUT},
    {"tls", required_argument, NULL, OPTION_TLS},
    {"ca", required_argument, NULL, OPTION_CA},
    {"name", required_argument, NULL, OPTION_NAME},
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"close", no_argument, NULL, OPTION_CLOSE},
    {"parallel", required_argument, NULL, OPTION_PARALLEL},
    {"warm", required_argument, NULL, OPTION_WARM},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"rate", required_argument, NULL, OPTION_RATE},
    {0},
};

/* Files as the command line has them. */
struct kload_files {
    const char *path, *expect, *put;
};

int kload_fail(struct kload *k, const char *fmt, ...)
{
    va_list args;

    if (k->failure[0] != '\0')
        return -1;
    va_start(args, fmt);
    vsnprintf(k->failure, sizeof k->failure, fmt, args);
    va_end(args);
    return -1;
}

/* ---- the command line ---- */

static int kload_number(const char *text, unsigned long low, unsigned long *out)
{
    char *end;

    errno = 0;
    *out = strtoul(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out >= low && *out <= 1000000000 ? 0 : -1;
}

static int kload_address(const char *text, struct sockaddr_in *out)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    unsigned long port;

    if (colon == NULL || (size_t)(colon - text) >= sizeof host ||
        kload_number(colon + 1, 1, &port) < 0 || port > UINT16_MAX)
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    out->sin_family = AF_INET;
    out->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -1;
}

static int kload_tls_version(struct kload *k, const char *text)
{
    if (strcmp(text, "1.2") == 0)
        k->tls = TLS1_2_VERSION;
    else if (strcmp(text, "1.3") == 0)
        k->tls = TLS1_3_VERSION;
    return k->tls != 0 ? 0 : -1;
}

static int kload_take(struct kload *k, struct kload_files *f, int option, const char *value)
{
    const struct {
        int option;
        const char **text;
    } texts[] = {{OPTION_PATH, &f->path},
                 {OPTION_EXPECT, &f->expect},
                 {OPTION_PUT, &f->put},
                 {OPTION_CA, &k->ca},
                 {OPTION_NAME, &k->name}};
    const struct {
        int option;
        unsigned long low, *number;
    } numbers[] = {{OPTION_PARALLEL, 1, &k->parallel},
                   {OPTION_WARM, 1, &k->warm},
                   {OPTION_REQUESTS, 0, &k->requests},
                   {OPTION_SECONDS, 1, &k->seconds},
                   {OPTION_RATE, 1, &k->rate}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].option == option) {
            *texts[i].text = value;
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].option == option)
            return kload_number(value, numbers[i].low, numbers[i].number);
    }
    k->resume |= option == OPTION_RESUME;
    k->close |= option == OPTION_CLOSE;
    if (option == OPTION_TO)
        return kload_address(value, &k->to);
    if (option == OPTION_TLS)
        return kload_tls_version(k, value);
    return option == OPTION_RESUME || option == OPTION_CLOSE ? 0 : -1;
}

/* ---- what is sent and expected ---- */

/* Appends a file's bytes to those that are there. */
static int kload_append(struct kload *k, const char *path, char **data, size_t *len)
{
    FILE *f = fopen(path, "re");
    char *more = NULL;
    long size = -1;

    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size >= 0)
        more = realloc(*data, *len + (size_t)size + 1);
    if (more != NULL) {
        *data = more;
        rewind(f);
        *len += fread(more + *len, 1, (size_t)size, f);
    }
    if (f != NULL)
        fclose(f);
    return more != NULL ? 0 : kload_fail(k, "%s cannot be read", path);
}

static int kload_make_request(struct kload *k, const struct kload_files *f)
{
    char *body = NULL;
    size_t body_len = 0;
    int result = f->put != NULL ? kload_append(k, f->put, &body, &body_len) : 0;
    int len = 0;

    k->request = result == 0 ? malloc(HTTP_HEAD_MAX + body_len) : NULL;
    if (k->request != NULL)
        len = snprintf(k->request, HTTP_HEAD_MAX,
                       "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n%s\r\n",
                       f->put != NULL ? "PUT" : "GET", f->path, k->name, body_len,
                       k->close ? "Connection: close\r\n" : "");
    if (len <= 0 || len >= HTTP_HEAD_MAX)
        result = kload_fail(k, "no request can be made");
    if (result == 0 && body_len > 0)
        memcpy(k->request + len, body, body_len);
    k->request_len = (size_t)len + body_len;
    free(body);
    return result;
}

static int kload_prepare(struct kload *k, const struct kload_files *f)
{
    /* Waits end when they are to, not up to 50 us later. */
    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    signal(SIGPIPE, SIG_IGN);
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    k->conns = calloc(k->parallel, sizeof *k->conns);
    k->idle = calloc(k->parallel, sizeof(struct kload_conn *));
    if (k->epoll < 0 || k->conns == NULL || k->idle == NULL)
        return kload_fail(k, "out of memory or descriptors");
    if (kload_append(k, f->expect, &k->expect, &k->expect_len) < 0 || kload_make_request(k, f) < 0)
        return -1;
    return k->tls != 0 ? kload_tls_init(k) : 0;
}

static void kload_clean_up(struct kload *k)
{
    for (unsigned i = 0; k->conns != NULL && i < k->parallel; i++)
        kload_conn_close(&k->conns[i]);
    kload_tls_fini(k);
    if (k->epoll >= 0)
        close(k->epoll);
    free(k->conns);
    free((void *)k->idle);
    free(k->request);
    free(k->expect);
}

/* ---- the report ---- */

static double kload_us(const struct kload *k, double part)
{
    return (double)latency_percentile(&k->latency, part) / 1e3;
}

static void kload_report(const struct kload *k)
{
    printf("{\"requests\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"handshakes\": %" PRIu64
           ", \"resumed\": %" PRIu64 ", \"seconds\": %.6f, ",
           k->done, k->bytes, k->handshakes, k->resumed, (double)(k->ended - k->started) / 1e9);
    printf("\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, "
           "\"max\": %.1f}}\n",
           kload_us(k, 0.5), kload_us(k, 0.9), kload_us(k, 0.99), kload_us(k, 0.999),
           (double)k->latency.max / 1e3);
}

int main(int argc, char **argv)
{
    static struct kload k = {.parallel = 1, .warm = 1, .name = "localhost", .epoll = -1};
    struct kload_files files = {0};
    int option, result;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (kload_take(&k, &files, option, optarg) < 0) {
            fprintf(stderr, "%s", help);
            return 2;
        }
    }
    if (optind < argc || k.to.sin_port == 0 || files.path == NULL || files.expect == NULL ||
        (k.tls != 0 && k.ca == NULL)) {
        fprintf(stderr, "%s", help);
        return 2;
    }
    result = kload_prepare(&k, &files) < 0 ? -1 : kload_run(&k);
    if (result == 0)
        kload_report(&k);
    else
        fprintf(stderr, "kload: %s\n", k.failure[0] != '\0' ? k.failure : "nobody gave the word");
    kload_clean_up(&k);
    return result == 0 ? 0 : 1;
}
