/*
 * The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2020): who the client is, in
 * front of a stream that a proxy passes on. Pure functions over bytes; they know no socket.
 *
 * Of a received header only the addresses are used. Its TLVs must be well-formed, and a CRC-32C
 * among them must be right; what else they say is skipped.
 */
#ifndef PROXY_PROXY_HEADER_H
#define PROXY_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

/* The longest header that is taken, TLVs included. The protocol allows 65,551 bytes, of which no
 * sender makes use; a bound keeps what an unfinished header holds in a receive queue small. */
#define PROXY_HEADER_MAX 4096

enum proxy_header_status {
    PROXY_HEADER_OK,
    PROXY_HEADER_MORE,      /* the start of one */
    PROXY_HEADER_ABSENT,    /* the stream begins with something else */
    PROXY_HEADER_MALFORMED, /* begins like one */
};

struct proxy_header {
    const char *why; /* MALFORMED: what is wrong, a constant text; else NULL */
    size_t length;   /* OK: bytes of the header, the stream goes on behind them */
    size_t need;     /* MORE: with fewer bytes than that nothing more can be said; over `len` and at
                        most PROXY_HEADER_MAX */
    uint8_t version; /* OK: 1 or 2 */
    bool local;      /* OK: the sender speaks for itself (LOCAL, UNKNOWN) or for a client without IP
                        addresses: those of the connection hold, `source` and `destination` are
                        zero */
    struct ip_endpoint source, destination;
};

/* Parses `len` bytes from the start of a stream; never reads past them. Of a stream that was parsed
 * in any smaller pieces before, the answer is the same. */
enum proxy_header_status proxy_header_parse(const uint8_t *data, size_t len,
                                            struct proxy_header *out);

/* ---- headers for servers ---- */

/* TLS between the client and us. */
struct proxy_header_tls {
    const char *version, *cipher; /* "TLSv1.3", "TLS_AES_128_GCM_SHA256" */
    const char *common_name;      /* of the client's certificate; NULL or "": unknown */
    bool certificate;             /* the client showed one, */
    bool verified;                /* and it was verified; */
    bool resumed;                 /* in a former handshake of the session */
};

struct proxy_header_facts {
    struct ip_endpoint source, destination; /* the client, and where it connected to */
    const char *authority;                  /* server name that it asked for; NULL or "": none */
    const char *alpn;                       /* protocol agreed on with it; NULL or "": none */
    const struct proxy_header_tls *tls;     /* NULL: TLS does not end here */
};

/* The longest text of a TLV that is written. */
#define PROXY_HEADER_TEXT_MAX 255

/* Room for every header that is built. */
#define PROXY_HEADER_BUILD_MAX 1536

/* Version 1 knows addresses only. Where the two are of different families, the IPv4 one is written
 * as an IPv4-mapped IPv6 address. Returns the length. */
size_t proxy_header_build_v1(const struct proxy_header_facts *facts,
                             uint8_t out[PROXY_HEADER_BUILD_MAX]);

/* Version 2 with the TLVs AUTHORITY, ALPN and SSL (with version, cipher and common name) as far as
 * they are known; a text over 255 bytes is left out, since a part of a name is another name.
 * Returns the length. */
size_t proxy_header_build_v2(const struct proxy_header_facts *facts,
                             uint8_t out[PROXY_HEADER_BUILD_MAX]);

/* For a connection of our own, such as a health check: UNKNOWN in version 1, LOCAL in 2. */
size_t proxy_header_build_local(uint8_t version, uint8_t out[PROXY_HEADER_BUILD_MAX]);

#endif
