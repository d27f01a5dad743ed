/*
 * The ClientHello parser, fed exact heap copies so that AddressSanitizer sees a read past the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "tls/tls_hello.h"

/* ---- building ---- */

struct message {
    uint8_t data[40000];
    size_t len;
};

static void put(struct message *m, const void *data, size_t len)
{
    assert_true(m->len + len <= sizeof m->data);
    memcpy(m->data + m->len, data, len);
    m->len += len;
}

static void put_uint(struct message *m, unsigned width, size_t v)
{
    while (width-- > 0) {
        uint8_t byte = (uint8_t)(v >> (8 * width));

        put(m, &byte, 1);
    }
}

static void put_extension(struct message *m, uint16_t type, const void *body, size_t len)
{
    put_uint(m, 2, type);
    put_uint(m, 2, len);
    put(m, body, len);
}

static void put_server_name(struct message *m, const char *name, size_t len)
{
    put_uint(m, 2, 0);
    put_uint(m, 2, len + 5);
    put_uint(m, 2, len + 3);
    put_uint(m, 1, 0);
    put_uint(m, 2, len);
    put(m, name, len);
}

/* The message (no record) around a block of extensions; NULL: none at all. */
static struct message client_hello(const struct message *extensions)
{
    static const uint8_t random[32];
    struct message body = {.len = 0}, m = {.len = 0};

    put_uint(&body, 2, 0x0303);
    put(&body, random, sizeof random);
    put_uint(&body, 1, 32);
    put(&body, random, 32);
    put_uint(&body, 2, 8);
    put(&body, "\x1a\x1a\x13\x01\xc0\x2b\xc0\x2f", 8);
    put(&body, "\x01\x00", 2);
    if (extensions != NULL) {
        put_uint(&body, 2, extensions->len);
        put(&body, extensions->data, extensions->len);
    }
    put_uint(&m, 1, 1);
    put_uint(&m, 3, body.len);
    put(&m, body.data, body.len);
    return m;
}

/* Divides a message into records of `fragment` bytes. */
static struct message records(const struct message *m, size_t fragment)
{
    struct message out = {.len = 0};

    for (size_t at = 0; at < m->len; at += fragment) {
        size_t n = m->len - at < fragment ? m->len - at : fragment;

        put(&out, "\x16\x03\x01", 3);
        put_uint(&out, 2, n);
        put(&out, m->data + at, n);
    }
    return out;
}

/* What a browser sends: GREASE everywhere, two groups of keys, 1.2 KB of which is post-quantum. */
static struct message browser_extensions(void)
{
    static const uint8_t hybrid_share[1216 + 36 + 20];
    struct message e = {.len = 0};

    put_extension(&e, 0x2a2a, "", 0);
    put_server_name(&e, "Shop.Example", 12);
    put_extension(&e, 10, "\x00\x0a\x3a\x3a\x11\xec\x00\x1d\x00\x17\x00\x18", 12);
    put_extension(&e, 35, "", 0);
    put_extension(&e, 13, "\x00\x06\x04\x03\x08\x04\x1a\x1a", 8);
    put_extension(&e, 16, "\x00\x0c\x02h2\x08http/1.1", 14);
    put_extension(&e, 51, hybrid_share, sizeof hybrid_share);
    put_extension(&e, 43, "\x06\x4a\x4a\x03\x04\x03\x03", 7);
    put_extension(&e, 0xfafa, "\x00", 1);
    return e;
}

static struct message browser_hello(size_t fragment)
{
    struct message e = browser_extensions();
    struct message m = client_hello(&e);

    return records(&m, fragment);
}

/* ---- parsing ---- */

static enum tls_hello_status parse(const void *data, size_t len, struct tls_hello *h, size_t *need)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    enum tls_hello_status status;

    assert_non_null(copy);
    memcpy(copy, data, len);
    status = tls_hello_parse(copy, len, h, need);
    free(copy);
    return status;
}

static enum tls_hello_status parse_extensions(const struct message *e, struct tls_hello *h)
{
    struct message m = client_hello(e), r = records(&m, 16000);
    size_t need;

    return parse(r.data, r.len, h, &need);
}

