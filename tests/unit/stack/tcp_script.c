#include "tests/unit/stack/tcp_script.h"

#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "stack/wire/wire.h"
#include "tests/unit/stack/tcp_script_wire.h"
#include "tests/unit/support/test_mbuf.h"

#define POOL_SIZE   4095
#define QUEUE_SIZE  8192
#define CONNS_MAX   2048
#define EVENTS_MAX  256
#define BURST_MAX   256
#define TX_OFFLOADS (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM)

/* Before the test begins: the stack's address is its own by then (RFC 4862). */
#define LEAD (3 * CLOCK_SEC)

struct script_event {
    const struct sock *sock;
    uint32_t what;
};

struct script {
    struct stack *stack;
    clock_ns now, start;
    uint32_t room[EGRESS_CLASSES];
    uint32_t frame_max;
    bool one_queue;
    struct packet_label label;
    bool hold, keep, exact, leave_events;

    struct script_segment queue[QUEUE_SIZE]; /* a ring: what the stack has sent */
    unsigned first, count;
    struct rte_mbuf *kept[QUEUE_SIZE];
    unsigned kept_count;
    struct test_frame answer[16]; /* to requests of ARP or ND */
    unsigned answers;

    struct rte_mbuf *burst[BURST_MAX];
    unsigned burst_count;
    struct script_conn conn[CONNS_MAX];
    unsigned conns;
    struct script_event events[EVENTS_MAX];
    unsigned event_count;
    struct rte_mbuf *hogged[POOL_SIZE];
    unsigned hogged_count;
};

static struct rte_mempool *rx_pool, *tx_pool, *data_pool;

static struct rte_mempool *pool_create(const char *name)
{
    struct rte_mempool *p =
        rte_pktmbuf_pool_create(name, POOL_SIZE, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);

    assert_non_null(p);
    return p;
}

static void pools_init(void)
{
    if (rx_pool != NULL)
        return;
    test_eal_init();
    rx_pool = pool_create("script_rx");
    tx_pool = pool_create("script_tx");
    data_pool = pool_create("script_data");
}

struct rte_mempool *script_tx_pool(void)
{
    return tx_pool;
}

struct rte_mempool *script_data_pool(void)
{
    return data_pool;
}

uint8_t script_byte(uint64_t position)
{
    return (uint8_t)(position * 167 + (position >> 8) * 13 + (position >> 16));
}

/* ---- what the stack sends ---- */

static struct script_conn *conn_of(struct script *s, const struct script_segment *g)
{
    for (unsigned i = 0; i < s->conns; i++) {
        struct script_conn *c = &s->conn[i];

        if (c->host == g->host && c->peer_port == g->dport && c->stack_port == g->sport)
            return c;
    }
    return NULL;
}

static void tcp_parse(struct script_segment *g, const uint8_t *h)
{
    assert_true(wire_tcp_options_parse(h + 20, (h[12] >> 4) * 4u - 20, &g->tcp));
    g->sport = test_frame_get16(h);
    g->dport = test_frame_get16(h + 2);
    g->tcp.seq = test_frame_get32(h + 4);
    g->tcp.ack = test_frame_get32(h + 8);
    g->tcp.flags = h[13];
    g->tcp.window = test_frame_get16(h + 14);
    g->tcp.urgent = test_frame_get16(h + 18);
}

