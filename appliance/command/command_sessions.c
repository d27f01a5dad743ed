/*
 * Theory of operation: a session belongs to its worker, so its facts come by the mailbox. A page is
 * one message to one worker, which answers between two rounds; the next page is another request.
 * Neither the main thread nor a worker is held up by the number of sessions, and between two pages
 * others have their turn. Filters are applied to what came, so a page may be empty and yet not be
 * the last.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/command/command_internal.h"
#include "appliance/session_json.h"

#define PAGE 128

struct filter {
    const char *listener, *backend; /* NULL: any */
    const struct ip_prefix *client;
};

/* Memory for the answer. Where a worker has not answered it may do so yet: the memory is its. */
static void free_answer(const struct worker *w, struct mailbox_sessions *answer)
{
    if (!w->mailbox.awaited)
        free(answer);
}

/* Asks one worker for records: those after an id, or the one of an id. Returns NULL with the cause,
 * else an answer for free_answer(). */
static struct mailbox_sessions *ask(struct worker *w, enum mailbox_kind kind, uint64_t id,
                                    unsigned max, struct error *e)
{
    struct mailbox_sessions *answer = calloc(1, sizeof *answer + max * sizeof(struct proxy_record));
    const struct mailbox_message message = {.kind = kind, .sessions = answer};

    if (answer == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    answer->id = id;
    answer->max = max;
    if (workers_tell_one(w, &message, e) == 0)
        return answer;
    free_answer(w, answer);
    return NULL;
}

static bool passes(const struct filter *f, const struct proxy_record *r)
{
    return (f->listener == NULL || strcmp(f->listener, r->listener) == 0) &&
           (f->backend == NULL || strcmp(f->backend, r->backend) == 0) &&
           (f->client == NULL || ip_in_prefix(&r->client.addr, f->client));
}

static json_t *page_rows(const struct mailbox_sessions *answer, const struct filter *f)
{
    json_t *rows = json_array();
    clock_ns now = clock_now();

    for (unsigned i = 0; i < answer->count; i++) {
        if (passes(f, &answer->record[i]))
            json_array_append_new(rows, session_json_row(&answer->record[i], now));
    }
    return rows;
}

/* Where the next page begins: after the last record, with the next worker after a short page. */
static json_t *page_next(const struct command_context *c, unsigned worker,
                         const struct mailbox_sessions *answer)
{
    if (answer->count == answer->max)
        return json_integer((json_int_t)answer->record[answer->count - 1].id);
    if (worker + 1 < c->workers->count)
        return json_integer((json_int_t)(worker + 1) << 48);
    return json_null();
}

static int parse_filter(json_t *request, struct filter *f, struct ip_prefix *client,
                        struct error *e)
{
    const char *text = command_text(request, "client");

    f->listener = command_text(request, "listener");
    f->backend = command_text(request, "backend");
    if (text == NULL)
        return 0;
    if (ip_prefix_parse(text, client) < 0)
        return error_set(e, "client \"%.64s\": expected an address or a prefix", text);
    *client = ip_prefix_network(client);
    f->client = client;
    return 0;
}

json_t *command_sessions(struct command_context *c, json_t *request)
{
    uint64_t after = command_natural(request, "after", 0);
    unsigned worker = session_id_worker(after);
    struct mailbox_sessions *answer;
    struct filter filter = {0};
    struct ip_prefix client;
    struct error e = {0};
    json_t *reply;

    if (parse_filter(request, &filter, &client, &e) < 0)
        return control_reply_error("%s", e.text);
    if (worker >= c->workers->count)
        return control_reply_error("\"after\": no such place in the list");
    answer = ask(&c->workers->worker[worker], MAILBOX_SESSIONS, after, PAGE, &e);
    if (answer == NULL)
        return control_reply_error("%s", e.text);
    reply = control_reply_ok(json_pack("{s:o, s:o}", "sessions", page_rows(answer, &filter), "next",
                                       page_next(c, worker, answer)));
    free_answer(&c->workers->worker[worker], answer);
    return reply;
}

int command_session_find(struct command_context *c, const char *text, struct proxy_record *out,
                         struct error *e)
{
    struct mailbox_sessions *answer;
    struct worker *worker;
    bool found;
    uint64_t id;

    if (session_id_parse(text, &id) < 0)
        return error_set(e, "session \"%.64s\": expected a number like 0.17", text);
    if (session_id_worker(id) >= c->workers->count)
        return error_set(e, "there is no session %s", text);
    worker = &c->workers->worker[session_id_worker(id)];
    answer = ask(worker, MAILBOX_SESSION, id, 1, e);
    if (answer == NULL)
        return -1;
    found = answer->count > 0;
    if (found)
        *out = answer->record[0];
    free_answer(worker, answer);
    return found ? 0 : error_set(e, "there is no session %s", text);
}

json_t *command_session(struct command_context *c, json_t *request)
{
    struct proxy_record record;
    struct error e = {0};

    if (command_session_find(c, command_text(request, "id"), &record, &e) < 0)
        return control_reply_error("%s", e.text);
    return control_reply_ok(session_json(&record, clock_now()));
}
