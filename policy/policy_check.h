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

/* Certificates and backends that nothing uses. */
void policy_check_unused(struct policy_reader *r);

#endif
