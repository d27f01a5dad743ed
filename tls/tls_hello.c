/*
 * Theory of operation: a call first walks the record headers (RFC 8446, 5.1) without touching what
 * they carry, to learn where the ClientHello ends and how many bytes are certain to be missing; a
 * hello that trickles in costs a few header reads a call and copies nothing. Once it is whole it is
 * parsed where it lies, or, when records divide it, from a copy without their headers.
 *
 * Everything here comes from strangers: a cursor never moves past its end, each vector's length is
 * checked against its parent, and each ends exactly where its contents end.
 */
#include "tls/tls_hello.h"

#include <string.h>

#include "tls/tls_internal.h"

#define RECORD_HEADER_LEN    5
#define RECORD_HANDSHAKE     22
#define RECORD_MAX           16384 /* RFC 8446, 5.1 */
#define HANDSHAKE_HEADER_LEN 4
#define CLIENT_HELLO         1
#define RANDOM_LEN           32
#define SESSION_ID_MAX       32

enum {
    EXT_SERVER_NAME = 0,
    EXT_SUPPORTED_GROUPS = 10,
    EXT_SIGNATURE_ALGORITHMS = 13,
    EXT_ALPN = 16,
    EXT_SESSION_TICKET = 35,
    EXT_PRE_SHARED_KEY = 41,
    EXT_SUPPORTED_VERSIONS = 43,
};

/* ---- reading vectors (RFC 8446, 3.4) ---- */

struct cursor {
    const uint8_t *at, *end;
};

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static bool take_bytes(struct cursor *c, size_t n, struct cursor *out)
{
    if (left(c) < n)
        return false;
    *out = (struct cursor){c->at, c->at + n};
    c->at += n;
    return true;
}

/* An unsigned integer of `width` bytes. */
static bool take_uint(struct cursor *c, unsigned width, size_t *out)
{
    if (left(c) < width)
        return false;
    *out = 0;
    while (width-- > 0)
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): left() said so */
        *out = *out << 8 | *c->at++;
    return true;
}

/* A vector whose length has `width` bytes. */
static bool take_vector(struct cursor *c, unsigned width, struct cursor *out)
{
    size_t n;

    return take_uint(c, width, &n) && take_bytes(c, n, out);
}

/* An extension that is one vector and nothing else. */
static bool whole_vector(struct cursor body, unsigned width, struct cursor *out)
{
    return take_vector(&body, width, out) && left(&body) == 0;
}

