/*
 * Challenge ACKs (RFC 5961): what only a lost or a forged segment can be is answered by where we
 * really are, so that a peer that did send it can follow with an exact one.
 *
 * They are limited twice. Each connection sends no more than ten in five seconds (5961, 7), five of
 * them at once, so that nobody is flooded through it. All together have a budget a second, or many
 * connections would make many. Such a budget must not be a gauge: whoever exhausts it on
 * connections of its own, and counts what comes, would learn whether a forged segment on somebody
 * else's connection has taken one (CVE-2016-5696). So it is another one each second, by a secret,
 * between half and one and a half times the mean: what one challenge takes away is lost in that.
 */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_input.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_tick.h"

#define CHALLENGE_GAP   CLOCK_SEC /* of one connection */
#define CHALLENGE_BURST 5
#define CHALLENGE_FAR   (10 * CLOCK_SEC) /* no time due lies there, but one that is long past */
#define CHALLENGES_MEAN 5000             /* a second, of all */

static bool budget_take(struct tcp *t)
{
    uint64_t second = t->now / CLOCK_SEC + 1; /* never 0: that is none */

    if (second != t->challenge_second) {
        uint64_t random = siphash(&second, sizeof second, &t->challenge_key);

        t->challenge_second = second;
        t->challenges_left = CHALLENGES_MEAN / 2 + (uint32_t)(random % CHALLENGES_MEAN);
    }
    if (t->challenges_left == 0)
        return false;
    t->challenges_left--;
    return true;
}

void tcp_challenge(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    clock_ns due = tcp_tick_time(c->challenge_due, t->now);
    clock_ns start = due > t->now && due - t->now < CHALLENGE_FAR ? due : t->now;

    if (start - t->now > (CHALLENGE_BURST - 1) * CHALLENGE_GAP) {
        tcp_count(t, tcp_challenge_acks_limited);
        return;
    }
    if (!budget_take(t)) {
        tcp_count(t, tcp_challenge_budget_exhausted);
        return;
    }
    c->challenge_due = tcp_tick_of(start + CHALLENGE_GAP);
    tcp_count(t, tcp_challenge_acks);
    tcp_output_ack(c);
}
