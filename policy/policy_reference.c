/*
 * The reference of all keys: a table for each mapping, under the path by which one gets there. One
 * walk over the schema, and a form for each kind of document. docs/configuration.md holds the
 * Markdown between two marks, and a test compares them; sluice.yaml(5) is made of the other.
 */
#include <stdio.h>
#include <string.h>

#include "policy/policy_schema.h"

#define PATH_MAX_LEN 128

struct form {
    void (*map)(FILE *out, const char *path); /* "" for the file */
    void (*key)(FILE *out, const struct policy_key *key);
};

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

static void print_map(FILE *out, const struct form *form, const struct policy_type *type,
                      const char *path)
{
    form->map(out, path);
    for (const struct policy_key *k = type->keys; k->name != NULL; k++)
        form->key(out, k);
    for (const struct policy_key *k = type->keys; k->name != NULL; k++) {
        char inner[PATH_MAX_LEN];
        const struct policy_type *map;

        snprintf(inner, sizeof inner, "%s%s%s", path, path[0] != '\0' ? "." : "", k->name);
        map = mapping_of(k->type, inner, sizeof inner);
        if (map != NULL)
            print_map(out, form, map, inner);
    }
}

/* ---- Markdown ---- */

static void markdown_map(FILE *out, const char *path)
{
    if (path[0] != '\0')
        fprintf(out, "\n### `%s`\n\n", path);
    else
        fprintf(out, "\n### The file\n\n");
    fprintf(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
}

static void markdown_key(FILE *out, const struct policy_key *key)
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

void policy_reference_markdown(FILE *out)
{
    static const struct form form = {markdown_map, markdown_key};

    print_map(out, &form, &policy_type_file, "");
}

/* ---- man(7) ---- */

/* Text with `code` in bold. A hyphen that is typed must be escaped (groff_char(7)), as must a
 * backslash and a control character at the start of a line. */
static void man_text(FILE *out, const char *text)
{
    bool bold = false, first = true;

    for (; *text != '\0'; text++, first = false) {
        if (*text == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else if (*text == '\\') {
            fputs("\\e", out);
        } else {
            if (first && (*text == '.' || *text == '\''))
                fputs("\\&", out);
            fputc(*text, out);
        }
    }
}

static void man_map(FILE *out, const char *path)
{
    fputs(".SS ", out);
    man_text(out, path[0] != '\0' ? path : "The file");
    fputc('\n', out);
}

static void man_key(FILE *out, const struct policy_key *key)
{
    fputs(".TP\n.B ", out);
    man_text(out, key->name);
    fputc('\n', out);
    man_text(out, key->help);
    fputs("\n.br\nValue: ", out);
    man_text(out, key->type->name);
    if (key->required) {
        fputs("; required", out);
    } else if (key->fallback != NULL) {
        fputs("; default: \\fB", out);
        man_text(out, key->fallback);
        fputs("\\fR", out);
    }
    fputs(".\n", out);
}

void policy_reference_man(FILE *out)
{
    static const struct form form = {man_map, man_key};

    print_map(out, &form, &policy_type_file, "");
}
