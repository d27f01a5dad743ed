/* Readers of single values (policy_read in policy/policy_schema.h): how one may be written and what
 * it becomes. */
#ifndef POLICY_POLICY_SCALAR_H
#define POLICY_POLICY_SCALAR_H

#include "policy/policy_schema.h"

/* ---- numbers and words (policy_scalar.c) ---- */

policy_read policy_scalar_number;   /* decimal; uint16_t, uint32_t or uint64_t by type->size */
policy_read policy_scalar_duration; /* "500ms", "10s"; clock_ns */
policy_read policy_scalar_size;     /* "64MiB"; uint64_t, bytes */
policy_read policy_scalar_choice;   /* one of type->choices; an enum */
policy_read policy_scalar_path;     /* const char *, made relative to the file's directory */

/* ---- names (policy_name.c) ---- */

/* The name of an interface, certificate, backend or listener. */
void policy_name_check(struct policy_reader *r, const struct policy_node *key);

policy_read policy_name_reference; /* of an entry in type->section; a pointer to it */

/* A server name or "*." and one, in lower case without trailing dot; const char * (RFC 6066, 3). */
policy_read policy_name_sni;

/* ---- addresses (policy_addr.c) ---- */

policy_read policy_addr_host;      /* struct ip_addr that a host can have */
policy_read policy_addr_interface; /* struct ip_prefix with the host's part */
policy_read policy_addr_network;   /* struct ip_prefix without */
policy_read policy_addr_default;   /* the same, or "default" */
policy_read policy_addr_bind;      /* struct ip_endpoint of a listener */
policy_read policy_addr_server;    /* struct policy_server; its begin sets the mark */

/* Is an address the network's own or its broadcast address? NULL, or a sentence's end that says so.
 */
const char *policy_addr_special_in(const struct ip_addr *a, const struct ip_prefix *p);

/* ---- devices (policy_device.c) ---- */

policy_read policy_device_netdev; /* a kernel interface's name; const char * */
policy_read policy_device_pci;    /* a PCI address, in its full form; const char * */
policy_read policy_device_vdev;   /* DPDK's "net_…,args"; const char * */

/* ---- TLS (policy_tls.c) ---- */

policy_read policy_tls_version; /* "1.2" or "1.3"; uint16_t */
policy_read policy_tls_alpn;    /* a list; policy_tls.alpn and its length */
policy_read policy_tls_default; /* policy_tls.default_certificate, after its certificates */

#endif
