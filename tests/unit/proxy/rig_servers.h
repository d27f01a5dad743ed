/* Servers of backends as the proxy expects them in a snapshot. */
#ifndef TESTS_UNIT_PROXY_RIG_SERVERS_H
#define TESTS_UNIT_PROXY_RIG_SERVERS_H

#include "policy/policy.h"
#include "proxy/proxy_server.h"

/* By policy_backend.index, then as policy_backend.servers; for so many workers. */
struct proxy_server ***rig_servers_create(const struct policy *policy, unsigned workers);
void rig_servers_free(const struct policy *policy, struct proxy_server ***servers);

struct proxy_server *rig_server_create(const struct ip_endpoint *endpoint, unsigned workers);

#endif
