/* The certificate authorities that a policy names: of clients' certificates and of servers'. */
#ifndef APPLIANCE_TRUST_H
#define APPLIANCE_TRUST_H

#include "policy/policy.h"
#include "tls/tls.h"

struct trust {
    struct tls_ca_file **clients; /* by policy_listener.index; NULL: clients are not asked */
    struct tls_ca_file **servers; /* by policy_backend.index; NULL: not verified */
    unsigned listener_count, backend_count;
};

/* Reads each file once, however often it is named. What cannot be read adds an error at its place.
 * Returns 0, or -1 when there was one. To be given to trust_free() in any case. */
int trust_load(struct trust *t, const struct policy *policy, struct policy_report *report);
void trust_free(struct trust *t);

#endif
