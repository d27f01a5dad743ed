/*
 * What the peer's timestamps protect from: segments of an earlier round of the sequence numbers
 * (PAWS; RFC 7323, 5). Ours are in tcp_isn.c, what they measure is in tcp_rtt.c.
 */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_input.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_seq.h"

static uint32_t seconds(const struct tcp_conn *c)
{
    return (uint32_t)(c->sock.tcp->now / CLOCK_SEC);
}

/* 5.5: after so long a silence the peer's clock may have wrapped. */
static bool outdated(const struct tcp_conn *c)
{
    return seconds(c) - c->ts_recent_time > TCP_PAWS_EXPIRY;
}

bool tcp_timestamp_acceptable(struct tcp_conn *c, struct packet *p)
{
    if (!c->timestamps || (p->tcp.flags & TCP_RST) != 0) /* 5.2: a RST is exempt */
        return true;
    if (!p->tcp.has_timestamp) { /* 3.2: once negotiated, it must be there */
        p->drop = drop_tcp_paws;
        return false;
    }
    if (!seq_lt(p->tcp.ts_value, c->ts_recent) || outdated(c))
        return true;
    p->drop = drop_tcp_paws;
    tcp_unacceptable(c, p);
    return false;
}

void tcp_timestamp_note(struct tcp_conn *c, const struct packet *p)
{
    if (c->timestamps && p->tcp.has_timestamp && seq_le(p->tcp.seq, c->last_ack_sent) &&
        (!seq_lt(p->tcp.ts_value, c->ts_recent) || outdated(c))) {
        c->ts_recent = p->tcp.ts_value;
        c->ts_recent_time = seconds(c);
    }
}
