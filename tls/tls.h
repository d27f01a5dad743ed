/*
 * TLS on OpenSSL 3.0: certificates chosen by server name, server handshakes, records. Knows no
 * socket: bytes come and go through the caller's two functions, progress is told as "want read" or
 * "want write" (the shape of libtls).
 *
 * Nothing here is used by two threads at once except struct tls_cert_file, which is immutable. A
 * worker and its connections are created, used and destroyed by one thread: OpenSSL keeps state of
 * a library context in each thread that used it, and looks for the context when that thread ends.
 * Servers may be made and destroyed elsewhere: see tls_server_create().
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/counter.h"
#include "base/error.h"
#include "tls/tls_hello.h"

/* ---- certificates as files (any thread) ---- */

struct tls_cert_file; /* a chain and its key in memory, checked; immutable, reference-counted */

/*
 * Reads PEM files: the chain (leaf first) and the unencrypted key. Refuses, with the cause in *e:
 * files that cannot be read or parsed, a key that does not belong to the leaf, keys that clients do
 * not take (RSA under 2048 bits, curves that TLS 1.3 does not sign with), a second certificate that
 * did not issue the leaf, a leaf that its key usage keeps from serving, a leaf that is expired or
 * not yet valid at `now`, a leaf with no DNS name (subjectAltName, or common name where there is
 * none). `name` is the certificate's name in the configuration.
 */
struct tls_cert_file *tls_cert_file_load(const char *name, const char *chain_path,
                                         const char *key_path, time_t now, struct error *e);
struct tls_cert_file *tls_cert_file_ref(struct tls_cert_file *f);
void tls_cert_file_unref(struct tls_cert_file *f); /* the key is wiped with the last one */

const char *tls_cert_file_name(const struct tls_cert_file *f);
time_t tls_cert_file_expiry(const struct tls_cert_file *f);
/* The i-th DNS name (lower case; "*.example" for a wildcard), or NULL past the last. */
const char *tls_cert_file_dns(const struct tls_cert_file *f, unsigned i);

/* ---- per worker ---- */

#define TLS_COUNTERS(X)                                           \
    X(tls_handshakes_started, "TLS handshakes begun")             \
    X(tls_handshakes_completed, "TLS handshakes completed")       \
    X(tls_handshakes_resumed, "of those, resumed from a ticket")  \
    X(tls_handshakes_failed, "TLS handshakes that failed")        \
    X(tls_tls12, "connections that negotiated TLS 1.2")           \
    X(tls_tls13, "connections that negotiated TLS 1.3")           \
    X(tls_bytes_decrypted, "application bytes received over TLS") \
    X(tls_bytes_encrypted, "application bytes sent over TLS")     \
    X(tls_record_errors, "connections ended by a bad record or alert after the handshake")

COUNTER_STRUCT(tls_counters, TLS_COUNTERS);
extern const struct counter_table tls_counter_table;

struct tls_worker; /* one library context of OpenSSL's for each worker (its locks are not shared) */

struct tls_worker *tls_worker_create(struct error *e);
void tls_worker_destroy(struct tls_worker *w); /* after its servers and connections */
const struct tls_counters *tls_worker_counters(const struct tls_worker *w);

/* ---- servers: what one listener offers ---- */

#define TLS_VERSION_1_2       0x0303
#define TLS_VERSION_1_3       0x0304
#define TLS_TICKET_SECRET_LEN 80

struct tls_server_config {
    struct tls_cert_file *const *certs; /* at least one; the server keeps references */
    unsigned cert_count;
    int default_cert;                  /* index of the one for unknown or missing names, or -1 */
    uint16_t min_version, max_version; /* TLS_VERSION_* */
    const uint8_t *alpn; /* in order of preference, length byte and name each; may be NULL */
    size_t alpn_len;
    /* Equal on all workers: tickets of one are good on the others, for the server name they were
     * made for, in any server of the same secret. */
    uint8_t ticket_secret[TLS_TICKET_SECRET_LEN];
};

struct tls_server;

/*
 * Takes about a millisecond a certificate. So that a worker need not stand still for it, another
 * thread may make the server while the worker runs, and hand it over; that thread must end before
 * the worker is destroyed.
 */
struct tls_server *tls_server_create(struct tls_worker *w, const struct tls_server_config *config,
                                     struct error *e);
/* Live connections keep what they need of it. On the worker's thread; or on any once no connection
 * is left. */
void tls_server_destroy(struct tls_server *s);

/*
 * The certificate for a name (RFC 6125: exact first, then a wildcard for one leftmost label), or
 * for a client that sent none (NULL): an index, the default's, or -1: unrecognized_name. When
 * several certificates carry the name, the first one listed wins. `sni` is as in struct tls_hello.
 */
