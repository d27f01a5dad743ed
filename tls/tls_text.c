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

static const struct {
    uint16_t group;
    const char *name;
} groups[] = {
    {0x0017, "P-256"},          {0x0018, "P-384"},
    {0x0019, "P-521"},          {0x001d, "X25519"},
    {0x001e, "X448"},           {0x0016, "secp256k1"},
    {0x0100, "ffdhe2048"},      {0x0101, "ffdhe3072"},
    {0x0102, "ffdhe4096"},      {0x11eb, "SecP256r1MLKEM768"},
    {0x11ec, "X25519MLKEM768"}, {0x6399, "X25519Kyber768Draft00"},
};

void tls_text_group(struct tls_text *t, uint16_t group)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (groups[i].group == group) {
            tls_text_add(t, "%s", groups[i].name);
            return;
        }
    }
    tls_text_add(t, "0x%04x", group);
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
