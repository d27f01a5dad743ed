#include "tests/sim/flow.h"

#include <stdio.h>

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
    sock_close(f->sock);
    f->sock = NULL;
}

static void flow_write(struct flow *f)
{
    static uint8_t data[FLOW_PIECE_MAX];

    while (f->sent < f->to_send) {
        uint32_t want = piece(f), n;

        if (want > f->to_send - f->sent)
            want = (uint32_t)(f->to_send - f->sent);
        flow_fill(f->send_pattern, f->sent, data, want);
        n = sock_write(f->sock, data, want);
        f->sent += n;
        if (n < want)
            return;
    }
    if (!f->shut) {
        f->shut = true;
        sock_shutdown(f->sock);
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
        uint32_t n = sock_read(f->sock, data, piece(f));

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
    flow_write(f);
    flow_read(f, now);
    if (f->shut && sock_eof(f->sock)) {
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
