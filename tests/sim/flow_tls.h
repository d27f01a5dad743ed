/* TLS for flows: OpenSSL with memory BIOs over a socket of the stack. */
#ifndef TESTS_SIM_FLOW_TLS_H
#define TESTS_SIM_FLOW_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct sock;
struct flow_tls;

/* `name` is the server name to ask for; NULL: the server's end. */
struct flow_tls *flow_tls_create(SSL_CTX *ctx, struct sock *k, const char *name);
void flow_tls_destroy(struct flow_tls *t);

/* Moves bytes between socket and TLS. Returns false when TLS has failed. */
bool flow_tls_progress(struct flow_tls *t);

/* As the functions of a socket. */
uint32_t flow_tls_write(struct flow_tls *t, const void *data, uint32_t len);
uint32_t flow_tls_read(struct flow_tls *t, void *out, uint32_t len);
void flow_tls_shutdown(struct flow_tls *t);      /* close_notify, then a FIN */
bool flow_tls_eof(const struct flow_tls *t);     /* close_notify came */
bool flow_tls_flushed(const struct flow_tls *t); /* everything, the FIN too, is in the socket */

#endif
