/* set list|add|delete: prefixes come as arguments or, many of them, on standard input. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl_command.h"
#include "ctl/ctl_text.h"

#define BATCH 10000 /* prefixes a request: each is under 50 bytes, a request may have 1 MiB */

static const struct ctl_column columns[] = {
    {"SET", "set", NULL, false},
    {"PREFIXES", "count", NULL, true},
    {"FILE", "file", NULL, false},
    {0},
};

static enum ctl_status usage(void)
{
    fputs("sluicectl: set: expected list [NAME], add NAME [PREFIX...] or delete NAME [PREFIX...]\n",
          stderr);
    return CTL_USAGE;
}

static enum ctl_status list(struct ctl_client *c, const struct ctl_options *o)
{
    json_t *rows, *row;
    enum ctl_status status;
    size_t i;

    if (o->argument_count == 2)
        return ctl_print_rows(c, o, "sets", "sets", columns);
    status = ctl_client_ask_pages(
        c, json_pack("{s:s, s:s}", "command", "set-list", "set", o->argument[2]), "prefixes",
        SIZE_MAX, &rows);
    if (status == CTL_DONE && o->json) {
        ctl_print_json(rows);
        return CTL_DONE;
    }
    if (status == CTL_DONE) {
        json_array_foreach (rows, i, row)
            ctl_text_line(stdout, json_string_value(row));
    }
    json_decref(rows);
    return status;
}

struct outcome {
    json_int_t changed, unchanged;
};

/* Sends what was collected; adds what came of it to *out. Takes the reference. */
static enum ctl_status send_batch(struct ctl_client *c, const struct ctl_options *o,
                                  json_t *prefixes, struct outcome *out)
{
    bool add = strcmp(o->argument[1], "add") == 0;
    json_t *result;
    enum ctl_status status =
        ctl_client_ask(c,
                       json_pack("{s:s, s:s, s:o}", "command", add ? "set-add" : "set-delete",
                                 "set", o->argument[2], "prefixes", prefixes),
                       &result);

    if (status == CTL_DONE) {
        out->changed += json_integer_value(json_object_get(result, "changed"));
        out->unchanged += json_integer_value(json_object_get(result, "unchanged"));
    }
    json_decref(result);
    return status;
}

/* A line of a set file: a prefix, a comment after '#', or nothing. Returns NULL for nothing. */
static char *prefix_of(char *line)
{
    char *end;

    line[strcspn(line, "#\r\n")] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    end = line + strlen(line);
    while (end > line && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return *line != '\0' ? line : NULL;
}

static enum ctl_status change_from_input(struct ctl_client *c, const struct ctl_options *o,
                                         struct outcome *out)
{
    json_t *batch = json_array();
    enum ctl_status status = CTL_DONE;
    char *line = NULL;
    size_t size = 0;

    while (status == CTL_DONE && getline(&line, &size, stdin) >= 0) {
        const char *prefix = prefix_of(line);

        if (prefix == NULL)
            continue;
        json_array_append_new(batch, json_string(prefix));
        if (json_array_size(batch) == BATCH) {
            status = send_batch(c, o, batch, out);
            batch = json_array();
        }
    }
    free(line);
    if (status == CTL_DONE && json_array_size(batch) > 0)
        return send_batch(c, o, batch, out);
    json_decref(batch);
    return status;
}

static void print_outcome(const struct outcome *out, bool add)
{
    printf("%" JSON_INTEGER_FORMAT " prefix%s %s", out->changed, out->changed == 1 ? "" : "es",
           add ? "added" : "deleted");
    if (out->unchanged > 0)
        printf("; %" JSON_INTEGER_FORMAT " %s", out->unchanged,
               add ? "there already" : "not in the set as such");
    putchar('\n');
}

static enum ctl_status change(struct ctl_client *c, const struct ctl_options *o)
{
    struct outcome out = {0};
    enum ctl_status status;

    if (o->argument_count > 3) {
        json_t *prefixes = json_array();

        for (int i = 3; i < o->argument_count; i++)
            json_array_append_new(prefixes, json_string(o->argument[i]));
        status = send_batch(c, o, prefixes, &out);
    } else {
        status = change_from_input(c, o, &out);
    }
    if (status == CTL_DONE && o->json)
        ctl_print_json(json_pack("{s:I, s:I}", "changed", out.changed, "unchanged", out.unchanged));
    else if (status == CTL_DONE)
        print_outcome(&out, strcmp(o->argument[1], "add") == 0);
    return status;
}

enum ctl_status ctl_set(struct ctl_client *c, const struct ctl_options *o)
{
    const char *verb = o->argument_count > 1 ? o->argument[1] : "";

    if (strcmp(verb, "list") == 0 && o->argument_count <= 3)
        return list(c, o);
    if ((strcmp(verb, "add") == 0 || strcmp(verb, "delete") == 0) && o->argument_count >= 3)
        return change(c, o);
    return usage();
}
