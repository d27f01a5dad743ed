/* The certificates that a policy names, read from their files. */
#ifndef APPLIANCE_CERTIFICATES_H
#define APPLIANCE_CERTIFICATES_H

#include <time.h>

#include "policy/policy.h"
#include "tls/tls.h"

/*
 * Reads all of them; element i belongs to policy->certificates[i]. Each one that is refused adds an
 * error at its place in the file, each one that is about to expire a warning. Returns NULL when one
 * was refused, or memory is out. Give the array to certificates_free().
 */
struct tls_cert_file **certificates_load(const struct policy *policy, time_t now,
                                         struct policy_report *report);
void certificates_free(struct tls_cert_file **certificates, unsigned count);

#endif
