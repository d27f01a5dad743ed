/* Segments of a script as IP packets, and back. Both directions carry known streams. */
#include "tests/packetdrill/script.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "stack/wire/wire.h"

#define V4_LOCAL  "192.168.0.1"
#define V4_REMOTE "192.0.2.1"
#define V6_LOCAL  "fd3d:a0b:17d6::1"
#define V6_REMOTE "fd3d:fa7b:d17d::1"
#define QUOTE     8 /* bytes of TCP that an ICMP error quotes at least (RFC 792) */

uint8_t script_byte(uint64_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

static size_t ip_length(const struct script *s)
{
    return s->v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
}

/* The header of a packet with `len` bytes behind it, from the peer to the stack. */
static void ip_emit(const struct script *s, uint8_t *out, uint8_t protocol, size_t len,
                    const struct script_segment *segment)
{
    if (s->v6) {
        struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(void *)out;

        *ip = (struct rte_ipv6_hdr){.vtc_flow =
                                        rte_cpu_to_be_32(6u << 28 | (uint32_t)segment->ecn << 20),
                                    .payload_len = rte_cpu_to_be_16((uint16_t)len),
                                    .proto = protocol,
                                    .hop_limits = segment->ttl};
        inet_pton(AF_INET6, V6_REMOTE, ip->src_addr);
        inet_pton(AF_INET6, V6_LOCAL, ip->dst_addr);
    } else {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)out;

        *ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
                                    .type_of_service = segment->ecn,
                                    .total_length = rte_cpu_to_be_16((uint16_t)(sizeof *ip + len)),
                                    .time_to_live = segment->ttl,
                                    .next_proto_id = protocol};
        inet_pton(AF_INET, V4_REMOTE, &ip->src_addr);
        inet_pton(AF_INET, V4_LOCAL, &ip->dst_addr);
        ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
}

static uint16_t checksum(const struct script *s, const uint8_t *packet)
{
    const void *l4 = packet + ip_length(s);

    return s->v6 ? rte_ipv6_udptcp_cksum((const struct rte_ipv6_hdr *)(const void *)packet, l4)
                 : rte_ipv4_udptcp_cksum((const struct rte_ipv4_hdr *)(const void *)packet, l4);
}

static struct wire_tcp header_of(const struct script *s, const struct script_segment *segment)
{
    const struct packet_tcp *t = &segment->tcp;
    struct wire_tcp h = {.sport = s->peer_port,
                         .dport = s->stack_port,
                         .seq = s->peer_iss + t->seq,
                         .ack = (t->flags & TCP_ACK) != 0 ? s->stack_iss + t->ack : 0,
                         .window = t->window,
                         .urgent = t->urgent,
                         .flags = t->flags,
                         .has_mss = t->has_mss,
                         .has_wscale = t->has_wscale,
                         .sack_permitted = t->sack_permitted,
                         .has_timestamp = t->has_timestamp,
                         .wscale = t->wscale,
                         .sack_count = t->sack_count,
                         .mss = t->mss,
                         .ts_value = t->ts_value,
                         .ts_echo = t->ts_echo};

    for (unsigned i = 0; i < t->sack_count; i++) {
        h.sack[i].left = s->stack_iss + t->sack[i].left;
        h.sack[i].right = s->stack_iss + t->sack[i].right;
    }
    return h;
}

void script_packet_send(struct script *s, const struct script_segment *segment)
{
    struct wire_tcp h = header_of(s, segment);
    uint8_t packet[65536];
    uint8_t *tcp = packet + ip_length(s);
    size_t len = wire_tcp_emit(&h, tcp);
    uint16_t sum;

    assert(segment->len <= sizeof packet - 128);
    for (uint32_t i = 0; i < segment->len; i++)
        tcp[len + i] = script_byte(segment->tcp.seq + i - 1);
    len += segment->len;
    ip_emit(s, packet, IPPROTO_TCP, len, segment);
    sum = checksum(s, packet);
    memcpy(tcp + 16, &sum, sizeof sum);
    door_packet_in(s->door, packet, ip_length(s) + len);
}

/* An error about the stack's latest packet, or one with another sequence number. */
int script_packet_icmp(struct script *s, uint8_t type, uint8_t code, uint32_t mtu,
                       const uint32_t *seq)
{
    const struct script_segment plain = {.ttl = 64};
    size_t quoted = ip_length(s) + QUOTE;
    uint8_t packet[256] = {0};
    uint8_t *icmp = packet + ip_length(s);
    uint16_t sum;

    icmp[0] = type;
    icmp[1] = code;
    mtu = htonl(mtu);
    memcpy(icmp + 4, &mtu, sizeof mtu);
    memcpy(icmp + 8, s->sent, quoted);
    if (seq != NULL) {
        uint32_t wire = htonl(s->stack_iss + *seq);

        memcpy(icmp + 8 + ip_length(s) + 4, &wire, sizeof wire);
    }
    ip_emit(s, packet, s->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 8 + quoted, &plain);
    sum = s->v6 ? checksum(s, packet) : (uint16_t)~rte_raw_cksum(icmp, 8 + quoted);
    memcpy(icmp + 2, &sum, sizeof sum);
    return door_packet_in(s->door, packet, ip_length(s) + 8 + quoted);
}

