/* A request of the control socket: whatever the bytes, it is a command whose arguments can be
 * checked, or there is a reason why it is not, that fits into a reply. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/control/control_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const char *why)
{
    json_t *reply = control_reply_error("%s", why);
    char *text = json_dumps(reply, JSON_COMPACT);

    if (text == NULL || strchr(text, '\n') != NULL)
        abort();
    free(text);
    json_decref(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct control_argument arguments[] = {
        {"id", CONTROL_STRING, false},
        {"after", CONTROL_NATURAL, false},
        {"prefixes", CONTROL_STRINGS, false},
        {0},
    };
    struct error e = {0};
    json_t *request = control_request_parse((const char *)data, size, &e);

    if ((request == NULL) != e.set)
        abort();
    if (request == NULL) {
        check_reply(e.text);
        return 0;
    }
    if (control_request_command(request) == NULL)
        abort();
    if (control_request_check(request, arguments, &e) < 0)
        check_reply(e.text);
    json_decref(request);
    return 0;
}
