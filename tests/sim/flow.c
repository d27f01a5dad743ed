#include "tests/sim/flow.h"

#include <string.h>

#include "tests/sim/flow_tls.h"

#define FLOW_PIECE_MAX 65536

uint8_t flow_byte(uint64_t pattern, uint64_t position)
{
    uint64_t state = pattern + position / 8 * UINT64_C(0x632be59bd9b4e019);

    return (uint8_t)(sim_mix(&state) >> (position % 8 * 8));
}

static void flow_fill(uint64_t pattern, uint64_t position, uint8_t *out, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        if (i + 8 <= len && (position + i) % 8 == 0) {
            uint64_t state = pattern + (position + i) / 8 * UINT64_C(0x632be59bd9b4e019);
            uint64_t word = sim_mix(&state);

            for (unsigned b = 0; b < 8; b++)
                out[i + b] = (uint8_t)(word >> (b * 8));
            i += 7;
            continue;
        }
        out[i] = flow_byte(pattern, position + i);
    }
}

static uint32_t piece(struct flow *f)
{
    uint32_t max = f->piece != 0 && f->piece < FLOW_PIECE_MAX ? f->piece : FLOW_PIECE_MAX;

    return 1 + (uint32_t)(sim_mix(&f->random) % max);
}

static void flow_end(struct flow *f, enum sock_error error)
{
    f->error = error;
    f->finished = true;
    if (f->tls != NULL)
        flow_tls_destroy(f->tls);
    f->tls = NULL;
    if (error == SOCK_OK)
        sock_close(f->sock);
    else
        sock_abort(f->sock);
    f->sock = NULL;
}

/* ---- the stream below: a socket, or TLS on one ---- */

static uint32_t stream_write(struct flow *f, const void *data, uint32_t len)
{
    return f->tls != NULL ? flow_tls_write(f->tls, data, len) : sock_write(f->sock, data, len);
}

static uint32_t stream_read(struct flow *f, void *out, uint32_t len)
{
    return f->tls != NULL ? flow_tls_read(f->tls, out, len) : sock_read(f->sock, out, len);
}

static void stream_shutdown(struct flow *f)
{
    if (f->tls != NULL)
        flow_tls_shutdown(f->tls);
    else
        sock_shutdown(f->sock);
}

static bool stream_eof(struct flow *f)
{
    return f->tls != NULL ? flow_tls_eof(f->tls) : sock_eof(f->sock);
}

/* A few bytes at a time, each piece a segment of its own. */
static bool preface(struct flow *f, clock_ns now)
{
    uint32_t n = f->preface_len - f->preface_sent;

    if (n == 0)
        return true;
    if (now < f->read_again)
        return false;
    if (sim_mix(&f->random) % 3 != 0)
        n = 1 + (uint32_t)(sim_mix(&f->random) % n);
    f->preface_sent += sock_write(f->sock, f->preface + f->preface_sent, n);
    f->read_again = now + 1 + sim_mix(&f->random) % (10 * CLOCK_MS);
    return false;
}

static bool announce(struct flow *f)
{
    uint8_t number[4];

    memcpy(number, &f->number, 4);
    if (f->announce && f->announced < 4)
        f->announced += stream_write(f, number + f->announced, 4 - f->announced);
    return !f->announce || f->announced == 4;
}

static void flow_write(struct flow *f)
{
    static uint8_t data[FLOW_PIECE_MAX];

    if (!announce(f))
        return;
    while (f->sent < f->to_send) {
        uint32_t want = piece(f), n;

        if (want > f->to_send - f->sent)
            want = (uint32_t)(f->to_send - f->sent);
        flow_fill(f->send_pattern, f->sent, data, want);
        n = stream_write(f, data, want);
        f->sent += n;
        if (n < want)
            return;
    }
    if (!f->shut && !f->open) {
        f->shut = true;
        stream_shutdown(f);
    }
}

static void flow_check(struct flow *f, const uint8_t *data, uint32_t len)
{
    static uint8_t expected[FLOW_PIECE_MAX];

    flow_fill(f->receive_pattern, f->received, expected, len);
    for (uint32_t i = 0; i < len && f->mismatch_at == 0; i++) {
        if (data[i] != expected[i])
            f->mismatch_at = f->received + i + 1;
    }
    f->received += len;
}

static void flow_read(struct flow *f, clock_ns now)
{
    static uint8_t data[FLOW_PIECE_MAX];

    while (now >= f->read_again) {
        uint32_t n = stream_read(f, data, piece(f));

        if (n == 0)
            return;
        flow_check(f, data, n);
        if (f->pause > 0 && sim_mix(&f->random) % 4 == 0)
            f->read_again = now + sim_mix(&f->random) % f->pause;
    }
}

void flow_event(struct flow *f, const struct event *e, clock_ns now)
{
    if (f->finished)
        return;
    if ((e->what & EVENT_ERROR) != 0) {
        flow_end(f, sock_error(f->sock));
        return;
    }
    if ((e->what & EVENT_CONNECTED) != 0)
        f->established = true;
    flow_progress(f, now);
}

clock_ns flow_progress(struct flow *f, clock_ns now)
{
    if (f->finished || !f->established)
        return CLOCK_NEVER;
    if (!preface(f, now))
        return f->read_again;
    if (f->tls != NULL && !flow_tls_progress(f->tls)) {
        flow_end(f, SOCK_RESET);
        return CLOCK_NEVER;
    }
    flow_write(f);
    flow_read(f, now);
    if (f->abort_at != 0 && f->sent + f->received >= f->abort_at) {
        sock_abort(f->sock);
        f->sock = NULL;
        f->aborted = true;
        f->finished = true;
        if (f->tls != NULL)
            flow_tls_destroy(f->tls);
        f->tls = NULL;
        return CLOCK_NEVER;
    }
    if (f->shut && stream_eof(f) && (f->tls == NULL || flow_tls_flushed(f->tls))) {
        flow_end(f, SOCK_OK);
        return CLOCK_NEVER;
    }
    return f->read_again > now ? f->read_again : CLOCK_NEVER;
}

bool flow_good(const struct flow *f)
{
    return f->finished && f->error == SOCK_OK && f->mismatch_at == 0 && f->sent == f->to_send &&
           f->received == f->to_receive;
}