int tls_server_select(const struct tls_server *s, const char *sni);

/* Why this server cannot speak with a client that sent this hello, as a sentence for the log that
 * says what was offered, what we have, and what to change; or NULL when nothing stands against it.
 */
const char *tls_server_refusal(const struct tls_server *s, const struct tls_hello *hello, char *out,
                               size_t size);

/* The alert for such a client (RFC 8446, 6.2; RFC 7301, 3.2), or 0 when nothing stands against it.
 */
uint8_t tls_server_refusal_alert(const struct tls_server *s, const struct tls_hello *hello);

/* ---- connections ---- */

enum tls_result {
    TLS_DONE,
    TLS_WANT_READ,  /* call again when the transport has bytes */
    TLS_WANT_WRITE, /* call again when the transport has room */
    TLS_CLOSED,     /* read: the peer's close_notify came; nothing more will */
    TLS_FAILED,     /* fatal: tls_conn_error() says why; an alert may have been written */
};

/* The transport: both return the bytes moved, 0 when none can be moved now (a later call will), -1
 * when the stream has ended (read: EOF without close_notify) or is dead. */
struct tls_transport {
    ssize_t (*read)(void *ctx, void *out, size_t len);
    ssize_t (*write)(void *ctx, const void *data, size_t len);
};

struct tls_conn;

/* A server connection with the chosen certificate. `transport` outlives the connection; `ctx` is
 * passed to its functions. Returns NULL when memory is out. */
struct tls_conn *tls_conn_create(struct tls_server *s, int cert,
                                 const struct tls_transport *transport, void *ctx);
void tls_conn_destroy(struct tls_conn *c); /* sends nothing */

/* One step of the handshake: TLS_DONE when it is complete. Costs up to a signature and a key
 * exchange: the caller budgets it. */
enum tls_result tls_conn_handshake(struct tls_conn *c);

/*
 * Decrypts into out; *got > 0 with TLS_DONE. When the stream ends without close_notify it is
 * TLS_FAILED with tls_conn_truncated() true: what was read is genuine but may not be all, and
 * writing may go on for a client that half-closed that way.
 */
enum tls_result tls_conn_read(struct tls_conn *c, void *out, size_t len, size_t *got);

/* Encrypts up to len bytes, one record (16,384 bytes) a call; *taken says how many were consumed, >
 * 0 with TLS_DONE. After TLS_WANT_WRITE, call again with the same bytes first (they may have moved
 * in memory, and more may follow them). TLS_WANT_READ: the peer has sent half a handshake message.
 */
enum tls_result tls_conn_write(struct tls_conn *c, const void *data, size_t len, size_t *taken);

/* Writes our close_notify (once). TLS_DONE or TLS_WANT_WRITE, also as long as a tls_conn_write() is
 * to be repeated; TLS_FAILED when it cannot be sent any more. Reading may go on (RFC 8446, 6.1),
 * and the peer's close_notify does not end our writing. */
enum tls_result tls_conn_close_notify(struct tls_conn *c);

/* True when the peer's stream ended without close_notify. */
bool tls_conn_truncated(const struct tls_conn *c);

/* True when decrypted or undecrypted bytes wait inside, so that a read is worth a call without news
 * from the transport. */
bool tls_conn_pending(const struct tls_conn *c);

/* After TLS_FAILED: one line with OpenSSL's reason or the peer's alert in plain words. */
const char *tls_conn_error(const struct tls_conn *c);

struct tls_conn_info {
    const char *version;        /* "TLSv1.3" */
    const char *cipher, *group; /* group: "" when resumed without key exchange */
    const char *certificate;    /* the configuration's name of it */
    char alpn[64];              /* "" when none */
    bool resumed;
};

void tls_conn_info(const struct tls_conn *c, struct tls_conn_info *out);

/*
 * Writes an unencrypted fatal alert record for a client that is refused before a tls_conn exists
 * (RFC 8446, 6.2). Returns its length.
 */
#define TLS_ALERT_RECORD_LEN              7
#define TLS_ALERT_HANDSHAKE_FAILURE       40
#define TLS_ALERT_DECODE_ERROR            50
#define TLS_ALERT_PROTOCOL_VERSION        70
#define TLS_ALERT_ACCESS_DENIED           49
#define TLS_ALERT_INTERNAL_ERROR          80
#define TLS_ALERT_UNRECOGNIZED_NAME       112
#define TLS_ALERT_NO_APPLICATION_PROTOCOL 120
size_t tls_alert_record(uint8_t alert, uint8_t out[TLS_ALERT_RECORD_LEN]);

#endif
