/*
 * Segment arrives (RFC 9293, 3.10.7, with RFC 5961 and RFC 1337): every kind of segment in every
 * state. Each row of the table is a segment; each of its cells says, for one state, what the stack
 * answers and which state follows:
 *
 *     -  nothing      a  an ACK of what came in order so far
 *     s  SYN and ACK  r  a RST that the peer will believe
 *
 * All connections are owned, so that TIME_WAIT and CLOSED can be seen.
 */
#include "tests/unit/stack/tcp_script.h"

#include <string.h>

#define SYNACK (TCP_SYN | TCP_ACK)
#define FINACK (TCP_FIN | TCP_ACK)
#define WINDOW 65536

/* The columns. Half open in two ways: RFC 9293 treats them apart. */
enum place {
    AT_CLOSED,
    AT_LISTEN,
    AT_SYN_SENT,
    AT_PASSIVE, /* SYN_RECEIVED from LISTEN */
    AT_ACTIVE,  /* SYN_RECEIVED from SYN_SENT */
    AT_ESTABLISHED,
    AT_FIN_WAIT_1,
    AT_FIN_WAIT_2,
    AT_CLOSE_WAIT,
    AT_CLOSING,
    AT_LAST_ACK,
    AT_TIME_WAIT,
    PLACES,
};

/* The letters of the states, as the table has them. */
static const char state_letter[] = {
    [TCP_CLOSED] = 'C',       [TCP_LISTEN] = 'L',      [TCP_SYN_SENT] = 'S',
    [TCP_SYN_RECEIVED] = 'R', [TCP_ESTABLISHED] = 'E', [TCP_FIN_WAIT_1] = '1',
    [TCP_FIN_WAIT_2] = '2',   [TCP_CLOSE_WAIT] = 'W',  [TCP_CLOSING] = 'G',
    [TCP_LAST_ACK] = 'A',     [TCP_TIME_WAIT] = 'T',
};

/* Where a segment's sequence number lies, against what the stack expects next. */
enum seq_place { NEXT, BEFORE, FIRST, INSIDE, RIGHT };

/* What it acknowledges: all, nothing new, less than ever was open, more than was sent. */
enum ack_place { NONE, ALL, OLD, ANCIENT, FUTURE };

struct row {
    const char *name;
    uint8_t flags;
    enum seq_place seq;
    enum ack_place ack;
    uint32_t len;
    const char *cells; /* CLOSED, LISTEN, ... as in enum place */
};

