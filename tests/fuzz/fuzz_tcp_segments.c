/*
 * Segments against a whole stack on a virtual clock, in any order, mixed with what an application
 * may do.
 *
 * An input is a sequence of steps. The low four bits of a step's first byte say what it is (enum
 * step), the next two which of four flows; its operands follow. Numbers in segments are offsets
 * from what the flow's connection expects, so that inputs reach every state without guessing 32
 * bits.
 *
 * Both streams carry a known byte for each sequence number. Checked all the time: every block is in
 * one state and within the limits, buffers too; what the stack sends is well-formed and, where
 * it is data, what was written; what it delivers is what was sent; a RST that is not exact ends
 * nothing (RFC 5961, 3.2); of each connection the sequence numbers are in order, the window that it
 * has offered is not taken back, and its segments are of a size that the path and the peer take. In
 * the end everything is closed, time passes, and nothing may be left.
 */
#include <assert.h>
#include <string.h>

#include <rte_mbuf.h>

#include "stack/event.h"
#include "stack/socket.h"
#include "stack/stack.h"
#include "stack/stack_internal.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_table.h"
#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

#undef assert /* in every build */
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())

#define FLOWS             4
#define CONNECTIONS_MAX   16
#define BUFFERS_MAX       128
#define BACKLOG           6
#define TX_MBUFS          255
#define BURST_MAX         32
#define LISTEN_PORT       80
#define PEER_PORT         9000 /* of active opens; passive ones come from 9000 + flow */
#define LAST_WAIT         (600 * CLOCK_SEC)

enum step {
    STEP_SEGMENT, /* flags, seq, ack, length, window, options */
    STEP_SEGMENT_HELD,
    STEP_SEGMENT_EXACT,
    STEP_OPEN,   /* SYN and ACK as they should be; options */
    STEP_ACK,    /* acknowledges all; window */
    STEP_DATA,   /* the next bytes; length */
    STEP_ACCEPT, /* all that wait */
    STEP_WRITE,  /* length */
    STEP_READ,   /* length */
    STEP_END,    /* shutdown, close or abort */
    STEP_CONNECT,
    STEP_SPLICE, /* to which flow */
    STEP_TIME,   /* how long */
    STEP_ROOM,   /* of the interface, and of the pool */
    STEP_ICMP,   /* type and code, seq */
    STEP_SACK,   /* an acknowledgement with blocks */
};

struct flow {
    uint16_t local_port; /* the stack's */
    struct sock *sock;   /* held by the application, or NULL */
    uint32_t ts_echo;
    bool timestamps;
    bool spliced;          /* its bytes are another's: no pattern */
    struct tcp_conn *seen; /* as it was when it was looked at last */
    uint32_t seen_iss, right_edge;
};

struct run {
    const uint8_t *data;
    size_t size;
    struct stack *stack;
    struct sock *listener;
    clock_ns now;
    struct flow flow[FLOWS];
    struct rte_mbuf *burst[BURST_MAX];
    unsigned burst_count;
    uint32_t room;
    struct test_frame arp;
    bool arp_asked;
    struct rte_mbuf *hogged[TX_MBUFS];
    unsigned hogged_count;
};

static const uint8_t stack_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};
static struct ip_endpoint stack_end, peer_end;
static struct rte_mempool *tx_pool;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    test_eal_init();
    tx_pool = rte_pktmbuf_pool_create("fuzz_tx", TX_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    assert(tx_pool != NULL);
    assert(ip_parse("10.0.0.1", &stack_end.addr) == 0 && ip_parse("10.0.0.2", &peer_end.addr) == 0);
    stack_end.port = LISTEN_PORT;
    return 0;
}

static uint8_t take(struct run *r)
{
    if (r->size == 0)
        return 0;
    r->size--;
    return *r->data++;
}

/* The byte of a stream with this sequence number. */
static uint8_t stream_byte(uint32_t seq)
{
    return (uint8_t)(seq * 31 + (seq >> 8));
}

/* ---- flows ---- */

static uint16_t peer_port(const struct run *r, const struct flow *f)
{
    return f->local_port == LISTEN_PORT ? (uint16_t)(PEER_PORT + (f - r->flow)) : PEER_PORT;
}

static struct tcp_conn *conn_of(const struct run *r, const struct flow *f)
{
    const struct tcp_table *t = &r->stack->tcp->table;
    struct ip_endpoint local = stack_end, remote = peer_end;

