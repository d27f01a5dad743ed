/*
 * The proxy layer of one worker: listeners, sessions, backends. It joins the sockets of the
 * worker's stack to TLS and to each other as the policy decides. One thread; nothing is shared with
 * other workers except immutable snapshots.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/error.h"
#include "policy/policy.h"
#include "proxy/proxy_record.h"
#include "proxy/proxy_server.h"
#include "stack/packet.h"
#include "stack/stack.h"
#include "tls/tls.h"

#define PROXY_COUNTERS(X)                                                               \
    X(sessions_opened, "client connections taken")                                      \
    X(sessions_closed, "sessions ended, for whatever reason")                           \
    X(sessions_refused, "client connections refused for want of session memory")        \
    X(sessions_terminated, "sessions whose TLS we terminate")                           \
    X(sessions_spliced, "sessions spliced")                                             \
    X(sessions_rejected, "sessions rejected by a rule, or by the absence of one")       \
    X(hello_not_tls, "clients that spoke no TLS where a ClientHello was expected")      \
    X(hello_malformed, "broken ClientHellos")                                           \
    X(hello_too_large, "ClientHellos over the size limit")                              \
    X(hello_unknown_name, "clients that asked for a name without certificate")          \
    X(hello_refused, "clients whose offer (TLS version) we cannot accept")              \
    X(timeout_hello, "sessions ended waiting for the ClientHello")                      \
    X(timeout_handshake, "sessions ended waiting for the TLS handshake")                \
    X(timeout_idle, "sessions ended by the idle timeout")                               \
    X(timeout_half_closed, "sessions ended half-closed")                                \
    X(timeout_drain, "sessions cut at the end of the drain time")                       \
    X(backend_connects, "connections to backend servers attempted")                     \
    X(backend_connect_failed, "of those, failed or timed out")                          \
    X(backend_retries, "connections tried on the next server")                          \
    X(backend_unavailable, "sessions for which no server of the backend answered")      \
    X(client_resets, "sessions reset by the client")                                    \
    X(backend_resets, "sessions reset by the server")                                   \
    X(bytes_from_clients, "payload bytes from clients passed to servers")               \
    X(bytes_from_backends, "payload bytes from servers passed to clients")              \
    X(handshakes_deferred, "handshake steps put off to a later round by the budget")    \
    X(handshakes_evicted, "half-open TLS handshakes given up for newer ones: too many") \
    X(handshakes_refused, "TLS handshakes refused: too many, none of them half-open")   \
    X(sessions_limited, "client connections refused by the firewall's limits")          \
    X(handshakes_limited, "TLS handshakes refused by the firewall's limits")            \
    X(proxy_header_accepted, "PROXY headers taken from trusted peers")                  \
    X(proxy_header_malformed, "connections ended by a malformed PROXY header")          \
    X(proxy_header_missing, "connections of trusted peers without a PROXY header")      \
    X(proxy_header_timeout, "connections ended waiting for the PROXY header")           \
    X(backend_handshake_failed, "TLS handshakes with servers that failed")              \
    X(backend_timeout_handshake, "of those, for want of an answer in time")             \
    X(health_checks, "health checks made")                                              \
    X(health_checks_failed, "health checks that failed")                                \
    X(servers_went_down, "servers taken out by health checks")                          \
    X(servers_came_up, "servers put back by health checks")                             \
    X(servers_ejected, "servers left out for failures of real connections")

COUNTER_STRUCT(proxy_counters, PROXY_COUNTERS);
extern const struct counter_table proxy_counter_table;

/*
 * One generation of the configuration as a worker uses it. Made by appliance/ for each worker; the
 * proxy tells through `released` when the last session under it has ended and it is not current any
 * more.
 */
struct proxy_snapshot {
    const struct policy *policy;
    struct tls_server **tls;         /* by policy_listener.index; NULL for listeners without tls */
    struct tls_client **backend_tls; /* by policy_backend.index; NULL for backends without tls */
    struct proxy_server ***servers;  /* by policy_backend.index, then as policy_backend.servers */
    struct proxy_maglev **maglev;    /* by policy_backend.index; NULL without source hash */
    uint64_t *rule_hits;    /* by policy_rule.index; this worker's, COUNTER_INC'd by the proxy */
    const uint8_t *classes; /* scheduler class by policy_class.index */
    void (*released)(struct proxy_snapshot *snapshot);
    void *owner;       /* appliance's */
    uint32_t sessions; /* the proxy's: sessions under this snapshot */
};

/*
 * What the proxy asks and tells others, on its worker's thread; each may be NULL. opened() is
 * called for each client connection: false refuses it (RST); *handle is given back to closed(),
 * once for each that was opened. handshake() is asked before a client's TLS handshake costs
 * anything: false refuses it (RST). `source` is the connection's peer for opened(), and the client
 * as a PROXY header of a trusted peer has it for handshake(). ended() gets each opened session's
 * record once.
 */
struct proxy_hooks {
    void *ctx;
    bool (*opened)(void *ctx, const struct packet_label *label, const struct ip_addr *source,
                   uint64_t *handle);
    void (*closed)(void *ctx, uint64_t handle);
    bool (*handshake)(void *ctx, const struct packet_label *label, const struct ip_addr *source,
                      clock_ns now);
    void (*ended)(void *ctx, const struct proxy_record *record); /* valid during the call */
};

struct proxy_config {
    struct stack *stack; /* outlives the proxy */
    uint32_t max_sessions;
    uint32_t max_handshakes;   /* unfinished TLS handshakes at a time; 0: max_sessions / 16, but at
                                  least 64 */
    clock_ns handshake_budget; /* time for handshake work a round, at least one step; 0: 500 us */
    const char *name;          /* for log lines, e.g. "worker 0" */
    unsigned worker, workers;  /* which of how many (0: 1): health checks are shared out */
    struct proxy_hooks hooks;
};

struct proxy;

struct proxy *proxy_create(const struct proxy_config *config, struct error *e);

/* Ends every session (RST) and frees; releases the snapshots. */
void proxy_destroy(struct proxy *p);

/*
 * Makes a snapshot current: opens its listeners, closes those that it does not have; sessions go on
 * under theirs. On failure (the cause in *e) the former snapshot stays current and this one is not
 * released. The proxy then owns the pointer until `released`.
 */
int proxy_apply(struct proxy *p, struct proxy_snapshot *snapshot, struct error *e);

/* Handles all events of the stack, then a bounded amount of handshake work, then timers. Call once
 * a round between stack_input() and stack_flush(). */
void proxy_run(struct proxy *p, clock_ns now);

/* When proxy_run() must be called though no packet came; `now` or earlier when work is queued. */
clock_ns proxy_deadline(const struct proxy *p);

/* Stops accepting; sessions that are not ended by `deadline` are cut. */
void proxy_drain(struct proxy *p, clock_ns deadline);

/* Fills up to `max` records of living sessions whose id is over `after`, ascending; returns how
 * many. Takes time in proportion to the sessions: a few hundred a call. */
unsigned proxy_sessions(struct proxy *p, uint64_t after, struct proxy_record *out, unsigned max);

/* One session. Returns false when it is gone. */
bool proxy_session_find(struct proxy *p, uint64_t id, struct proxy_record *out);

uint32_t proxy_session_count(const struct proxy *p);
const struct proxy_counters *proxy_counters(const struct proxy *p);

#endif