static const struct row rows[] = {
    /* RFC 9293, 3.5.3; RFC 5961, 3.2; RFC 1337 */
    {"RST, exact", TCP_RST, NEXT, NONE, 0, "-C -C -S -C -C -C -C -C -C -C -C -T"},
    {"RST, exact, ACK", TCP_RST | TCP_ACK, NEXT, ALL, 0, "-C -C -C -C -C -C -C -C -C -C -C -T"},
    {"RST, inside", TCP_RST, INSIDE, NONE, 0, "-C -C -S aR aR aE a1 a2 aW aG aA -T"},
    {"RST, inside, ACK", TCP_RST | TCP_ACK, INSIDE, ALL, 0, "-C -C -C aR aR aE a1 a2 aW aG aA -T"},
    {"RST, before", TCP_RST, BEFORE, NONE, 0, "-C -C -S -R -R -E -1 -2 -W -G -A -T"},
    {"RST, right", TCP_RST, RIGHT, NONE, 0, "-C -C -S -R -R -E -1 -2 -W -G -A -T"},
    {"RST, ACK of nothing", TCP_RST | TCP_ACK, NEXT, FUTURE, 0,
     "-C -C -S -C -C -C -C -C -C -C -C -T"},

    /* RFC 5961, 4.2 */
    {"SYN again", TCP_SYN, FIRST, NONE, 0, "rC sR sR sR sR aE a1 a2 aW aG aA aT"},
    {"SYN, inside", TCP_SYN, INSIDE, NONE, 0, "rC sR sR aR aR aE a1 a2 aW aG aA aT"},
    {"SYN, right", TCP_SYN, RIGHT, NONE, 0, "rC sR sR aR aR aE a1 a2 aW aG aA aT"},
    {"SYN, data", TCP_SYN, FIRST, NONE, 100, "rC sR sR sR sR aE a1 a2 aW aG aA aT"},
    {"SYN, ACK", SYNACK, FIRST, ALL, 0, "rC rC aE aR -E aE a1 a2 aW aG aA aT"},
    {"SYN, ACK, data", SYNACK, FIRST, ALL, 100, "rC rC aE aR -E aE a1 a2 aW aG aA aT"},
    {"SYN, ACK, inside", SYNACK, INSIDE, ALL, 0, "rC rC aE aR -E aE a1 a2 aW aG aA aT"},
    {"SYN, ACK of nothing", SYNACK, FIRST, FUTURE, 0, "rC rC rS aR rR aE a1 a2 aW aG aA aT"},

    /* RFC 9293, 3.10.7.4, fifth check; RFC 5961, 5.2 */
    {"ACK", TCP_ACK, NEXT, ALL, 0, "rC rC -S -E -E -E -2 -2 -W -T -C -T"},
    {"ACK, old", TCP_ACK, NEXT, OLD, 0, "rC rC rS rR rR -E -1 -2 -W -G -A aT"},
    {"ACK, ancient", TCP_ACK, NEXT, ANCIENT, 0, "rC rC rS rR rR aE a1 a2 aW aG aA aT"},
    {"ACK of nothing", TCP_ACK, NEXT, FUTURE, 0, "rC rC rS rR rR aE a1 a2 aW aG aA aT"},
    {"no ACK", 0, NEXT, NONE, 100, "rC -C -S -R -R -E -1 -2 -W -G -A -T"},
    {"no ACK, FIN", TCP_FIN, NEXT, NONE, 0, "rC -C -S -R -R -E -1 -2 -W -G -A -T"},

    /* First check, seventh, eighth */
    {"data", TCP_ACK, NEXT, ALL, 100, "rC rC -S aE aE aE a2 a2 aW -T -C aT"},
    {"data, FIN not acknowledged", TCP_ACK, NEXT, OLD, 100, "rC rC rS rR rR aE a1 a2 aW aG aA aT"},
    {"data, old", TCP_ACK, BEFORE, ALL, 1, "rC rC -S aE aE aE a2 a2 aW -T -C aT"},
    {"data, right", TCP_ACK, RIGHT, ALL, 100, "rC rC -S aR aR aE a1 a2 aW aG aA aT"},
    {"FIN", FINACK, NEXT, ALL, 0, "rC rC -S aW aW aW aT aT aW -T -C aT"},
    {"FIN, ours not acknowledged", FINACK, NEXT, OLD, 0, "rC rC rS rR rR aW aG aT aW aG aA aT"},
    {"FIN with data", FINACK, NEXT, ALL, 100, "rC rC -S aW aW aW aT aT aW -T -C aT"},
    {"FIN beyond a gap", FINACK, INSIDE, ALL, 100, "rC rC -S aE aE aE a2 a2 aW -T -C aT"},
    {"FIN again", FINACK, BEFORE, OLD, 0, "rC rC rS rR rR aE a1 a2 aW aG aA aT"},
    {"FIN, right", FINACK, RIGHT, ALL, 0, "rC rC -S aR aR aE a1 a2 aW aG aA aT"},
    {"SYN, FIN", TCP_SYN | TCP_FIN, FIRST, NONE, 0, "rC sR sR sR sR aE a1 a2 aW aG aA aT"},
};

static struct script *s;
static struct script_conn *c;
static uint32_t rcv_nxt, snd_nxt; /* of the stack, from its SYN on */

/* ---- how each state is reached ---- */

static void open_active(void)
{
    script_connect(c, NULL);
    script_expect(c, TCP_SYN, 0, -c->peer_iss, 0);
    rcv_nxt = 0;
    snd_nxt = 1;
}

static void shut(void)
{
    sock_shutdown(c->sock);
    script_flush(s);
    snd_nxt++;
}

static void peer_fin(uint32_t ack)
{
    script_send(c, FINACK, rcv_nxt++, ack, 0);
}