    local.port = f->local_port;
    remote.port = peer_port(r, f);
    return tcp_table_find(t, tcp_table_hash(t, &local, &remote), &local, &remote);
}

/* ---- what the stack sends ---- */

static void check_segment(struct run *r, const struct packet *p, const uint8_t *payload)
{
    for (unsigned i = 0; i < FLOWS; i++) {
        struct flow *f = &r->flow[i];

        if (f->local_port != p->sport || peer_port(r, f) != p->dport)
            continue;
        f->ts_echo = p->tcp.ts_value;
        for (uint32_t k = 0; k < p->payload_length && !f->spliced; k++)
            assert(payload[k] == stream_byte(p->tcp.seq + k));
    }
}

static void enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    uint8_t copy[2048];
    struct run *r = ctx;
    struct packet p = {.m = m};
    const uint8_t *frame = rte_pktmbuf_read(m, 0, m->pkt_len, copy);

    (void)egress_class;
    rte_mbuf_sanity_check(m, 1);
    assert(m->pkt_len <= sizeof copy && wire_parse(&p) == DROP_NONE);
    if (p.kind == PACKET_ARP && test_frame_get16(frame + 20) == WIRE_ARP_REQUEST)
        r->arp_asked = true;
    if (p.kind == PACKET_TCP) {
        assert(p.l3_length <= 1500);
        assert(p.payload_length == 0 || band == EGRESS_DATA);
        check_segment(r, &p, frame + p.payload_offset);
    }
    if (band == EGRESS_DATA && r->room > 0)
        r->room--;
    rte_pktmbuf_free(m);
}

static uint32_t room(void *ctx, uint8_t egress_class)
{
    (void)egress_class;
    return ((struct run *)ctx)->room;
}

/* ---- rounds ---- */

static void check_usage(const struct run *r)
{
    struct stack_usage u;
    uint32_t sum = 0;

    stack_usage(r->stack, &u);
    for (unsigned i = 0; i < sizeof u.connections / sizeof u.connections[0]; i++)
        sum += u.connections[i];
    assert(sum == u.connections_used && u.connections_used <= CONNECTIONS_MAX);
    /* Writers may go past the budget, by what keeps each of them going. */
    assert(u.buffers_used <= BUFFERS_MAX + CONNECTIONS_MAX * 16);
    assert(u.connections[TCP_SYN_RECEIVED] <= BACKLOG + FLOWS);
}

/* A block may have become another connection's: that has another initial sequence number. */
static void check_connection(struct flow *f, struct tcp_conn *c)
{
    if (c == NULL || !tcp_synchronized(c)) {
        f->seen = NULL;
        return;
    }
    assert(seq_le(c->snd_una, c->snd_max) && seq_le(c->snd_max, tcp_send_end(c) + c->fin_queued));
    assert(seq_le(c->last_ack_sent, c->rcv_nxt));
    assert(c->mss <= c->peer_mss && c->path.mtu <= c->path.link_mtu && c->path.mtu >= 552);
    assert(c->mss + 40u <= c->path.mtu && c->cwnd > 0);
    if (f->seen == c && f->seen_iss == c->iss)
        assert(seq_le(f->right_edge, c->rcv_adv));
    f->seen = c;
    f->seen_iss = c->iss;
    f->right_edge = c->rcv_adv;
}

static void check(struct run *r)
{
    check_usage(r);
    for (unsigned i = 0; i < FLOWS; i++)
        check_connection(&r->flow[i], conn_of(r, &r->flow[i]));
}

static void input(struct run *r)
{
    stack_input(r->stack, 0, r->burst, r->burst_count, r->now);
    r->burst_count = 0;
    check(r);
}

static void events_take(struct run *r)
{
    struct event e;

    while (event_next(r->stack, &e))
        assert(e.what != 0 && (e.sock == r->listener || e.user != NULL));
}

static void flush(struct run *r)
{
    input(r);
    events_take(r);
    stack_flush(r->stack, r->now);
    if (r->arp_asked) {
        r->arp_asked = false;
        test_frame_ether(&r->arp, stack_mac, peer_mac, WIRE_TYPE_ARP);
        test_frame_arp(&r->arp, WIRE_ARP_REPLY, peer_mac, "10.0.0.2", stack_mac, "10.0.0.1");
        r->burst[r->burst_count++] = test_mbuf_exact(r->arp.b, r->arp.len);
        input(r);
        stack_flush(r->stack, r->now);
    }
    check(r);
}