static void assert_browser(const struct tls_hello *h)
{
    assert_true(h->has_sni);
    assert_string_equal(h->sni, "shop.example");
    assert_int_equal(h->legacy_version, 0x0303);
    assert_int_equal(h->version_count, 2);
    assert_int_equal(h->versions[0], 0x0304);
    assert_int_equal(h->versions[1], 0x0303);
    assert_int_equal(h->cipher_count, 3);
    assert_int_equal(h->ciphers[0], 0x1301);
    assert_int_equal(h->ciphers[2], 0xc02f);
    assert_int_equal(h->group_count, 4);
    assert_int_equal(h->groups[0], 0x11ec);
    assert_int_equal(h->signature_count, 2);
    assert_int_equal(h->signatures[0], 0x0403);
    assert_int_equal(h->signatures[1], 0x0804);
    assert_int_equal(h->alpn_len, 12);
    assert_memory_equal(h->alpn, "\x02h2\x08http/1.1", 12);
    assert_false(h->has_ticket);
    assert_false(h->truncated);
}

static void test_browser(void **state)
{
    struct message r = browser_hello(16000);
    struct tls_hello h;
    char text[128];
    size_t need, wire = r.len;

    (void)state;
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_OK);
    assert_null(h.why);
    assert_browser(&h);
    assert_int_equal(h.length, wire);
    assert_string_equal(tls_hello_describe(&h, text, sizeof text),
                        "TLS 1.3, TLS 1.2; h2, http/1.1; name shop.example");
    /* What follows the message is not looked at. */
    put(&r, "\x17\x03\x03\x00\x05hello", 10);
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_OK);
    assert_int_equal(h.length, wire);
}

/* Every prefix is MORE, and `need` never asks for more than the whole nor for what is there. */
static void check_prefixes(size_t fragment)
{
    struct message r = browser_hello(fragment);
    struct tls_hello h;
    size_t need, calls = 0;

    for (size_t len = 0; len < r.len; len++) {
        assert_int_equal(parse(r.data, len, &h, &need), TLS_HELLO_MORE);
        assert_null(h.why);
        assert_in_range(need, len + 1, r.len);
    }
    for (size_t len = 0; parse(r.data, len, &h, &need) == TLS_HELLO_MORE; len = need)
        calls++;
    assert_browser(&h);
    assert_int_equal(h.length, r.len);
    /* The headers of records and message, then the rest: no waiting in small steps. */
    assert_true(calls <= 3 + 2 * (r.len / (fragment + 5) + 1));
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    check_prefixes(16000);
}

static void test_many_records(void **state)
{
    (void)state;
    check_prefixes(700);
    check_prefixes(60);
}

/* Bytes come as slowly as the parser asks for them: still no work in proportion to their square. */
static void test_tiny_records(void **state)
{
    (void)state;
    for (size_t fragment = 1; fragment <= 3; fragment++) {
        struct message r = browser_hello(fragment);
        struct tls_hello h;
        size_t need, calls = 0;

        for (size_t len = 0; parse(r.data, len, &h, &need) == TLS_HELLO_MORE; len = need)
            calls++;
        assert_browser(&h);
        assert_int_equal(h.length, r.len);
        assert_in_range(calls, 1, 60);
    }
}

static void test_header_across_records(void **state)
{
    struct message e = browser_extensions(), m = client_hello(&e), r = {.len = 0}, part, rest;
    struct tls_hello h;
    size_t need;

    (void)state;
    for (size_t cut = 1; cut < 8; cut++) {
        struct message head = {.len = 0}, tail = {.len = 0};

        put(&head, m.data, cut);
        put(&tail, m.data + cut, m.len - cut);
        part = records(&head, 1);
        rest = records(&tail, 16000);
        r.len = 0;
        put(&r, part.data, part.len);
        put(&r, rest.data, rest.len);
        assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_OK);
        assert_browser(&h);
    }
}

static void test_too_many_records(void **state)
{
    static const uint8_t padding[TLS_HELLO_MAX_RECORDS];
    struct message e = {.len = 0}, m, r;
    struct tls_hello h;
    size_t need;

    (void)state;
    put_extension(&e, 21, padding, sizeof padding);
    m = client_hello(&e);
    r = records(&m, 1);
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_TOO_LARGE);
    assert_string_equal(h.why, "ClientHello in too many records");
}

