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
#include <stdio.h>

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
    uint16_t vlan;           /* 0: untagged; interfaces with different ones may share a device */
    uint16_t mtu;            /* 0: the device's own */
    struct ip_prefix *addrs; /* the host's part kept */
    unsigned addr_count;
    uint64_t rate; /* bits a second of the link, for the scheduler; 0: as the device takes */
    bool router_advertisements; /* IPv6: taken in */
    const char *punt_tap; /* what Sluice does not serve goes to this TAP; NULL: it is dropped */
    struct policy_mark punt_mark;
};

struct policy_route {
    struct policy_mark mark;
    struct ip_prefix to; /* "default" is 0.0.0.0/0 or ::/0, as the gateway is */
    struct ip_addr via;
    const struct policy_interface *interface; /* where a link-local gateway is; else NULL */
};

struct policy_certificate {
    const char *name;
    struct policy_mark mark, chain_mark, key_mark, ocsp_mark;
    const char *chain, *key; /* paths, made relative to the file's directory */
    const char *ocsp;        /* path of a DER OCSP response to staple; NULL: none */
    unsigned index;
};

/* ---- egress classes (scheduler/) ---- */

struct policy_class {
    const char *name;
    struct policy_mark mark;
    uint64_t rate;    /* guaranteed, bits a second of Ethernet frames; 0: none */
    uint64_t ceiling; /* never more, bits a second; 0: no bound */
    uint8_t priority; /* 0 (first) to 7; default 4: who is first served beyond the guarantees */
    uint16_t weight;  /* 1 to 1000, share among classes of one priority; default 100 */
    int8_t dscp;      /* 0 to 63; -1: packets are left unmarked */
    unsigned index;
};

/* ---- named sets of prefixes and the firewall (firewall/) ---- */

struct policy_set {
    const char *name;
    struct policy_mark mark, file_mark;
    const char *file;           /* one prefix a line, '#' begins a comment; NULL: inline */
    struct ip_prefix *prefixes; /* of both kinds: read, checked, canonical */
    unsigned prefix_count;
    unsigned index;
};

enum policy_firewall_action {
    POLICY_FIREWALL_ACCEPT,
    POLICY_FIREWALL_DROP,
    POLICY_FIREWALL_REJECT,
    POLICY_FIREWALL_LIMIT, /* accept within `limit`, else drop or reject */
    POLICY_FIREWALL_COUNT, /* count, and go on with the next rule */
    POLICY_FIREWALL_LOG,   /* log and count, and go on with the next rule */
};

struct policy_port_range {
    uint16_t first, last;
};

/* A prefix, or all of a set. */
struct policy_origin {
    const struct policy_set *set; /* NULL: prefix */
    struct ip_prefix prefix;
};

/* For each source prefix; 0: no limit. */
struct policy_firewall_limit {
    uint32_t connections;            /* at a time */
    uint32_t connections_per_second; /* new ones */
    uint32_t connection_burst;       /* default: as connections_per_second */
    uint32_t handshakes_per_second;  /* TLS handshakes */
    uint32_t handshake_burst;        /* default: as handshakes_per_second */
    uint8_t prefix4, prefix6;        /* bits of the source that count as one; default 32 and 64 */
    bool reject;                     /* beyond the limit: reject instead of drop */
};

struct policy_firewall_rule {
    const char *name; /* "rule N" (from 1) where the user gave none */
    struct policy_mark mark;
    const struct policy_interface **interfaces; /* none: any */
    unsigned interface_count;
    struct policy_origin *sources, *destinations; /* none: any */
    unsigned source_count, destination_count;
    uint8_t *protocols; /* IP protocol numbers; none: any */
    unsigned protocol_count;
    struct policy_port_range *source_ports, *ports; /* TCP or UDP; none: any */
    unsigned source_port_count, port_count;
    uint8_t *icmp_types; /* none: any */
    unsigned icmp_type_count;
    uint8_t tcp_flags_set, tcp_flags_clear; /* TCP_* of stack/packet.h: must be set, must not be */
    enum policy_firewall_action action;
    bool log; /* also log, whatever the action */
    struct policy_firewall_limit limit;
    const struct policy_class *egress_class; /* of connections begun by such packets; NULL: none */
    bool syn_cookies;                        /* which have to answer one first */
    unsigned index;
};

struct policy_firewall {
    bool drop_by_default; /* packets that are of no connection of ours and match no rule */
    struct policy_firewall_rule *rules;
    unsigned rule_count;
    uint32_t limit_entries; /* source prefixes tracked at a time; default 65,536 */
    struct policy_mark limit_entries_mark;
};

