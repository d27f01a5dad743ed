/*
 * The ClientHello parser on arbitrary bytes: no read past the input (it is an exact heap copy),
 * statuses that keep their promises, and answers that do not depend on how the bytes were divided.
 */
#include <stdlib.h>
#include <string.h>

#include "tls/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static enum tls_hello_status parse_copy(const uint8_t *data, size_t len, struct tls_hello *h,
                                        size_t *need)
{
    uint8_t *copy = malloc(len);
    enum tls_hello_status status;

    require(copy != NULL);
    if (len > 0)
        memcpy(copy, data, len);
    status = tls_hello_parse(copy, len, h, need);
    free(copy);
    return status;
}

static void check_ok(const struct tls_hello *h, size_t len)
{
    size_t at = 0;

    require(h->why == NULL && h->length <= len && h->length <= TLS_HELLO_MAX);
    require(h->has_sni == (h->sni[0] != '\0'));
    require(strlen(h->sni) <= 253);
    while (at < h->alpn_len)
        at += 1 + (size_t)h->alpn[at];
    require(at == h->alpn_len);
}

/* As the proxy does it: wait for what the last call needed, call again. */
static enum tls_hello_status parse_in_steps(const uint8_t *data, size_t len, struct tls_hello *h)
{
    size_t have = 0, need;
    enum tls_hello_status status;

    while ((status = parse_copy(data, have, h, &need)) == TLS_HELLO_MORE) {
        require(need > have && need <= TLS_HELLO_MAX);
        if (need > len)
            break;
        have = need;
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_hello whole, steps;
    enum tls_hello_status status, in_steps;
    char text[200], small[9];
    size_t need = 0;

    status = parse_copy(data, size, &whole, &need);
    if (status == TLS_HELLO_OK)
        check_ok(&whole, size);
    else if (status == TLS_HELLO_MORE)
        require(need > size && need <= TLS_HELLO_MAX);
    else
        require(whole.why != NULL);
    tls_hello_describe(&whole, text, sizeof text);
    tls_hello_describe(&whole, small, sizeof small);

    /* In steps a fault may not be seen yet; what is seen is the same. */
    in_steps = parse_in_steps(data, size, &steps);
    require(in_steps == status || (in_steps == TLS_HELLO_MORE && status != TLS_HELLO_OK));
    if (in_steps == TLS_HELLO_OK)
        require(memcmp(&whole, &steps, sizeof whole) == 0);
    return 0;
}
