/*
 * The PROXY header's parser on arbitrary bytes: no read past the input (it is an exact heap copy),
 * statuses that keep their promises, and answers that do not depend on how the bytes were divided.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static enum proxy_header_status parse_copy(const uint8_t *data, size_t len, struct proxy_header *h)
{
    uint8_t *copy = malloc(len);
    enum proxy_header_status status;

    require(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, data, len);
    status = proxy_header_parse(copy, len, h);
    free(copy);
    return status;
}

static void check(enum proxy_header_status status, const struct proxy_header *h, size_t len)
{
    require((status == PROXY_HEADER_MALFORMED) == (h->why != NULL));
    require((status == PROXY_HEADER_MORE) == (h->need > 0));
    require((status == PROXY_HEADER_OK) == (h->length > 0));
    if (status == PROXY_HEADER_MORE)
        require(h->need > len && h->need <= PROXY_HEADER_MAX);
    if (status == PROXY_HEADER_OK)
        require(h->length <= len && h->length <= PROXY_HEADER_MAX);
    if (status != PROXY_HEADER_OK || h->local)
        require(h->source.port == 0 && h->destination.port == 0);
}

/* As the proxy does it: wait for what the last call needed, call again. */
static enum proxy_header_status parse_in_steps(const uint8_t *data, size_t len,
                                               struct proxy_header *h)
{
    enum proxy_header_status status;
    size_t have = 0;

    while ((status = parse_copy(data, have, h)) == PROXY_HEADER_MORE && h->need <= len)
        have = h->need;
    return status;
}

/* What was read is read again from what we would write. */
static void check_round_trip(const struct proxy_header *h)
{
    const struct proxy_header_facts facts = {.source = h->source, .destination = h->destination};
    uint8_t out[PROXY_HEADER_BUILD_MAX];
    struct proxy_header again;

    require(parse_copy(out, proxy_header_build_v1(&facts, out), &again) == PROXY_HEADER_OK);
    require(memcmp(&again.source, &h->source, sizeof h->source.addr) == 0);
    require(parse_copy(out, proxy_header_build_v2(&facts, out), &again) == PROXY_HEADER_OK);
    require(memcmp(&again.destination, &h->destination, sizeof h->destination.addr) == 0);
    require(again.source.port == h->source.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, steps;
    enum proxy_header_status status = parse_copy(data, size, &whole);

    check(status, &whole, size);
    require(parse_in_steps(data, size, &steps) == status);
    if (status == PROXY_HEADER_OK) {
        require(memcmp(&whole, &steps, sizeof whole) == 0);
        if (!whole.local)
            check_round_trip(&whole);
    }
    return 0;
}
