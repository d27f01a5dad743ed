/* A connection's state in the words of Linux's TCP_INFO, which packetdrill's scripts ask for. Times
 * are in microseconds, windows in segments. */
#include "tests/packetdrill/door_internal.h"

#include <string.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"

#define INFO_SSTHRESH_NONE 0x7fffffff
#define INFO_REORDERING    3 /* the least that Linux tells */

enum { INFO_OPEN, INFO_DISORDER, INFO_CWR, INFO_RECOVERY, INFO_LOSS };

/* Linux's names and numbers of RFC 9293's states. */
static uint8_t state_number(enum tcp_state state)
{
    static const uint8_t numbers[] = {
        [TCP_ESTABLISHED] = 1, [TCP_SYN_SENT] = 2,  [TCP_SYN_RECEIVED] = 3, [TCP_FIN_WAIT_1] = 4,
        [TCP_FIN_WAIT_2] = 5,  [TCP_TIME_WAIT] = 6, [TCP_CLOSED] = 7,       [TCP_CLOSE_WAIT] = 8,
        [TCP_LAST_ACK] = 9,    [TCP_LISTEN] = 10,   [TCP_CLOSING] = 11,
    };

    return numbers[state];
}

static uint8_t options(const struct tcp_conn *c, const struct sock_info *info)
{
    uint8_t set = 0;

    if (info->timestamps)
        set |= TCPI_OPT_TIMESTAMPS;
    if (info->sack)
        set |= TCPI_OPT_SACK;
    if (c->scaling)
        set |= TCPI_OPT_WSCALE;
    if (info->ecn)
        set |= TCPI_OPT_ECN;
    return set;
}

/* Segments that are SACKed, lost, sent again. What was lost counts as such until it is
 * acknowledged, though it was sent again since. */
static void segments(const struct tcp_conn *c, struct tcp_info *out)
{
    const struct tcp_sent *s;

    if (c->flight == NULL)
        return;
    TAILQ_FOREACH (s, &c->flight->all, link) {
        bool again = s->state == TCP_SENT_IN_FLIGHT && s->retransmitted;

        out->tcpi_sacked += s->state == TCP_SENT_SACKED ? s->segments : 0;
        out->tcpi_lost += s->state == TCP_SENT_LOST || again ? s->segments : 0;
        out->tcpi_retrans += again ? s->segments : 0;
    }
}

/* Linux's phases: Disorder is that something came out of order, and nothing is held for lost. */
static uint8_t phase(const struct tcp_conn *c, const struct tcp_info *out)
{
    if (c->recovery == TCP_RECOVERY_LOSS)
        return INFO_LOSS;
    if (c->recovery == TCP_RECOVERY_FAST)
        return INFO_RECOVERY;
    if (c->ecn_reduced && seq_lt(c->snd_una, c->ecn_end))
        return INFO_CWR;
    return out->tcpi_sacked > 0 || c->dupacks > 0 ? INFO_DISORDER : INFO_OPEN;
}

/* The peer's window, not cwnd, has no room for the next segment; or all is sent, and more would be
 * written. */
static enum door_limit limit_of(const struct door_file *f)
{
    const struct tcp_conn *c;
    uint32_t unsent, next, room;

    if (f->sock == NULL || f->listening || sock_state(f->sock) == TCP_CLOSED)
        return DOOR_LIMIT_NONE;
    c = tcp_conn_of(f->sock);
    if (!tcp_synchronized(c))
        return DOOR_LIMIT_NONE;
    unsent = tcp_send_end(c) - c->snd_max;
    next = unsent < tcp_segment_size(c) ? unsent : tcp_segment_size(c);
    room = c->snd_una + c->snd_wnd - c->snd_max;
    if (tcp_send_end(c) == c->snd_una)
        return DOOR_LIMIT_NONE;
    if (unsent > 0 && tcp_in_flight(c) + next <= c->cwnd && ((int32_t)room < 0 || room < next))
        return DOOR_LIMIT_WINDOW;
    return unsent == 0 && f->writer_waits ? DOOR_LIMIT_BUFFER : DOOR_LIMIT_BUSY;
}

void door_info_account(const struct door *d, struct door_file *f)
{
    f->limited[f->limit] += d->now - f->limit_at;
    f->limit_at = d->now;
    f->limit = limit_of(f);
}

static void limits(const struct door_file *f, struct tcp_info *out)
{
    clock_ns window = f->limited[DOOR_LIMIT_WINDOW], buffer = f->limited[DOOR_LIMIT_BUFFER];

    out->tcpi_rwnd_limited = window / CLOCK_US;
    out->tcpi_sndbuf_limited = buffer / CLOCK_US;
    out->tcpi_busy_time = (f->limited[DOOR_LIMIT_BUSY] + window + buffer) / CLOCK_US;
}

void door_info(const struct door *d, struct door_file *f, struct tcp_info *out)
{
    const struct tcp_conn *c;
    struct sock_info info;
    uint32_t segment;

    memset(out, 0, sizeof *out);
    out->tcpi_state = state_number(f->sock != NULL ? sock_state(f->sock) : TCP_CLOSED);
    if (f->sock == NULL || f->listening)
        return;
    c = tcp_conn_of(f->sock);
    sock_info(f->sock, &info);
    segment = c->mss > 0 ? tcp_segment_size(c) : 1;
    out->tcpi_retransmits = c->retries;
    out->tcpi_options = options(c, &info);
    out->tcpi_snd_wscale = c->snd_wscale & 0xf;
    out->tcpi_rcv_wscale = c->rcv_wscale & 0xf;
    out->tcpi_rto = (uint32_t)(info.rto / CLOCK_US);
    out->tcpi_snd_mss = segment;
    out->tcpi_unacked = (c->snd_max - c->snd_una + segment - 1) / segment;
    out->tcpi_last_data_recv = (uint32_t)((d->now - f->data_at) / CLOCK_MS);
    out->tcpi_pmtu = info.path_mtu;
    out->tcpi_rtt = (uint32_t)(info.srtt / CLOCK_US);
    out->tcpi_rttvar = (uint32_t)(info.rttvar / CLOCK_US);
    out->tcpi_snd_cwnd = info.cwnd / segment;
    out->tcpi_snd_ssthresh =
        info.ssthresh > INFO_SSTHRESH_NONE ? INFO_SSTHRESH_NONE : info.ssthresh / segment;
    out->tcpi_advmss = f->options.mss != 0 ? f->options.mss : d->config.mtu - 40u;
    out->tcpi_reordering = info.reordering > INFO_REORDERING ? info.reordering : INFO_REORDERING;
    segments(c, out);
    door_info_account(d, f);
    limits(f, out);
    out->tcpi_ca_state = phase(c, out);
    out->tcpi_total_retrans = info.retransmissions;
    out->tcpi_bytes_acked = info.bytes_acked;
    out->tcpi_bytes_received = info.bytes_received;
    out->tcpi_min_rtt = (uint32_t)(info.rtt_min / CLOCK_US);
    out->tcpi_pacing_rate = info.pacing_rate;
}