static void reach_established(enum place place)
{
    script_establish(c, script_listen(s, 80, 8, NULL));
    rcv_nxt = snd_nxt = 1;
    if (place == AT_CLOSE_WAIT || place == AT_LAST_ACK)
        peer_fin(1);
    if (place != AT_ESTABLISHED && place != AT_CLOSE_WAIT)
        shut();
    if (place == AT_FIN_WAIT_2)
        script_send(c, TCP_ACK, 1, 2, 0);
    else if (place == AT_CLOSING)
        peer_fin(1);
    else if (place == AT_TIME_WAIT)
        peer_fin(2);
}

static void reach(enum place place)
{
    c = script_conn(s);
    rcv_nxt = snd_nxt = 0;
    switch (place) {
    case AT_CLOSED:
        break;
    case AT_LISTEN:
        script_listen(s, 80, 8, NULL);
        break;
    case AT_SYN_SENT:
        open_active();
        break;
    case AT_PASSIVE:
        script_listen(s, 80, 8, NULL);
        script_send(c, TCP_SYN, 0, 0, 0);
        rcv_nxt = snd_nxt = 1;
        break;
    case AT_ACTIVE:
        open_active();
        script_send(c, TCP_SYN, 0, 0, 0);
        rcv_nxt = 1;
        break;
    default:
        reach_established(place);
    }
    script_discard(s);
}

/* ---- a cell ---- */

static uint32_t seq_of(enum seq_place place)
{
    switch (place) {
    case BEFORE:
        return rcv_nxt - 1;
    case FIRST:
        return 0;
    case INSIDE:
        return rcv_nxt + 1000;
    case RIGHT:
        return rcv_nxt + 10 * WINDOW;
    default:
        return rcv_nxt;
    }
}

static uint32_t ack_of(enum ack_place place)
{
    switch (place) {
    case OLD:
        return snd_nxt - 1;
    case ANCIENT:
        return snd_nxt - 2 * WINDOW;
    case FUTURE:
        return snd_nxt + 100;
    default:
        return snd_nxt;
    }
}

static char state_now(void)
{
    struct stack_usage u = script_usage(s);

    for (unsigned i = TCP_SYN_SENT; i <= TCP_TIME_WAIT; i++) {
        if (u.connections[i] != 0)
            return state_letter[i];
    }
    return 'C';
}

/* A RST is believed when it is exact: at the number that was acknowledged, or acknowledging all. */
static bool reset_exact(const struct script_segment *g, const struct row *row)
{
    uint32_t seq = seq_of(row->seq), ack = ack_of(row->ack);

    if ((row->flags & TCP_ACK) != 0)
        return (g->tcp.flags & TCP_ACK) == 0 && g->tcp.seq == c->stack_iss + ack;
    return (g->tcp.flags & TCP_ACK) != 0 && g->tcp.seq == 0 &&
           g->tcp.ack == c->peer_iss + seq + row->len + ((row->flags & TCP_SYN) != 0) +
                             ((row->flags & TCP_FIN) != 0);
}

static char answer_of(const struct row *row)
{
    const struct script_segment *g = script_next(s);

    if (g == NULL)
        return '-';
    if ((g->tcp.flags & TCP_RST) != 0)
        return reset_exact(g, row) ? 'r' : '?';
    if ((g->tcp.flags & TCP_SYN) != 0)
        return (g->tcp.flags & TCP_ACK) != 0 ? 's' : '?';
    return (g->tcp.flags & TCP_ACK) != 0 ? 'a' : '?';
}

static void cell(const struct row *row, enum place place, char got[3])
{
    s = script_create(NULL);
    reach(place);
    script_send(c, row->flags, seq_of(row->seq), ack_of(row->ack), row->len);
    got[0] = answer_of(row);
    got[1] = state_now();
    got[2] = '\0';
    if (script_next(s) != NULL)
        got[0] = '?'; /* one answer at most */
    script_destroy(s);
}

static void test_every_segment_in_every_state(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (unsigned r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        assert_int_equal(strlen(rows[r].cells), PLACES * 3 - 1);
        for (unsigned place = 0; place < PLACES; place++) {
            const char *want = rows[r].cells + (size_t)place * 3;
            char got[3];

            cell(&rows[r], (enum place)place, got);
            if (memcmp(got, want, 2) == 0)
                continue;
            print_error("%s: place %u: got %s, want %.2s\n", rows[r].name, place, got, want);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_segment_in_every_state)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