static void test_size_limit(void **state)
{
    static const uint8_t padding[TLS_HELLO_MAX];
    struct tls_hello h;
    size_t need;

    (void)state;
    for (size_t wire = TLS_HELLO_MAX - 1; wire <= TLS_HELLO_MAX + 1; wire++) {
        struct message e = {.len = 0}, m = client_hello(&e), r;

        put_extension(&e, 21, padding, wire - m.len - 5 - 4);
        m = client_hello(&e);
        r = records(&m, 16384);
        assert_int_equal(r.len, wire);
        if (wire <= TLS_HELLO_MAX) {
            assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_OK);
            continue;
        }
        assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_TOO_LARGE);
        /* Told from the first headers on, before the bytes are there. */
        assert_int_equal(parse(r.data, 9, &h, &need), TLS_HELLO_TOO_LARGE);
    }
    /* A message of 16 MB in small records. */
    assert_int_equal(parse("\x16\x03\x01\x00\x10\x01\xff\xff\xff\x03\x03", 11, &h, &need),
                     TLS_HELLO_TOO_LARGE);
    assert_string_equal(h.why, "ClientHello over the size limit");
}

static void test_openssl_client(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    uint8_t wire[4096];
    struct tls_hello h;
    size_t need;
    int len;

    (void)state;
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_tlsext_host_name(ssl, "www.shop.example");
    SSL_set_alpn_protos(ssl, (const uint8_t *)"\x08http/1.1", 9);
    assert_int_equal(SSL_connect(ssl), -1);
    len = BIO_read(SSL_get_wbio(ssl), wire, sizeof wire);
    assert_int_equal(parse(wire, (size_t)len, &h, &need), TLS_HELLO_OK);
    assert_string_equal(h.sni, "www.shop.example");
    assert_int_equal(h.length, len);
    assert_int_equal(h.versions[0], 0x0304);
    assert_int_equal(h.ciphers[0], 0x1302);
    assert_int_equal(h.groups[0], 0x001d);
    assert_memory_equal(h.alpn, "\x08http/1.1", 9);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void test_without_extensions(void **state)
{
    struct message m = client_hello(NULL), r;
    struct tls_hello h;
    char text[64];
    size_t need;

    (void)state;
    m.data[5] = 0x01; /* legacy_version: TLS 1.0 */
    r = records(&m, 16000);
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_OK);
    assert_false(h.has_sni);
    assert_int_equal(h.version_count, 1);
    assert_int_equal(h.versions[0], 0x0301);
    assert_string_equal(tls_hello_describe(&h, text, sizeof text), "TLS 1.0; no ALPN; no name");
    /* RFC 8446, 4.2.1: without supported_versions, 0x0304 means TLS 1.2. */
    r.data[10] = 0x04;
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_OK);
    assert_int_equal(h.legacy_version, 0x0304);
    assert_int_equal(h.versions[0], 0x0303);
}

static void test_tickets(void **state)
{
    struct message e = {.len = 0};
    struct tls_hello h;

    (void)state;
    put_extension(&e, 35, "ticket", 6);
    assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_OK);
    assert_true(h.has_ticket);
    e.len = 0;
    put_extension(&e, 41, "psk", 3);
    assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_OK);
    assert_true(h.has_ticket);
    put_extension(&e, 35, "", 0);
    assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_MALFORMED);
    assert_string_equal(h.why, "pre_shared_key is not the last extension");
}

/* ---- names ---- */

static enum tls_hello_status parse_name(const char *name, size_t len, struct tls_hello *h)
{
    struct message e = {.len = 0};

    put_server_name(&e, name, len);
    return parse_extensions(&e, h);
}

static void assert_name(const char *name, const char *normal)
{
    struct tls_hello h;

    assert_int_equal(parse_name(name, strlen(name), &h), TLS_HELLO_OK);
    assert_true(h.has_sni);
    assert_string_equal(h.sni, normal);
}

static void assert_no_name(const char *name, size_t len)
{
    struct tls_hello h;

    assert_int_equal(parse_name(name, len, &h), TLS_HELLO_MALFORMED);
    assert_false(h.has_sni);
    assert_non_null(h.why);
}

static void test_names(void **state)
{
    char longest[256], label[65];

    (void)state;
    assert_name("a", "a");
    assert_name("WWW.Example.COM.", "www.example.com");
    assert_name("_sip.x--y.example-", "_sip.x--y.example-");
    assert_name("192.0.2.1", "192.0.2.1");
    memset(longest, 'a', sizeof longest);
    for (size_t i = 60; i < sizeof longest; i += 60)
        longest[i] = '.';
    longest[253] = '\0';
    assert_name(longest, longest);
    memset(label, 'b', sizeof label);
    label[63] = '\0';
    assert_name(label, label);

    assert_no_name("", 0);
    assert_no_name(".", 1);
    assert_no_name("a..b", 4);
    assert_no_name(".a", 2);
    assert_no_name("a..", 3);
    assert_no_name("a\0b", 3);
    assert_no_name("a b", 3);
    assert_no_name("*.example", 9);
    assert_no_name("a/b", 3);
    assert_no_name("x\xc3\xa4.example", 11);
    assert_no_name("2001:db8::1", 11);
    label[63] = 'b';
    assert_no_name(label, 64);
    longest[253] = 'a';
    assert_no_name(longest, 254);
    assert_no_name(longest, 255);
}

