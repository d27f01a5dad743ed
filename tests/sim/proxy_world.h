/*
 * The world of sim_proxy: a client's host, the appliance, a server's host, and between them two
 * networks, each IPv4 or IPv6.
 */
#ifndef TESTS_SIM_PROXY_WORLD_H
#define TESTS_SIM_PROXY_WORLD_H

#include <openssl/ssl.h>

#include "policy/policy.h"
#include "proxy/proxy.h"
#include "proxy/proxy_header.h"
#include "tests/sim/flow.h"
#include "tests/sim/flow_tls.h"
#include "tls/tls.h"

#define MAX_FLOWS 64

/* The network on one side of the appliance. Addresses as they stand in an endpoint, in brackets for
 * IPv6. */
struct proxy_net {
    const char *proxy, *proxy_prefix; /* the appliance */
    const char *peer, *peer_prefix;   /* the client's host, or the server's */
    const char *prefix;
    const char *client; /* whom a PROXY header of the client names */
};

enum { PROXY_NET_V4, PROXY_NET_V6, PROXY_NET_COUNT };

extern const struct proxy_net proxy_world_outside[PROXY_NET_COUNT];
extern const struct proxy_net proxy_world_inside[PROXY_NET_COUNT];

/* How sessions are made in one world. */
struct variant {
    const struct proxy_net *outside, *inside;
    const char *to_server;         /* ", proxy-protocol: v1" or the like, or "" */
    bool from_client;              /* the clients are trusted proxies */
    bool https_secure, tcp_secure; /* TLS to the servers */
};

/* A server's end of a connection before it has said which flow it is. */
struct newcomer {
    struct sock *sock;
    struct flow_tls *tls;
    bool header_done;
    struct ip_endpoint source; /* as the PROXY header has it */
    uint8_t number[4];
    uint32_t got;
};

struct world {
    struct sim *sim;
    struct sim_host *client, *proxy_host, *server;
    struct policy *policy;
    struct tls_worker *tls_worker;
    struct tls_server *tls_servers[2];
    struct tls_client *tls_clients[2];
    struct variant variant;
    uint8_t prefaces[MAX_FLOWS][PROXY_HEADER_BUILD_MAX];
    struct proxy_snapshot snapshot;
    struct proxy *proxy;
    bool released;
    struct sock *listener, *secure_listener;
    struct flow out[MAX_FLOWS], in[MAX_FLOWS];
    struct newcomer newcomers[4 * MAX_FLOWS];
    unsigned flows;
    bool plain[MAX_FLOWS];
};

/* ---- proxy_world.c ---- */

/* Once in a process: a certificate, and what TLS needs of it at both ends. */
void proxy_world_setup(void);
void proxy_world_teardown(void);
SSL_CTX *proxy_world_client_ctx(void);
SSL_CTX *proxy_world_server_ctx(void);

/* The appliance on w->proxy_host, as w->variant says. */
void proxy_world_start(struct world *w);
void proxy_world_stop(struct world *w);

/* An address of a network with a port. */
struct ip_endpoint proxy_world_endpoint(const char *address, uint16_t port);

/* ---- proxy_world_server.c ---- */

/* Listens on w->server's host. */
void proxy_world_server_start(struct world *w);

/* Lets those of `flows` go on whose pause is over; returns when the next is. */
clock_ns proxy_world_progress(struct flow *flows, unsigned count, clock_ns now);

#endif
