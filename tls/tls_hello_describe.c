#include "tls/tls_internal.h"

const char *tls_hello_describe(const struct tls_hello *h, char *out, size_t size)
{
    struct tls_text t = tls_text_begin(out, size);

    for (unsigned i = 0; i < h->version_count; i++) {
        if (i > 0)
            tls_text_add(&t, ", ");
        tls_text_version(&t, h->versions[i]);
    }
    if (h->version_count == 0)
        tls_text_add(&t, "no TLS version");
    tls_text_add(&t, "; ");
    tls_text_alpn(&t, h->alpn, h->alpn_len);
    if (h->alpn_len == 0)
        tls_text_add(&t, "no ALPN");
    if (h->has_sni)
        tls_text_add(&t, "; name %s", h->sni);
    else
        tls_text_add(&t, "; no name");
    return out;
}