static void test_name_lists(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        const char *why;
    } bad[] = {
        {"", 0, "malformed server_name extension"},
        {"\x00\x00", 2, "malformed server_name extension"},
        {"\x00\x04\x00\x00\x02"
         "a",
         6, "malformed server_name extension"},
        {"\x00\x05\x00\x00\x01"
         "a",
         6, "malformed server_name extension"},
        {"\x00\x04\x01\x00\x01"
         "a",
         6, "server name of an unknown type"},
        {"\x00\x08\x00\x00\x01"
         "a\x00\x00\x01"
         "b",
         10, "more than one server name"},
        {"\x00\x04\x00\x00\x01"
         "a\x00",
         7, "malformed server_name extension"},
    };
    struct tls_hello h;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct message e = {.len = 0};

        put_extension(&e, 0, bad[i].body, bad[i].len);
        assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_MALFORMED);
        assert_string_equal(h.why, bad[i].why);
    }
}

/* ---- what is not a good ClientHello ---- */

static void test_duplicate_extension(void **state)
{
    struct message e = {.len = 0};
    struct tls_hello h;

    (void)state;
    put_extension(&e, 0xff01, "\x00", 1);
    put_extension(&e, 23, "", 0);
    put_extension(&e, 0xff01, "\x00", 1);
    assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_MALFORMED);
    assert_string_equal(h.why, "an extension twice");
}

static void test_malformed_extensions(void **state)
{
    static const struct {
        uint16_t type;
        const char *body;
        size_t len;
    } bad[] = {
        {43, "", 0},
        {43, "\x00", 1},
        {43, "\x03\x03\x04\x03", 4},
        {43, "\x02\x03", 2},
        {43, "\x02\x03\x04\x00", 4},
        {10, "\x00\x01\x00", 3},
        {10, "\x00\x00", 2},
        {13, "\x00\x01\x04", 3},
        {13, "\x00\x00", 2},
        {16, "\x00\x00", 2},
        {16, "\x00\x01\x00", 3},
        {16, "\x00\x03\x03h2", 5},
        {16, "\x00\x03\x02h2\x00", 6},
    };
    struct tls_hello h;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct message e = {.len = 0};

        put_extension(&e, bad[i].type, bad[i].body, bad[i].len);
        assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_MALFORMED);
        assert_memory_equal(h.why, "malformed ", 10);
    }
}

/* Cutting the message short anywhere, its lengths mended or not, is noticed and read by nobody. */
static void test_cut_messages(void **state)
{
    struct message e = browser_extensions(), m = client_hello(&e);
    struct tls_hello h;
    size_t need;

    (void)state;
    for (size_t len = 4; len < m.len; len++) {
        struct message cut = {.len = 0}, r;
        size_t extensions_at = 4 + 2 + 32 + 33 + 10 + 2;

        put(&cut, m.data, len);
        cut.data[2] = (uint8_t)((len - 4) >> 8);
        cut.data[3] = (uint8_t)(len - 4);
        r = records(&cut, 16000);
        /* Only where the extensions would begin does a hello without them end well. */
        assert_int_equal(parse(r.data, r.len, &h, &need),
                         len == extensions_at ? TLS_HELLO_OK : TLS_HELLO_MALFORMED);
    }
}

static void test_trailing_bytes(void **state)
{
    struct message e = browser_extensions(), m = client_hello(&e), r;
    struct tls_hello h;
    size_t need;

    (void)state;
    put(&m, "x", 1);
    r = records(&m, 16000);
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_MALFORMED);
    assert_string_equal(h.why, "data after the ClientHello in its record");
    m.data[3]++; /* now within the message: the low byte of its length has room */
    r = records(&m, 16000);
    assert_int_equal(parse(r.data, r.len, &h, &need), TLS_HELLO_MALFORMED);
    assert_string_equal(h.why, "extensions that do not fill the message");
}

static void assert_refused(const void *data, size_t len, enum tls_hello_status status,
                           const char *why)
{
    struct tls_hello h;
    size_t need;

    assert_int_equal(parse(data, len, &h, &need), status);
    assert_string_equal(h.why, why);
}

