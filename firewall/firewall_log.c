/* Log lines of rules: what an administrator needs to find the sender, ten a second for each rule.
 */
#include <stdio.h>
#include <string.h>

#include <netinet/in.h>

#include "firewall/firewall_internal.h"

#define PART_MAX 160

static const char *const action_names[] = {
    [FIREWALL_ACCEPT] = "accept", [FIREWALL_DROP] = "drop",   [FIREWALL_REJECT] = "reject",
    [FIREWALL_LIMIT] = "limit",   [FIREWALL_COUNT] = "count", [FIREWALL_LOG] = "log",
};

/* "SYN,ACK", as RFC 9293 names the control bits. */
static void format_flags(uint8_t flags, char *out, size_t size)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    size_t len = 0;

    out[0] = '\0';
    for (unsigned bit = 0; bit < 8 && len < size; bit++) {
        if ((flags >> bit & 1) != 0)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? "," : "", names[bit]);
    }
}

static void format_ports(const struct packet *p, const char *protocol, const char *more, char *out)
{
    const struct ip_endpoint from = {p->src, p->sport}, to = {p->dst, p->dport};
    char src[IP_TEXT_MAX], dst[IP_TEXT_MAX];

    snprintf(out, 2 * PART_MAX, "%s %s > %s%s%s", protocol, ip_endpoint_format(&from, src),
             ip_endpoint_format(&to, dst), more[0] != '\0' ? " " : "", more);
}

static void format_packet(const struct packet *p, char *out)
{
    char src[IP_TEXT_MAX], dst[IP_TEXT_MAX], flags[48];

    if (p->kind == PACKET_TCP) {
        format_flags(p->tcp.flags, flags, sizeof flags);
        format_ports(p, "TCP", flags, out);
    } else if (p->ip_protocol == IPPROTO_UDP) {
        format_ports(p, "UDP", "", out);
    } else if (p->kind == PACKET_ICMP) {
        snprintf(out, 2 * PART_MAX, "%s %s > %s type %u code %u",
                 p->ip_protocol == IPPROTO_ICMPV6 ? "ICMPv6" : "ICMP", ip_format(&p->src, src),
                 ip_format(&p->dst, dst), p->icmp.type, p->icmp.code);
    } else {
        snprintf(out, 2 * PART_MAX, "protocol %u %s > %s", p->ip_protocol, ip_format(&p->src, src),
                 ip_format(&p->dst, dst));
    }
}

/* What became of it, where that is not what the action says. */
static const char *outcome(const struct firewall_verdict *rule, const struct packet *p)
{
    if (rule->action != FIREWALL_LIMIT || p->drop == DROP_NONE)
        return "";
    return p->reject ? " exceeded, rejected" : " exceeded, dropped";
}

void firewall_log_packet(struct firewall *f, uint32_t rule, const struct packet *p, clock_ns now)
{
    const struct firewall_verdict *r = &f->ruleset->program->rules[rule];
    char packet[2 * PART_MAX], more[48] = "";
    uint32_t suppressed;

    if (!log_limit_pass(&f->state[rule].log, now, &suppressed))
        return;
    if (suppressed > 0)
        snprintf(more, sizeof more, " (%u lines held back)", suppressed);
    format_packet(p, packet);
    log_info("firewall", "%s: rule \"%s\": %s%s: %s, %u bytes, on %s%s", f->name, r->name,
             action_names[r->action], outcome(r, p), packet, p->l3_length,
             p->iface < f->interface_count ? f->interfaces[p->iface] : "?", more);
}
