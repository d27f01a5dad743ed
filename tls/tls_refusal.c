/*
 * Theory of operation: OpenSSL would refuse these clients by itself, with "no shared cipher" or
 * less. What a client offers and what a listener has are both known before OpenSSL is asked, so the
 * log can say what does not match and which side can change it. Only what certainly fails is
 * refused here; a list that was too long to keep proves nothing, and OpenSSL has the last word.
 */
#include <string.h>

#include "tls/tls_internal.h"

enum cause { NO_CAUSE, NO_VERSION, NO_CIPHER, NO_GROUP, NO_SIGNATURE, NO_ALPN };

struct judgement {
    enum cause cause;
    uint16_t version; /* that would be negotiated */
    enum tls_key key; /* of the certificate that would be used */
};

static bool offers_version(const struct tls_hello *h, uint16_t version)
{
    for (unsigned i = 0; i < h->version_count; i++) {
        if (h->versions[i] == version)
            return true;
    }
    return false;
}

static uint16_t common_version(const struct tls_server *s, const struct tls_hello *h)
{
    for (uint16_t v = s->max_version; v >= s->min_version; v--) {
        if (offers_version(h, v))
            return v;
    }
    return 0;
}

static bool has_cipher(const struct tls_hello *h, uint16_t version, bool rsa)
{
    for (unsigned i = 0; i < h->cipher_count; i++) {
        if (tls_cipher_accepted(h->ciphers[i], version, rsa))
            return true;
    }
    return false;
}

static bool has_group(const struct tls_hello *h)
{
    for (unsigned i = 0; i < h->group_count; i++) {
        if (tls_ctx_group_accepted(h->groups[i]))
            return true;
    }
    return false;
}

static bool has_signature(const struct tls_hello *h, uint16_t version, enum tls_key key)
{
    for (unsigned i = 0; i < h->signature_count; i++) {
        if (tls_signature_possible(h->signatures[i], version, key))
            return true;
    }
    return false;
}

static bool has_protocol(const struct tls_server *s, const uint8_t *name)
{
    for (size_t at = 0; at < s->alpn_len; at += 1 + (size_t)s->alpn[at]) {
        if (memcmp(s->alpn + at, name, 1 + (size_t)name[0]) == 0)
            return true;
    }
    return false;
}

static bool has_common_protocol(const struct tls_server *s, const struct tls_hello *h)
{
    for (size_t at = 0; at < h->alpn_len; at += 1 + (size_t)h->alpn[at]) {
        if (has_protocol(s, h->alpn + at))
            return true;
    }
    return false;
}

static struct judgement judge(const struct tls_server *s, const struct tls_hello *h)
{
    int cert = tls_server_select(s, h->has_sni ? h->sni : NULL);
    struct judgement j = {.cause = NO_CAUSE, .version = common_version(s, h)};

    if (h->truncated)
        return j;
    if (j.version == 0) {
        j.cause = NO_VERSION;
        return j;
    }
    j.key = cert >= 0 ? s->certs[cert]->key_kind : TLS_KEY_NONE;
    /* Without a certificate for its name a client is refused for that. */
    if (cert >= 0 && !has_cipher(h, j.version, TLS_KEY_IS_RSA(j.key)))
        j.cause = NO_CIPHER;
    else if (h->group_count > 0 && !has_group(h))
        j.cause = NO_GROUP;
    else if (cert >= 0 && h->signature_count > 0 && !has_signature(h, j.version, j.key))
        j.cause = NO_SIGNATURE;
    else if (h->alpn_len > 0 && s->alpn_len > 0 && !has_common_protocol(s, h))
        j.cause = NO_ALPN;
    return j;
}

/* ---- in words ---- */

static void add_accepted_versions(struct tls_text *t, const struct tls_server *s)
{
    tls_text_add(t, s->min_version == s->max_version ? "; this listener accepts only "
                                                     : "; this listener accepts ");
    tls_text_version(t, s->min_version);
    if (s->min_version != s->max_version) {
        tls_text_add(t, " to ");
        tls_text_version(t, s->max_version);
    }
    tls_text_add(t, ": ");
}

/* The highest of the known versions offered, or 0. */
static uint16_t highest_offered(const struct tls_hello *h)
{
    uint16_t highest = 0;

    for (unsigned i = 0; i < h->version_count; i++) {
        if (h->versions[i] <= TLS_VERSION_1_3 && h->versions[i] > highest)
            highest = h->versions[i];
    }
    return highest;
}

static void explain_version(struct tls_text *t, const struct tls_server *s,
                            const struct tls_hello *h)
{
    uint16_t highest = highest_offered(h);

    if (highest == 0) {
        tls_text_add(t, "client offers no known TLS version");
    } else {
        tls_text_add(t,
                     highest > s->max_version ? "client offers only " : "client offers at most ");
        tls_text_version(t, highest);
    }
    add_accepted_versions(t, s);
    if (highest > s->max_version)
        tls_text_add(t, "set tls.max-version to \"1.3\"");
    else if (highest == TLS_VERSION_1_2 && s->profile == TLS_PROFILE_MODERN)
        tls_text_add(t, "update the client, or set tls.profile to intermediate");
    else if (highest == TLS_VERSION_1_2)
        tls_text_add(t, "update the client, or set tls.min-version to \"1.2\"");
    else
        tls_text_add(t, "update the client (versions before TLS 1.2 are insecure and cannot be "
                        "enabled)");
}