static void segment_capture(struct script *s, const uint8_t *frame, uint32_t len,
                            const struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    struct script_segment *g = &s->queue[(s->first + s->count++) % QUEUE_SIZE];
    uint32_t tcp = script_wire_tcp(frame), header = tcp + (frame[tcp + 12] >> 4) * 4u;
    struct script_conn *c;

    assert_true(s->count <= QUEUE_SIZE);
    free(g->payload);
    *g = (struct script_segment){.at = s->now,
                                 .band = band,
                                 .egress_class = egress_class,
                                 .dscp = script_wire_class(frame) >> 2,
                                 .ecn = script_wire_class(frame) & 3,
                                 .host = script_wire_to(frame)};
    tcp_parse(g, frame + tcp);
    g->len = len - header;
    g->payload = malloc(g->len + 1);
    memcpy(g->payload, frame + header, g->len);
    g->mbufs = m->nb_segs;
    g->tso_size = (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0 ? m->tso_segsz : 0;
    c = conn_of(s, g);
    if (c == NULL)
        return;
    if ((g->tcp.flags & TCP_SYN) != 0)
        c->stack_iss = g->tcp.seq;
    if (g->tcp.has_timestamp)
        c->ts_recent = g->tcp.ts_value;
}

static uint32_t *room_of(struct script *s, uint8_t egress_class)
{
    return &s->room[s->one_queue ? 0 : egress_class];
}

static void egress_enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band,
                           uint8_t egress_class)
{
    struct script *s = ctx;
    uint8_t *copy = malloc(m->pkt_len);
    uint32_t len = m->pkt_len;

    assert_non_null(copy);
    memcpy(copy, rte_pktmbuf_read(m, 0, len, copy), len);
    assert_true(s->answers < 16);
    if (script_wire_answer(copy, &s->answer[s->answers])) {
        s->answers++;
    } else if (script_wire_tcp(copy) != 0) {
        assert_true((m->ol_flags & TX_OFFLOADS) != 0 || test_frame_sums_right(copy, len));
        segment_capture(s, copy, len, m, band, egress_class);
        if (band == EGRESS_DATA && *room_of(s, egress_class) != SCRIPT_UNLIMITED)
            *room_of(s, egress_class) -= *room_of(s, egress_class) > 0;
    }
    free(copy);
    if (s->keep)
        s->kept[s->kept_count++] = m;
    else
        rte_pktmbuf_free(m);
}

static uint32_t egress_room(void *ctx, uint8_t egress_class)
{
    return *room_of(ctx, egress_class);
}

static uint32_t egress_frame_max(void *ctx, uint8_t egress_class)
{
    (void)egress_class;
    return ((struct script *)ctx)->frame_max;
}

static void ingress(void *ctx, struct packet *packets, unsigned count, clock_ns now)
{
    const struct script *s = ctx;

    (void)now;
    for (unsigned i = 0; i < count; i++)
        packets[i].label = s->label;
}

/* ---- rounds ---- */

/* Every block is in exactly one state. */
static void check_usage(const struct script *s)
{
    struct stack_usage u = script_usage(s);
    uint32_t sum = 0;

    for (unsigned i = 0; i < sizeof u.connections / sizeof u.connections[0]; i++)
        sum += u.connections[i];
    assert_int_equal(sum, u.connections_used);
    assert_true(u.connections_used <= u.connections_max);
}

static void events_collect(struct script *s)
{
    struct event e;

    while (!s->leave_events && event_next(s->stack, &e)) {
        unsigned i = 0;

        while (i < s->event_count && s->events[i].sock != e.sock)
            i++;
        assert_true(i < EVENTS_MAX);
        if (i == s->event_count)
            s->events[s->event_count++] = (struct script_event){.sock = e.sock};
        s->events[i].what |= e.what;
    }
}

static struct rte_mbuf *mbuf_of(struct script *s, const struct test_frame *f)
{
    struct rte_mbuf *m;

    if (s->exact)
        return test_mbuf_exact(f->b, f->len);
    m = rte_pktmbuf_alloc(rx_pool);
    assert_non_null(m);
    memcpy(rte_pktmbuf_append(m, (uint16_t)f->len), f->b, f->len);
    return m;
}

static void input(struct script *s)
{
    stack_input(s->stack, 0, s->burst, s->burst_count, s->now);
    s->burst_count = 0;
    check_usage(s);
}

static void answer(struct script *s)
{
    while (s->answers > 0) {
        s->burst[s->burst_count++] = mbuf_of(s, &s->answer[--s->answers]);
        input(s);
    }
}

