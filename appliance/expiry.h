/* Certificates and OCSP responses that run out: said when they are loaded, and in the log. */
#ifndef APPLIANCE_EXPIRY_H
#define APPLIANCE_EXPIRY_H

#include <time.h>

#include "appliance/snapshot.h"

#define EXPIRY_TEXT_MAX 160

/* "the certificate expires in 3 days: renew it", or NULL while more than 14 days are left. */
const char *expiry_of_certificate(const struct tls_cert_file *f, time_t now,
                                  char out[EXPIRY_TEXT_MAX]);

/* The same of its OCSP response, with 3 days; they last for a week, usually. NULL without one. */
const char *expiry_of_ocsp(const struct tls_cert_file *f, time_t now, char out[EXPIRY_TEXT_MAX]);

struct expiry {
    time_t seen;  /* up to when what is over has been told of */
    time_t daily; /* when all is told again */
};

/* The main thread's chore: lines of what is about to expire once a day, and of each certificate and
 * response that has just ended. Zero-initialised at first; what was said at loading is not repeated
 * at once. */
void expiry_tick(struct expiry *e, const struct snapshot *s, time_t now);

#endif
