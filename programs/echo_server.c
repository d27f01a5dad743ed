/*
 * An echo server as one writes it with blocking calls: a number of threads, each of which accepts a
 * connection and sends back what comes until the client ends. More clients than threads wait in the
 * backlog.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app_block.h"
#include "app/app_channel.h"
#include "programs/options.h"

#define ECHO_BACKLOG 1024
#define ECHO_BUFFER  32768
#define ECHO_STACK   131072 /* bytes of a thread's stack: the buffer, and as much again */
#define ECHO_LINGER  CLOCK_SEC

enum {
    OPTION_LISTEN = OPTION_OWN,
    OPTION_THREADS,
    OPTION_IDLE,
};

static const struct option long_options[] = {
    OPTIONS_LONG,
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"idle", required_argument, NULL, OPTION_IDLE},
    {0},
};

static const char help[] =
    "usage: echo_server --device KIND:NAME --address ADDRESS/BITS [OPTION...]\n"
    "\n"
    "Sends back what comes, with calls that wait, one thread for each connection, until SIGINT or\n"
    "SIGTERM.\n"
    "\n"
    "  --listen PORT            on all addresses; 7\n"
    "  --threads N              connections at a time, for each stack thread; 64\n"
    "  --idle SECONDS           ends connections that bring or take nothing for so long; "
    "60\n" OPTIONS_HELP;

struct echo {
    struct options options;
    struct app *app;
    unsigned long port, threads, idle;
};

/* What the threads beside one stack thread share. */
struct echo_group {
    const struct echo *echo;
    struct app_channel *channel;
    struct app_block *block;
    int listener;
    pthread_t *thread;
    unsigned long count;
};

/* Until the client has ended and has all that it sent, or something fails. */
static void echo_connection(struct echo_group *g, int fd)
{
    clock_ns patience = g->echo->idle * CLOCK_SEC;
    char buffer[ECHO_BUFFER];
    ssize_t n;

    while ((n = app_block_read(g->block, fd, buffer, sizeof buffer, patience)) > 0) {
        if (app_block_write(g->block, fd, buffer, (size_t)n, patience) != n)
            break;
    }
    app_block_close(g->block, fd);
}

static void *echo_main(void *arg)
{
    struct echo_group *g = arg;
    int fd;

    while ((fd = app_block_accept(g->block, g->listener, NULL, CLOCK_NEVER)) >= 0)
        echo_connection(g, fd);
    return NULL;
}

static int start_threads(struct echo_group *g, struct error *e)
{
    pthread_attr_t attr;
    cpu_set_t all;
    int err = 0;

    memset(&all, 0xff, sizeof all); /* not where EAL pinned the thread that makes them */
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, ECHO_STACK);
    pthread_attr_setaffinity_np(&attr, sizeof all, &all);
    while (err == 0 && g->count < g->echo->threads) {
        err = pthread_create(&g->thread[g->count], &attr, echo_main, g);
        g->count += err == 0;
    }
    pthread_attr_destroy(&attr);
    return err == 0 ? 0 : error_set(e, "cannot start a thread: %s", strerror(err));
}

static int group_start(struct echo_group *g, const struct echo *echo, unsigned stack_thread,
                       struct error *e)
{
    const struct app_channel_config config = {.descriptors = (uint32_t)echo->threads * 2 + 64};
    const struct ip_endpoint local = {.port = (uint16_t)echo->port};

    g->echo = echo;
    g->thread = calloc(echo->threads, sizeof *g->thread);
    g->channel = app_channel_attach(echo->app, stack_thread, &config, e);
    if (g->channel == NULL)
        return -1;
    g->block = app_block_create(g->channel);
    if (g->block == NULL || g->thread == NULL)
        return error_set(e, "out of memory");
    g->listener = app_block_listen(g->block, &local, ECHO_BACKLOG, NULL);
    if (g->listener < 0)
        return error_set(e, "port %lu: %s", echo->port, strerror(errno));
    return start_threads(g, e);
}

static void group_stop(struct echo_group *g)
{
    if (g->block != NULL)
        app_block_interrupt(g->block);
    for (unsigned long i = 0; i < g->count; i++)
        pthread_join(g->thread[i], NULL);
    if (g->block != NULL)
        app_block_destroy(g->block);
    if (g->channel != NULL)
        app_channel_detach(g->channel, ECHO_LINGER);
    free(g->thread);
}

static int serve(struct echo *echo, const sigset_t *signals, struct error *e)
{
    struct echo_group group[APP_THREADS_MAX] = {0};
    unsigned count = app_thread_count(echo->app), started = 0;
    int number, result = 0;

    while (result == 0 && started < count) {
        result = group_start(&group[started], echo, started, e);
        started++;
    }
    if (result == 0) {
        fprintf(stderr, "echo_server: ready\n");
        sigwait(signals, &number);
    }
    while (started > 0)
        group_stop(&group[--started]);
    return result;
}

static int run(struct echo *echo)
{
    struct app_config config = options_app_config(&echo->options);
    struct error e = {0};
    sigset_t signals;
    int result;

    /* Blocked before there are threads, so that all have them blocked. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    echo->app = app_start(&config, &e);
    if (echo->app == NULL)
        return options_fail(&echo->options, "%s", e.text);
    result = serve(echo, &signals, &e);
    app_stop(echo->app);
    return result == 0 ? 0 : options_fail(&echo->options, "%s", e.text);
}

static int take(struct echo *echo, int option, const char *value)
{
    const struct options *o = &echo->options;

    switch (option) {
    case OPTION_LISTEN:
        return options_number(o, "--listen", value, 1, 65535, &echo->port);
    case OPTION_THREADS:
        return options_number(o, "--threads", value, 1, 10000, &echo->threads);
    case OPTION_IDLE:
        return options_number(o, "--idle", value, 1, 86400, &echo->idle);
    default:
        return options_take(&echo->options, option, value);
    }
}

int main(int argc, char **argv)
{
    struct echo echo = {.port = 7, .threads = 64, .idle = 60};
    int option;

    options_init(&echo.options, "echo_server");
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (option == OPTION_HELP)
            return fputs(help, stdout) < 0;
        if (take(&echo, option, optarg) < 0)
            return 2;
    }
    if (options_finish(&echo.options, argv + optind) < 0)
        return 2;
    return run(&echo) == 0 ? 0 : 1;
}