#define LIST_MAX 8 /* of what is offered; the rest is a number */

static void add_rest(struct tls_text *t, unsigned count)
{
    if (count > LIST_MAX)
        tls_text_add(t, " and %u others", count - LIST_MAX);
}

static void add_ciphers(struct tls_text *t, const struct tls_hello *h)
{
    for (unsigned i = 0; i < h->cipher_count && i < LIST_MAX; i++)
        tls_text_add(t, "%s0x%04x", i > 0 ? ", " : "", h->ciphers[i]);
    add_rest(t, h->cipher_count);
}

static void explain_cipher(struct tls_text *t, const struct tls_hello *h, const struct judgement *j)
{
    bool rsa = TLS_KEY_IS_RSA(j->key);

    tls_text_add(t, "client offers the cipher suites ");
    add_ciphers(t, h);
    tls_text_add(t, ", none of which this listener accepts for ");
    tls_text_version(t, j->version);
    if (j->version == TLS_VERSION_1_3) {
        tls_text_add(t, " (AES-GCM or ChaCha20-Poly1305): update the client");
        return;
    }
    tls_text_add(
        t, " (ECDHE with AES-GCM or ChaCha20-Poly1305, %s certificate): ", rsa ? "RSA" : "ECDSA");
    if (has_cipher(h, j->version, !rsa))
        tls_text_add(t, "give the listener an %s certificate, or update the client",
                     rsa ? "ECDSA" : "RSA");
    else
        tls_text_add(t, "update the client");
}

static void explain_group(struct tls_text *t, const struct tls_hello *h)
{
    tls_text_add(t, "client offers key exchange in the groups ");
    for (unsigned i = 0; i < h->group_count && i < LIST_MAX; i++) {
        if (i > 0)
            tls_text_add(t, ", ");
        tls_text_group(t, h->groups[i]);
    }
    add_rest(t, h->group_count);
    tls_text_add(t, "; this listener accepts X25519, P-256 and P-384: enable one of them in the "
                    "client");
}

static void add_signatures(struct tls_text *t, const struct tls_hello *h)
{
    for (unsigned i = 0; i < h->signature_count && i < LIST_MAX; i++) {
        const char *name = tls_signature_name(h->signatures[i]);

        if (i > 0)
            tls_text_add(t, ", ");
        if (name != NULL)
            tls_text_add(t, "%s", name);
        else
            tls_text_add(t, "0x%04x", h->signatures[i]);
    }
    add_rest(t, h->signature_count);
}

/* The key of a certificate that would do, as a hint. */
static enum tls_key wanted_key(const struct tls_hello *h, uint16_t version)
{
    static const enum tls_key usual[] = {TLS_KEY_P256, TLS_KEY_RSA, TLS_KEY_P384, TLS_KEY_ED25519};

    for (unsigned i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        if (has_signature(h, version, usual[i]))
            return usual[i];
    }
    return TLS_KEY_NONE;
}

static void explain_signature(struct tls_text *t, const struct tls_hello *h,
                              const struct judgement *j)
{
    enum tls_key wanted = wanted_key(h, j->version);

    tls_text_add(t, "client accepts the signatures ");
    add_signatures(t, h);
    tls_text_add(t, ", none of which the certificate's %s key can make in ",
                 tls_signature_key_name(j->key));
    tls_text_version(t, j->version);
    if (wanted != TLS_KEY_NONE)
        tls_text_add(t, ": give the listener a certificate with an %s key, or update the client",
                     tls_signature_key_name(wanted));
    else
        tls_text_add(t, ": update the client");
}

static void explain_alpn(struct tls_text *t, const struct tls_server *s, const struct tls_hello *h)
{
    tls_text_add(t, "client offers the application protocols ");
    tls_text_alpn(t, h->alpn, h->alpn_len);
    tls_text_add(t, "; this listener accepts ");
    tls_text_alpn(t, s->alpn, s->alpn_len);
    tls_text_add(t, ": extend tls.alpn, or configure the client");
}

const char *tls_server_refusal(const struct tls_server *s, const struct tls_hello *hello, char *out,
                               size_t size)
{
    struct judgement j = judge(s, hello);
    struct tls_text t = tls_text_begin(out, size);

    switch (j.cause) {
    case NO_CAUSE:
        return NULL;
    case NO_VERSION:
        explain_version(&t, s, hello);
        break;
    case NO_CIPHER:
        explain_cipher(&t, hello, &j);
        break;
    case NO_GROUP:
        explain_group(&t, hello);
        break;
    case NO_SIGNATURE:
        explain_signature(&t, hello, &j);
        break;
    case NO_ALPN:
        explain_alpn(&t, s, hello);
        break;
    }
    return out;
}

uint8_t tls_server_refusal_alert(const struct tls_server *s, const struct tls_hello *hello)
{
    switch (judge(s, hello).cause) {
    case NO_VERSION:
        return TLS_ALERT_PROTOCOL_VERSION;
    case NO_CIPHER:
    case NO_GROUP:
    case NO_SIGNATURE:
        return TLS_ALERT_HANDSHAKE_FAILURE;
    case NO_ALPN:
        return TLS_ALERT_NO_APPLICATION_PROTOCOL;
    case NO_CAUSE:
        break;
    }
    return 0;
}
