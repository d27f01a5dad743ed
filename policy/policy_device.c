#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy_scalar.h"

#define NETDEV_NAME_MAX 15 /* IFNAMSIZ without its NUL */
#define VDEV_TEXT_MAX   255

/* The kernel's dev_valid_name(), and no ',' or '=', which would end the name in a vdev string. */
void policy_device_netdev(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, void *out)
{
    const char *name = n->text;
    bool good = name[0] != '\0' && strlen(name) <= NETDEV_NAME_MAX && strcmp(name, ".") != 0 &&
                strcmp(name, "..") != 0;

    for (const char *c = name; good && *c != '\0'; c++)
        good = isgraph((unsigned char)*c) && strchr("/:,=", *c) == NULL;
    if (!good)
        policy_schema_mismatch(r, type, n);
    else if (strcmp(name, "lo") == 0)
        policy_reader_error(r, n,
                            "\"lo\" is the kernel's loopback interface: no packet of others "
                            "comes there");
    else
        *(const char **)out = name;
}

/* "DDDD:BB:DD.F" in hexadecimal; the domain may be left out and is then 0000. */
void policy_device_pci(struct policy_reader *r, const struct policy_type *type,
                       const struct policy_node *n, void *out)
{
    unsigned domain = 0, bus, slot, function;
    char full[16], given[16];
    size_t len = strlen(n->text);
    bool parsed = false;

    if (len == strlen("0000:00:00.0"))
        parsed = sscanf(n->text, "%4x:%2x:%2x.%1x", &domain, &bus, &slot, &function) == 4;
    else if (len == strlen("00:00.0"))
        parsed = sscanf(n->text, "%2x:%2x.%1x", &bus, &slot, &function) == 3;
    if (parsed) {
        snprintf(full, sizeof full, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, slot & 0xff,
                 function & 0xf);
        snprintf(given, sizeof given, "%s%s", len < 12 ? "0000:" : "", n->text);
        /* sscanf takes signs and blanks too: the text must be what its numbers look like. */
        parsed = strcasecmp(full, given) == 0 && slot < 32 && function < 8;
    }
    if (parsed)
        *(const char **)out = policy_reader_text(r, full);
    else
        policy_schema_mismatch(r, type, n);
}

void policy_device_vdev(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    bool good = strncmp(n->text, "net_", 4) == 0 && strlen(n->text) <= VDEV_TEXT_MAX;

    for (const char *c = n->text; good && *c != '\0'; c++)
        good = isgraph((unsigned char)*c);
    if (good)
        *(const char **)out = n->text;
    else
        policy_schema_mismatch(r, type, n);
}
