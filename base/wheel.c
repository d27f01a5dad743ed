/*
 * Theory of operation: level L holds timers that are 256^L to 256^(L+1) ticks away, in the slot
 * named by the L-th byte of their tick. When the byte below wraps to zero, the level's current
 * slot is emptied and its timers fall to the levels below. A bitmap for each level finds the next
 * occupied slot without walking empty ones, so an idle wheel jumps any distance at once. A timer
 * further away than the wheel spans goes into the top level all the same; whenever its slot comes
 * round too early, it is put back there.
 */
#include "base/wheel.h"

#include <string.h>

#define WHEEL_MASK (WHEEL_SLOTS - 1)

void wheel_init(struct wheel *w, clock_ns now)
{
    memset(w, 0, sizeof *w);
    w->tick = now >> WHEEL_TICK_SHIFT;
}

static uint64_t tick_of_deadline(clock_ns deadline)
{
    uint64_t tick = deadline >> WHEEL_TICK_SHIFT;

    /* Rounded up: a timer may be late by a tick, never early. */
    if ((deadline & ((UINT64_C(1) << WHEEL_TICK_SHIFT) - 1)) != 0)
        tick++;
    return tick;
}

static void wheel_link(struct wheel *w, struct wheel_timer *t)
{
    uint64_t tick = tick_of_deadline(t->deadline);
    unsigned level = 0, slot;

    if (tick <= w->tick)
        tick = w->tick + 1;
    /* The level is that of the highest byte in which the tick differs from the present one. */
    while (level < WHEEL_LEVELS - 1 && (tick >> ((level + 1) * WHEEL_SLOT_BITS)) !=
                                           (w->tick >> ((level + 1) * WHEEL_SLOT_BITS)))
        level++;
    slot = (tick >> (level * WHEEL_SLOT_BITS)) & WHEEL_MASK;
    t->next = w->slot[level][slot];
    if (t->next != NULL)
        t->next->prev = &t->next;
    t->prev = &w->slot[level][slot];
    w->slot[level][slot] = t;
    w->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
}

static void wheel_unlink(struct wheel_timer *t)
{
    /* An emptied slot keeps its bit until it is visited: cancelling need not know the level. */
    *t->prev = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    t->prev = NULL;
    t->next = NULL;
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, clock_ns deadline)
{
    if (t->prev != NULL)
        wheel_unlink(t);
    else
        w->armed++;
    t->deadline = deadline;
    wheel_link(w, t);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (t->prev == NULL)
        return;
    wheel_unlink(t);
    w->armed--;
}

/* The next occupied slot of a level at or after `from`, or WHEEL_SLOTS. */
static unsigned next_slot(const uint64_t occupied[WHEEL_SLOTS / 64], unsigned from)
{
    for (unsigned word = from / 64; word < WHEEL_SLOTS / 64; word++) {
        uint64_t bits = occupied[word];

        if (word == from / 64)
            bits &= ~UINT64_C(0) << (from % 64);
        if (bits != 0)
            return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return WHEEL_SLOTS;
}

/* The first tick after the present one at which something must be done, or UINT64_MAX. */
static uint64_t next_tick(const struct wheel *w)
{
    uint64_t best = UINT64_MAX;

    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_SLOT_BITS;
        uint64_t block = w->tick >> shift; /* the present slot, counted from time zero */
        uint64_t first = block & ~(uint64_t)WHEEL_MASK;
        unsigned slot = next_slot(w->occupied[level], (unsigned)(block & WHEEL_MASK) + 1);
        uint64_t at;

        if (slot < WHEEL_SLOTS) {
            at = (first + slot) << shift;
        } else {
            /* The top level alone goes round: slots before the present one lie in the next turn. */
            slot = level == WHEEL_LEVELS - 1 ? next_slot(w->occupied[level], 0) : WHEEL_SLOTS;
            if (slot == WHEEL_SLOTS)
                continue;
            at = (first + WHEEL_SLOTS + slot) << shift;
        }
        if (at < best)
            best = at;
    }
    return best;
}

static void cascade(struct wheel *w, unsigned level)
{
    unsigned slot = (w->tick >> (level * WHEEL_SLOT_BITS)) & WHEEL_MASK;
    struct wheel_timer *t = w->slot[level][slot];

    w->slot[level][slot] = NULL;
    w->occupied[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    while (t != NULL) {
        struct wheel_timer *next = t->next;
        uint64_t tick = tick_of_deadline(t->deadline);

        t->next = NULL;
        t->prev = NULL;
        /* A timer of exactly this tick goes into the level-0 slot that is about to fire. */
        if (tick <= w->tick) {
            unsigned now_slot = w->tick & WHEEL_MASK;

            t->next = w->slot[0][now_slot];
            if (t->next != NULL)
                t->next->prev = &t->next;
            t->prev = &w->slot[0][now_slot];
            w->slot[0][now_slot] = t;
            w->occupied[0][now_slot / 64] |= UINT64_C(1) << (now_slot % 64);
        } else {
            wheel_link(w, t);
        }
        t = next;
    }
}

static uint32_t fire_slot(struct wheel *w, clock_ns now)
{
    unsigned slot = w->tick & WHEEL_MASK;
    uint32_t fired = 0;
    struct wheel_timer *due;

    /* A callback may cancel a timer of the same slot, so the list is popped one by one; what it
     * arms goes to a later tick and cannot come back into this slot during the loop. */
    while ((due = w->slot[0][slot]) != NULL) {
        wheel_unlink(due);
        w->armed--;
        fired++;
        due->fire(due, now);
    }
    w->occupied[0][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    return fired;
}

uint32_t wheel_advance(struct wheel *w, clock_ns now)
{
    uint64_t target = now >> WHEEL_TICK_SHIFT;
    uint32_t fired = 0;

    while (w->tick < target) {
        uint64_t tick = next_tick(w);

        if (tick > target) {
            w->tick = target;
            break;
        }
        w->tick = tick;
        for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
            if ((w->tick & ((UINT64_C(1) << (level * WHEEL_SLOT_BITS)) - 1)) == 0)
                cascade(w, level);
        }
        fired += fire_slot(w, now);
    }
    return fired;
}

clock_ns wheel_next(const struct wheel *w)
{
    uint64_t tick;

    if (w->armed == 0)
        return CLOCK_NEVER;
    tick = next_tick(w);
    return tick == UINT64_MAX ? CLOCK_NEVER : tick << WHEEL_TICK_SHIFT;
}
