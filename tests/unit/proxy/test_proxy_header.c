/* The PROXY protocol: what is built is read back, what is broken is told apart, however it comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/proxy_header.h"

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(text, &e), 0);
    return e;
}

static bool same(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_equal(&a->addr, &b->addr);
}

/* Parses an exact copy on the heap, where a sanitizer sees a read past its end. */
static enum proxy_header_status parse(const void *data, size_t len, struct proxy_header *h)
{
    uint8_t *copy = malloc(len + 1);
    enum proxy_header_status status;

    assert_non_null(copy);
    memcpy(copy + 1, data, len);
    status = proxy_header_parse(copy + 1, len, h);
    free(copy);
    return status;
}

/* Of every beginning of it, nothing is known but that more is needed. */
static void expect_needs_all(const void *data, size_t len)
{
    for (size_t n = 0; n < len; n++) {
        struct proxy_header h;

        assert_int_equal(parse(data, n, &h), PROXY_HEADER_MORE);
        assert_in_range(h.need, n + 1, len);
        assert_null(h.why);
    }
}

/* A whole header, with and without a stream behind it. */
static struct proxy_header expect_ok(const void *data, size_t len)
{
    uint8_t *followed = malloc(len + 5);
    struct proxy_header alone, h;

    assert_non_null(followed);
    memcpy(followed, data, len);
    memcpy(followed + len, "hello", 5);
    assert_int_equal(parse(data, len, &alone), PROXY_HEADER_OK);
    assert_int_equal(parse(followed, len + 5, &h), PROXY_HEADER_OK);
    free(followed);
    assert_memory_equal(&alone, &h, sizeof h);
    assert_int_equal(h.length, len);
    expect_needs_all(data, len);
    return h;
}

static void expect_addresses(const struct proxy_header *h, const char *source,
                             const char *destination)
{
    struct ip_endpoint s = endpoint(source), d = endpoint(destination);

    assert_false(h->local);
    assert_true(same(&h->source, &s) && same(&h->destination, &d));
}

/* ---- version 1 ---- */

static void lines_of_text_are_read(void **state)
{
    static const char v4[] = "PROXY TCP4 198.51.100.7 192.0.2.10 40112 443\r\n";
    static const char v6[] = "PROXY TCP6 2001:db8::7 2001:db8::10 40112 443\r\n";
    static const char longest[] = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    struct proxy_header h;

    (void)state;
    h = expect_ok(v4, sizeof v4 - 1);
    expect_addresses(&h, "198.51.100.7:40112", "192.0.2.10:443");
    assert_int_equal(h.version, 1);
    h = expect_ok(v6, sizeof v6 - 1);
    expect_addresses(&h, "[2001:db8::7]:40112", "[2001:db8::10]:443");
    h = expect_ok("PROXY UNKNOWN\r\n", 15);
    assert_true(h.local && h.source.port == 0);
    assert_int_equal(sizeof longest - 1, 107);
    h = expect_ok(longest, sizeof longest - 1);
    assert_true(h.local);
}

static void expect_malformed(const void *data, size_t len, const char *why)
{
    struct proxy_header h;

    if (parse(data, len, &h) != PROXY_HEADER_MALFORMED)
        fail_msg("taken, though %s: %.*s", why, (int)len, (const char *)data);
    assert_non_null(h.why);
    if (strstr(h.why, why) == NULL)
        fail_msg("expected \"%s\", not \"%s\"", why, h.why);
    assert_int_equal(h.length, 0);
}

static void broken_lines_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112 443\n", "without CR"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112 443\rX", "CR within"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112 443 \r\n", "surplus"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112 443 1\r\n", "surplus"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112\r\n", "destination port"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112 \r\n", "destination port"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 40112 65536\r\n", "destination port"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 040112 443\r\n", "source port"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 00 443\r\n", "source port"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 -1 443\r\n", "source port"},
        {"PROXY TCP4 198.51.100.7 192.0.2.10 +1 443\r\n", "source port"},
        {"PROXY TCP4 198.51.100.7  192.0.2.10 40112 443\r\n", "destination address"},
        {"PROXY TCP4 198.51.100.7\r\n", "destination address"},
        {"PROXY TCP4 198.51.100.700 192.0.2.10 40112 443\r\n", "source address"},
        {"PROXY TCP4 2001:db8::7 2001:db8::10 40112 443\r\n", "source address"},
        {"PROXY TCP6 198.51.100.7 192.0.2.10 40112 443\r\n", "source address"},
        {"PROXY TCP6 2001:db8::7%1 2001:db8::10 40112 443\r\n", "source address"},
        {"PROXY TCP4\r\n", "source address"},
        {"PROXY TCP5 198.51.100.7 192.0.2.10 40112 443\r\n", "neither TCP4"},
        {"PROXY tcp4 198.51.100.7 192.0.2.10 40112 443\r\n", "neither TCP4"},
        {"PROXY  TCP4 198.51.100.7 192.0.2.10 40112 443\r\n", "neither TCP4"},
        {"PROXY UNKNOWNS\r\n", "neither TCP4"},
        {"PROXY \r\n", "neither TCP4"},
    };
    char line[200] = "PROXY UNKNOWN ";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_malformed(cases[i].text, strlen(cases[i].text), cases[i].why);
    expect_malformed("PROXY TCP4 1.2.3.4\0 192.0.2.10 1 2\r\n", 37, "source address");
    memset(line + 14, 'x', sizeof line - 14);
    expect_needs_all(line, 107);
    expect_malformed(line, 107, "over 107 bytes");
    memcpy(line + 106, "\r\n", 2);
    expect_malformed(line, 108, "over 107 bytes");
}

