/* The facts of a session as JSON: for reports while it lives, and for the session log. */
#ifndef APPLIANCE_SESSION_JSON_H
#define APPLIANCE_SESSION_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/clock.h"
#include "proxy/proxy_record.h"

#define SESSION_ID_MAX 32

/* A session's number as people see it: "WORKER.N". Writes into out[SESSION_ID_MAX], returns it. */
const char *session_id_format(uint64_t id, char *out);
int session_id_parse(const char *text, uint64_t *out); /* 0 or -1 */

static inline unsigned session_id_worker(uint64_t id)
{
    return (unsigned)(id >> 48);
}

/* In one line of a list. `now` is for the age of what still lives. */
json_t *session_json_row(const struct proxy_record *r, clock_ns now);

/* All there is. What a session never came to (a handshake, a server) is null or missing. */
json_t *session_json(const struct proxy_record *r, clock_ns now);

#endif
