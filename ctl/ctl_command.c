/* What the commands share: asking, and printing what came back. */
#include "ctl/ctl_command.h"

#define DIGITS 15 /* of a double, all that are sure: 0.2, not 0.20000000000000001 */

json_t *ctl_request(const char *name)
{
    return json_pack("{s:s}", "command", name);
}

void ctl_print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
    putchar('\n');
    json_decref(value);
}

enum ctl_status ctl_ask(struct ctl_client *c, const struct ctl_options *o, json_t *request,
                        json_t **result)
{
    enum ctl_status status = ctl_client_ask(c, request, result);

    if (status == CTL_DONE && o->json) {
        ctl_print_json(*result);
        *result = NULL;
    }
    return status;
}

enum ctl_status ctl_print_rows(struct ctl_client *c, const struct ctl_options *o, const char *name,
                               const char *key, const struct ctl_column *columns)
{
    json_t *result;
    enum ctl_status status = ctl_ask(c, o, ctl_request(name), &result);

    if (result == NULL)
        return status;
    ctl_table_print(stdout, columns, json_object_get(result, key));
    json_decref(result);
    return CTL_DONE;
}
