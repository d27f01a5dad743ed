/*
 * Theory of operation: both forms are made of the same facts (appliance/session_json.h). JSON is
 * the object in one line. Text is its members as KEY=VALUE, those of the two sides with "client_"
 * and "server_" before their names; what a session never came to is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/session_json.h"
#include "appliance/session_log/session_log_internal.h"

#define DIGITS 15 /* of a double, all that are sure: 0.2, not 0.20000000000000001 */

/* "2026-11-22T03:02:01.123Z" of a moment on the monotonic clock. */
static json_t *wall_time(clock_ns moment, clock_ns now, const struct timespec *wall)
{
    clock_ns since = now > moment ? now - moment : 0;
    clock_ns at = (clock_ns)wall->tv_sec * CLOCK_SEC + (clock_ns)wall->tv_nsec - since;
    time_t seconds = (time_t)(at / CLOCK_SEC);
    char text[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    return json_sprintf("%s.%03uZ", text, (unsigned)(at % CLOCK_SEC / CLOCK_MS));
}

static json_t *session_object(const struct proxy_record *r, clock_ns now,
                              const struct timespec *wall)
{
    json_t *object = json_object(), *session = session_json(r, now);

    json_object_set_new(object, "time", wall_time(r->ended, now, wall));
    json_object_update(object, session);
    json_decref(session);
    return object;
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' || *text == 0x7f)
            return false;
    }
    return true;
}

static void put_string(FILE *out, const json_t *value)
{
    const char *text = json_string_value(value);

    if (*text != '\0' && is_plain(text))
        fputs(text, out);
    else
        json_dumpf(value, out, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
}

static void put_scalar(FILE *out, const json_t *value)
{
    if (json_is_string(value))
        put_string(out, value);
    else if (json_is_real(value))
        fprintf(out, "%.6f", json_real_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", out);
    else
        json_dumpf(value, out, JSON_ENCODE_ANY);
}

static const char *prefix_of(const char *member)
{
    if (strcmp(member, "client_side") == 0)
        return "client_";
    return strcmp(member, "backend_side") == 0 ? "server_" : "";
}

static void put_members(FILE *out, json_t *object, const char *prefix)
{
    const char *name;
    json_t *value;

    json_object_foreach (object, name, value) {
        if (json_is_null(value))
            continue;
        if (json_is_object(value)) {
            char inner[32];

            if (strcmp(name, "tls") == 0)
                snprintf(inner, sizeof inner, "%stls_", prefix);
            else
                snprintf(inner, sizeof inner, "%s", prefix_of(name));
            put_members(out, value, inner);
            continue;
        }
        if (ftell(out) > 0)
            fputc(' ', out);
        fprintf(out, "%s%s=", prefix, name);
        put_scalar(out, value);
    }
}

char *session_log_format(const struct proxy_record *r, enum policy_log_format format, clock_ns now,
                         const struct timespec *wall)
{
    json_t *object = session_object(r, now, wall);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (object == NULL || out == NULL) {
        json_decref(object);
        if (out != NULL)
            fclose(out);
        free(text);
        return NULL;
    }
    if (format == POLICY_LOG_JSON)
        json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    else
        put_members(out, object, "");
    fputc('\n', out);
    json_decref(object);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