/* ---- backends ---- */

struct policy_server {
    struct policy_mark mark;
    struct ip_endpoint endpoint;
    uint16_t weight; /* 1 to 256; default 1 */
};

enum policy_balance { POLICY_ROUND_ROBIN, POLICY_LEAST_CONNECTIONS, POLICY_SOURCE_HASH };

enum policy_proxy_protocol { POLICY_PROXY_NONE, POLICY_PROXY_V1, POLICY_PROXY_V2 };

struct policy_health_check {
    bool enabled;               /* TCP: a connection that is accepted */
    clock_ns interval, timeout; /* default 2 s, 1 s */
    unsigned rise, fall;        /* default 2, 3 */
};

/* Passive: failures of real connections. */
struct policy_ejection {
    bool enabled;
    unsigned failures; /* in a row; default 5 */
    clock_ns time;     /* how long the server is left out; default 30 s */
};

/* TLS to the servers. */
struct policy_backend_tls {
    struct policy_mark mark;
    bool verify;    /* default true */
    const char *ca; /* PEM file; NULL: the system's */
    struct policy_mark ca_mark;
    const char *server_name; /* asked for (SNI) and verified; NULL: the client's SNI, and without
                                one the server's address */
    const struct policy_certificate *certificate; /* shown to servers that ask; NULL: none */
    uint16_t min_version, max_version;
    uint8_t *alpn; /* offered; length byte and name each */
    size_t alpn_len;
};

struct policy_backend {
    const char *name;
    struct policy_mark mark;
    struct policy_server *servers;
    unsigned server_count;
    enum policy_balance balance;
    clock_ns connect_timeout; /* for one server; default 5 s */
    struct policy_health_check health_check;
    struct policy_ejection ejection;
    enum policy_proxy_protocol proxy_protocol; /* header sent to the servers */
    const struct policy_backend_tls *tls;      /* NULL: plain TCP */
    unsigned index;
};

/* ---- listeners ---- */

enum policy_tls_profile { POLICY_TLS_INTERMEDIATE, POLICY_TLS_MODERN };
enum policy_client_auth { POLICY_CLIENT_NONE, POLICY_CLIENT_OPTIONAL, POLICY_CLIENT_REQUIRED };
enum policy_syn_cookies {
    POLICY_SYN_COOKIES_AUTO,
    POLICY_SYN_COOKIES_ALWAYS,
    POLICY_SYN_COOKIES_OFF
};

struct policy_tls {
    struct policy_mark mark;
    enum policy_tls_profile profile; /* default intermediate */
    enum policy_client_auth client_auth;
    const char *client_ca; /* PEM file; required unless client_auth is none */
    struct policy_mark client_ca_mark;
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
    enum policy_syn_cookies syn_cookies;
    struct ip_prefix *proxy_from; /* peers here must, others must not send a PROXY header */
    unsigned proxy_from_count;
    unsigned index;
};

enum policy_action { POLICY_TERMINATE, POLICY_SPLICE, POLICY_REJECT };

struct policy_rule {
    const char *name; /* "rule N" (from 1) where the user gave none */
    struct policy_mark mark;
    const struct policy_listener *listener; /* NULL: any */
    struct ip_prefix *sources;              /* none: any */
    unsigned source_count;
    const char **snis; /* lower case; "*.example" matches one label; none: any. Those of a
                          list file (match.sni-file) are among them */
    unsigned sni_count;
    const char **alpns; /* the client offers one of these; none: any */
    unsigned alpn_count;
    uint16_t *tls_versions; /* the client offers one of these; none: any */
    unsigned tls_version_count;
    enum policy_action action;
    const struct policy_backend *backend;    /* NULL with POLICY_REJECT */
    const struct policy_class *egress_class; /* both ways; NULL: the firewall's, else none */
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
    struct policy_mark connections_mark, buffer_memory_mark;
};

enum policy_congestion { POLICY_CUBIC, POLICY_NEW_RENO };
enum policy_ecn { POLICY_ECN_PASSIVE, POLICY_ECN_ACTIVE, POLICY_ECN_OFF };
enum policy_mtu_probing {
    POLICY_MTU_PROBING_BLACK_HOLE,
    POLICY_MTU_PROBING_ALWAYS,
    POLICY_MTU_PROBING_OFF
};

