/*
 * Captures: started, stopped and told of. The file is one of the configured directory, whoever
 * asks: a name with a path, or of a file that exists, is refused. A session is captured by the
 * addresses and ports of its two connections, as they are when the capture starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/captures.h"
#include "appliance/command/command_internal.h"

#define SNAPLEN_DEFAULT   65535
#define SECONDS_DEFAULT   60
#define MEGABYTES_DEFAULT 64
#define FRAMES_MAX        UINT32_MAX

static json_t *end_name(enum capture_end end)
{
    static const char *const names[] = {
        [CAPTURE_RUNS] = "running", [CAPTURE_STOPPED] = "stopped", [CAPTURE_COUNT] = "count",
        [CAPTURE_BYTES] = "size",   [CAPTURE_TIME] = "time",       [CAPTURE_FAILED] = "failed",
    };

    return json_string(names[end]);
}

static json_t *state_reply(const struct captures *cs)
{
    struct capture_state state;
    char path[PATH_MAX + NAME_MAX + 2];

    if (cs->file[0] == '\0')
        return control_reply_ok(json_pack("{s:n}", "file"));
    captures_state(cs, &state);
    snprintf(path, sizeof path, "%s/%s", cs->directory, cs->file);
    return control_reply_ok(json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "file",
                                      control_string(path), "what", control_string(cs->comment),
                                      "state", end_name(state.end), "frames",
                                      (json_int_t)state.frames, "bytes", (json_int_t)state.bytes,
                                      "dropped", (json_int_t)state.dropped));
}

/* ---- what is to be captured ---- */

static int number(json_t *request, const char *name, uint64_t min, uint64_t max, uint64_t fallback,
                  uint64_t *out, struct error *e)
{
    *out = command_natural(request, name, fallback);
    if (json_object_get(request, name) != NULL && (*out < min || *out > max))
        return error_set(e, "%s: expected a number from %llu to %llu", name,
                         (unsigned long long)min, (unsigned long long)max);
    return 0;
}

static int find_interface(const struct command_context *c, json_t *request, int *only,
                          struct error *e)
{
    const char *name = command_text(request, "interface");

    *only = -1;
    for (unsigned i = 0; i < c->ports->count && name != NULL; i++) {
        if (strcmp(c->ports->port[i].name, name) == 0)
            *only = (int)i;
    }
    if (name != NULL && *only < 0)
        return error_set(e, "there is no interface \"%.64s\"", name);
    return 0;
}

static void flow_add(struct capture_filter *f, const struct proxy_record_side *side)
{
    if (side->used)
        f->flow[f->flow_count++] = (struct capture_flow){{side->remote, side->local}};
}

static int find_session(struct command_context *c, const char *text, struct capture_filter *f,
                        struct error *e)
{
    struct proxy_record record;

    if (command_session_find(c, text, &record, e) < 0)
        return -1;
    flow_add(f, &record.client_side);
    flow_add(f, &record.backend_side);
    return 0;
}

static int read_filter(struct command_context *c, json_t *request, struct capture_filter *f,
                       struct error *e)
{
    const char *host = command_text(request, "host"), *session = command_text(request, "session");
    uint64_t port;

    if (number(request, "port", 1, UINT16_MAX, 0, &port, e) < 0)
        return -1;
    f->port = (uint16_t)port;
    f->has_host = host != NULL;
    if (host != NULL && ip_parse(host, &f->host) < 0)
        return error_set(e, "\"%.64s\" is no address", host);
    return session != NULL ? find_session(c, session, f, e) : 0;
}

static int read_bounds(json_t *request, struct capture_config *config, struct error *e)
{
    uint64_t snaplen, seconds, megabytes;

    if (number(request, "count", 1, FRAMES_MAX, 0, &config->count, e) < 0 ||
        number(request, "snaplen", CAPTURE_SNAPLEN_MIN, CAPTURE_SNAPLEN_MAX, SNAPLEN_DEFAULT,
               &snaplen, e) < 0 ||
        number(request, "seconds", 1, CAPTURE_SECONDS_MAX, SECONDS_DEFAULT, &seconds, e) < 0 ||
        number(request, "megabytes", 1, CAPTURE_MEGABYTES_MAX, MEGABYTES_DEFAULT, &megabytes, e) <
            0)
        return -1;
    config->snaplen = (uint32_t)snaplen;
    config->duration = seconds * CLOCK_SEC;
    config->bytes = megabytes << 20;
    return 0;
}

/* ---- the file ---- */

static int check_name(const char *name, struct error *e)
{
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL || strlen(name) > NAME_MAX)
        return error_set(e, "\"%.64s\" is no name for a file: expected one without a path", name);
    return 0;
}

static void default_name(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(out, size, "sluice-%Y%m%dT%H%M%SZ.pcapng", &tm);
}

/* "interface outside, host 192.0.2.7, session 0.17" */
static void describe(json_t *request, char *out, size_t size)
{
    static const char *const words[] = {"interface", "host", "session"};
    int64_t port = json_integer_value(json_object_get(request, "port"));
    size_t used = 0;

    snprintf(out, size, "everything");
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *value = command_text(request, words[i]);

        if (value != NULL && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s %.64s", used > 0 ? ", " : "",
                                     words[i], value);
    }
    if (port != 0 && used < size)
        snprintf(out + used, size - used, "%sport %lld", used > 0 ? ", " : "", (long long)port);
}

json_t *command_capture_start(struct command_context *c, json_t *request)
{
    const char *file = command_text(request, "file");
    char name[64], comment[512];
    struct capture_config config = {
        .directory = c->snapshots->current->policy->control.captures,
        .file = file != NULL ? file : name,
        .comment = comment,
        .interface_count = c->ports->count,
    };
    struct error e = {0};
    int only;

    default_name(name, sizeof name);
    describe(request, comment, sizeof comment);
    for (unsigned i = 0; i < c->ports->count; i++)
        config.interface[i] = c->ports->port[i].name;
    if (check_name(config.file, &e) < 0 || find_interface(c, request, &only, &e) < 0 ||
        read_filter(c, request, &config.filter, &e) < 0 || read_bounds(request, &config, &e) < 0 ||
        captures_start(c->captures, c->workers, &config, only, &e) < 0)
        return control_reply_error("%s", e.text);
    return state_reply(c->captures);
}

json_t *command_capture_stop(struct command_context *c, json_t *request)
{
    (void)request;
    if (c->captures->running == NULL)
        return control_reply_error("no capture runs");
    captures_stop(c->captures, c->workers);
    return state_reply(c->captures);
}

json_t *command_capture_status(struct command_context *c, json_t *request)
{
    (void)request;
    captures_tick(c->captures, c->workers);
    return state_reply(c->captures);
}
