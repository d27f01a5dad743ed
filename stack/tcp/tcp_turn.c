/*
 * Turns: how the connections of one egress class share the room that their interface has for it.
 *
 * A connection with more to send than there was room or credit for waits in the queue of its class,
 * at most once in one queue. Queues with somebody in them are on tcp->turns, so that a flush looks
 * at each class once, however many connections wait behind one that has no room.
 *
 * Within a queue it is deficit round robin (Shreedhar and Varghese, 1995): a turn gives a quantum
 * of credit, what is sent takes it away. A frame that the device segments may be several quanta: it
 * goes out as long as there is any credit left, and the debt is worked off by waiting, so that the
 * size of frames does not skew the shares. A debt outlives the queue, credit does not.
 */
#include "stack/tcp/tcp_turn.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_output.h"

/* Bytes of payload. */
#define TURN_QUANTUM       16384
#define TURN_QUANTUM_SMALL 3000
#define TURN_ROOM_SCARCE   64 /* frames */

static struct tcp_turn *turn_of(const struct tcp_conn *c)
{
    return &c->sock.tcp->turn[c->path.iface][c->path.egress_class];
}

void tcp_turn_init(struct tcp *t)
{
    TAILQ_INIT(&t->turns);
    for (unsigned i = 0; i < STACK_MAX_IFACES; i++) {
        for (unsigned k = 0; k < EGRESS_CLASSES; k++) {
            struct tcp_turn *q = &t->turn[i][k];

            TAILQ_INIT(&q->waiting);
            q->iface = (uint8_t)i;
            q->egress_class = (uint8_t)k;
            q->frame_max = UINT32_MAX;
        }
    }
}

/* Small where room is scarce and frames are short, so that many get their turn soon. Else a train
 * of segments: receivers acknowledge it cheaper than the same segments one by one. */
static int32_t quantum(const struct tcp_turn *q, const struct tcp_conn *c)
{
    bool tso = (c->path.offloads & STACK_TX_TCP_SEGMENT) != 0;

    if (q->frame_max < TURN_QUANTUM || (!tso && q->room < TURN_ROOM_SCARCE))
        return TURN_QUANTUM_SMALL;
    return TURN_QUANTUM;
}

/* What the hook says now. */
static void turn_ask(const struct tcp *t, struct tcp_turn *q)
{
    q->room = net_room(t->net, q->iface, q->egress_class);
    q->frame_max = net_frame_max(t->net, q->iface, q->egress_class);
}

static void turn_wait(struct tcp_turn *q, struct tcp_conn *c)
{
    if (TAILQ_EMPTY(&q->waiting))
        TAILQ_INSERT_TAIL(&c->sock.tcp->turns, q, link);
    TAILQ_INSERT_TAIL(&q->waiting, c, turn_link);
    c->turn_waiting = true;
}

void tcp_turn_leave(struct tcp_conn *c)
{
    struct tcp_turn *q = turn_of(c);

    if (!c->turn_waiting)
        return;
    TAILQ_REMOVE(&q->waiting, c, turn_link);
    c->turn_waiting = false;
    if (c->credit > 0)
        c->credit = 0;
    if (TAILQ_EMPTY(&q->waiting))
        TAILQ_REMOVE(&c->sock.tcp->turns, q, link);
}

void tcp_turn_move(struct tcp_conn *c, uint8_t egress_class)
{
    bool waiting = c->turn_waiting;

    tcp_turn_leave(c);
    c->path.egress_class = egress_class;
    if (waiting)
        turn_wait(turn_of(c), c);
}

uint32_t tcp_turn_frame_max(const struct tcp_conn *c)
{
    return turn_of(c)->frame_max;
}

bool tcp_turn_room(const struct tcp_conn *c)
{
    return turn_of(c)->room > 0;
}

void tcp_turn_charge(struct tcp_conn *c, uint32_t payload)
{
    turn_of(c)->room--;
    c->credit -= (int32_t)payload;
}

void tcp_turn_take(struct tcp_conn *c)
{
    struct tcp_turn *q = turn_of(c);

    if (c->turn_waiting)
        return;
    if (!TAILQ_EMPTY(&q->waiting)) {
        c->credit += quantum(q, c);
        turn_wait(q, c);
        return;
    }
    /* Nobody waits, so nobody minds what it owes. */
    turn_ask(c->sock.tcp, q);
    c->credit = quantum(q, c);
    if (tcp_output_data(c) != TCP_DATA_DONE)
        turn_wait(q, c);
    else if (c->credit > 0)
        c->credit = 0;
}

static void turn_again(struct tcp_turn *q, struct tcp_conn *c)
{
    c->credit += quantum(q, c);
    TAILQ_REMOVE(&q->waiting, c, turn_link);
    TAILQ_INSERT_TAIL(&q->waiting, c, turn_link);
}

/* Returns false when there are no mbufs. */
static bool turn_serve(const struct tcp *t, struct tcp_turn *q)
{
    struct tcp_conn *c;

    turn_ask(t, q);
    while (q->room > 0 && (c = TAILQ_FIRST(&q->waiting)) != NULL) {
        enum tcp_data result = c->credit > 0 ? tcp_output_data(c) : TCP_DATA_SPENT;

        if (result == TCP_DATA_DONE)
            tcp_turn_leave(c);
        else if (result == TCP_DATA_SPENT)
            turn_again(q, c);
        else
            return result != TCP_DATA_NO_MBUF;
    }
    return true;
}

/* Classes that the hook does not know share the room of another one, so each is the first in its
 * turn. */
bool tcp_turn_flush(struct tcp *t)
{
    struct tcp_turn *q, *first = TAILQ_FIRST(&t->turns), *next;
    bool mbufs = true;

    for (q = first; q != NULL; q = next) {
        next = TAILQ_NEXT(q, link);
        mbufs &= turn_serve(t, q);
    }
    if (first != NULL && !TAILQ_EMPTY(&first->waiting)) {
        TAILQ_REMOVE(&t->turns, first, link);
        TAILQ_INSERT_TAIL(&t->turns, first, link);
    }
    return mbufs;
}

bool tcp_turn_possible(const struct tcp *t)
{
    const struct tcp_turn *q;

    TAILQ_FOREACH (q, &t->turns, link) {
        if (net_room(t->net, q->iface, q->egress_class) > 0)
            return true;
    }
    return false;
}
