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
/* The same for a certificate that only we show to servers: its key usage must allow clients, and
 * it needs no DNS name. */
struct tls_cert_file *tls_cert_file_load_client(const char *name, const char *chain_path,
                                                const char *key_path, time_t now, struct error *e);
struct tls_cert_file *tls_cert_file_ref(struct tls_cert_file *f);
void tls_cert_file_unref(struct tls_cert_file *f); /* the key is wiped with the last one */

/*
 * A copy that staples an OCSP response (RFC 6960, DER) in handshakes of clients that ask for it
 * (RFC 6066, 8; RFC 8446, 4.4.2.1). Refuses a file that is no successful response, is not about the
 * leaf, says other than "good", has no nextUpdate, or is not signed by the leaf's issuer or its
 * responder (where the chain has the issuer). A response is not stapled once it is over, which it
 * may be already at `now`.
 */
struct tls_cert_file *tls_cert_file_with_ocsp(struct tls_cert_file *f, const char *path, time_t now,
                                              struct error *e);
time_t tls_cert_file_ocsp_expiry(const struct tls_cert_file *f); /* 0: there is none */

/* RFC 7633: clients that know the extension refuse the certificate without a staple. */
bool tls_cert_file_must_staple(const struct tls_cert_file *f);

/* Certificates of authorities, from a PEM file; or the system's where path is NULL. Immutable,
 * reference-counted. */
struct tls_ca_file;
struct tls_ca_file *tls_ca_file_load(const char *path, struct error *e);
struct tls_ca_file *tls_ca_file_ref(struct tls_ca_file *f);
void tls_ca_file_unref(struct tls_ca_file *f);

const char *tls_cert_file_name(const struct tls_cert_file *f);
const char *tls_cert_file_subject(const struct tls_cert_file *f); /* RFC 4514 */
const char *tls_cert_file_issuer(const struct tls_cert_file *f);
time_t tls_cert_file_expiry(const struct tls_cert_file *f);
/* The i-th DNS name (lower case; "*.example" for a wildcard), or NULL past the last. */
const char *tls_cert_file_dns(const struct tls_cert_file *f, unsigned i);

/* ---- per worker ---- */

#define TLS_COUNTERS(X)                                                                    \
    X(tls_handshakes_started, "TLS handshakes begun")                                      \
    X(tls_handshakes_completed, "TLS handshakes completed")                                \
    X(tls_handshakes_resumed, "of those, resumed from a ticket")                           \
    X(tls_handshakes_failed, "TLS handshakes that failed")                                 \
    X(tls_tls12, "connections that negotiated TLS 1.2")                                    \
    X(tls_tls13, "connections that negotiated TLS 1.3")                                    \
    X(tls_bytes_decrypted, "application bytes received over TLS")                          \
    X(tls_bytes_encrypted, "application bytes sent over TLS")                              \
    X(tls_record_errors, "connections ended by a bad record or alert after the handshake") \
    X(tls_client_certificates, "handshakes in which the client proved a certificate")      \
    X(tls_client_certificates_refused,                                                     \
      "handshakes refused for the client's certificate or its lack")                       \
    X(tls_ocsp_stapled, "handshakes with a stapled OCSP response")                         \
    X(tls_backend_handshakes_completed, "TLS handshakes with servers completed")           \
    X(tls_backend_handshakes_failed, "TLS handshakes with servers that failed")            \
    X(tls_backend_handshakes_resumed, "of those completed, resumed")

COUNTER_STRUCT(tls_counters, TLS_COUNTERS);
extern const struct counter_table tls_counter_table;

struct tls_worker; /* one library context of OpenSSL's for each worker (its locks are not shared) */

struct tls_worker *tls_worker_create(struct error *e);
void tls_worker_destroy(struct tls_worker *w); /* after its servers and connections */
const struct tls_counters *tls_worker_counters(const struct tls_worker *w);

/* Wall-clock time, by which peers' certificates, tickets and OCSP responses are judged; time()
 * until it is set. Before servers and clients are made. */
void tls_worker_set_clock(struct tls_worker *w, time_t (*now)(void));

/* ---- servers: what one listener offers ---- */

