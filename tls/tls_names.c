/*
 * Theory of operation: all names of a server's certificates stand in one sorted array, wildcards
 * as they are written. A lookup is a binary search for the name, then one for "*" and what follows
 * its first label: RFC 6125, 6.4.3 lets a wildcard stand for exactly one leftmost label. Of equal
 * names the first certificate listed sorts first and is the one that is found.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_internal.h"

#define LABEL_MAX 63
#define TEXT_MAX  253 /* RFC 1035, 2.3.4, as text */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool tls_names_normalise(const char *name, size_t len, char out[TLS_HELLO_NAME_MAX + 1])
{
    size_t label = 0;

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > TEXT_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = lower(name[i]);

        if (c == '.' ? label == 0 : !is_name_char(c) || label == LABEL_MAX)
            return false;
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[len] = '\0';
    return label > 0;
}

bool tls_names_is_address(const char *name)
{
    struct in6_addr a;

    return inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;
}

static int compare(const void *a, const void *b)
{
    const struct tls_name *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order != 0)
        return order;
    return x->cert < y->cert ? -1 : x->cert > y->cert;
}

int tls_names_build(struct tls_names *n, struct tls_cert_file *const *certs, unsigned count)
{
    size_t total = 0;

    for (unsigned i = 0; i < count; i++)
        total += certs[i]->dns_count;
    n->entries = calloc(total + 1, sizeof *n->entries);
    if (n->entries == NULL)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < certs[i]->dns_count; j++)
            n->entries[n->count++] = (struct tls_name){certs[i]->dns[j], i};
    }
    qsort(n->entries, n->count, sizeof *n->entries, compare);
    return 0;
}

void tls_names_free(struct tls_names *n)
{
    free(n->entries);
    *n = (struct tls_names){0};
}

/* The first entry of that name: `star` is put before it. */
static int search(const struct tls_names *n, const char *name, bool star)
{
    size_t low = 0, high = n->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const char *entry = n->entries[mid].name;
        int order = star ? '*' - (unsigned char)entry[0] : 0;

        if (order == 0)
            order = strcmp(name, entry + star);
        if (order <= 0)
            high = mid;
        else
            low = mid + 1;
    }
    if (low == n->count || strcmp(n->entries[low].name + star, name) != 0 ||
        star != (n->entries[low].name[0] == '*'))
        return -1;
    return (int)n->entries[low].cert;
}

int tls_names_find(const struct tls_names *n, const char *name)
{
    const char *dot = strchr(name, '.');
    int cert = search(n, name, false);

    if (cert >= 0 || dot == NULL)
        return cert;
    return search(n, dot, true);
}
