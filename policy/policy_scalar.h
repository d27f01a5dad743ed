/* Readers of single values (policy_read in policy/policy_schema.h): how one may be written and what
 * it becomes. */
#ifndef POLICY_POLICY_SCALAR_H
#define POLICY_POLICY_SCALAR_H

#include "policy/policy_schema.h"

/* ---- numbers and words (policy_scalar.c) ---- */

/*
 * Decimal digits at the start of the text: no sign, no blanks, no surplus zero. Returns what
 * follows them, or NULL when there are none or the number does not fit.
 */
const char *policy_scalar_digits(const char *text, uint64_t *out);

policy_read policy_scalar_number;   /* decimal; uint8_t to uint64_t by type->size */
policy_read policy_scalar_duration; /* "500ms", "10s"; clock_ns */
policy_read policy_scalar_size;     /* "64MiB"; uint64_t, bytes */
policy_read policy_scalar_rate;     /* "100Mbit"; uint64_t, bits a second */
policy_read policy_scalar_choice;   /* one of type->choices; an integer, enum or bool */
policy_read policy_scalar_named;    /* one of type->choices, or a number */
policy_read policy_scalar_mode;     /* "0660", permissions of a file; uint32_t */
policy_read policy_scalar_path;     /* const char *, made relative to the file's directory */
policy_read policy_scalar_log;      /* the same, or "stderr" */

/* ---- names (policy_name.c) ---- */

/* The key of an entry in a section. */
void policy_name_check(struct policy_reader *r, enum policy_section section,
                       const struct policy_node *key);

policy_read policy_name_rule; /* of a rule; const char * */
/* "rule N" for one that was given no name; NULL when memory is out. */
const char *policy_name_of_rule(struct policy_reader *r, unsigned index);

policy_read policy_name_group; /* of a group of users; const char * */

policy_read policy_name_reference; /* of an entry in type->section; a pointer to it */

/* A server name or "*." and one, in lower case without trailing dot; const char * (RFC 6066, 3). */
policy_read policy_name_sni;
policy_read policy_name_host; /* the same without a wildcard */

/* Adds the names of a file to policy_rule.snis; `out` is the rule (policy_sni_file.c). */
policy_read policy_sni_file;

/* ---- addresses (policy_addr.c) ---- */

policy_read policy_addr_host;      /* struct ip_addr that a host can have */
policy_read policy_addr_gateway;   /* the same, or a link-local one */
policy_read policy_addr_interface; /* struct ip_prefix with the host's part */
policy_read policy_addr_network;   /* struct ip_prefix without */
policy_read policy_addr_member;    /* the same, of either family */
policy_read policy_addr_origin;    /* struct policy_origin */
policy_read policy_addr_default;   /* the same, or "default" */
policy_read policy_addr_bind;      /* struct ip_endpoint of a listener */
policy_read policy_addr_server;    /* struct policy_server; its begin sets the mark */
policy_read policy_addr_loopback;  /* struct ip_endpoint that only this machine reaches */

/* Of fe80::/10. */
bool policy_addr_link_local(const struct ip_addr *a);

/* Is an address the network's own or its broadcast address? NULL, or a sentence's end that says so.
 */
const char *policy_addr_special_in(const struct ip_addr *a, const struct ip_prefix *p);

/* ---- devices (policy_device.c) ---- */

policy_read policy_device_netdev; /* a kernel interface's name; const char * */
policy_read policy_device_pci;    /* a PCI address, in its full form; const char * */
policy_read policy_device_vdev;   /* DPDK's "net_…,args"; const char * */

/* ---- firewall rules (policy_firewall.c) ---- */

policy_read policy_firewall_ports; /* "443" or "8000-8999"; struct policy_port_range */
policy_read policy_firewall_flags; /* a list; policy_firewall_rule.tcp_flags_set and _clear */

/* ---- TLS (policy_tls.c) ---- */

policy_read policy_tls_version;  /* "1.2" or "1.3"; uint16_t */
policy_read policy_tls_alpn;     /* a list in wire form; the alpn and alpn_len of a struct */
policy_read policy_tls_protocol; /* one of its names; const char * */
/* Reports a lowest version above the highest one. */
void policy_tls_check_versions(struct policy_reader *r, const struct policy_node *tls, uint16_t min,
                               uint16_t max, const char *peer);

policy_read policy_tls_default; /* policy_tls.default_certificate, after its certificates */

#endif