static void pass(struct run *r, clock_ns time)
{
    clock_ns end = r->now + time;
    unsigned rounds = 0;

    flush(r);
    while (r->now < end) {
        clock_ns next = stack_deadline(r->stack);

        assert(rounds++ < 100000);
        if (next <= r->now)
            next = r->now + CLOCK_US;
        r->now = next < end ? next : end;
        flush(r);
    }
}

/* ---- the peer ---- */

static bool frame_add(struct run *r, const struct test_frame *f, bool exact)
{
    if (r->burst_count >= BURST_MAX - 1)
        return false;
    r->burst[r->burst_count++] =
        exact ? test_mbuf_exact(f->b, f->len) : test_mbuf_plain(f->b, f->len);
    return true;
}

static void segment(struct run *r, struct flow *f, struct wire_tcp *h, uint32_t len, bool exact)
{
    uint8_t bytes[2048];
    struct test_frame frame;

    h->sport = peer_port(r, f);
    h->dport = f->local_port;
    if (f->timestamps && !h->has_timestamp) {
        h->has_timestamp = true;
        h->ts_value = (uint32_t)(r->now / CLOCK_MS);
        h->ts_echo = f->ts_echo;
    }
    test_frame_ether(&frame, stack_mac, peer_mac, WIRE_TYPE_IPV4);
    test_frame_ipv4(&frame, WIRE_IP_PROTO_TCP, "10.0.0.2", "10.0.0.1");
    frame.b[TEST_L3 + 1] = h->flags >> 6; /* marks go with their flags */
    if ((h->flags & TCP_URG) != 0)
        h->urgent = (uint16_t)(h->ack * 31);
    test_frame_append(&frame, bytes, wire_tcp_emit(h, bytes));
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = stream_byte(h->seq + ((h->flags & TCP_SYN) != 0) + i);
    test_frame_append(&frame, bytes, len);
    test_frame_finish(&frame);
    frame_add(r, &frame, exact);
}

/* An offset: near, far, or far off. */
static uint32_t offset_of(uint8_t b)
{
    static const uint32_t far_off[] = {65535, 262144, 0x7fffffff, 0x80000000};
    uint32_t n = b & 0x1f;

    if ((b & 0x60) == 0x60)
        n = far_off[n % 4];
    else if ((b & 0x20) != 0)
        n *= 1460;
    else if ((b & 0x40) != 0)
        n *= 97;
    return (b & 0x80) != 0 ? -n : n;
}

/* Acknowledgements count up from what is acknowledged, or down from what was sent. */
static uint32_t ack_base(const struct tcp_conn *c, uint8_t b)
{
    if (c == NULL)
        return 0;
    return (b & 0x80) != 0 ? c->snd_max : c->snd_una;
}

/* A connection that a segment must not end, and what it expects. */
struct held {
    struct tcp_conn *c;
    enum tcp_state state;
};

static struct held hold_of(const struct run *r, const struct flow *f, const struct wire_tcp *h)
{
    struct held held = {.c = conn_of(r, f)};

    if (held.c == NULL || (h->flags & TCP_RST) == 0 || held.c->state == TCP_SYN_SENT ||
        held.c->rcv_nxt == h->seq)
        held.c = NULL;
    else
        held.state = (enum tcp_state)held.c->state;
    return held;
}

static void step_segment(struct run *r, struct flow *f, enum step step)
{
    uint8_t flags = take(r), seq = take(r), ack = take(r), length = take(r), window = take(r);
    uint8_t options = take(r);
    struct tcp_conn *c = conn_of(r, f);
    struct wire_tcp h = {
        .flags = flags,
        .seq = (c != NULL && c->state != TCP_SYN_SENT ? c->rcv_nxt : 7000) + offset_of(seq),
        .ack = ack_base(c, ack) + offset_of(ack),
        .window = (uint16_t)(window * 257),
        .has_mss = (options & 1) != 0,
        .mss = (uint16_t)(options * 64),
        .has_wscale = (options & 2) != 0,
        .wscale = options >> 4,
        .has_timestamp = (options & 4) != 0,
        .ts_value = (uint32_t)(r->now / CLOCK_MS) - (options & 8) * 100000,
        .ts_echo = f->ts_echo + (options & 16),
    };
    struct held held;

    if (step == STEP_SEGMENT_HELD) {
        segment(r, f, &h, length * 6, false);
        return;
    }
    input(r); /* what is held comes first, and may change everything */
    held = hold_of(r, f, &h);
    segment(r, f, &h, length * 6, step == STEP_SEGMENT_EXACT);
    input(r);
    if (held.c != NULL)
        assert(conn_of(r, f) == held.c && held.c->state == held.state);
    flush(r);
}

