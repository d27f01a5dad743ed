#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL || e->set)
        return -1;
    e->set = true;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return -1;
}

int error_prefix(struct error *e, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    int n;

    if (e == NULL || !e->set)
        return -1;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text - 3)
        return -1;
    snprintf(text + n, sizeof text - (size_t)n, ": %.*s", (int)(sizeof text - (size_t)n - 3),
             e->text);
    memcpy(e->text, text, sizeof e->text);
    return -1;
}
