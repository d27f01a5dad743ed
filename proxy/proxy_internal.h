/* What the files of the proxy share. The theory of operation stands at the top of proxy_session.c.
 */
#ifndef PROXY_PROXY_INTERNAL_H
#define PROXY_PROXY_INTERNAL_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/pool.h"
#include "base/wheel.h"
#include "policy/policy.h"
#include "proxy/proxy.h"
#include "proxy/proxy_balance.h"
#include "stack/event.h"
#include "stack/socket.h"
#include "tls/tls.h"
#include "tls/tls_hello.h"

/* One TLS record of plaintext (RFC 8446, 5.1), and a whole ClientHello. */
#define PROXY_SCRATCH 16384
static_assert(PROXY_SCRATCH >= TLS_HELLO_MAX, "a ClientHello is parsed in the scratch buffer");

/* Bytes that a session may move one way before the others have their turn. */
#define PROXY_QUANTUM 65536u

/* Probes find a peer that vanished without a word (RFC 9293, 3.8.4) before the idle timeout does,
 * where that is set to hours. */
#define PROXY_KEEPALIVE (120 * CLOCK_SEC)

/* How long a client may take to see our last words (proxy_session_linger()). */
#define PROXY_LINGER (5 * CLOCK_SEC)

/* Of a server name; longer ones are kept apart (struct session_extra). */
#define SESSION_NAME_MAX 40

/* What is kept of why a server could not be used. */
#define PROXY_ERROR_MAX 400

/* Each state's duties and exits are in the table at the top of proxy_session.c. */
enum session_state {
    SESSION_CLIENT_HEADER,
    SESSION_HELLO,
    SESSION_HANDSHAKE,
    SESSION_CONNECTING,
    SESSION_SERVER_HANDSHAKE,
    SESSION_RELAY,
    SESSION_CLOSING,
};

/* Every session is on exactly one of these lists. */
enum session_queue {
    QUEUE_WAITING,   /* for an event or a timer */
    QUEUE_HANDSHAKE, /* has handshake work to do; first come, first served */
    QUEUE_ANSWER,    /* in a handshake, for the peer's answer; the longest waiting first */
    QUEUE_READY,     /* has more bytes to move; each gets its turn */
    QUEUE_COUNT,
};

/* The two directions of a relay, as bits of work to do. */
#define WORK_REQUEST  0x01 /* from the client to the server */
#define WORK_RESPONSE 0x02 /* from the server to the client */

/* One end of a session (proxy_side.c). */
struct proxy_side {
    struct sock *sock;    /* owned; NULL while there is none */
    struct tls_conn *tls; /* owned; NULL: plain */
    uint8_t flags;
};

#define SIDE_FINISHED      0x01 /* our end of stream went out: it sees an orderly end */
#define SIDE_ENDED         0x02 /* the peer's close_notify was read */
#define SIDE_DEAD          0x04 /* its socket reported an error */
#define SIDE_READ_BLOCKED  0x08 /* reading TLS waits for room in our own send queue */
#define SIDE_WRITE_BLOCKED 0x10 /* writing TLS waits for bytes of the peer */

/* What only some sessions have. */
struct session_extra {
    bool proxied;                           /* a PROXY header told of these */
    struct ip_endpoint source, destination; /* the client, and where it connected to */
    char name[TLS_HELLO_NAME_MAX + 1];      /* a server name too long for the session; or "" */
};

/* session.server_flags */
#define SERVER_STOOD    0x01 /* its connection stood: bytes could be passed on */
#define SERVER_ANSWERED 0x02 /* and some of them were the server's */
#define SERVER_TRIAL    0x04 /* the session is the server's trial (proxy_ejection.c) */

