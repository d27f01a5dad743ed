#include <assert.h>
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

void policy_tls_check_versions(struct policy_reader *r, const struct policy_node *tls, uint16_t min,
                               uint16_t max, const char *peer)
{
    const struct policy_node *at = policy_node_get(tls, "min-version");

    if (max != 0 && min > max)
        policy_reader_error(r, at != NULL ? at : policy_node_get(tls, "max-version"),
                            "min-version is above max-version: no %s could connect", peer);
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

/* Both structs that hold protocols in wire form have the length right after the pointer. */
static_assert(offsetof(struct policy_tls, alpn_len) ==
                  offsetof(struct policy_tls, alpn) + sizeof(uint8_t *),
              "alpn_len follows alpn");
static_assert(offsetof(struct policy_backend_tls, alpn_len) ==
                  offsetof(struct policy_backend_tls, alpn) + sizeof(uint8_t *),
              "alpn_len follows alpn");

struct wire_alpn {
    uint8_t *alpn;
    size_t alpn_len;
};

void policy_tls_protocol(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, void *out)
{
    size_t len = strlen(n->text);

    if (len == 0)
        policy_schema_mismatch(r, type, n);
    else if (len > PROTOCOL_NAME_MAX)
        policy_reader_error(r, n, "a protocol name of %zu bytes, expected at most %d", len,
                            PROTOCOL_NAME_MAX);
    else
        *(const char **)out = n->text;
}

void policy_tls_alpn(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, void *out)
{
    struct wire_alpn *wire = out;
    size_t at = 0;

    wire->alpn = policy_reader_alloc(r, n->count, 1 + PROTOCOL_NAME_MAX);
    if (wire->alpn == NULL)
        return;
    for (const struct policy_node *p = n->first; p != NULL; p = p->next) {
        const char *name = NULL;
        size_t len;

        policy_schema_read(r, type->element, p, &name, NULL);
        if (name == NULL)
            continue;
        len = strlen(name);
        wire->alpn[at] = (uint8_t)len;
        memcpy(wire->alpn + at + 1, name, len);
        at += 1 + len;
    }
    wire->alpn_len = at;
}
