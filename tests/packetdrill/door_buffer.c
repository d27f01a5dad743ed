/*
 * SO_SNDBUF as Linux keeps its accounts. The value bounds what the buffers take, not their bytes: a
 * buffer holds half of the peer's largest window, costs something by itself, and is taken whole
 * when there is any room before; the last one is filled up even where there is none. A writer that
 * had to wait goes on when a third of all is free. Of sockets that leave their buffer to the stack
 * the stack's own rules hold.
 */
#include "tests/packetdrill/door_internal.h"

#include "stack/tcp/tcp_internal.h"

#define BUFFER_COST 1280  /* of each, beside its bytes */
#define BUFFER_MOST 65535 /* bytes, as of a frame that a device cuts */

static uint32_t goal(const struct tcp_conn *c)
{
    uint32_t segment = tcp_segment_size(c), half = c->max_snd_wnd / 2;

    half = half < BUFFER_MOST ? half : BUFFER_MOST;
    return half > segment ? half - half % segment : segment;
}

static uint32_t cost(const struct tcp_conn *c)
{
    uint32_t bytes = tcp_send_end(c) - c->snd_una, one = goal(c);

    return bytes + (bytes + one - 1) / one * BUFFER_COST;
}

static uint32_t unsent(const struct tcp_conn *c)
{
    return tcp_send_end(c) - c->snd_max;
}

/* What of the last buffer has not been sent yet can be filled up. */
static uint32_t tail(const struct door_file *f, const struct tcp_conn *c)
{
    return f->tail < unsent(c) ? f->tail : unsent(c);
}

static bool accounted(const struct door_file *f)
{
    return f->send_fixed || f->notsent != 0;
}

/* May there be one more buffer? */
static bool room(const struct door_file *f, const struct tcp_conn *c)
{
    if (f->notsent != 0 && unsent(c) >= f->notsent)
        return false;
    return f->send_fixed ? cost(c) < f->send_reported : sock_writable(f->sock) > 0;
}

uint32_t door_buffer_room(struct door_file *f)
{
    const struct tcp_conn *c;

    if (!accounted(f))
        return sock_writable(f->sock);
    c = tcp_conn_of(f->sock);
    f->tail = tail(f, c);
    if (f->tail > 0 && f->tail < goal(c))
        return goal(c) - f->tail;
    return room(f, c) ? goal(c) : 0;
}

void door_buffer_filled(struct door_file *f, uint32_t bytes)
{
    const struct tcp_conn *c;

    if (!accounted(f) || bytes == 0)
        return;
    c = tcp_conn_of(f->sock);
    f->tail = (f->tail + bytes - 1) % goal(c) + 1;
}

bool door_buffer_fits(const struct door_file *f, size_t bytes)
{
    const struct tcp_conn *c = tcp_conn_of(f->sock);

    if (f->notsent != 0 && unsent(c) + bytes > f->notsent)
        return false;
    if (!f->send_fixed)
        return sock_writable(f->sock) >= bytes;
    return room(f, c) && bytes <= f->send_reported - cost(c);
}

uint32_t door_buffer_bound(const struct door_file *f)
{
    return f->send_reported + BUFFER_MOST;
}

bool door_buffer_writable(const struct door_file *f)
{
    const struct tcp_conn *c = tcp_conn_of(f->sock);
    uint32_t taken;

    if (f->notsent != 0 && unsent(c) >= f->notsent - f->notsent / 2)
        return false;
    if (!f->send_fixed)
        return sock_writable(f->sock) > 0;
    taken = cost(c);
    return taken + taken / 2 <= f->send_reported;
}
