/*
 * The stack's ingress hook: which packets may come in at all. Works on parsed bursts.
 *
 * Always dropped: impossible TCP flag combinations (SYN with FIN or RST, FIN without ACK, none at
 * all), sources that cannot be on a wire (martians) and our own addresses as source.
 *
 * Not here yet: rules, sets, limits, SYN-flood defence.
 */
#ifndef FIREWALL_FIREWALL_H
#define FIREWALL_FIREWALL_H

#include "base/error.h"
#include "base/ip.h"
#include "stack/hooks.h"

struct firewall;

/* `own` are the addresses of all interfaces, copied. */
struct firewall *firewall_create(const struct ip_addr *own, unsigned own_count, struct error *e);
void firewall_destroy(struct firewall *f);

/* A stack_ingress function; ctx is the struct firewall. */
void firewall_ingress(void *ctx, struct packet *packets, unsigned count, clock_ns now);

#endif
