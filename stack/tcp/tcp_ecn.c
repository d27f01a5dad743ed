/*
 * ECN (RFC 3168). A router that would drop sets "congestion experienced" in packets that say that
 * their ends understand it; the receiver echoes that in its acknowledgements (ECE) until the sender
 * says that it has reduced its window (CWR).
 *
 * Only new data is sent as ECN-capable: a mark on anything else could be lost unnoticed, or be
 * forged (6.1.4 to 6.1.6). A SYN cookie remembers it where the SYN has timestamps.
 */
#include "stack/tcp/tcp_ecn.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_seq.h"

#define ECT_0     2u
#define CE        3u

#define ECN_SETUP (TCP_ECE | TCP_CWR)

bool tcp_ecn_offered(const struct tcp *t, const struct packet *syn)
{
    /* 6.1.1. A SYN is never ECN-capable itself: who says so garbles the field. */
    return t->config.ecn != STACK_ECN_OFF && (syn->tcp.flags & ECN_SETUP) == ECN_SETUP &&
           (syn->tos & 3) == 0;
}

void tcp_ecn_syn_received(struct tcp_conn *c, const struct packet *p)
{
    if ((p->tcp.flags & TCP_ACK) != 0)
        c->ecn = c->ecn_asked && (p->tcp.flags & ECN_SETUP) == TCP_ECE;
    else if (!c->active)
        c->ecn = tcp_ecn_offered(c->sock.tcp, p);
}

void tcp_ecn_remembered(struct tcp_conn *c, const struct packet_tcp *syn)
{
    c->ecn = (syn->flags & ECN_SETUP) == ECN_SETUP;
}

uint8_t tcp_ecn_syn_flags(struct tcp_conn *c)
{
    if (c->state == TCP_SYN_RECEIVED)
        return c->ecn ? TCP_ECE : 0;
    /* 6.1.1.1: there are boxes that drop such a SYN. The next one goes without. */
    c->ecn_asked = c->sock.tcp->config.ecn == STACK_ECN_ACTIVE && c->snd_max == c->iss;
    return c->ecn_asked ? ECN_SETUP : 0;
}

bool tcp_ecn_window_reduced(const struct tcp_conn *c)
{
    return c->ecn_reduced && seq_lt(c->snd_una, c->ecn_end);
}

void tcp_ecn_reduced(struct tcp_conn *c)
{
    if (!c->ecn)
        return;
    c->ecn_cwr = true;
    c->ecn_reduced = true;
    c->ecn_end = c->snd_max;
}

void tcp_ecn_progress(struct tcp_conn *c)
{
    c->ecn_reduced = tcp_ecn_window_reduced(c);
}

void tcp_ecn_undone(struct tcp_conn *c)
{
    c->ecn_reduced = false;
}

/* 6.1.2: once in a window, however many marks there were, and losses beside them. */
bool tcp_ecn_echoed(const struct tcp_conn *c, const struct packet *p)
{
    return c->ecn && (p->tcp.flags & TCP_ECE) != 0 && !tcp_ecn_window_reduced(c);
}

/* 6.1.3. The echo goes out at once: the sender has a whole window on its way. */
void tcp_ecn_data_received(struct tcp_conn *c, const struct packet *p)
{
    if (!c->ecn)
        return;
    if ((p->tcp.flags & TCP_CWR) != 0)
        c->ecn_echo = false;
    if ((p->tos & 3) != CE)
        return;
    tcp_count(c->sock.tcp, tcp_ecn_marks);
    c->ecn_echo = true;
    c->ack_now = true;
}

uint8_t tcp_ecn_mark(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags)
{
    c->path.ecn = 0;
    if (!c->ecn || (flags & (TCP_SYN | TCP_RST)) != 0)
        return flags;
    if (c->ecn_echo)
        flags |= TCP_ECE;
    if (len == 0 || seq_lt(seq, c->snd_max))
        return flags;
    c->path.ecn = ECT_0;
    return c->ecn_cwr ? flags | TCP_CWR : flags;
}

void tcp_ecn_sent(struct tcp_conn *c, uint8_t flags)
{
    if ((flags & (TCP_CWR | TCP_SYN)) == TCP_CWR)
        c->ecn_cwr = false;
}
