/*
 * The facts of one session, as plain data that outlives everything it was made from: for the
 * session log (at its end) and for reports (while it lives).
 */
#ifndef PROXY_PROXY_RECORD_H
#define PROXY_PROXY_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/ip.h"
#include "stack/socket.h"

#define PROXY_RECORD_NAME 64 /* configured names are cut to this */

struct proxy_record_tls {
    bool used;
    bool resumed, peer_verified, ocsp_stapled;
    char version[8]; /* "TLSv1.3" */
    char cipher[40], group[24];
    char certificate[PROXY_RECORD_NAME]; /* the configuration's name of the one that was shown */
    char alpn[32];
    char peer[128]; /* subject of the peer's certificate */
};

struct proxy_record_side {
    bool used;
    struct ip_endpoint remote, local;
    struct sock_info tcp; /* at the end of a connection: as it was last */
    struct proxy_record_tls tls;
};

struct proxy_record {
    uint64_t id; /* unique in the process: worker number in the upper 16 bits, then ascending */
    const char
        *state; /* "hello", "handshake", "connecting", "relay", "closing", "ended": constant */
    const char *action;     /* "terminate", "splice", "reject", "" before it is known: constant */
    clock_ns opened, ended; /* monotonic; ended 0: it lives */
    clock_ns hello, handshake, connect, first_byte; /* since `opened`, when each was complete; 0:
                                  never. first_byte: of the server's answer */
    uint64_t from_client, from_backend;             /* payload bytes passed on */
    char listener[PROXY_RECORD_NAME], rule[PROXY_RECORD_NAME], backend[PROXY_RECORD_NAME];
    char egress_class[PROXY_RECORD_NAME];
    char sni[256];
    struct ip_endpoint client; /* as the PROXY header has it, else that of the connection */
    uint8_t tries;             /* servers tried */
    char reason[160];          /* why it ended */
    struct proxy_record_side client_side, backend_side;
};

#endif