static void test_records(void **state)
{
    (void)state;
    assert_refused("\x16\x03\x01\x00\x00", 5, TLS_HELLO_MALFORMED, "empty handshake record");
    assert_refused("\x16\x03\x01\x40\x01", 5, TLS_HELLO_MALFORMED, "record longer than TLS allows");
    assert_refused("\x16\x03\x01\x00\x10\x02", 6, TLS_HELLO_MALFORMED,
                   "handshake message that is no ClientHello");
    assert_refused("\x16\x03\x01\x00\x02\x01\x00\x15", 8, TLS_HELLO_MALFORMED,
                   "another record within the ClientHello");
    assert_refused("\x16\x03\x01\x00\x02\x01\x00\x16\x02", 9, TLS_HELLO_MALFORMED,
                   "record of an unknown version");
}

static void test_strangers(void **state)
{
    static const char v2[] = "\x80\x2e\x01\x03\x01\x00\x15";

    (void)state;
    assert_refused("GET / HTTP/1.1\r\n", 16, TLS_HELLO_NOT_TLS, "plain HTTP request");
    assert_refused("POST /", 6, TLS_HELLO_NOT_TLS, "plain HTTP request");
    assert_refused("OPTIONS *", 9, TLS_HELLO_NOT_TLS, "plain HTTP request");
    assert_refused("PRI * HTTP/2.0\r\n", 16, TLS_HELLO_NOT_TLS, "plain HTTP/2 preface");
    assert_refused("SSH-2.0-OpenSSH_9.2\r\n", 21, TLS_HELLO_NOT_TLS, "SSH client");
    assert_refused("PROXY TCP4", 10, TLS_HELLO_NOT_TLS, "PROXY protocol header");
    assert_refused("\0\0\0\x08\x04\xd2\x16\x2f", 8, TLS_HELLO_NOT_TLS, "PostgreSQL SSLRequest");
    assert_refused("\x15\x03\x01\x00\x02\x02\x28", 7, TLS_HELLO_NOT_TLS,
                   "TLS alert instead of a ClientHello");
    assert_refused(v2, 7, TLS_HELLO_NOT_TLS, "SSLv2 ClientHello");
    assert_refused("HELP\r\n", 6, TLS_HELLO_NOT_TLS, "plain text");
    assert_refused("G", 1, TLS_HELLO_NOT_TLS, "plain text");
    assert_refused("\x16\x02", 2, TLS_HELLO_NOT_TLS, "no TLS record");
    assert_refused("\xff", 1, TLS_HELLO_NOT_TLS, "no TLS record");
}

/* ---- lists that are longer than what is kept ---- */

static void test_long_lists(void **state)
{
    uint8_t groups[2 + 2 * 40] = {0, 2 * 40}, alpn[2 + 3 * 101] = {1, 47};
    struct message e = {.len = 0};
    struct tls_hello h;

    (void)state;
    for (unsigned i = 0; i < 40; i++)
        groups[2 + 2 * i + 1] = (uint8_t)(i + 1);
    for (unsigned i = 0; i < 3; i++)
        alpn[2 + 101 * i] = 100;
    put_extension(&e, 10, groups, sizeof groups);
    put_extension(&e, 16, alpn, sizeof alpn);
    assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_OK);
    assert_int_equal(h.group_count, 16);
    assert_int_equal(h.groups[15], 16);
    assert_int_equal(h.alpn_len, 2 * 101);
    assert_true(h.truncated);
}

/* Strange bytes stay out of the log, and a short buffer is never overrun. */
static void test_describe(void **state)
{
    struct message e = {.len = 0};
    struct tls_hello h;
    char text[64], small[16];

    (void)state;
    put_extension(&e, 16, "\x00\x05\x04\x1b[2J", 7);
    put_extension(&e, 43, "\x04\x7f\x1c\x03\x00", 5);
    assert_int_equal(parse_extensions(&e, &h), TLS_HELLO_OK);
    assert_string_equal(tls_hello_describe(&h, text, sizeof text),
                        "version 0x7f1c, SSL 3.0; ?[2J; no name");
    assert_string_equal(tls_hello_describe(&h, small, sizeof small), "version 0x7f1c,");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_browser),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_tiny_records),
        cmocka_unit_test(test_header_across_records),
        cmocka_unit_test(test_too_many_records),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_openssl_client),
        cmocka_unit_test(test_without_extensions),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_lists),
        cmocka_unit_test(test_duplicate_extension),
        cmocka_unit_test(test_malformed_extensions),
        cmocka_unit_test(test_cut_messages),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_describe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
