/* Names that the file gives to its own parts, and names of servers that clients ask for. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "policy/policy_scalar.h"

#define NAME_MAX_LEN  64 /* of a part of the file */
#define GROUP_MAX_LEN 32
#define SNI_MAX_LEN   253 /* of a host name as text (RFC 1035, 2.3.4) */
#define LABEL_MAX_LEN 63
#define NAMES_SHOWN   6 /* of a section, where none is near what was written */

static bool name_good(const char *name)
{
    size_t len = strlen(name);
    bool good = len > 0 && len <= NAME_MAX_LEN && isalnum((unsigned char)name[0]);

    for (size_t i = 0; good && i < len; i++)
        good = isalnum((unsigned char)name[i]) || strchr("-_.", name[i]) != NULL;
    return good;
}

/* Names of sets stand where prefixes do, and must not look like one. */
static bool set_name_good(const char *name)
{
    return name_good(name) && isalpha((unsigned char)name[0]) && strchr(name, '.') == NULL;
}

/* In counters and metrics, what has no class or meets no rule goes by that name. */
static bool name_reserved(const char *name)
{
    return strcmp(name, "default") == 0;
}

void policy_name_check(struct policy_reader *r, enum policy_section section,
                       const struct policy_node *key)
{
    if (section == POLICY_SECTION_CLASSES && name_reserved(key->text))
        policy_reader_error(r, key,
                            "\"default\" is the class of everything without one: choose another "
                            "name");
    if (section == POLICY_SECTION_SETS && !set_name_good(key->text))
        policy_reader_error(
            r, key,
            "expected a name of at most %d letters, digits, '-' and '_' that begins "
            "with a letter",
            NAME_MAX_LEN);
    else if (!name_good(key->text))
        policy_reader_error(r, key,
                            "expected a name of at most %d letters, digits, '-', '_' and '.' that "
                            "begins with a letter or digit",
                            NAME_MAX_LEN);
}

void policy_name_rule(struct policy_reader *r, const struct policy_type *type,
                      const struct policy_node *n, void *out)
{
    if (name_reserved(n->text))
        policy_reader_error(r, n, "\"default\" is what no rule decides on: choose another name");
    else if (name_good(n->text))
        *(const char **)out = n->text;
    else
        policy_schema_mismatch(r, type, n);
}

const char *policy_name_of_rule(struct policy_reader *r, unsigned index)
{
    char name[32];

    snprintf(name, sizeof name, "rule %u", index + 1);
    return policy_reader_text(r, name);
}

/* What useradd(8) allows, but for its final "$". */
void policy_name_group(struct policy_reader *r, const struct policy_type *type,
                       const struct policy_node *n, void *out)
{
    size_t len = strlen(n->text);
    bool good = len > 0 && len <= GROUP_MAX_LEN && n->text[0] != '-';

    for (size_t i = 0; good && i < len; i++)
        good = isalnum((unsigned char)n->text[i]) || strchr("-_", n->text[i]) != NULL;
    if (good)
        *(const char **)out = n->text;
    else
        policy_schema_mismatch(r, type, n);
}

static const char *section_key(enum policy_section section)
{
    static const char *const keys[POLICY_SECTION_COUNT] = {
        [POLICY_SECTION_CERTIFICATES] = "certificates", [POLICY_SECTION_BACKENDS] = "backends",
        [POLICY_SECTION_LISTENERS] = "listeners",       [POLICY_SECTION_INTERFACES] = "interfaces",
        [POLICY_SECTION_CLASSES] = "classes",           [POLICY_SECTION_SETS] = "sets",
    };

    return keys[section];
}

/* "; there are: web, legacy", for a few names; "; there is none" */
static const char *list_names(const struct policy_node *section, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    if (section == NULL || section->count == 0)
        return "; there is none";
    if (section->kind != POLICY_NODE_MAP || section->count > NAMES_SHOWN)
        return out;
    for (const struct policy_node *c = section->first; c != NULL && len < size; c = c->next)
        if (c->key != NULL)
            len += (size_t)snprintf(out + len, size - len, "%s%.64s",
                                    len > 0 ? ", " : "; there are: ", c->key->text);
    return out;
}

void policy_name_reference(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, void *out)
{
    void *entry = policy_table_find(&r->names[type->section], n->text);
    const struct policy_node *section = policy_node_get(r->root, section_key(type->section));
    struct policy_suggest suggest = {.text = n->text};
    char found[POLICY_NODE_QUOTE_MAX], hint[POLICY_HINT_MAX], names[NAMES_SHOWN * 68 + 16];

    if (entry != NULL) {
        *(const void **)out = entry;
        return;
    }
    /* A report that is full needs no suggestions, and a hostile file could ask for many. */
    if (section != NULL && r->report->count < POLICY_REPORT_MAX)
        for (const struct policy_node *c = section->first; c != NULL; c = c->next)
            if (c->key != NULL)
                policy_suggest_offer(&suggest, c->key->text);
    policy_reader_error(r, n, "expected %s, found %s%s", type->expected,
                        policy_node_describe(n, found),
                        suggest.best != NULL ? policy_reader_hint(&suggest, hint)
                                             : list_names(section, names, sizeof names));
}

/* ---- server names ---- */

/* What is wrong with the labels of a host name, or NULL. Underscores occur in practice. */
static const char *label_fault(const char *name)
{
    size_t label = 0;

    for (const char *c = name;; c++) {
        if (*c == '.' || *c == '\0') {
            if (label == 0)
                return "it has an empty label";
            if (label > LABEL_MAX_LEN)
                return "a label has more than 63 characters";
            if (*c == '\0')
                return NULL;
            label = 0;
            continue;
        }
        if ((unsigned char)*c >= 0x80)
            return "international names are written in their ASCII form (xn--…)";
        if (*c == '*')
            return "\"*\" may only be the whole first label, as in *.example.com";
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            return "it has characters that no host name has";
        label++;
    }
}

static const char *sni_fault(const char *name)
{
    struct ip_addr addr;

    if (strcmp(name, "*") == 0)
        return "leave the key out to match any name";
    if (strlen(name) > SNI_MAX_LEN)
        return "it is longer than 253 characters";
    if (ip_parse(name, &addr) == 0)
        return "clients ask for names, never for addresses (RFC 6066, 3)";
    return label_fault(strncmp(name, "*.", 2) == 0 ? name + 2 : name);
}

/* The canonical form of a name, or NULL with *fault saying why it is none (or memory is out). */
static const char *canonical(struct policy_reader *r, const char *text, const char **fault)
{
    char *name = policy_reader_text(r, text);
    size_t len = strlen(text);

    *fault = NULL;
    if (name == NULL)
        return NULL;
    if (len > 1 && name[len - 1] == '.')
        name[len - 1] = '\0';
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    *fault = sni_fault(name);
    return *fault == NULL ? name : NULL;
}

static void report_fault(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, const char *fault)
{
    char found[POLICY_NODE_QUOTE_MAX];

    policy_reader_error(r, n, "expected %s, found %s: %s", type->expected,
                        policy_node_describe(n, found), fault);
}

void policy_name_sni(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, void *out)
{
    const char *fault;
    const char *name = canonical(r, n->text, &fault);

    if (name != NULL)
        *(const char **)out = name;
    else if (fault != NULL)
        report_fault(r, type, n, fault);
}

void policy_name_host(struct policy_reader *r, const struct policy_type *type,
                      const struct policy_node *n, void *out)
{
    if (n->text[0] == '*')
        report_fault(r, type, n, "one name, not a wildcard");
    else
        policy_name_sni(r, type, n, out);
}