/* TCP of all connections. */
struct policy_tcp {
    enum policy_congestion congestion;
    enum policy_ecn ecn;                 /* RFC 3168 */
    enum policy_mtu_probing mtu_probing; /* RFC 4821 */
    bool pacing, sack, timestamps;       /* default true */
    uint16_t initial_window;             /* segments; default 10 */
    clock_ns min_rto;                    /* default 200 ms */
    clock_ns delayed_ack;                /* default 40 ms */
    uint64_t receive_buffer_max;         /* bytes; default 6 MiB */
    uint64_t send_buffer_max;            /* default 4 MiB */
    clock_ns fin_wait;                   /* default 60 s */
    clock_ns time_wait;                  /* 2 MSL; default 60 s */
    uint32_t max_orphans;                /* a worker; 0: an eighth of its connections */
    uint8_t syn_retries;                 /* default 6 */
    uint8_t synack_retries;              /* default 5 */
    struct policy_mark mark;
};

/* Session tickets (RFC 5077; RFC 8446, 4.6.1). */
struct policy_tickets {
    const char
        *secret_file; /* 32 to 4,096 bytes shared by several machines; NULL: drawn at start */
    struct policy_mark secret_mark;
    clock_ns rotation; /* a new key this often; the former ones still open; default 12 h */
};

struct policy_control {
    const char *socket; /* path; NULL: no control socket */
    struct policy_mark mark;
    const char *group;    /* owner group of the socket; NULL: the process's */
    uint32_t mode;        /* default 0660 */
    const char *captures; /* directory; default /var/lib/sluice */
};

struct policy_metrics {
    struct ip_endpoint listen; /* of the kernel's network; port 0: no metrics over HTTP */
    struct policy_mark mark;
};

enum policy_log_format { POLICY_LOG_TEXT, POLICY_LOG_JSON };

struct policy_session_log {
    const char *file; /* path, "stderr", or NULL: none */
    struct policy_mark mark;
    enum policy_log_format format;
};

enum policy_fragments { POLICY_FRAGMENTS_REASSEMBLE, POLICY_FRAGMENTS_DROP };

enum policy_hugepages { POLICY_HUGEPAGES_AUTO, POLICY_HUGEPAGES_REQUIRE, POLICY_HUGEPAGES_OFF };

struct policy {
    const char *path;
    unsigned *workers;     /* CPUs */
    unsigned worker_count; /* 0: all but the first */
    struct policy_mark workers_mark, hugepages_mark, fragments_mark;
    enum policy_hugepages hugepages;
    enum policy_fragments fragments;
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
    struct policy_class *classes;
    unsigned class_count;
    struct policy_set *sets;
    unsigned set_count;
    struct policy_firewall firewall;
    struct policy_timeouts timeouts;
    struct policy_limits limits;
    struct policy_tcp tcp;
    struct policy_tickets tickets;
    struct policy_control control;
    struct policy_metrics metrics;
    struct policy_session_log session_log;
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

/* Do the two name the same device in the same way? */
bool policy_interface_shares(const struct policy_interface *a, const struct policy_interface *b);

/*
 * Can a running process change from one snapshot to the other? Interfaces, routes, workers,
 * hugepages, fragments, limits, tcp, firewall.limit-entries, control and metrics need a restart.
 * Adds an error for each difference of those and returns -1, else 0.
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
    bool hello_known;    /* the ClientHello was read, or the stream turned out to be no TLS */
    const char *sni;     /* NULL: none */
    const uint8_t *alpn; /* what the client offers: length byte and name each; may be NULL */
    size_t alpn_len;
    const uint16_t *versions; /* of TLS that the client offers */
    unsigned version_count;
};

/*
 * First match decides. A rule with `sni` that names no listener applies to listeners with `tls`
 * only: a plain listener is not made to wait for a ClientHello unless a rule names both. A rule
 * that terminates, on a listener with `tls`, does not ask for the hello by itself.
 */
enum policy_verdict policy_match(const struct policy *p, const struct policy_facts *facts,
                                 const struct policy_rule **rule);

/*
 * The same, in words: each rule in order with what of it does not match, down to the one that
 * decides. Writes lines to `out`.
 */
enum policy_verdict policy_explain(const struct policy *p, const struct policy_facts *facts,
                                   FILE *out);

/* The reference of all keys in Markdown, as in docs/configuration.md, and as the body of a man page
 * (roff). */
void policy_reference_markdown(FILE *out);
void policy_reference_man(FILE *out);

/*
 * Reads a set file: one prefix or address a line, '#' begins a comment. Returns the prefixes
 * (malloc'd, canonical, ascending, without duplicates), or NULL with every bad line reported as
 * "FILE:LINE:COLUMN: error: …"; *count is 0 and the result not NULL for an empty set.
 */
struct ip_prefix *policy_set_load(const char *path, unsigned *count, struct policy_report *report);

#endif