/* ---- version 2, put together by hand ---- */

struct header {
    uint8_t data[8192];
    size_t len;
};

static void append(struct header *v, const void *data, size_t len)
{
    memcpy(v->data + v->len, data, len);
    v->len += len;
    v->data[14] = (uint8_t)((v->len - 16) >> 8);
    v->data[15] = (uint8_t)(v->len - 16);
}

static struct header header_v2(uint8_t command, uint8_t family, size_t addresses)
{
    static const uint8_t zeros[256];
    struct header v = {.len = 16};

    memcpy(v.data, V2_SIGNATURE, 12);
    v.data[12] = command;
    v.data[13] = family;
    append(&v, zeros, addresses);
    return v;
}

static void append_tlv(struct header *v, uint8_t type, const void *data, size_t len)
{
    const uint8_t head[3] = {type, (uint8_t)(len >> 8), (uint8_t)len};

    append(v, head, 3);
    append(v, data, len);
}

/* Bit by bit. */
static uint32_t crc32c_naive(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void append_crc(struct header *v)
{
    static const uint8_t zeros[4];
    uint32_t crc;

    append_tlv(v, 0x03, zeros, 4);
    crc = crc32c_naive(v->data, v->len);
    for (unsigned i = 0; i < 4; i++)
        v->data[v->len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

static void families_that_are_not_ours_leave_the_connections_addresses(void **state)
{
    static const struct {
        uint8_t command, family;
        size_t addresses;
    } cases[] = {
        {0x20, 0x00, 0},  {0x20, 0x11, 12},  {0x20, 0xff, 300 % 256}, {0x21, 0x00, 0},
        {0x21, 0x00, 20}, {0x21, 0x31, 216}, {0x21, 0x01, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct header v = header_v2(cases[i].command, cases[i].family, 0);
        uint8_t bytes[256];
        struct proxy_header h;

        memset(bytes, 0x11, sizeof bytes);
        if (cases[i].family == 0x00 && cases[i].addresses > 0)
            append_tlv(&v, 0x04, bytes, cases[i].addresses); /* NOOP */
        else
            append(&v, bytes, cases[i].addresses);
        h = expect_ok(v.data, v.len);
        assert_true(h.local);
        assert_int_equal(h.version, 2);
        assert_int_equal(h.source.port, 0);
    }
}

static void broken_binary_headers_are_refused(void **state)
{
    struct header v;

    (void)state;
    v = header_v2(0x11, 0x11, 12);
    expect_malformed(v.data, v.len, "version behind the signature");
    v = header_v2(0x22, 0x11, 12);
    expect_malformed(v.data, v.len, "command");
    v = header_v2(0x21, 0x41, 12);
    expect_malformed(v.data, v.len, "family");
    v = header_v2(0x21, 0x13, 12);
    expect_malformed(v.data, v.len, "family or transport");
    v = header_v2(0x21, 0x12, 12);
    expect_malformed(v.data, v.len, "datagrams");
    v = header_v2(0x21, 0x11, 11);
    expect_malformed(v.data, v.len, "too short");
    v = header_v2(0x21, 0x21, 35);
    expect_malformed(v.data, v.len, "too short");
    v = header_v2(0x21, 0x31, 215);
    expect_malformed(v.data, v.len, "too short");
    v = header_v2(0x21, 0x11, 12);
    append(&v, "\x04\x00", 2);
    expect_malformed(v.data, v.len, "TLV of version 2 cut short");
    v = header_v2(0x21, 0x21, 36);
    append_tlv(&v, 0x04, "abc", 3);
    v.data[v.len - 4]++; /* its length */
    expect_malformed(v.data, v.len, "past the end");
    v = header_v2(0x21, 0x11, 12);
    append_tlv(&v, 0x03, "abc", 3);
    expect_malformed(v.data, v.len, "length of the CRC-32C");
}

static void length_has_a_bound(void **state)
{
    struct header v = header_v2(0x21, 0x11, 12);
    uint8_t zeros[4096] = {0};
    struct proxy_header h;

    (void)state;
    append_tlv(&v, 0x04, zeros, PROXY_HEADER_MAX - v.len - 3);
    assert_int_equal(v.len, PROXY_HEADER_MAX);
    assert_int_equal(parse(v.data, v.len, &h), PROXY_HEADER_OK);
    v.data[15]++;
    expect_malformed(v.data, 16, "over 4,096 bytes"); /* known before the rest of it comes */
}

static void every_changed_bit_breaks_the_checksum(void **state)
{
    struct header v = header_v2(0x21, 0x11, 12);
    struct proxy_header h;

    (void)state;
    assert_int_equal(crc32c_naive((const uint8_t *)"123456789", 9), 0xe3069283);
    append_tlv(&v, 0x02, "shop.example", 12);
    append_crc(&v);
    append_tlv(&v, 0x04, "behind", 6); /* the checksum is over this, too: set it anew */
    expect_malformed(v.data, v.len, "CRC-32C of version 2 is wrong");
    v = header_v2(0x21, 0x11, 12);
    append_tlv(&v, 0x02, "shop.example", 12);
    append_crc(&v);
    expect_ok(v.data, v.len);
    for (size_t bit = 16 * 8; bit < v.len * 8; bit++) {
        v.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* A changed type or length of the TLV may hide the checksum; all else is found. */
        if (parse(v.data, v.len, &h) == PROXY_HEADER_OK)
            assert_in_range(bit / 8, 28, v.len - 5);
        v.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void other_streams_are_told_at_once(void **state)
{
    static const char *const streams[] = {
        "GET / HTTP/1.1\r\n", "\x16\x03\x01\x02",  "P", "PROX", "PROXy TCP4", "PROXYTCP4", "\r\n",
        "\r\n\r\nX",          "\r\n\r\n\0\r\nQUIX"};
    static const size_t lengths[] = {16, 4, 1, 4, 10, 9, 2, 5, 11};
    static const enum proxy_header_status expected[] = {
        PROXY_HEADER_ABSENT, PROXY_HEADER_ABSENT, PROXY_HEADER_MORE,
        PROXY_HEADER_MORE,   PROXY_HEADER_ABSENT, PROXY_HEADER_ABSENT,
        PROXY_HEADER_MORE,   PROXY_HEADER_ABSENT, PROXY_HEADER_ABSENT};
    struct proxy_header h;

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_int_equal(parse(streams[i], lengths[i], &h), expected[i]);
}

/* ---- what we build ---- */

static uint64_t seed = 88172645463325252u;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % n;
}

static struct ip_endpoint random_endpoint(bool v4)
{
    struct ip_endpoint e = {.port = (uint16_t)pick(65536)};

    for (unsigned i = 0; i < 16; i++)
        e.addr.b[i] = pick(3) == 0 ? 0 : (uint8_t)pick(256);
    if (v4)
        e.addr = ip_from_v4(e.addr.w[3]);
    return e;
}

static void random_addresses_make_the_round_trip(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct proxy_header_facts facts = {random_endpoint(pick(2)), random_endpoint(pick(2)),
                                           .authority = pick(2) ? "shop.example" : NULL};
        uint8_t out[PROXY_HEADER_BUILD_MAX];
        struct proxy_header h;

        h = expect_ok(out, proxy_header_build_v1(&facts, out));
        assert_true(h.version == 1 && !h.local);
        assert_true(same(&h.source, &facts.source) && same(&h.destination, &facts.destination));
        h = expect_ok(out, proxy_header_build_v2(&facts, out));
        assert_true(h.version == 2 && !h.local);
        assert_true(same(&h.source, &facts.source) && same(&h.destination, &facts.destination));
    }
}

/* The value of a TLV among others; asserts that each is whole. */
static const uint8_t *find_tlv(const uint8_t *at, size_t len, uint8_t type, size_t *out_len)
{
    const uint8_t *found = NULL;

    while (len > 0) {
        size_t size;

        assert_true(len >= 3);
        size = (size_t)at[1] << 8 | at[2];
        assert_true(size <= len - 3);
        if (at[0] == type) {
            assert_null(found);
            found = at + 3;
            *out_len = size;
        }
        at += 3 + size;
        len -= 3 + size;
    }
    return found;
}

static void expect_tlv(const uint8_t *at, size_t len, uint8_t type, const char *text)
{
    size_t size = 0;
    const uint8_t *value = find_tlv(at, len, type, &size);

    if (text == NULL) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(value, text, size);
}

static void expect_tls(const uint8_t *at, size_t len, uint8_t client, uint8_t verify,
                       const char *common_name)
{
    const uint8_t expected[5] = {client, 0, 0, 0, verify};
    size_t size = 0;
    const uint8_t *tls = find_tlv(at, len, 0x20, &size);

    assert_non_null(tls);
    assert_true(size >= 5);
    assert_memory_equal(tls, expected, 5);
    expect_tlv(tls + 5, size - 5, 0x21, "TLSv1.3");
    expect_tlv(tls + 5, size - 5, 0x23, "TLS_AES_128_GCM_SHA256");
    expect_tlv(tls + 5, size - 5, 0x22, common_name);
}

static void facts_become_tlvs(void **state)
{
    struct proxy_header_tls tls = {.version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256"};
    struct proxy_header_facts facts = {.source = endpoint("198.51.100.7:40112"),
                                       .destination = endpoint("192.0.2.10:443"),
                                       .authority = "shop.example",
                                       .alpn = "http/1.1",
                                       .tls = &tls};
    uint8_t out[PROXY_HEADER_BUILD_MAX];
    size_t len = proxy_header_build_v2(&facts, out);

    (void)state;
    expect_ok(out, len);
    expect_tlv(out + 28, len - 28, 0x01, "http/1.1");
    expect_tlv(out + 28, len - 28, 0x02, "shop.example");
    expect_tls(out + 28, len - 28, 0x01, 1, NULL);
    tls.certificate = tls.verified = true;
    tls.common_name = "billing";
    len = proxy_header_build_v2(&facts, out);
    expect_ok(out, len);
    expect_tls(out + 28, len - 28, 0x07, 0, "billing");
    tls.resumed = true;
    expect_tls(out + 28, proxy_header_build_v2(&facts, out) - 28, 0x05, 0, "billing");
    tls.verified = false;
    expect_tls(out + 28, proxy_header_build_v2(&facts, out) - 28, 0x05, 1, "billing");
    facts.tls = NULL;
    facts.alpn = "";
    facts.authority = NULL;
    assert_int_equal(proxy_header_build_v2(&facts, out), 28);
}

static void longest_facts_fit_and_longer_ones_are_left_out(void **state)
{
    char text[257], too_long[257];
    struct proxy_header_tls tls = {text, text, text, true, true, false};
    struct proxy_header_facts facts = {random_endpoint(false), random_endpoint(false), text, text,
                                       &tls};
    uint8_t out[PROXY_HEADER_BUILD_MAX];
    size_t len;

    (void)state;
    memset(text, 'x', 255);
    text[255] = '\0';
    memset(too_long, 'y', 256);
    too_long[256] = '\0';
    len = proxy_header_build_v2(&facts, out);
    assert_int_equal(len, 16 + 36 + 5 * 258 + 8);
    expect_ok(out, len);
    facts.authority = too_long;
    len = proxy_header_build_v2(&facts, out);
    expect_ok(out, len);
    expect_tlv(out + 52, len - 52, 0x02, NULL);
}

static void our_own_connections_are_local(void **state)
{
    uint8_t out[PROXY_HEADER_BUILD_MAX];
    struct proxy_header h;

    (void)state;
    h = expect_ok(out, proxy_header_build_local(1, out));
    assert_true(h.local && h.version == 1);
    h = expect_ok(out, proxy_header_build_local(2, out));
    assert_true(h.local && h.version == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_text_are_read),
        cmocka_unit_test(broken_lines_are_refused),
        cmocka_unit_test(families_that_are_not_ours_leave_the_connections_addresses),
        cmocka_unit_test(broken_binary_headers_are_refused),
        cmocka_unit_test(length_has_a_bound),
        cmocka_unit_test(every_changed_bit_breaks_the_checksum),
        cmocka_unit_test(other_streams_are_told_at_once),
        cmocka_unit_test(random_addresses_make_the_round_trip),
        cmocka_unit_test(facts_become_tlvs),
        cmocka_unit_test(longest_facts_fit_and_longer_ones_are_left_out),
        cmocka_unit_test(our_own_connections_are_local),
    };

    return cmocka_run_group_tests_name("proxy_header", tests, NULL, NULL);
}