void script_flush(struct script *s)
{
    events_collect(s);
    stack_flush(s->stack, s->now);
    while (s->answers > 0) {
        answer(s);
        stack_flush(s->stack, s->now);
    }
    events_collect(s);
    check_usage(s);
}

void script_advance(struct script *s, clock_ns time)
{
    clock_ns end = s->now + time;

    script_flush(s);
    while (s->now < end) {
        clock_ns next = stack_deadline(s->stack);

        if (next <= s->now)
            next = s->now + CLOCK_US;
        s->now = next < end ? next : end;
        script_flush(s);
    }
}

static void frame_input(struct script *s, const struct test_frame *f)
{
    assert_true(s->burst_count < BURST_MAX);
    s->burst[s->burst_count++] = mbuf_of(s, f);
    if (s->hold)
        return;
    input(s);
    script_flush(s);
}

void script_hold(struct script *s)
{
    s->hold = true;
}

void script_release(struct script *s)
{
    s->hold = false;
    input(s);
    script_flush(s);
}

/* ---- the whole ---- */

struct script *script_create(const struct script_config *config)
{
    static const struct script_config none;
    const struct script_config *k = config != NULL ? config : &none;
    struct script *s = calloc(1, sizeof *s);
    struct error e = {0};
    struct stack_config sc = {
        .name = "script",
        .max_connections = k->max_connections != 0 ? k->max_connections : 64,
        .max_buffers = k->max_buffers != 0 ? k->max_buffers : 4096,
        .secret = {1, 2, 3, 4},
        .owns_flow = k->owns_flow,
        .owns_flow_ctx = k->owns_flow_ctx,
        .time_wait = k->time_wait,
        .tcp = k->tcp,
        .ingress = ingress,
        .ingress_ctx = s,
    };
    struct stack_iface_config ic = {
        .name = "script0",
        .mtu = (uint16_t)((k->mtu != 0 ? k->mtu : 1500) + script_wire_extra()),
        .offloads = k->offloads,
        .egress = {.ctx = s,
                   .enqueue = egress_enqueue,
                   .room = egress_room,
                   .frame_max = egress_frame_max},
        .addr_count = 1,
    };

    assert_non_null(s);
    pools_init();
    sc.data_pool = data_pool;
    ic.tx_pool = tx_pool;
    script_wire_mac(ic.mac);
    script_wire_prefix(&ic.addrs[0]);
    s->start = k->start != 0 ? k->start : SCRIPT_START;
    s->now = script_wire_ipv6() ? s->start - LEAD : s->start;
    s->one_queue = k->one_queue;
    s->label = k->label;
    s->frame_max = k->frame_max != 0 ? k->frame_max : UINT32_MAX;
    script_room(s, SCRIPT_UNLIMITED);
    s->stack = stack_create(&sc, s->now, &e);
    if (s->stack == NULL || stack_iface_add(s->stack, &ic, &e) < 0)
        fail_msg("%s", e.text);
    if (s->now < s->start)
        script_advance(s, s->start - s->now);
    return s;
}

void script_destroy(struct script *s)
{
    script_discard(s);
    script_keep(s, false);
    script_unhog(s);
    stack_destroy(s->stack);
    free(s);
    assert_int_equal(rte_mempool_in_use_count(rx_pool), 0);
    assert_int_equal(rte_mempool_in_use_count(tx_pool), 0);
    assert_int_equal(rte_mempool_in_use_count(data_pool), 0);
    assert_int_equal(test_mbuf_in_use(), 0);
}

struct script_conn *script_conn(struct script *s)
{
    struct script_conn *c = &s->conn[s->conns];

    assert_true(s->conns < CONNS_MAX);
    *c = (struct script_conn){
        .s = s,
        .host = 2,
        .peer_port = (uint16_t)(40000 + s->conns),
        .stack_port = 80,
        .peer_iss = 5000,
        .mss = 1460,
        .wscale = SCRIPT_NO_WSCALE,
        .window = 65535,
        .ts_base = 900000,
    };
    s->conns++;
    return c;
}