struct session {
    struct wheel_timer timer;
    TAILQ_ENTRY(session) link; /* of p->queue[queue] */
    struct proxy *proxy;
    struct proxy_generation *generation;
    const struct policy_listener *listener; /* of the generation's policy, as is the rule */
    const struct policy_rule *rule;         /* NULL until the policy has decided */
    struct proxy_side client;               /* always has its socket */
    struct proxy_side backend;
    struct proxy_server *server; /* that `backend` is connected to, or being so; else NULL */
    struct session_extra *extra; /* owned; mostly NULL */
    uint64_t limit_handle;       /* of proxy_hooks.opened() */
    clock_ns opened;
    clock_ns active;                    /* when bytes last came or moved, or the state began */
    uint64_t from_client, from_backend; /* payload bytes passed on */
    /* Microseconds after `opened`, at most 71 minutes; 0: not yet. */
    uint32_t at_hello, at_handshake, at_connect, at_first_byte;
    /* Where the way round began, how far it went, how many were tried. */
    uint16_t server_first, server_step, server_tries;
    uint16_t hello_need; /* bytes without which parsing (of the PROXY header, of
                            the ClientHello) is of no use */
    uint16_t round;      /* in which handshake work was queued */
    uint8_t state, queue, work, server_flags;
    char name[SESSION_NAME_MAX]; /* server name, "" when none: proxy_session_name() */
};
static_assert(sizeof(struct session) <= 256, "an idle session is four cache lines");

/* One of the two streams has ended, and its end was passed on. */
static inline bool session_half_closed(const struct session *s)
{
    return ((s->client.flags | s->backend.flags) & SIDE_FINISHED) != 0;
}

TAILQ_HEAD(session_list, session);

/* Per worker and generation: who is next, and what was wrong with each server last. */
struct proxy_backend {
    struct proxy_balance balance;
    char (*last_error)[PROXY_ERROR_MAX]; /* by server */
};

/* A snapshot with the worker's own state for it. Lives while it is current or has sessions. */
struct proxy_generation {
    TAILQ_ENTRY(proxy_generation) link;
    struct proxy_snapshot *snapshot;
    struct proxy_backend *backends; /* by policy_backend.index */
    struct proxy_check *checks;     /* those that are this worker's, by server; run while current */
    unsigned check_count;
};

struct proxy_listener {
    TAILQ_ENTRY(proxy_listener) link;
    struct proxy *proxy;
    struct sock *sock;                    /* its user pointer is this listener */
    const struct policy_listener *config; /* of the current generation */
    struct ip_endpoint bind;
};

TAILQ_HEAD(proxy_listener_list, proxy_listener);
TAILQ_HEAD(proxy_generation_list, proxy_generation);

struct proxy {
    struct stack *stack;
    char name[32];
    clock_ns now; /* of the current round */
    unsigned worker, workers;
    unsigned phase; /* of the next generation's balancing */
    uint16_t round;
    bool draining;
    struct wheel_timer drain;
    uint32_t handshake_steps; /* a round, at least 1 */
    uint32_t max_handshakes;  /* at a time */
    struct pool sessions, extras;
    uint64_t *ids; /* by place in `sessions`; 0: free. Apart, so that looking for one touches no
                      session */
    uint64_t next_id;
    struct proxy_hooks hooks;
    struct session_list queue[QUEUE_COUNT];
    uint32_t queued[QUEUE_COUNT];
    struct proxy_listener_list listeners;
    struct proxy_generation_list generations;
    struct proxy_generation *current;
    struct proxy_counters counters;
    /* Apart, so that a flood of bad clients cannot hide a dead server. */
    struct log_limit client_lines, backend_lines;
    struct wheel wheel;
    alignas(
        16) uint8_t scratch[PROXY_SCRATCH]; /* valid within one call; no session keeps payload */
};

/* What moving one direction came to. */
enum relay_result {
    RELAY_IDLE,         /* nothing to do before the next event */
    RELAY_MORE,         /* the quantum is used up, there may be more */
    RELAY_READ_FAILED,  /* TLS of the side that was read: tls_conn_error() says why */
    RELAY_WRITE_FAILED, /* of the side that was written */
};

enum side_status {
    SIDE_OK,
    SIDE_WAIT,  /* an event of the side will follow */
    SIDE_END,   /* of the peer's stream, in order */
    SIDE_FAILED /* TLS; of reading also: ended without close_notify, tls_conn_truncated() */
};

/* proxy_queue.c */
void proxy_queue_init(struct proxy *p);
void proxy_queue_add(struct session *s, enum session_queue queue);
void proxy_queue_move(struct session *s, enum session_queue queue);
void proxy_queue_remove(struct session *s);