static void step_open(struct run *r, struct flow *f)
{
    uint8_t options = take(r);
    struct wire_tcp syn = {
        .flags = (options & 16) != 0 ? TCP_SYN | TCP_ECE | TCP_CWR : TCP_SYN,
        .seq = options * 0x1000000u - 100, /* some wrap soon */
        .sack_permitted = (options & 8) != 0,
        .window = 65535,
        .has_mss = (options & 1) != 0,
        .mss = 1460,
        .has_wscale = (options & 2) != 0,
        .wscale = options >> 4,
        .has_timestamp = (options & 4) != 0,
        .ts_value = (uint32_t)(r->now / CLOCK_MS),
    };
    struct wire_tcp ack = {.flags = TCP_ACK, .window = 65535};
    struct tcp_conn *c;

    flush(r);
    if (conn_of(r, f) != NULL || f->sock != NULL || r->listener == NULL)
        return;
    *f = (struct flow){.local_port = LISTEN_PORT, .timestamps = syn.has_timestamp};
    segment(r, f, &syn, 0, false);
    flush(r);
    c = conn_of(r, f);
    if (c == NULL)
        return;
    ack.seq = c->rcv_nxt;
    ack.ack = c->snd_max;
    segment(r, f, &ack, 0, false);
    flush(r);
}

/* Blocks anywhere, most of them in what is in flight; the first may repeat what is acknowledged. */
static void step_sack(struct run *r, struct flow *f)
{
    uint8_t kind = take(r), ack = take(r);
    struct tcp_conn *c = conn_of(r, f);
    struct wire_tcp h = {.flags = TCP_ACK, .window = 65535, .sack_count = 1 + (kind & 3)};

    if (c == NULL || c->state == TCP_SYN_SENT)
        return;
    if (f->timestamps && h.sack_count == 4)
        h.sack_count = 3;
    h.seq = c->rcv_nxt;
    h.ack = ack_base(c, ack) + offset_of(ack);
    for (unsigned i = 0; i < h.sack_count; i++) {
        h.sack[i].left = c->snd_una + offset_of(take(r));
        h.sack[i].right = h.sack[i].left + offset_of(take(r));
    }
    segment(r, f, &h, 0, true);
    if ((kind & 4) == 0)
        flush(r);
}

static void step_ack(struct run *r, struct flow *f, uint32_t len)
{
    struct tcp_conn *c = conn_of(r, f);
    struct wire_tcp h = {.flags = TCP_ACK, .window = (uint16_t)(take(r) * 257)};

    if (c == NULL || c->state == TCP_SYN_SENT)
        return;
    h.seq = c->rcv_nxt;
    h.ack = c->snd_max;
    segment(r, f, &h, len, false);
    flush(r);
}

static void step_icmp(struct run *r, struct flow *f)
{
    uint8_t kind = take(r), seq = take(r), mtu = take(r);
    struct tcp_conn *c = conn_of(r, f);
    struct test_frame quoted, frame;

    test_frame_ether(&quoted, peer_mac, stack_mac, WIRE_TYPE_IPV4);
    test_frame_ipv4(&quoted, WIRE_IP_PROTO_TCP, "10.0.0.1", "10.0.0.2");
    test_frame_tcp(&quoted, f->local_port, peer_port(r, f),
                   (c != NULL ? c->snd_una : 0) + offset_of(seq), 0, TCP_ACK);
    test_frame_finish(&quoted);
    test_frame_put16(quoted.b + TEST_L3 + 2, (uint16_t)((kind & 0x40) != 0 ? mtu * 9u : 1500));
    test_frame_ether(&frame, stack_mac, peer_mac, WIRE_TYPE_IPV4);
    test_frame_ipv4(&frame, WIRE_IP_PROTO_ICMP, "10.0.0.2", "10.0.0.1");
    test_frame_icmp(&frame, (kind & 0x80) != 0 ? WIRE_ICMP_TIME : WIRE_ICMP_UNREACHABLE,
                    kind & 0x0f, mtu * 8u);
    test_frame_append(&frame, quoted.b + TEST_L3, 28);
    test_frame_finish(&frame);
    frame_add(r, &frame, true);
    flush(r);
}

