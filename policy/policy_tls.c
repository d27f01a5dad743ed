#include <string.h>

#include "policy/policy_scalar.h"

#define PROTOCOL_NAME_MAX 255 /* RFC 7301, 3.1: the length is one byte */

void policy_tls_version(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    if (strcmp(n->text, "1.2") == 0)
        *(uint16_t *)out = 0x0303;
    else if (strcmp(n->text, "1.3") == 0)
        *(uint16_t *)out = 0x0304;
    else if (strcmp(n->text, "1.0") == 0 || strcmp(n->text, "1.1") == 0)
        policy_reader_error(r, n, "expected %s: TLS %s is broken and withdrawn (RFC 8996)",
                            type->expected, n->text);
    else
        policy_schema_mismatch(r, type, n);
}

void policy_tls_default(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    struct policy_tls *tls =
        (struct policy_tls *)((char *)out - offsetof(struct policy_tls, default_certificate));
    struct policy_suggest suggest = {.text = n->text};
    char found[POLICY_NODE_QUOTE_MAX], hint[POLICY_HINT_MAX];

    for (unsigned i = 0; i < tls->certificate_count; i++) {
        if (tls->certificates[i] == NULL)
            continue; /* reported already */
        if (strcmp(tls->certificates[i]->name, n->text) == 0) {
            tls->default_certificate = (int)i;
            return;
        }
        policy_suggest_offer(&suggest, tls->certificates[i]->name);
    }
    policy_reader_error(r, n, "expected %s, found %s%s", type->expected,
                        policy_node_describe(n, found), policy_reader_hint(&suggest, hint));
}

/* ---- ALPN ---- */

static bool protocol_good(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n)
{
    size_t len = n->kind == POLICY_NODE_SCALAR ? strlen(n->text) : 0;

    if (len == 0 || n->absent) {
        policy_schema_mismatch(r, type, n);
        return false;
    }
    if (len > PROTOCOL_NAME_MAX)
        policy_reader_error(r, n, "a protocol name of %zu bytes, expected at most %d", len,
                            PROTOCOL_NAME_MAX);
    return len <= PROTOCOL_NAME_MAX;
}

void policy_tls_alpn(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, void *out)
{
    struct policy_tls *tls = (struct policy_tls *)((char *)out - offsetof(struct policy_tls, alpn));
    uint8_t *wire = policy_reader_alloc(r, n->count, 1 + PROTOCOL_NAME_MAX);
    size_t at = 0;

    if (wire == NULL)
        return;
    for (const struct policy_node *p = n->first; p != NULL; p = p->next) {
        size_t len;

        if (!protocol_good(r, type->element, p))
            continue;
        len = strlen(p->text);
        wire[at] = (uint8_t)len;
        memcpy(wire + at + 1, p->text, len);
        at += 1 + len;
    }
    tls->alpn = wire;
    tls->alpn_len = at;
}
