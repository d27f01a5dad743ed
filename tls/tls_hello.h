/*
 * The ClientHello (RFC 8446, 4.1.2), parsed by us before OpenSSL sees it: the server name decides
 * about rule and certificate, and a splice must not touch a byte. The message may span several TLS
 * records, and records may span several segments: call again with more.
 */
#ifndef TLS_TLS_HELLO_H
#define TLS_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_HELLO_MAX      16384 /* bytes on the wire, record headers included; more is refused */
#define TLS_HELLO_NAME_MAX 255
#define TLS_HELLO_ALPN_MAX 256

/* Records that one ClientHello may span: usual ones pass even in records of a single byte, and a
 * parse still takes no more than 15 us. */
#define TLS_HELLO_MAX_RECORDS 2048

enum tls_hello_status {
    TLS_HELLO_OK,
    TLS_HELLO_MORE,      /* good so far */
    TLS_HELLO_NOT_TLS,   /* the first bytes are no TLS handshake record */
    TLS_HELLO_MALFORMED, /* a TLS record with a broken ClientHello */
    TLS_HELLO_TOO_LARGE,
};

struct tls_hello {
    const char *why; /* unless OK or MORE: what is wrong, a constant text such as
                        "plain HTTP request" or "extension length past its end";
                        what was parsed before the fault is kept */
    bool has_sni;
    char sni[TLS_HELLO_NAME_MAX +
             1]; /* lower case, no trailing dot; a host_name of legal characters */
    uint16_t legacy_version;
    uint16_t versions[8]; /* supported_versions, or legacy_version alone; GREASE left out */
    unsigned version_count;
    uint8_t alpn[TLS_HELLO_ALPN_MAX]; /* ProtocolNameList entries: length byte, name, … */
    size_t alpn_len;
    uint16_t ciphers[64]; /* the first ones, GREASE left out */
    unsigned cipher_count;
    uint16_t groups[16];
    unsigned group_count;
    uint16_t signatures[32]; /* signature_algorithms */
    unsigned signature_count;
    bool has_ticket; /* session ticket or PSK offered */
    bool truncated;  /* a list above holds only its first values */
    size_t length;   /* bytes on the wire of the whole message */
};

/*
 * Parses `len` bytes from the start of the stream. *need (never NULL) is set with TLS_HELLO_MORE:
 * with fewer bytes than that no ClientHello can be complete, nor more be known of it; it is over
 * `len` and at most TLS_HELLO_MAX. Never reads past `len`. SSLv2-framed hellos are NOT_TLS.
 */
enum tls_hello_status tls_hello_parse(const uint8_t *data, size_t len, struct tls_hello *out,
                                      size_t *need);

/* "TLS 1.3, TLS 1.2; h2, http/1.1; name shop.example" - what the client offered, for log lines. */
const char *tls_hello_describe(const struct tls_hello *h, char *out, size_t size);

#endif