/* ---- the application ---- */

/* Takes what waits; sockets of flows that the input does not know are given up. */
static void step_accept(struct run *r)
{
    struct sock *k;

    input(r);
    while (r->listener != NULL && (k = sock_accept(r->listener)) != NULL) {
        struct flow *f = NULL;

        for (unsigned i = 0; i < FLOWS; i++) {
            if (conn_of(r, &r->flow[i]) == tcp_conn_of(k))
                f = &r->flow[i];
        }
        if (f == NULL || f->sock != NULL) {
            sock_abort(k);
            continue;
        }
        f->sock = k;
        f->spliced = false;
        sock_user_set(k, f);
    }
}

static void step_connect(struct run *r, struct flow *f)
{
    struct ip_endpoint to = peer_end, local;
    struct sock_options o = {.nagle = true, .keepalive = 10 * CLOCK_SEC, .receive_buffer = 5000};
    enum sock_error error;

    flush(r);
    if (f->sock != NULL || conn_of(r, f) != NULL)
        return;
    to.port = PEER_PORT;
    f->sock = sock_connect(r->stack, &to, take(r) % 2 == 0 ? &o : NULL, f, &error);
    if (f->sock == NULL)
        return;
    sock_local(f->sock, &local);
    f->local_port = local.port;
    f->timestamps = false;
    f->spliced = false;
    flush(r);
}

static void step_write(struct run *r, struct flow *f)
{
    uint32_t len = take(r) * 64u, end;
    uint8_t bytes[255 * 64];
    const struct tcp_conn *c;

    if (f->sock == NULL)
        return;
    c = tcp_conn_of(f->sock);
    end = tcp_send_end(c);
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = stream_byte(end + i);
    assert(sock_write(f->sock, bytes, len) <= len);
    flush(r);
}

static void step_read(struct run *r, struct flow *f)
{
    uint32_t len = take(r) * 64u, n, seq;
    uint8_t bytes[255 * 64];
    const struct tcp_conn *c;

    if (f->sock == NULL)
        return;
    c = tcp_conn_of(f->sock);
    seq = c->rcv_nxt - c->fin_received - c->receive_queue.len;
    n = sock_read(f->sock, bytes, len);
    for (uint32_t i = 0; i < n; i++)
        assert(bytes[i] == stream_byte(seq + i));
    flush(r);
}

static void step_end(struct run *r, struct flow *f)
{
    uint8_t how = take(r) % 4;

    if (f->sock == NULL)
        return;
    if (how < 2) {
        sock_shutdown(f->sock);
    } else {
        if (how == 2)
            sock_close(f->sock);
        else
            sock_abort(f->sock);
        f->sock = NULL;
    }
    flush(r);
}

static void step_splice(struct run *r, struct flow *f)
{
    struct flow *to = &r->flow[take(r) % FLOWS];
    uint32_t max = take(r) * 64u;

    if (f->sock == NULL || to->sock == NULL || f == to)
        return;
    if (sock_splice(f->sock, to->sock, max) > 0)
        to->spliced = true;
    flush(r);
}

static void unhog(struct run *r)
{
    while (r->hogged_count > 0)
        rte_pktmbuf_free(r->hogged[--r->hogged_count]);
}

static void step_room(struct run *r)
{
    uint8_t b = take(r);

    r->room = (b & 0x80) != 0 ? UINT32_MAX : b & 0x0f;
    unhog(r);
    if ((b & 0x40) == 0)
        return;
    while (rte_mempool_avail_count(tx_pool) > (b & 3u))
        r->hogged[r->hogged_count++] = rte_pktmbuf_alloc(tx_pool);
}

static void step_time(struct run *r)
{
    static const clock_ns times[] = {CLOCK_US,       CLOCK_MS,        41 * CLOCK_MS,
                                     210 * CLOCK_MS, 1100 * CLOCK_MS, 10 * CLOCK_SEC,
                                     61 * CLOCK_SEC, 130 * CLOCK_SEC};
    clock_ns time = times[take(r) % 8];

    /* While output is blocked the stack looks again all the time: no long waits then. */
    if (r->room < UINT32_MAX || r->hogged_count > 0)
        time = CLOCK_MS;
    pass(r, time);
}

