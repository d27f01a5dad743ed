/*
 * Theory of operation: what a client keeps of its servers to resume with, the newest session of
 * each name. Bounded, since names may come from clients of ours: of TLS_SESSIONS_MAX the one that
 * was used longest ago gives way. A session was verified under its name and the client's
 * configuration when it was made, and both are the same where it is offered again; it ends with
 * the ticket's lifetime, which the server sets, and with the validity of the server's certificate.
 */
#include <stdlib.h>
#include <string.h>

#include "tls/tls_internal.h"

static struct tls_session *find(struct tls_sessions *s, const char *name)
{
    for (unsigned i = 0; i < TLS_SESSIONS_MAX; i++) {
        if (s->entries[i].name != NULL && strcmp(s->entries[i].name, name) == 0)
            return &s->entries[i];
    }
    return NULL;
}

static void clear(struct tls_session *e)
{
    SSL_SESSION_free(e->session);
    free(e->name);
    *e = (struct tls_session){0};
}

static struct tls_session *oldest(struct tls_sessions *s)
{
    struct tls_session *e = &s->entries[0];

    for (unsigned i = 1; i < TLS_SESSIONS_MAX; i++) {
        if (s->entries[i].used < e->used)
            e = &s->entries[i];
    }
    return e;
}

static bool is_good(SSL_SESSION *session, time_t now)
{
    const X509 *peer = SSL_SESSION_get0_peer(session);

    return SSL_SESSION_is_resumable(session) == 1 && peer != NULL &&
           now <= tls_x509_time(X509_get0_notAfter(peer));
}

SSL_SESSION *tls_session_find(struct tls_sessions *s, const char *name, time_t now)
{
    struct tls_session *e = find(s, name);

    if (e == NULL)
        return NULL;
    if (!is_good(e->session, now)) {
        clear(e);
        return NULL;
    }
    e->used = ++s->uses;
    return e->session;
}

bool tls_session_keep(struct tls_sessions *s, const char *name, SSL_SESSION *session)
{
    struct tls_session *e = find(s, name);
    char *copy;

    if (e == NULL) {
        copy = strdup(name);
        if (copy == NULL)
            return false;
        e = oldest(s);
        clear(e);
        e->name = copy;
    }
    SSL_SESSION_free(e->session);
    e->session = session;
    e->used = ++s->uses;
    return true;
}

void tls_session_forget(struct tls_sessions *s, const char *name)
{
    struct tls_session *e = find(s, name);

    if (e != NULL)
        clear(e);
}

void tls_session_forget_all(struct tls_sessions *s)
{
    for (unsigned i = 0; i < TLS_SESSIONS_MAX; i++)
        clear(&s->entries[i]);
}
