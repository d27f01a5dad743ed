/*
 * A policy's TLS, translated for one worker: what a listener offers, and what a backend expects of
 * its servers. Each is NULL with the cause in *e when it cannot be made.
 */
#ifndef APPLIANCE_WORKER_TLS_H
#define APPLIANCE_WORKER_TLS_H

#include "appliance/snapshot.h"
#include "base/error.h"

/* `secret` is the process's, where the policy names no file. */
struct tls_server *worker_tls_server(const struct snapshot *s, struct tls_worker *w,
                                     const struct policy_listener *l,
                                     const uint8_t secret[TLS_TICKET_SECRET_LEN], struct error *e);

struct tls_client *worker_tls_client(const struct snapshot *s, struct tls_worker *w,
                                     const struct policy_backend *b, struct error *e);

#endif