/* RFC 8701: values that clients scatter in to keep servers tolerant. */
static bool is_grease(size_t v)
{
    return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

/* Copies a list of 16-bit values without GREASE; false when it has half a value at its end. */
static bool copy_values(struct cursor list, uint16_t *out, unsigned max, unsigned *count, bool *cut)
{
    size_t v;

    *count = 0;
    if (left(&list) % 2 != 0)
        return false;
    while (take_uint(&list, 2, &v)) {
        if (is_grease(v))
            continue;
        if (*count < max)
            out[(*count)++] = (uint16_t)v;
        else
            *cut = true;
    }
    return true;
}

/* ---- extensions: each returns NULL, or what is wrong ---- */

const char *tls_hello_server_name(const uint8_t *ext, size_t len, char out[TLS_HELLO_NAME_MAX + 1])
{
    struct cursor list, name;
    size_t type;

    /* RFC 6066, 3: at most one name of a type, and host_name is the only type there will be. */
    if (!whole_vector((struct cursor){ext, ext + len}, 2, &list) || !take_uint(&list, 1, &type) ||
        !take_vector(&list, 2, &name))
        return "malformed server_name extension";
    if (type != 0)
        return "server name of an unknown type";
    if (left(&list) != 0)
        return "more than one server name";
    if (!tls_names_normalise((const char *)name.at, left(&name), out))
        return "server name that is no host name";
    return NULL;
}

static const char *parse_server_name(struct cursor body, struct tls_hello *out)
{
    const char *why = tls_hello_server_name(body.at, left(&body), out->sni);

    out->has_sni = why == NULL;
    return why;
}

static const char *parse_versions(struct cursor body, struct tls_hello *out)
{
    struct cursor list;

    if (!whole_vector(body, 1, &list) || left(&list) == 0 ||
        !copy_values(list, out->versions, sizeof out->versions / sizeof out->versions[0],
                     &out->version_count, &out->truncated))
        return "malformed supported_versions extension";
    return NULL;
}

static const char *parse_groups(struct cursor body, struct tls_hello *out)
{
    struct cursor list;

    if (!whole_vector(body, 2, &list) || left(&list) == 0 ||
        !copy_values(list, out->groups, sizeof out->groups / sizeof out->groups[0],
                     &out->group_count, &out->truncated))
        return "malformed supported_groups extension";
    return NULL;
}

static const char *parse_signatures(struct cursor body, struct tls_hello *out)
{
    struct cursor list;

    if (!whole_vector(body, 2, &list) || left(&list) == 0 ||
        !copy_values(list, out->signatures, sizeof out->signatures / sizeof out->signatures[0],
                     &out->signature_count, &out->truncated))
        return "malformed signature_algorithms extension";
    return NULL;
}

static void keep_protocol(struct cursor name, struct tls_hello *out)
{
    size_t n = left(&name);

    if (n == 2 && is_grease((size_t)name.at[0] << 8 | name.at[1]))
        return;
    if (out->alpn_len + 1 + n > sizeof out->alpn) {
        out->truncated = true;
        return;
    }
    out->alpn[out->alpn_len] = (uint8_t)n;
    memcpy(out->alpn + out->alpn_len + 1, name.at, n);
    out->alpn_len += 1 + n;
}

/* RFC 7301, 3.1 */
static const char *parse_alpn(struct cursor body, struct tls_hello *out)
{
    static const char malformed[] = "malformed application_layer_protocol_negotiation extension";
    struct cursor list, name;

    if (!whole_vector(body, 2, &list) || left(&list) == 0)
        return malformed;
    while (left(&list) > 0) {
        if (!take_vector(&list, 1, &name) || left(&name) == 0)
            return malformed;
        keep_protocol(name, out);
    }
    return NULL;
}

static const char *parse_extension(size_t type, struct cursor body, struct tls_hello *out)
{
    switch (type) {
    case EXT_SERVER_NAME:
        return parse_server_name(body, out);
    case EXT_SUPPORTED_GROUPS:
        return parse_groups(body, out);
    case EXT_SIGNATURE_ALGORITHMS:
        return parse_signatures(body, out);
    case EXT_ALPN:
        return parse_alpn(body, out);
    case EXT_SUPPORTED_VERSIONS:
        return parse_versions(body, out);
    case EXT_SESSION_TICKET: /* empty: supported, but none at hand (RFC 5077, 3.2) */
        out->has_ticket |= left(&body) > 0;
        return NULL;
    case EXT_PRE_SHARED_KEY:
        out->has_ticket = true;
        return NULL;
    default:
        return NULL;
    }
}

static const char *parse_extensions(struct cursor list, struct tls_hello *out)
{
    uint64_t seen[65536 / 64] = {
        0}; /* one bit a type: the check for duplicates cannot be made slow */
    struct cursor body;
    size_t type;

    while (left(&list) > 0) {
        const char *why;

        if (!take_uint(&list, 2, &type) || !take_vector(&list, 2, &body))
            return "extension length past its end";
        if ((seen[type / 64] >> (type % 64) & 1) != 0)
            return "an extension twice"; /* RFC 8446, 4.2 */
        seen[type / 64] |= UINT64_C(1) << (type % 64);
        if (type == EXT_PRE_SHARED_KEY && left(&list) > 0)
            return "pre_shared_key is not the last extension"; /* RFC 8446, 4.2.11 */
        why = parse_extension(type, body, out);
        if (why != NULL)
            return why;
    }
    return NULL;
}

/* ---- the message ---- */

static const char *parse_legacy_version(struct cursor *c, struct tls_hello *out)
{
    size_t version;

    if (!take_uint(c, 2, &version))
        return "ClientHello ends before its version";
    if (version >> 8 != 3)
        return "unknown legacy_version";
    out->legacy_version = (uint16_t)version;
    /* Without supported_versions at most TLS 1.2 is meant (RFC 8446, 4.2.1). */
    out->versions[0] = version > TLS_VERSION_1_2 ? TLS_VERSION_1_2 : (uint16_t)version;
    out->version_count = 1;
    return NULL;
}

static const char *parse_ciphers(struct cursor *c, struct tls_hello *out)
{
    struct cursor list;

    if (!take_vector(c, 2, &list) || left(&list) == 0 ||
        !copy_values(list, out->ciphers, sizeof out->ciphers / sizeof out->ciphers[0],
                     &out->cipher_count, &out->truncated))
        return "malformed list of cipher suites";
    return NULL;
}

/* RFC 8446, 4.1.2 */
static const char *parse_message(struct cursor c, struct tls_hello *out)
{
    struct cursor random, session_id, compression, extensions;
    const char *why = parse_legacy_version(&c, out);

    if (why != NULL)
        return why;
    if (!take_bytes(&c, RANDOM_LEN, &random))
        return "ClientHello ends within its random";
    if (!take_vector(&c, 1, &session_id) || left(&session_id) > SESSION_ID_MAX)
        return "malformed session id";
    why = parse_ciphers(&c, out);
    if (why != NULL)
        return why;
    if (!take_vector(&c, 1, &compression) || left(&compression) == 0 ||
        memchr(compression.at, 0, left(&compression)) == NULL)
        return "malformed list of compression methods";
    if (left(&c) == 0)
        return NULL; /* TLS 1.2 and before: extensions may be absent */
    if (!whole_vector(c, 2, &extensions))
        return "extensions that do not fill the message";
    return parse_extensions(extensions, out);
}

/* ---- records ---- */

/* Where the message lies on the wire, as far as the records say. */
struct frame {
    size_t offset;  /* of the present record's header */
    size_t message; /* bytes of the message in the records before it */
    size_t total;   /* the message with its header; 0 while unknown */
    unsigned records;
    uint8_t header[HANDSHAKE_HEADER_LEN];
};

static enum tls_hello_status refuse(struct tls_hello *out, enum tls_hello_status status,
                                    const char *why)
{
    out->why = why;
    return status;
}

static bool starts_with(const uint8_t *data, size_t len, const char *text, size_t n)
{
    return len >= n && memcmp(data, text, n) == 0;
}

static bool is_text(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && i < 16; i++) {
        if ((data[i] < 0x20 || data[i] > 0x7e) && data[i] != '\r' && data[i] != '\n' &&
            data[i] != '\t')
            return false;
    }
    return true;
}

