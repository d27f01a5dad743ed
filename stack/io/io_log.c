/*
 * DPDK writes its log to a stdio stream, libxdp and libbpf through a print hook. Both end here and
 * become lines of ours: errors as warnings, the rest at debug level, so that a working start is
 * quiet.
 *
 * Drivers report a failure as -EINVAL and tell the cause only in their log. While a thread tries
 * something that may fail it therefore captures: what sounds most like the cause is kept, and
 * nothing is shouted about, since the caller may have another way. The kernel's own words weigh
 * most; then the last complaint of libxdp, which tries several ways and complains of each; then
 * DPDK's first.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "base/log.h"
#include "stack/io/io_internal.h"

enum io_log_weight { IO_LOG_NONE, IO_LOG_DPDK, IO_LOG_LIBRARY, IO_LOG_KERNEL };

static _Thread_local struct io_log_capture *io_log_capturing;
static FILE *io_log_stream;

static void io_log_keep(struct io_log_capture *c, const char *line, enum io_log_weight weight)
{
    if (weight == IO_LOG_NONE || weight < c->weight ||
        (weight == c->weight && weight != IO_LOG_LIBRARY))
        return;
    c->weight = weight;
    snprintf(c->text, sizeof c->text, "%s", line);
}

static void io_log_line(const char *line, enum io_log_weight weight)
{
    if (io_log_capturing != NULL)
        io_log_keep(io_log_capturing, line, weight);
    if (io_log_capturing == NULL && weight == IO_LOG_DPDK)
        log_warn("dpdk", "%s", line);
    else
        log_debug("dpdk", "%s", line);
}

/* Cuts a message into lines without the trailing newline; empty ones are left out. */
static void io_log_text(const char *text, size_t size, enum io_log_weight weight)
{
    char line[IO_LOG_LINE];

    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t len = end != NULL ? (size_t)(end - text) : size;
        size_t kept = len < sizeof line ? len : sizeof line - 1;

        memcpy(line, text, kept);
        line[kept] = '\0';
        if (kept > 0)
            io_log_line(line, weight);
        len += end != NULL;
        text += len;
        size -= len;
    }
}

static ssize_t io_log_cookie_write(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    io_log_text(text, size,
                rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR ? IO_LOG_DPDK : IO_LOG_NONE);
    return (ssize_t)size;
}

static int io_log_print(int level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* libxdp's and libbpf's hooks have the same shape and levels: 0 warning, 1 information, 2 a flood.
 */
static int io_log_print(int level, const char *fmt, va_list ap)
{
    char line[IO_LOG_LINE];
    int len;

    if (level > 1)
        return 0;
    len = vsnprintf(line, sizeof line, fmt, ap);
    if (len > 0)
        io_log_text(line, strlen(line),
                    level != 0                                     ? IO_LOG_NONE
                    : strstr(line, "Kernel error message") != NULL ? IO_LOG_KERNEL
                                                                   : IO_LOG_LIBRARY);
    return len;
}

typedef int io_log_print_fn(int level, const char *fmt, va_list ap);
typedef io_log_print_fn *io_log_set_print_fn(io_log_print_fn *fn);

/* The libraries come with the AF_XDP driver, a plugin; we neither link with them nor need them. */
static void io_log_hook(const char *library, const char *setter)
{
    void *lib = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    io_log_set_print_fn *set;

    if (lib == NULL)
        return;
    *(void **)&set = dlsym(lib, setter);
    if (set != NULL)
        set(io_log_print);
    dlclose(lib);
}

void io_log_hook_libraries(void)
{
    io_log_hook("libxdp.so.1", "libxdp_set_print");
    io_log_hook("libbpf.so.1", "libbpf_set_print");
    io_log_hook("libbpf.so.0", "libbpf_set_print");
}

int io_log_open(struct error *e)
{
    cookie_io_functions_t functions = {.write = io_log_cookie_write};

    io_log_stream = fopencookie(NULL, "w", functions);
    if (io_log_stream == NULL)
        return error_set(e, "cannot open a log stream for DPDK");
    setvbuf(io_log_stream, NULL, _IOLBF, IO_LOG_LINE);
    rte_openlog_stream(io_log_stream);
    rte_log_set_global_level(log_enabled(LOG_LEVEL_DEBUG) ? RTE_LOG_INFO : RTE_LOG_WARNING);
    return 0;
}

void io_log_close(void)
{
    if (io_log_stream == NULL)
        return;
    rte_openlog_stream(NULL);
    fclose(io_log_stream);
    io_log_stream = NULL;
}

void io_log_capture_begin(struct io_log_capture *c)
{
    *c = (struct io_log_capture){.weight = IO_LOG_NONE};
    io_log_capturing = c;
}

void io_log_capture_end(void)
{
    io_log_capturing = NULL;
}