/* ---- what the stack sends ---- */

static void numbers_to_script(struct script *s, struct script_segment *out)
{
    struct packet_tcp *t = &out->tcp;

    if ((t->flags & TCP_SYN) != 0 && !s->stack_known) {
        s->stack_iss = t->seq;
        s->stack_known = true;
    }
    t->seq -= s->stack_iss;
    t->ack -= (t->flags & TCP_ACK) != 0 ? s->peer_iss : t->ack;
    for (unsigned i = 0; i < t->sack_count; i++) {
        t->sack[i].left -= s->peer_iss;
        t->sack[i].right -= s->peer_iss;
    }
    if (t->has_timestamp)
        s->ts_recent = t->ts_value;
}

/* Length and place of the TCP segment in a packet; false for other protocols. */
static bool tcp_find(const uint8_t *packet, size_t len, struct script_segment *out, size_t *at,
                     size_t *end)
{
    if (packet[0] >> 4 == 6) {
        const struct rte_ipv6_hdr *ip = (const void *)packet;

        *at = sizeof *ip;
        *end = *at + rte_be_to_cpu_16(ip->payload_len);
        out->ecn = rte_be_to_cpu_32(ip->vtc_flow) >> 20 & 3;
        out->ttl = ip->hop_limits;
        return ip->proto == IPPROTO_TCP && *end <= len;
    }
    {
        const struct rte_ipv4_hdr *ip = (const void *)packet;

        *at = sizeof *ip;
        *end = rte_be_to_cpu_16(ip->total_length);
        out->ecn = ip->type_of_service & 3;
        out->ttl = ip->time_to_live;
        return ip->next_proto_id == IPPROTO_TCP && *end <= len;
    }
}

bool script_packet_take(struct script *s, const uint8_t *packet, size_t len,
                        struct script_segment *out)
{
    size_t at, end, header;
    const struct rte_tcp_hdr *tcp;

    *out = (struct script_segment){0};
    if (!tcp_find(packet, len, out, &at, &end))
        return false;
    tcp = (const struct rte_tcp_hdr *)(const void *)(packet + at);
    header = tcp->data_off / 16u * 4;
    if (!wire_tcp_options_parse((const uint8_t *)(tcp + 1), header - sizeof *tcp, &out->tcp))
        return false;
    out->tcp.flags = tcp->tcp_flags;
    out->tcp.seq = ntohl(tcp->sent_seq);
    out->tcp.ack = ntohl(tcp->recv_ack);
    out->tcp.window = ntohs(tcp->rx_win);
    out->tcp.urgent = ntohs(tcp->tcp_urp);
    out->payload = packet + at + header;
    out->len = (uint32_t)(end - at - header);
    s->stack_port = ntohs(tcp->src_port);
    memcpy(s->sent, packet, at + QUOTE);
    numbers_to_script(s, out);
    return true;
}

const char *script_packet_text(const struct script_segment *segment, char *out, size_t room)
{
    static const char letters[] = "FSRPAUEW";
    static const char *const ecn[] = {"", " ect1", " ect0", " ce"};
    const struct packet_tcp *t = &segment->tcp;
    char flags[9] = "-";
    size_t n = 0;

    for (unsigned i = 0; i < 8; i++) {
        if ((t->flags & 1u << i) != 0)
            flags[n++] = letters[i];
    }
    n = (size_t)snprintf(out, room, "%s seq=%" PRIu32 " ack=%" PRIu32 " data=%" PRIu32 " win=%u%s",
                         flags, t->seq, t->ack, segment->len, t->window, ecn[segment->ecn]);
    if (t->has_mss)
        n += (size_t)snprintf(out + n, room - n, " mss=%u", t->mss);
    if (t->has_wscale)
        n += (size_t)snprintf(out + n, room - n, " ws=%u", t->wscale);
    if (t->sack_permitted)
        n += (size_t)snprintf(out + n, room - n, " sack");
    if (t->has_timestamp)
        n += (size_t)snprintf(out + n, room - n, " ts=%" PRIu32 ":%" PRIu32, t->ts_value,
                              t->ts_echo);
    for (unsigned i = 0; i < t->sack_count; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%" PRIu32 "-%" PRIu32,
                              i == 0 ? " blocks=" : ",", t->sack[i].left, t->sack[i].right);
    return out;
}
