#include "appliance/worker_tls.h"

#include <stdlib.h>
#include <string.h>

static enum tls_profile profile_of(enum policy_tls_profile from)
{
    return from == POLICY_TLS_MODERN ? TLS_PROFILE_MODERN : TLS_PROFILE_INTERMEDIATE;
}

static enum tls_client_auth client_auth_of(enum policy_client_auth from)
{
    switch (from) {
    case POLICY_CLIENT_OPTIONAL:
        return TLS_CLIENT_OPTIONAL;
    case POLICY_CLIENT_REQUIRED:
        return TLS_CLIENT_REQUIRED;
    case POLICY_CLIENT_NONE:
        break;
    }
    return TLS_CLIENT_NONE;
}

struct tls_server *worker_tls_server(const struct snapshot *s, struct tls_worker *w,
                                     const struct policy_listener *l,
                                     const uint8_t secret[TLS_TICKET_SECRET_LEN], struct error *e)
{
    const struct policy_tls *from = l->tls;
    struct tls_cert_file **certs = calloc(from->certificate_count, sizeof(struct tls_cert_file *));
    struct tls_server_config config = {
        .certs = certs,
        .cert_count = from->certificate_count,
        .default_cert = from->default_certificate,
        .min_version = from->min_version,
        .max_version = from->max_version,
        .alpn = from->alpn,
        .alpn_len = from->alpn_len,
        .profile = profile_of(from->profile),
        .client_auth = client_auth_of(from->client_auth),
        .client_ca = s->trust.clients[l->index],
        .tickets.rotation = (uint32_t)(s->policy->tickets.rotation / CLOCK_SEC),
    };
    struct tls_server *server;

    if (certs == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    for (unsigned i = 0; i < from->certificate_count; i++)
        certs[i] = s->certificates[from->certificates[i] - s->policy->certificates];
    memcpy(config.tickets.secret, s->shared_tickets ? s->ticket_secret : secret,
           TLS_TICKET_SECRET_LEN);
    server = tls_server_create(w, &config, e);
    explicit_bzero(config.tickets.secret, sizeof config.tickets.secret);
    free(certs);
    return server;
}

struct tls_client *worker_tls_client(const struct snapshot *s, struct tls_worker *w,
                                     const struct policy_backend *b, struct error *e)
{
    const struct policy_backend_tls *from = b->tls;
    const struct tls_client_config config = {
        .verify = from->verify,
        .ca = s->trust.servers[b->index],
        .server_name = from->server_name,
        .certificate = from->certificate != NULL
                           ? s->certificates[from->certificate - s->policy->certificates]
                           : NULL,
        .min_version = from->min_version,
        .max_version = from->max_version,
        .alpn = from->alpn,
        .alpn_len = from->alpn_len,
    };

    return tls_client_create(w, &config, e);
}