#define GREETING(text, what)             \
    {                                    \
        (text), sizeof(text) - 1, (what) \
    }

/* How streams begin that are not TLS, for the log. */
static const struct {
    const char *text;
    size_t len;
    const char *what;
} greetings[] = {
    GREETING("GET ", "plain HTTP request"),
    GREETING("POST ", "plain HTTP request"),
    GREETING("PUT ", "plain HTTP request"),
    GREETING("HEAD ", "plain HTTP request"),
    GREETING("DELETE ", "plain HTTP request"),
    GREETING("OPTIONS ", "plain HTTP request"),
    GREETING("PATCH ", "plain HTTP request"),
    GREETING("TRACE ", "plain HTTP request"),
    GREETING("CONNECT ", "plain HTTP request"),
    GREETING("PRI * HTTP/2", "plain HTTP/2 preface"),
    GREETING("SSH-", "SSH client"),
    GREETING("EHLO ", "SMTP client"),
    GREETING("HELO ", "SMTP client"),
    GREETING("PROXY ", "PROXY protocol header"),
    GREETING("\r\n\r\n\0\r\nQUIT\n", "PROXY protocol header"),
    GREETING("\0\0\0\x08\x04\xd2\x16\x2f", "PostgreSQL SSLRequest"),
    GREETING("\x03\0\0", "RDP client"),
    GREETING("\x14\x03", "TLS change_cipher_spec instead of a ClientHello"),
    GREETING("\x15\x03", "TLS alert instead of a ClientHello"),
    GREETING("\x17\x03", "TLS application data instead of a ClientHello"),
};

static const char *name_stranger(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
        if (starts_with(data, len, greetings[i].text, greetings[i].len))
            return greetings[i].what;
    }
    if (len >= 3 && (data[0] & 0x80) != 0 && data[2] == CLIENT_HELLO)
        return "SSLv2 ClientHello";
    return is_text(data, len) ? "plain text" : "no TLS record";
}

/* The header of one record, as much of it as has come. OK: complete and good. */
static enum tls_hello_status check_record(const uint8_t *header, size_t len, struct frame *f,
                                          size_t *record, struct tls_hello *out)
{
    bool first = f->records == 0;

    if (len >= 1 && header[0] != RECORD_HANDSHAKE)
        return first ? refuse(out, TLS_HELLO_NOT_TLS, name_stranger(header, len))
                     : refuse(out, TLS_HELLO_MALFORMED, "another record within the ClientHello");
    if (len >= 2 && header[1] != 3)
        return first ? refuse(out, TLS_HELLO_NOT_TLS, "no TLS record")
                     : refuse(out, TLS_HELLO_MALFORMED, "record of an unknown version");
    if (len < RECORD_HEADER_LEN)
        return TLS_HELLO_MORE;
    *record = (size_t)header[3] << 8 | header[4];
    if (*record == 0)
        return refuse(out, TLS_HELLO_MALFORMED, "empty handshake record");
    if (*record > RECORD_MAX)
        return refuse(out, TLS_HELLO_MALFORMED, "record longer than TLS allows");
    if (++f->records > TLS_HELLO_MAX_RECORDS)
        return refuse(out, TLS_HELLO_TOO_LARGE, "ClientHello in too many records");
    return TLS_HELLO_OK;
}