struct stack *script_stack(struct script *s)
{
    return s->stack;
}

clock_ns script_now(const struct script *s)
{
    return s->now;
}

const struct stack_counters *script_counters(const struct script *s)
{
    return stack_counters(s->stack);
}

struct stack_usage script_usage(const struct script *s)
{
    struct stack_usage u;

    stack_usage(s->stack, &u);
    return u;
}

/* ---- the application ---- */

struct ip_endpoint script_endpoint(uint8_t host, uint16_t port)
{
    struct ip_endpoint e = {.port = port};
    char text[SCRIPT_WIRE_TEXT];

    script_wire_host(host, text);
    assert_int_equal(ip_parse(text, &e.addr), 0);
    return e;
}

struct sock *script_listen(struct script *s, uint16_t port, uint32_t backlog,
                           const struct sock_options *options)
{
    struct ip_endpoint at = script_endpoint(SCRIPT_WIRE_STACK, port);
    enum sock_error error = SOCK_OK;
    struct sock *l;

    l = sock_listen(s->stack, &at, backlog, options, s, &error);
    assert_non_null(l);
    return l;
}

void script_connect(struct script_conn *c, const struct sock_options *options)
{
    struct ip_endpoint to = script_endpoint(c->host, c->peer_port), local;
    enum sock_error error = SOCK_OK;

    c->sock = sock_connect(c->s->stack, &to, options, c, &error);
    if (c->sock == NULL)
        fail_msg("connect: %s", sock_error_text(error));
    sock_local(c->sock, &local);
    c->stack_port = local.port;
    script_flush(c->s);
}

uint32_t script_write(struct script_conn *c, uint32_t len)
{
    uint8_t *data = malloc(len + 1);
    uint32_t n;

    for (uint32_t i = 0; i < len; i++)
        data[i] = script_byte(c->written + i);
    n = sock_write(c->sock, data, len);
    c->written += n;
    free(data);
    script_flush(c->s);
    return n;
}

uint32_t script_read(struct script_conn *c, uint32_t len)
{
    uint8_t *data = malloc(len + 1);
    uint32_t n = sock_read(c->sock, data, len);

    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(data[i], script_byte(c->read + i));
    c->read += n;
    free(data);
    script_flush(c->s);
    return n;
}

uint32_t script_events(struct script *s, const struct sock *k)
{
    events_collect(s);
    for (unsigned i = 0; i < s->event_count; i++) {
        uint32_t what = s->events[i].what;

        if (s->events[i].sock != k)
            continue;
        s->events[i] = s->events[--s->event_count];
        return what;
    }
    return 0;
}

void script_events_leave(struct script *s)
{
    events_collect(s);
    s->leave_events = true;
}

/* ---- the peer ---- */

void script_send_raw(struct script_conn *c, const struct packet_tcp *tcp, const void *payload,
                     uint32_t len)
{
    struct wire_tcp h = {
        .sport = c->peer_port,
        .dport = c->stack_port,
        .seq = tcp->seq,
        .ack = tcp->ack,
        .window = tcp->window,
        .urgent = tcp->urgent,
        .flags = tcp->flags,
        .has_mss = tcp->has_mss,
        .mss = tcp->mss,
        .has_wscale = tcp->has_wscale,
        .wscale = tcp->wscale,
        .has_timestamp = tcp->has_timestamp,
        .ts_value = tcp->ts_value,
        .ts_echo = tcp->ts_echo,
        .sack_permitted = tcp->sack_permitted,
        .sack_count = tcp->sack_count,
    };
    uint8_t header[WIRE_TCP_MAX];
    struct test_frame f;

    for (unsigned i = 0; i < tcp->sack_count; i++) {
        h.sack[i].left = tcp->sack[i].left;
        h.sack[i].right = tcp->sack[i].right;
    }
    script_wire_begin(&f, c->host, 6, c->ecn);
    test_frame_append(&f, header, wire_tcp_emit(&h, header));
    if (len > 0)
        test_frame_append(&f, payload, len);
    test_frame_finish(&f);
    frame_input(c->s, &f);
}

