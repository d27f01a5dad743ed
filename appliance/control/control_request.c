#include "appliance/control/control_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
    [CONTROL_STRING] = "a string",
    [CONTROL_NATURAL] = "an integer from 0",
    [CONTROL_STRINGS] = "an array of strings",
};

json_t *control_request_parse(const char *line, size_t len, struct error *e)
{
    json_error_t cause;
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &cause);

    if (request == NULL) {
        error_set(e, "no JSON: %s (at byte %d)", cause.text, cause.position);
        return NULL;
    }
    if (json_is_object(request) && json_is_string(json_object_get(request, "command")))
        return request;
    error_set(e, json_is_object(request) ? "the member \"command\" is no string"
                                         : "expected an object with the member \"command\"");
    json_decref(request);
    return NULL;
}

const char *control_request_command(json_t *request)
{
    return json_string_value(json_object_get(request, "command"));
}

static bool all_strings(const json_t *array)
{
    const json_t *element;
    size_t i;

    json_array_foreach (array, i, element) {
        if (!json_is_string(element))
            return false;
    }
    return true;
}

static bool has_type(const json_t *value, enum control_type type)
{
    switch (type) {
    case CONTROL_STRING:
        return json_is_string(value);
    case CONTROL_NATURAL:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case CONTROL_STRINGS:
        return json_is_array(value) && all_strings(value);
    }
    return false;
}

static const struct control_argument *find_argument(const struct control_argument *arguments,
                                                    const char *name)
{
    for (; arguments->name != NULL; arguments++) {
        if (strcmp(arguments->name, name) == 0)
            return arguments;
    }
    return NULL;
}

int control_request_check(json_t *request, const struct control_argument *arguments,
                          struct error *e)
{
    const struct control_argument *a;
    const char *name;
    json_t *value;

    json_object_foreach (request, name, value) {
        if (strcmp(name, "command") == 0)
            continue;
        a = find_argument(arguments, name);
        if (a == NULL)
            return error_set(e, "unknown member \"%.64s\"", name);
        if (!has_type(value, a->type))
            return error_set(e, "member \"%s\": expected %s", name, type_names[a->type]);
    }
    for (a = arguments; a->name != NULL; a++) {
        if (a->required && json_object_get(request, a->name) == NULL)
            return error_set(e, "the member \"%s\" is missing (%s)", a->name, type_names[a->type]);
    }
    return 0;
}

json_t *control_reply_ok(json_t *result)
{
    return json_pack("{s:b, s:o}", "ok", 1, "result", result);
}

json_t *control_reply_error(const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX + 128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return json_pack("{s:b, s:o}", "ok", 0, "error", control_string(text));
}

json_t *control_string(const char *text)
{
    json_t *string = json_string(text);
    char *copy;

    if (string != NULL)
        return string;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
    string = json_string(copy);
    free(copy);
    return string;
}
