/*
 * The configuration file, checked and compiled to a snapshot that never changes: several workers
 * read it at once. A reload makes a new snapshot; sessions keep the one they began with.
 *
 * Nothing here opens a socket, reads a certificate or knows the stack; appliance/ translates.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/ip.h"
#include "policy/policy_report.h"

/* Where a thing was written, for messages. */
struct policy_mark {
    unsigned line, column; /* from 1 */
};

enum policy_device {
    POLICY_DEVICE_KERNEL, /* a kernel interface through AF_XDP, AF_PACKET where XDP is refused */
    POLICY_DEVICE_PCI,
    POLICY_DEVICE_AF_PACKET,
    POLICY_DEVICE_TAP,
    POLICY_DEVICE_VDEV,
};

struct policy_interface {
    const char *name;
    struct policy_mark mark, device_mark;
    enum policy_device device_kind;
    const char *device;      /* the interface's name, PCI address or vdev string */
    uint16_t mtu;            /* 0: the device's own */
    struct ip_prefix *addrs; /* the host's part kept */
    unsigned addr_count;
};

struct policy_route {
    struct policy_mark mark;
    struct ip_prefix to; /* "default" is 0.0.0.0/0 */
    struct ip_addr via;
};

struct policy_certificate {
    const char *name;
    struct policy_mark mark, chain_mark, key_mark;
    const char *chain, *key; /* paths, made relative to the file's directory */
};

struct policy_server {
    struct policy_mark mark;
    struct ip_endpoint endpoint;
};

enum policy_balance { POLICY_ROUND_ROBIN };

struct policy_backend {
    const char *name;
    struct policy_mark mark;
    struct policy_server *servers;
    unsigned server_count;
    enum policy_balance balance;
    clock_ns connect_timeout; /* for one server; default 5 s */
    unsigned index;
};

struct policy_tls {
    struct policy_mark mark;
    const struct policy_certificate **certificates;
    unsigned certificate_count;
    int default_certificate; /* index into certificates, or -1: unknown names are refused */
    uint16_t min_version, max_version; /* 0x0303, 0x0304; default 1.2 to 1.3 */
    uint8_t *alpn;                     /* length byte and name each */
    size_t alpn_len;
};

struct policy_listener {
    const char *name;
    struct policy_mark mark;
    struct ip_endpoint bind;
    const struct policy_tls *tls; /* NULL: plain TCP */
    uint32_t backlog;             /* default 4096 */
    unsigned index;
};

enum policy_action { POLICY_TERMINATE, POLICY_SPLICE, POLICY_REJECT };

struct policy_rule {
    struct policy_mark mark;
    const struct policy_listener *listener; /* NULL: any */
    struct ip_prefix *sources;              /* none: any */
    unsigned source_count;
    const char **snis; /* lower case; "*.example" matches one label; none: any */
    unsigned sni_count;
    enum policy_action action;
    const struct policy_backend *backend; /* NULL with POLICY_REJECT */
    unsigned index;
};

struct policy_timeouts {
    clock_ns client_hello; /* to the end of the ClientHello; default 10 s */
    clock_ns handshake;    /* TLS handshake; default 10 s */
    clock_ns idle;         /* no byte either way; default 5 min */
    clock_ns half_closed;  /* one side has sent its FIN; default 1 min */
    clock_ns drain;        /* SIGTERM: how long connections may finish; default 30 s */
};

struct policy_limits {
    uint32_t connections;   /* TCP connections a worker, both sides counted; default 131,072 */
    uint64_t buffer_memory; /* bytes of packet buffers a worker; default 64 MiB */
};

enum policy_hugepages { POLICY_HUGEPAGES_AUTO, POLICY_HUGEPAGES_REQUIRE, POLICY_HUGEPAGES_OFF };

struct policy {
    const char *path;
    unsigned *workers;     /* CPUs */
    unsigned worker_count; /* 0: all but the first */
    struct policy_mark workers_mark;
    enum policy_hugepages hugepages;
    struct policy_interface *interfaces;
    unsigned interface_count;
    struct policy_route *routes;
    unsigned route_count;
    struct policy_certificate *certificates;
    unsigned certificate_count;
    struct policy_backend *backends;
    unsigned backend_count;
    struct policy_listener *listeners;
    unsigned listener_count;
    struct policy_rule *rules;
    unsigned rule_count;
    struct policy_timeouts timeouts;
    struct policy_limits limits;
};

/*
 * Loads and checks a file. All mistakes found are added to the report, not only the first. Returns
 * the snapshot, or NULL when there was any error (warnings alone do not refuse it).
 */
struct policy *policy_load(const char *path, struct policy_report *report);

/* The same for text in memory; `path` is for messages and relative paths. */
struct policy *policy_parse(const char *text, size_t len, const char *path,
                            struct policy_report *report);

void policy_free(struct policy *p);

/*
 * Can a running process change from one snapshot to the other? Interfaces, routes, workers,
 * hugepages and limits need a restart. Adds an error for each difference of those and returns -1,
 * else 0.
 */
int policy_reloadable(const struct policy *from, const struct policy *to,
                      struct policy_report *report);

/* ---- matching ---- */

enum policy_verdict {
    POLICY_MATCHED,
    POLICY_NEED_HELLO, /* a rule asks for the server name: come back with it */
    POLICY_UNMATCHED,  /* no rule: reject */
};

struct policy_facts {
    const struct policy_listener *listener;
    struct ip_addr source;
    bool hello_known; /* the ClientHello was read, or the stream turned out to be no TLS */
    const char *sni;  /* NULL: none */
};

/*
 * First match decides. A rule with `sni` that names no listener applies to listeners with `tls`
 * only: a plain listener is not made to wait for a ClientHello unless a rule names both. A rule
 * that terminates, on a listener with `tls`, does not ask for the hello by itself.
 */
enum policy_verdict policy_match(const struct policy *p, const struct policy_facts *facts,
                                 const struct policy_rule **rule);

#endif