/* What every segment of the peer says. */
static struct packet_tcp peer_header(const struct script_conn *c, uint8_t flags, uint32_t seq,
                                     uint32_t ack)
{
    bool syn = (flags & TCP_SYN) != 0;
    struct packet_tcp h = {
        .seq = c->peer_iss + seq,
        .flags = flags,
        .window = c->window,
        .has_mss = syn && c->mss != 0,
        .mss = c->mss,
        .has_wscale = syn && c->wscale != SCRIPT_NO_WSCALE,
        .wscale = (uint8_t)c->wscale,
        .sack_permitted = syn && c->sack,
        .has_timestamp = c->timestamps,
        .ts_value = c->ts_base + (uint32_t)((c->s->now - c->s->start) / CLOCK_MS),
    };

    if ((flags & TCP_ACK) != 0) {
        h.ack = c->stack_iss + ack;
        h.ts_echo = c->ts_recent;
    }
    return h;
}

void script_send(struct script_conn *c, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
    struct packet_tcp h = peer_header(c, flags, seq, ack);
    uint32_t first = seq + ((flags & TCP_SYN) != 0); /* of its bytes */
    uint8_t data[TEST_FRAME_MAX];

    assert_true(len <= sizeof data);
    for (uint32_t i = 0; i < len; i++)
        data[i] = script_byte(first - 1 + i);
    script_send_raw(c, &h, data, len);
}

void script_send_sack(struct script_conn *c, uint32_t ack, unsigned count, const uint32_t *edges)
{
    struct packet_tcp h = peer_header(c, TCP_ACK, 1, ack);

    h.sack_count = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        h.sack[i].left = c->stack_iss + edges[2 * i];
        h.sack[i].right = c->stack_iss + edges[2 * i + 1];
    }
    script_send_raw(c, &h, NULL, 0);
}

void script_icmp(struct script_conn *c, uint8_t type, uint8_t code, uint32_t rest, uint32_t seq)
{
    const struct script_wire_error e = {
        .type = type,
        .code = code,
        .rest = rest,
        .length = (uint16_t)((c->quoted_length != 0 ? c->quoted_length : 1500)),
        .stack_port = c->stack_port,
        .peer_port = c->peer_port,
        .seq = c->stack_iss + seq,
    };
    struct test_frame f;

    script_wire_error(&f, c->host, &e);
    frame_input(c->s, &f);
}

void script_handshake(struct script_conn *c)
{
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, TCP_SYN | TCP_ACK, 0, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 0);
}

void script_accept(struct script_conn *c, struct sock *l)
{
    c->sock = sock_accept(l);
    assert_non_null(c->sock);
    sock_user_set(c->sock, c);
}

void script_establish(struct script_conn *c, struct sock *l)
{
    script_handshake(c);
    script_accept(c, l);
    script_events(c->s, l);
    script_expect_none(c->s);
}