/* proxy_generation.c */
struct proxy_generation *proxy_generation_create(struct proxy *p, struct proxy_snapshot *snapshot,
                                                 struct error *e);
void proxy_generation_free(struct proxy_generation *g); /* without releasing the snapshot */
/* Releases the generations that are neither current nor in use. Never called from within a
 * session's work, which may still look at its policy. */
void proxy_generation_reap(struct proxy *p);

static inline const struct policy *generation_policy(const struct proxy_generation *g)
{
    return g->snapshot->policy;
}

/* proxy_listener.c */
int proxy_listener_apply(struct proxy *p, const struct policy *policy, struct error *e);
void proxy_listener_accept(struct proxy_listener *l);
void proxy_listener_close_all(struct proxy *p);
void proxy_listener_options(struct sock_options *out);

/* proxy_session.c. A call that may end the session says so; `s` is dead when it returns. */
void proxy_session_open(struct proxy_listener *l, struct sock *client);
void proxy_session_event(struct session *s, const struct event *ev); /* may end */
/* Ends it. `why` goes to the log. */
void proxy_session_end(struct session *s, const char *why);
void proxy_session_end_all(struct proxy *p, const char *why);
/* Gives up everything but the client's socket, sends the FIN, and waits for the client to have seen
 * our last words. May end. */
void proxy_session_linger(struct session *s, const char *why);

void proxy_session_rule(struct session *s, const struct policy_rule *rule); /* it decides */
/* Never NULL: there are as many as sessions. */
struct session_extra *proxy_session_extra(struct session *s);
/* The client as the PROXY header has it, else as the connection does; where it connected to. */
void proxy_session_client(const struct session *s, struct ip_endpoint *out);
void proxy_session_destination(const struct session *s, struct ip_endpoint *out);
const char *proxy_session_name(const struct session *s);

/* Notes how long after its beginning something came; the first time counts. */
static inline void session_mark(const struct session *s, uint32_t *at)
{
    clock_ns elapsed = (s->proxy->now - s->opened) / CLOCK_US;

    if (*at == 0)
        *at = elapsed == 0 ? 1 : elapsed < UINT32_MAX ? (uint32_t)elapsed : UINT32_MAX;
}

/* proxy_class.c */
const struct policy_class *proxy_class_of(const struct session *s); /* NULL: none */
void proxy_class_apply(struct session *s);                          /* to the client's side */
void proxy_class_options(const struct session *s, struct sock_options *out); /* for the server's */

/* proxy_record.c */
void proxy_record_fill(const struct session *s, struct proxy_record *out);
void proxy_record_end(const struct session *s, const char *why); /* tells proxy_hooks.ended() */

/* proxy_client_header.c. All but the first may end. */
bool proxy_client_header_due(const struct session *s);
void proxy_client_header_begin(struct session *s);
void proxy_client_header_read(struct session *s);
void proxy_client_header_timeout(struct session *s);

/* proxy_hello.c: what the policy makes of a client. All may end. */
void proxy_hello_begin(struct session *s);
void proxy_hello_read(struct session *s);

/* proxy_refuse.c: last words for a client that is not served. All may end. */
void proxy_refuse_alert(struct session *s, uint8_t alert, const char *why);
void proxy_refuse_plain_http(struct session *s);
bool proxy_refuse_is_http(const uint8_t *data, size_t len);

/* proxy_handshake.c */
/* Takes the client's TLS with the chosen certificate. May end. */
void proxy_handshake_begin(struct session *s, struct tls_server *server, int cert);
void proxy_handshake_queue(struct session *s);
/* Makes room for one more. False when all of them wait for us, not for their peers. */
bool proxy_handshake_room(struct proxy *p);
void proxy_handshake_run(struct proxy *p);
void proxy_handshake_lost(struct session *s);    /* says that the client's socket died in it */
uint32_t proxy_handshake_steps(clock_ns budget); /* that it buys in a round */

/* proxy_backend.c. These may end. */
void proxy_backend_connect(struct session *s);
/* The chosen server cannot be used, nothing of the client's was passed on yet: the next one. `why`
 * goes to the log. */
