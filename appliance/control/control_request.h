/* The words of the control protocol: requests from text, replies to requests. */
#ifndef APPLIANCE_CONTROL_CONTROL_REQUEST_H
#define APPLIANCE_CONTROL_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Parses a request's line, without its newline. Returns the object (the caller's reference), whose
 * member "command" is a string; or NULL with what is wrong. */
json_t *control_request_parse(const char *line, size_t len, struct error *e);
const char *control_request_command(json_t *request);

enum control_type {
    CONTROL_STRING,
    CONTROL_NATURAL, /* an integer from 0 */
    CONTROL_STRINGS, /* an array of strings */
};

struct control_argument {
    const char *name;
    enum control_type type;
    bool required;
};

/* Checks the members besides "command" against a list that ends with a NULL name: those required
 * are there, none is unknown or of another type. Returns 0, or -1 with what is wrong. */
int control_request_check(json_t *request, const struct control_argument *arguments,
                          struct error *e);

/* {"ok": true, "result": result}; takes the reference. NULL when memory is out or result is NULL.
 */
json_t *control_reply_ok(json_t *result);

/* {"ok": false, "error": TEXT} */
json_t *control_reply_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A JSON string of any bytes: what is no UTF-8 becomes '?'. */
json_t *control_string(const char *text);

#endif