void script_establish_active(struct script_conn *c, const struct sock_options *options)
{
    script_connect(c, options);
    script_expect(c, TCP_SYN, 0, -c->peer_iss, 0);
    script_send(c, TCP_SYN | TCP_ACK, 0, 1, 0);
    script_expect(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(script_events(c->s, c->sock), EVENT_CONNECTED);
}

/* ---- expectations ---- */

static void segment_print(struct script_conn *c, const char *what, const struct script_segment *g)
{
    print_error("%s: %.6f s, port %u, flags %02x, seq %u, ack %u, len %u, window %u\n", what,
                (double)(g->at - c->s->start) / 1e9, g->dport, g->tcp.flags,
                g->tcp.seq - c->stack_iss, g->tcp.ack - c->peer_iss, g->len, g->tcp.window);
}

const struct script_segment *script_next(struct script *s)
{
    struct script_segment *g = &s->queue[s->first];

    if (s->count == 0)
        return NULL;
    s->first = (s->first + 1) % QUEUE_SIZE;
    s->count--;
    free(s->queue[(s->first + QUEUE_SIZE - 2) % QUEUE_SIZE].payload);
    s->queue[(s->first + QUEUE_SIZE - 2) % QUEUE_SIZE].payload = NULL;
    return g;
}

const struct script_segment *script_expect_at(struct script_conn *c, uint8_t flags, uint32_t seq,
                                              uint32_t ack, uint32_t len, const char *file,
                                              int line)
{
    const struct script_segment *g = script_next(c->s);
    bool same;

    if (g == NULL) {
        print_error("expected flags %02x, seq %u, ack %u, len %u; nothing was sent\n", flags, seq,
                    ack, len);
        _fail(file, line);
        return NULL;
    }
    same = conn_of(c->s, g) == c && (g->tcp.flags & ~TCP_PSH) == (flags & ~TCP_PSH) &&
           g->tcp.seq - c->stack_iss == seq && g->len == len &&
           ((flags & TCP_ACK) == 0 || g->tcp.ack - c->peer_iss == ack);
    if (!same) {
        print_error("expected flags %02x, seq %u, ack %u, len %u\n", flags, seq, ack, len);
        segment_print(c, "sent", g);
        _fail(file, line);
    }
    for (uint32_t i = 0; i < len; i++) {
        if (g->payload[i] != script_byte(seq - 1 + i)) {
            print_error("byte %u of the segment is wrong\n", i);
            _fail(file, line);
        }
    }
    return g;
}

void script_assert_sack_at(const struct script_conn *c, const struct script_segment *g,
                           unsigned count, const uint32_t *edges, const char *file, int line)
{
    bool same = g->tcp.sack_count == count;

    for (unsigned i = 0; same && i < count; i++)
        same = g->tcp.sack[i].left - c->peer_iss == edges[2 * i] &&
               g->tcp.sack[i].right - c->peer_iss == edges[2 * i + 1];
    if (same)
        return;
    for (unsigned i = 0; i < g->tcp.sack_count; i++)
        print_error("sack block %u: %u to %u\n", i, g->tcp.sack[i].left - c->peer_iss,
                    g->tcp.sack[i].right - c->peer_iss);
    print_error("%u blocks expected\n", count);
    _fail(file, line);
}

void script_expect_none_at(struct script *s, const char *file, int line)
{
    const struct script_segment *g = script_next(s);
    struct script_conn *c;

    if (g == NULL)
        return;
    c = conn_of(s, g);
    segment_print(c != NULL ? c : &s->conn[0], "unexpected", g);
    _fail(file, line);
}

unsigned script_discard(struct script *s)
{
    unsigned n = 0;

    while (script_next(s) != NULL)
        n++;
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        free(s->queue[i].payload);
        s->queue[i].payload = NULL;
    }
    return n;
}

/* ---- resources ---- */

void script_room(struct script *s, uint32_t frames)
{
    for (unsigned i = 0; i < EGRESS_CLASSES; i++)
        s->room[i] = frames;
}

void script_class_room(struct script *s, uint8_t egress_class, uint32_t frames)
{
    s->room[egress_class] = frames;
}

void script_keep(struct script *s, bool keep)
{
    s->keep = keep;
    while (!keep && s->kept_count > 0)
        rte_pktmbuf_free(s->kept[--s->kept_count]);
}

void script_exact(struct script *s, bool exact)
{
    s->exact = exact;
}

void script_hog(struct script *s, struct rte_mempool *pool, unsigned left)
{
    while (rte_mempool_avail_count(pool) > left)
        s->hogged[s->hogged_count++] = rte_pktmbuf_alloc(pool);
}

void script_unhog(struct script *s)
{
    while (s->hogged_count > 0)
        rte_pktmbuf_free(s->hogged[--s->hogged_count]);
}

struct sock_info script_info(const struct script_conn *c)
{
    struct sock_info i;

    sock_info(c->sock, &i);
    return i;
}