void proxy_backend_failed(struct session *s, const char *why);
/* The same where it need not be the server's fault: it is not ejected for it. */
void proxy_backend_declined(struct session *s, const char *why);
/* The rest never ends the session. Bytes can be passed on; some were. */
void proxy_backend_stands(struct session *s);
void proxy_backend_sent(struct session *s, uint32_t bytes);
void proxy_backend_received(struct session *s, uint32_t bytes);
/* Before the server's socket is given up, if there is one: counts what became of it. */
void proxy_backend_release(struct session *s);

/* This worker's line of session.server. */
static inline struct proxy_server_worker *session_server(const struct session *s)
{
    return &s->server->worker[s->proxy->worker];
}

/* proxy_ejection.c */
/* May the session try the server now? False when another one is its trial. */
bool proxy_ejection_admit(struct session *s, struct proxy_server *server);
/* What became of session.server's connection: it failed or was reset without an answer; it
 * answered; or it ended without telling anything. */
void proxy_ejection_failed(struct session *s, const char *why);
void proxy_ejection_answered(struct session *s);
void proxy_ejection_abandoned(struct session *s);

/* proxy_health.c */
int proxy_health_create(struct proxy *p, struct proxy_generation *g); /* -1: out of memory */
/* Starts the checks of the generation, and ends those of the former one (may be NULL). */
void proxy_health_begin(struct proxy *p, struct proxy_generation *g, struct proxy_generation *from);
void proxy_health_stop(struct proxy *p, struct proxy_generation *g);
bool proxy_health_owns(const void *user); /* an event's: is it for proxy_health_event()? */
void proxy_health_event(const struct event *ev);

/* proxy_upstream.c: the chosen server's connection until bytes can be passed on. All may end. */
void proxy_upstream_connected(struct session *s);
void proxy_upstream_event(struct session *s, uint32_t what); /* in SESSION_SERVER_HANDSHAKE */
void proxy_upstream_handshake(struct session *s, enum tls_result result); /* a step's */
void proxy_upstream_timeout(struct session *s);

/* proxy_relay.c: both directions, and how a session ends from there. Both may end. */
void proxy_relay_begin(struct session *s);
void proxy_relay_client_event(struct session *s, uint32_t what);
void proxy_relay_backend_event(struct session *s, uint32_t what);
void proxy_relay_turn(struct session *s);

/* proxy_pump.c: one direction, up to a quantum. */
enum relay_result proxy_pump_request(struct session *s);
enum relay_result proxy_pump_response(struct session *s);

/* proxy_side.c */
extern const struct tls_transport proxy_side_transport; /* its ctx is the side's socket */
/* Copies the next bytes of the peer; *got > 0 with SIDE_OK. They stay until they are skipped. */
enum side_status proxy_side_peek(struct proxy_side *side, void *out, size_t len, size_t *got);
/* Consumes `len` bytes of those seen; may overwrite the copy. */
void proxy_side_skip(struct proxy_side *side, void *seen, size_t len);
/* How many bytes are worth writing; when 0, EVENT_WRITABLE will follow. */
uint32_t proxy_side_room(const struct proxy_side *side);
enum side_status proxy_side_write(struct proxy_side *side, const void *data, size_t len,
                                  size_t *taken); /* *taken > 0 with SIDE_OK */
/* Sends our end of stream: close_notify where there is TLS, then the FIN. SIDE_WAIT: again later.
 */
enum side_status proxy_side_finish(struct proxy_side *side);
/* May there be something to read, the end of the stream included, though nothing more comes? */
bool proxy_side_unread(const struct proxy_side *side);
/* Nothing to read before the next event? */
bool proxy_side_drained(const struct proxy_side *side);
void proxy_side_tls_drop(struct proxy_side *side);
/* Gives up socket and TLS: an orderly end when it is SIDE_FINISHED, else a RST. */
void proxy_side_close(struct proxy_side *side);

/* proxy_timeout.c */
/* Arms the session's timer for its state; call when the deadline came nearer. Activity alone does
 * not call it: the timer looks at s->active when it fires. */
void proxy_timeout_arm(struct session *s);
wheel_fire proxy_timeout_fire;

/* proxy_log.c: lines that a peer can cause, limited. */
void proxy_log_client(struct session *s, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void proxy_log_backend(struct session *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void proxy_log_refused(struct proxy *p, const struct policy_listener *l, struct sock *client,
                       const char *why);

#endif
