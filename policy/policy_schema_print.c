/*
 * The reference of all keys, in Markdown: a table for each mapping, under the path by which one
 * gets there. docs/configuration.md holds this output between two marks, and a test compares them.
 */
#include <stdio.h>
#include <string.h>

#include "policy/policy_schema.h"

#define PATH_MAX_LEN 128

static void print_key(FILE *out, const struct policy_key *key)
{
    fprintf(out, "| `%s` | %s | ", key->name, key->type->name);
    if (key->required)
        fprintf(out, "required");
    else if (key->fallback != NULL)
        fprintf(out, "`%s`", key->fallback);
    else
        fprintf(out, "-");
    fprintf(out, " | %s |\n", key->help);
}

/* The mapping that a value holds or is made of, or NULL; adds to the path what leads there. */
static const struct policy_type *mapping_of(const struct policy_type *type, char *path, size_t size)
{
    size_t len = strlen(path);

    if (type->kind == POLICY_KIND_MAP)
        return type;
    if (type->element == NULL || type->element->kind != POLICY_KIND_MAP)
        return NULL;
    snprintf(path + len, size - len, type->kind == POLICY_KIND_LIST ? "[]" : ".NAME");
    return type->element;
}

static void print_map(FILE *out, const struct policy_type *type, const char *path)
{
    fprintf(out, "\n### %s%s%s\n\n", path[0] != '\0' ? "`" : "The file", path,
            path[0] != '\0' ? "`" : "");
    fprintf(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (const struct policy_key *k = type->keys; k->name != NULL; k++)
        print_key(out, k);
    for (const struct policy_key *k = type->keys; k->name != NULL; k++) {
        char inner[PATH_MAX_LEN];
        const struct policy_type *map;

        snprintf(inner, sizeof inner, "%s%s%s", path, path[0] != '\0' ? "." : "", k->name);
        map = mapping_of(k->type, inner, sizeof inner);
        if (map != NULL)
            print_map(out, map, inner);
    }
}

void policy_schema_print(FILE *out)
{
    print_map(out, &policy_type_file, "");
}