#define TLS_VERSION_1_2       0x0303
#define TLS_VERSION_1_3       0x0304
#define TLS_TICKET_SECRET_LEN 80

/* Versions, suites, groups and signature algorithms together (those of Mozilla's server-side TLS
 * recommendations): modern is TLS 1.3 only, whatever min_version says; intermediate adds TLS 1.2
 * with ECDHE and AEAD. */
enum tls_profile { TLS_PROFILE_INTERMEDIATE, TLS_PROFILE_MODERN };

enum tls_client_auth { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

/*
 * Keys of session tickets, the same on every machine with the same secret: the key of an epoch
 * (wall-clock time divided by `rotation`) is derived from the secret (HKDF, RFC 5869). Tickets are
 * made with the current epoch's key and opened with it, the one before and (clocks differ) the one
 * after. Pure functions of (secret, epoch): nothing to distribute, nothing to rotate by hand.
 */
struct tls_ticket_config {
    uint8_t secret[TLS_TICKET_SECRET_LEN]; /* master secret; derive one from a file with
                                              tls_ticket_secret_load() */
    uint32_t rotation;                     /* seconds; 0: 43,200 */
};

/* Reads a secret shared by several machines: a file of 32 to 4,096 bytes that nobody else may read
 * (group and others: refused). */
int tls_ticket_secret_load(const char *path, uint8_t out[TLS_TICKET_SECRET_LEN], struct error *e);

struct tls_server_config {
    struct tls_cert_file *const *certs; /* at least one; the server keeps references */
    unsigned cert_count;
    int default_cert;                  /* index of the one for unknown or missing names, or -1 */
    uint16_t min_version, max_version; /* TLS_VERSION_* */
    const uint8_t *alpn; /* in order of preference, length byte and name each; may be NULL */
    size_t alpn_len;
    enum tls_profile profile;
    enum tls_client_auth client_auth;
    struct tls_ca_file *client_ca; /* who may have signed clients' certificates; referenced */
    /* Equal on all workers: tickets of one are good on the others, for the server name they were
     * made for, in any server of the same secret. With client_auth, tickets are bound to client_ca.
     */
    struct tls_ticket_config tickets;
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

/* ---- clients: what one backend expects of its servers ---- */

struct tls_client_config {
    bool verify;                       /* chain and name; off only where the user says so */
    struct tls_ca_file *ca;            /* referenced */
    const char *server_name;           /* NULL: given with each connection */
    struct tls_cert_file *certificate; /* shown when asked for; may be NULL */
    uint16_t min_version, max_version;
    const uint8_t *alpn;
    size_t alpn_len;
};

struct tls_client;

/* As tls_server_create() and tls_server_destroy(). Keeps a bounded cache of sessions to resume. */
struct tls_client *tls_client_create(struct tls_worker *w, const struct tls_client_config *config,
                                     struct error *e);
void tls_client_destroy(struct tls_client *c);

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
/*
 * A client connection to a server. `name` is asked for (SNI, unless it is an address) and verified
 * where the configuration names none; it may be an address in text (then an iPAddress of the
 * certificate must match). It may be NULL only where nothing is verified. Returns NULL when memory
 * is out, or there is no name to verify. The other functions are the same for both;
 * tls_conn_error() says what was expected of the certificate and what came.
 */
struct tls_conn *tls_conn_create_client(struct tls_client *c, const char *name,
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

/* The same without consuming: what it gives, of one record at most, is given again by the next
 * tls_conn_peek() or tls_conn_read(). */
enum tls_result tls_conn_peek(struct tls_conn *c, void *out, size_t len, size_t *got);

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
    char peer[128]; /* subject of the peer's certificate (RFC 4514), "" when none was shown */
    bool peer_verified;
    bool ocsp_stapled;
};

void tls_conn_info(const struct tls_conn *c, struct tls_conn_info *out);

/* The common name of the peer's certificate in UTF-8, of several the last, for those who decide by
 * it. Whole or not at all: "" where there is none, or it does not fit, or has a NUL in it. */
void tls_conn_common_name(const struct tls_conn *c, char *out, size_t size);

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
