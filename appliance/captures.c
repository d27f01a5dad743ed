/*
 * Theory of operation: a lane is the worker's from the message that gives it until the one that
 * takes it away is acknowledged. A worker that does not answer in time may still write into its
 * lane: then the capture's memory is kept for good rather than freed.
 */
#include "appliance/captures.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* Gives the workers their lanes, or takes them away (NULL). */
static int lanes_tell(struct workers *workers, struct capture *c, int only, struct error *e)
{
    int result = 0;

    for (unsigned i = 0; i < workers->running; i++) {
        const struct mailbox_message message = {
            .kind = MAILBOX_CAPTURE,
            .lane = c != NULL ? capture_lane(c, i) : NULL,
            .only = only,
        };

        if (workers_tell_one(&workers->worker[i], &message, e) < 0)
            result = -1;
    }
    return result;
}

static const char *end_text(enum capture_end end)
{
    static const char *const texts[] = {
        [CAPTURE_RUNS] = "runs",
        [CAPTURE_STOPPED] = "stopped",
        [CAPTURE_COUNT] = "as many frames as asked for",
        [CAPTURE_BYTES] = "as large as asked for",
        [CAPTURE_TIME] = "as long as asked for",
        [CAPTURE_FAILED] = "the file could not be written",
    };

    return texts[end];
}

int captures_start(struct captures *cs, struct workers *workers, struct capture_config *config,
                   int only, struct error *e)
{
    captures_tick(cs, workers);
    if (cs->running != NULL)
        return error_set(e, "a capture runs already: %s/%s", cs->directory, cs->file);
    snprintf(cs->directory, sizeof cs->directory, "%s", config->directory);
    snprintf(cs->file, sizeof cs->file, "%s", config->file);
    snprintf(cs->comment, sizeof cs->comment, "%s", config->comment);
    config->directory = cs->directory;
    config->file = cs->file;
    config->comment = cs->comment;
    config->workers = workers->running;
    cs->running = capture_start(config, e);
    if (cs->running == NULL) {
        cs->file[0] = '\0';
        return -1;
    }
    if (lanes_tell(workers, cs->running, only, e) == 0) {
        log_info("capture", "%s/%s: %s", cs->directory, cs->file, cs->comment);
        return 0;
    }
    captures_stop(cs, workers);
    return -1;
}

void captures_stop(struct captures *cs, struct workers *workers)
{
    struct capture *c = cs->running;
    bool given_back;

    if (c == NULL)
        return;
    given_back = lanes_tell(workers, NULL, -1, NULL) == 0;
    capture_stop(c);
    capture_state(c, &cs->last);
    cs->running = NULL;
    log_info("capture", "%s/%s: %llu frames, %llu left out: %s", cs->directory, cs->file,
             (unsigned long long)cs->last.frames, (unsigned long long)cs->last.dropped,
             end_text(cs->last.end));
    if (given_back)
        capture_free(c);
}

void captures_tick(struct captures *cs, struct workers *workers)
{
    struct capture_state state;

    if (cs->running == NULL)
        return;
    capture_state(cs->running, &state);
    if (state.end != CAPTURE_RUNS)
        captures_stop(cs, workers);
}

void captures_state(const struct captures *cs, struct capture_state *out)
{
    if (cs->running != NULL)
        capture_state(cs->running, out);
    else
        *out = cs->last;
}