/* The handshake header, which itself may be divided among records. */
static enum tls_hello_status check_message(const uint8_t *body, size_t len, struct frame *f,
                                           struct tls_hello *out)
{
    for (size_t i = 0; i < len && f->message + i < HANDSHAKE_HEADER_LEN; i++)
        f->header[f->message + i] = body[i];
    if (f->message + len > 0 && f->header[0] != CLIENT_HELLO)
        return refuse(out, TLS_HELLO_MALFORMED, "handshake message that is no ClientHello");
    if (f->message + len < HANDSHAKE_HEADER_LEN)
        return TLS_HELLO_MORE;
    f->total = HANDSHAKE_HEADER_LEN +
               ((size_t)f->header[1] << 16 | (size_t)f->header[2] << 8 | f->header[3]);
    return TLS_HELLO_OK;
}

/* The fewest bytes with which the present record may tell more. */
static size_t bytes_needed(const struct frame *f, size_t record)
{
    size_t body = f->offset + RECORD_HEADER_LEN;
    size_t missing;

    if (f->total == 0) {
        missing = HANDSHAKE_HEADER_LEN - f->message;
        return body + (record < missing ? record : missing);
    }
    missing = f->total - f->message;
    return missing <= record ? body + record : body + RECORD_HEADER_LEN + missing;
}

static enum tls_hello_status want(size_t bytes, size_t *need, struct tls_hello *out)
{
    if (bytes > TLS_HELLO_MAX)
        return refuse(out, TLS_HELLO_TOO_LARGE, "ClientHello over the size limit");
    *need = bytes;
    return TLS_HELLO_MORE;
}

/* Walks the records to the end of the message; OK: it is all there, out->length bytes of wire. */
static enum tls_hello_status walk_records(const uint8_t *data, size_t len, struct frame *f,
                                          struct tls_hello *out, size_t *need)
{
    enum tls_hello_status status;
    size_t record = 0, have;

    for (;;) {
        size_t body = f->offset + RECORD_HEADER_LEN;

        status = check_record(data + f->offset, len - f->offset, f, &record, out);
        if (status == TLS_HELLO_MORE)
            return want(f->total == 0 ? body : body + f->total - f->message, need, out);
        if (status != TLS_HELLO_OK)
            return status;
        have = len - body < record ? len - body : record;
        status = check_message(data + body, have, f, out);
        if (status != TLS_HELLO_OK && status != TLS_HELLO_MORE)
            return status;
        if (f->total != 0 && f->message + record > f->total)
            return refuse(out, TLS_HELLO_MALFORMED, "data after the ClientHello in its record");
        if (have < record || bytes_needed(f, record) > TLS_HELLO_MAX)
            return want(bytes_needed(f, record), need, out);
        f->message += record;
        f->offset = body + record;
        if (f->message == f->total) {
            out->length = f->offset;
            return TLS_HELLO_OK;
        }
    }
}

/* Copies the message out of its records, whose headers have been checked. */
static void gather(const uint8_t *data, size_t wire, uint8_t *out)
{
    for (size_t at = 0; at < wire;) {
        size_t record = (size_t)data[at + 3] << 8 | data[at + 4];

        memcpy(out, data + at + RECORD_HEADER_LEN, record);
        out += record;
        at += RECORD_HEADER_LEN + record;
    }
}

enum tls_hello_status tls_hello_parse(const uint8_t *data, size_t len, struct tls_hello *out,
                                      size_t *need)
{
    uint8_t copy[TLS_HELLO_MAX];
    const uint8_t *message;
    struct frame f = {0};
    enum tls_hello_status status;

    memset(out, 0, sizeof *out);
    *need = RECORD_HEADER_LEN;
    status = walk_records(data, len, &f, out, need);
    if (status != TLS_HELLO_OK)
        return status;
    message = data + RECORD_HEADER_LEN;
    if (f.records > 1) {
        gather(data, out->length, copy);
        message = copy;
    }
    out->why =
        parse_message((struct cursor){message + HANDSHAKE_HEADER_LEN, message + f.total}, out);
    return out->why == NULL ? TLS_HELLO_OK : TLS_HELLO_MALFORMED;
}
