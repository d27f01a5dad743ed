#include <stdarg.h>
#include <stdio.h>

#include "tls/tls_internal.h"

struct tls_text tls_text_begin(char *out, size_t size)
{
    if (size > 0)
        out[0] = '\0';
    return (struct tls_text){.out = out, .size = size};
}

void tls_text_add(struct tls_text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (t->len + 1 >= t->size)
        return;
    va_start(ap, fmt);
    n = vsnprintf(t->out + t->len, t->size - t->len, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    t->len += (size_t)n;
    if (t->len >= t->size)
        t->len = t->size - 1;
}

void tls_text_version(struct tls_text *t, uint16_t version)
{
    if (version == 0x0300)
        tls_text_add(t, "SSL 3.0");
    else if (version > 0x0300 && version <= TLS_VERSION_1_3)
        tls_text_add(t, "TLS 1.%u", version - 0x0301u);
    else
        tls_text_add(t, "version 0x%04x", version);
}

/* The names are the peer's bytes: whatever is not printable ASCII becomes '?'. */
static void add_protocol(struct tls_text *t, const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        tls_text_add(t, "%c", name[i] > 0x20 && name[i] < 0x7f ? name[i] : '?');
}

void tls_text_alpn(struct tls_text *t, const uint8_t *list, size_t len)
{
    for (size_t at = 0; at < len && list[at] < len - at; at += 1 + (size_t)list[at]) {
        if (at > 0)
            tls_text_add(t, ", ");
        add_protocol(t, list + at + 1, list[at]);
    }
}