static void step(struct run *r)
{
    uint8_t b = take(r);
    struct flow *f = &r->flow[b >> 4 & 3];

    switch (b & 0x0f) {
    case STEP_SEGMENT:
    case STEP_SEGMENT_HELD:
    case STEP_SEGMENT_EXACT:
        step_segment(r, f, b & 0x0f);
        break;
    case STEP_OPEN:
        step_open(r, f);
        break;
    case STEP_ACK:
        step_ack(r, f, 0);
        break;
    case STEP_DATA:
        step_ack(r, f, take(r) * 5u);
        break;
    case STEP_ACCEPT:
        step_accept(r);
        break;
    case STEP_WRITE:
        step_write(r, f);
        break;
    case STEP_READ:
        step_read(r, f);
        break;
    case STEP_END:
        step_end(r, f);
        break;
    case STEP_CONNECT:
        step_connect(r, f);
        break;
    case STEP_SPLICE:
        step_splice(r, f);
        break;
    case STEP_TIME:
        step_time(r);
        break;
    case STEP_ROOM:
        step_room(r);
        break;
    case STEP_ICMP:
        step_icmp(r, f);
        break;
    case STEP_SACK:
        step_sack(r, f);
        break;
    }
}

/* ---- the whole ---- */

static void run_begin(struct run *r, uint8_t kind)
{
    struct sock_options o = {.receive_buffer = (kind & 2) != 0 ? 4000 : 0,
                             .send_buffer = (kind & 4) != 0 ? 4000 : 0,
                             .keepalive = (kind & 8) != 0 ? 5 * CLOCK_SEC : 0,
                             .nagle = (kind & 16) != 0,
                             .cookies = (kind & 32) != 0 ? SOCK_COOKIES_ALWAYS : SOCK_COOKIES_AUTO};
    struct stack_config sc = {
        .max_connections = CONNECTIONS_MAX,
        .max_buffers = BUFFERS_MAX,
        .tcp = {.ecn = (kind & 64) != 0 ? STACK_ECN_ACTIVE : STACK_ECN_PASSIVE,
                .mtu_probing =
                    (kind & 64) != 0 ? STACK_MTU_PROBING_ALWAYS : STACK_MTU_PROBING_BLACK_HOLE,
                .congestion = (kind & 128) != 0 ? STACK_NEWRENO : STACK_CUBIC,
                .orphans_max = (kind & 128) != 0 ? 2 : 0},
        .data_pool = test_mbuf_pool()};
    struct stack_iface_config ic = {.name = "fuzz",
                                    .mtu = 1500,
                                    .offloads = (kind & 1) != 0 ? STACK_TX_MULTI_SEGMENT : 0,
                                    .tx_pool = tx_pool,
                                    .egress = {.ctx = r, .enqueue = enqueue, .room = room},
                                    .addr_count = 1};
    enum sock_error error;

    r->now = 1000 * CLOCK_SEC;
    r->room = UINT32_MAX;
    for (unsigned i = 0; i < FLOWS; i++)
        r->flow[i].local_port = LISTEN_PORT;
    memcpy(ic.mac, stack_mac, sizeof stack_mac);
    assert(ip_prefix_parse("10.0.0.1/24", &ic.addrs[0]) == 0);
    r->stack = stack_create(&sc, r->now, NULL);
    assert(r->stack != NULL && stack_iface_add(r->stack, &ic, NULL) == 0);
    r->listener = sock_listen(r->stack, &stack_end, BACKLOG, &o, NULL, &error);
    assert(r->listener != NULL);
    pass(r, 10 * CLOCK_SEC);
}

/* Everything is closed, and after the longest of all waits nothing is left. */
static void run_end(struct run *r)
{
    struct stack_usage u;

    r->room = UINT32_MAX;
    unhog(r);
    flush(r);
    for (unsigned i = 0; i < FLOWS; i++) {
        if (r->flow[i].sock != NULL)
            sock_close(r->flow[i].sock);
        r->flow[i].sock = NULL;
    }
    sock_close(r->listener);
    r->listener = NULL;
    pass(r, LAST_WAIT);
    stack_usage(r->stack, &u);
    assert(u.connections_used == 0 && u.buffers_used == 0);
    stack_destroy(r->stack);
    assert(test_mbuf_in_use() == 0 && rte_mempool_in_use_count(tx_pool) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;

    memset(&r, 0, sizeof r);
    r.data = data;
    r.size = size;
    run_begin(&r, take(&r));
    while (r.size > 0)
        step(&r);
    run_end(&r);
    return 0;
}
