/*
 * DPDK writes its log to a stdio stream, libxdp and libbpf through a print hook. Both end here and
 * become lines of ours: errors as warnings, the rest at debug level, so that a working start is
 * quiet.
 *
 * Drivers report a failure as -EINVAL and tell the cause only in their log. While a thread tries
 * something that may fail it therefore captures: the first error is kept as the cause to report,
 * and nothing is shouted about, since the caller may have another way.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "base/log.h"
#include "stack/io/io_internal.h"

static _Thread_local struct io_log_capture *io_log_capturing;
static FILE *io_log_stream;

static void io_log_line(const char *line, bool is_error)
{
    struct io_log_capture *c = io_log_capturing;

    if (c != NULL && is_error && c->text[0] == '\0')
        snprintf(c->text, sizeof c->text, "%s", line);
    if (c == NULL && is_error)
        log_warn("dpdk", "%s", line);
    else
        log_debug("dpdk", "%s", line);
}

/* Cuts a message into lines without the trailing newline; empty ones are left out. */
static void io_log_text(const char *text, size_t size, bool is_error)
{
    char line[IO_LOG_LINE];

    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t len = end != NULL ? (size_t)(end - text) : size;
        size_t kept = len < sizeof line ? len : sizeof line - 1;

        memcpy(line, text, kept);
        line[kept] = '\0';
        if (kept > 0)
            io_log_line(line, is_error);
        len += end != NULL;
        text += len;
        size -= len;
    }
}

static ssize_t io_log_cookie_write(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    io_log_text(text, size, rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR);
    return (ssize_t)size;
}

static int io_log_print(int level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* libxdp's and libbpf's hooks have the same shape; their level 0 is a warning. */
static int io_log_print(int level, const char *fmt, va_list ap)
{
    char line[IO_LOG_LINE];
    int len = vsnprintf(line, sizeof line, fmt, ap);

    if (len > 0)
        io_log_text(line, strlen(line), level == 0 && io_log_capturing != NULL);
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
    c->text[0] = '\0';
    io_log_capturing = c;
}

void io_log_capture_end(void)
{
    io_log_capturing = NULL;
}
