/*
 * What the proxy's tests share: a proxy on a fake stack and a virtual clock, a policy made by hand,
 * real TLS clients of OpenSSL's, and the log as text.
 *
 *   listeners  https 192.0.2.10:443 (tls: shop.example, *.shop.example)
 *              plain 192.0.2.10:80, postgres 192.0.2.10:5432
 *   backends   web 10.0.0.11:8080, 10.0.0.12:8080, 10.0.0.13:8080;  legacy 10.0.0.20:443
 */
#ifndef TESTS_UNIT_PROXY_RIG_H
#define TESTS_UNIT_PROXY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "fake_stack.h"
#include "proxy/proxy.h"

#define RIG_SESSIONS         64
#define RIG_WORKERS          4 /* that servers are counted for */

#define RIG_HTTPS_ADDRESS    "192.0.2.10:443"
#define RIG_PLAIN_ADDRESS    "192.0.2.10:80"
#define RIG_POSTGRES_ADDRESS "192.0.2.10:5432"

/* Lines of YAML, to be put together. */
#define RIG_HTTPS                "  https: {bind: \"192.0.2.10:443\", tls: {certificates: [shop]}}\n"
#define RIG_PLAIN                "  plain: {bind: \"192.0.2.10:80\"}\n"
#define RIG_POSTGRES             "  postgres: {bind: \"192.0.2.10:5432\"}\n"

#define RIG_RULE_(match, action) "  - {match: {" match "}, action: " action "}\n"
#define RIG_TERMINATE(match)     RIG_RULE_(match, "terminate, backend: web")
#define RIG_SPLICE(match, to)    RIG_RULE_(match, "splice, backend: " to)
#define RIG_REJECT(match)        RIG_RULE_(match, "reject")

struct rig_config {
    struct proxy_snapshot snapshot; /* owner: this */
    struct policy *policy;
    struct tls_server *servers[8];
    struct tls_client *clients[8];
    uint64_t rule_hits[8];
    uint8_t classes[8];
    unsigned released;
};

/* What the proxy told through its hooks, and how they answer. */
struct rig_hooks {
    bool refuse_sessions, refuse_handshakes;
    unsigned opened, closed, handshakes, ended;
    uint64_t handles; /* the sum of those given and not yet given back */
    struct packet_label label;
    struct ip_addr source;
    struct proxy_record record; /* of the last session that ended */
};

struct rig {
    clock_ns now;
    struct stack *stack;
    struct proxy *proxy;
    struct rig_config config; /* the first one */
    struct rig_hooks hooks;
};

/* For cmocka's group: certificates and TLS contexts are made once. */
int rig_group_setup(void **state);
int rig_group_teardown(void **state);

/* Parses a configuration of these listeners and rules; freed by rig_config_free(). */
void rig_config_init(struct rig_config *c, const char *listeners, const char *rules);
void rig_config_free(struct rig_config *c);

/* For each test: a proxy with the three listeners and these rules applied. */
struct rig *rig_create(const char *rules);
/* The same with other settings of the proxy. */
struct rig *rig_create_with(const struct proxy_config *settings, const char *rules);
/* Of the first configuration, to be changed before there are sessions. */
struct policy_backend *rig_backend(struct rig *r, const char *name);
struct policy_listener *rig_listener(struct rig *r, const char *name);
/* Destroys the proxy and asserts that every session and socket was given up, and that the hooks
 * were told of each once. */
void rig_destroy(struct rig *r);

void rig_round(struct rig *r);                /* one proxy_run() */
void rig_settle(struct rig *r);               /* rounds until nothing is left to do now */
void rig_advance(struct rig *r, clock_ns by); /* time passes, each deadline is met */

#define rig_counter(r, name) (proxy_counters((r)->proxy)->name)

/* Everything logged since the last call, the text valid until the next. Asserts that it has `part`.
 */
const char *rig_log(struct rig *r);
void rig_log_expect(struct rig *r, const char *part);

/* A client that has connected and whose connection the proxy has taken. */
struct sock *rig_client(struct rig *r, const char *listener_address, const char *remote);

/* Asserts why the last session ended. */
void rig_expect_reason(struct rig *r, const char *part);

void rig_send(struct sock *k, const char *text);
/* Asserts that the peer gets exactly this, and nothing more now. */
void rig_expect(struct sock *k, const char *text);
void rig_expect_nothing(struct sock *k);

/* A ClientHello as OpenSSL sends it; `sni` may be NULL. Returns its length. */
size_t rig_hello(const char *sni, int max_version, uint8_t *out, size_t size);
/* Asserts that the peer gets exactly this fatal alert, unencrypted. */
void rig_expect_alert(struct sock *k, uint8_t alert);

/* ---- TLS clients and servers ---- */

struct rig_tls {
    struct sock *sock;
    SSL *ssl;
    bool closed; /* the other end's close_notify came */
};

enum rig_server_cert {
    RIG_SERVER_GOOD,
    RIG_SERVER_OTHER_NAME,
    RIG_SERVER_EXPIRED,
    RIG_SERVER_STRANGER
};

/* Makes the servers of a backend speak TLS; `server_name` may be NULL. Their good certificate is of
 * the authority that is trusted, for server.example, shop.example and 10.0.0.20. */
void rig_backend_tls(struct rig *r, const char *backend, const char *server_name);
/* The server's end of a connection that the proxy has opened. */
void rig_tls_serve(struct rig_tls *t, struct sock *k, enum rig_server_cert cert);
/* Pumps and runs rounds until the server's handshake is done or has failed; true when done. */
bool rig_tls_accept(struct rig *r, struct rig_tls *t);

void rig_tls_open(struct rig_tls *t, struct sock *k, const char *sni);
void rig_tls_free(struct rig_tls *t);
/* Moves what is there both ways between OpenSSL and the socket. */
void rig_tls_pump(struct rig_tls *t);
/* Pumps and runs rounds until the handshake is done; asserts it. */
void rig_tls_handshake(struct rig *r, struct rig_tls *t);
void rig_tls_send(struct rig_tls *t, const void *data, size_t len);
/* Reads what has come; returns the bytes. */
size_t rig_tls_read(struct rig_tls *t, void *out, size_t size);
void rig_tls_close_notify(struct rig_tls *t);

#endif
