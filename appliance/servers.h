/*
 * The servers of all backends as they are now: what the configuration does not say and a reload
 * must not forget, health, ejection, drains and counters. A server is known by its backend's name
 * and its endpoint; it keeps its state as long as some snapshot names it.
 *
 * All of it is the main thread's; workers use the servers that a snapshot gives them.
 */
#ifndef APPLIANCE_SERVERS_H
#define APPLIANCE_SERVERS_H

#include "base/error.h"
#include "policy/policy.h"
#include "proxy/proxy_server.h"

struct snapshot;

/* The registry. Zero-initialise it, set `workers` before the first servers_attach(). */
struct servers {
    unsigned workers;
    void *tree; /* of struct servers_entry, tsearch(3) */
};

/* Gives the snapshot its servers, those of before where it names them again, and the tables of
 * backends that hash the source. Returns 0, or -1 when memory is out. */
int servers_attach(struct servers *all, struct snapshot *s, struct error *e);

/* Takes them from it; those that no other snapshot has are forgotten. */
void servers_detach(struct snapshot *s);

/* After all workers have taken a snapshot: servers that are not checked any more count as never
 * checked, so that none stays down for ever. */
void servers_settle(const struct servers *all, const struct snapshot *current);

enum servers_state {
    SERVERS_UNCHECKED, /* in use; no check has told anything of it */
    SERVERS_UP,
    SERVERS_DOWN,
    SERVERS_EJECTED, /* left out for a while, its connections failed */
    SERVERS_DRAINED, /* by command */
};

const char *servers_state_name(enum servers_state state);

/* One server at one moment, the workers' figures added up. */
struct servers_view {
    const char *backend;
    const struct policy_server *config;
    enum servers_state state; /* the first reason of DRAINED, DOWN, EJECTED not to use it */
    enum proxy_health health;
    clock_ns ejected_for; /* from now; 0: not ejected */
    uint32_t connections; /* now, connecting ones included */
    struct proxy_server_counters counters;
};

/* `backend` and `server` are positions in the snapshot's policy. */
void servers_view(const struct snapshot *s, unsigned backend, unsigned server, clock_ns now,
                  struct servers_view *out);

/*
 * A command: no new sessions for a server ("10.0.0.11:8080") of a backend, or new ones again, which
 * also ends an ejection. What is so already stays so. Returns 0, or -1 with what was wrong with the
 * names.
 */
int servers_drain(const struct snapshot *s, const char *backend, const char *server,
                  struct error *e);
int servers_enable(const struct snapshot *s, const char *backend, const char *server,
                   struct error *e);

#endif
