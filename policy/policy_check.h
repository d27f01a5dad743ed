/* Checks across sections, after all of the file has been read. */
#ifndef POLICY_POLICY_CHECK_H
#define POLICY_POLICY_CHECK_H

#include "policy/policy_reader.h"

/*
 * Devices and addresses that collide, gateways, servers and listeners that no interface reaches.
 * What could not be read is left out, and nothing is called unreachable while an address of an
 * interface is not known.
 */
void policy_check_network(struct policy_reader *r);

/* Rules of one list with one name. */
void policy_check_names(struct policy_reader *r);

/* Guaranteed rates that no interface can keep, ceilings that none reaches. */
void policy_check_rates(struct policy_reader *r);

/* ---- when there is no error so far ---- */

#define POLICY_CHECK_SETS_MAX 32 /* FIREWALL_SETS_MAX in firewall/firewall.h */

/* Certificates, backends, classes and sets that nothing uses; more sets than the firewall can use.
 */
void policy_check_use(struct policy_reader *r);

/* Firewall rules that can never match (policy_shadow.c). */
void policy_shadow_check(struct policy_reader *r);

#endif
