#include "tests/unit/stack/tcp_script_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support/test_unit.h"

#define NEIGHBOUR_SOLICITATION  135
#define NEIGHBOUR_ADVERTISEMENT 136
#define SOLICITED_OVERRIDE      0x60000000

static const uint8_t stack_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};

bool script_wire_ipv6(void)
{
    return getenv("SCRIPT_IPV6") != NULL;
}

void script_wire_host(uint8_t host, char text[SCRIPT_WIRE_TEXT])
{
    snprintf(text, SCRIPT_WIRE_TEXT, script_wire_ipv6() ? "2001:db8::%x" : "10.0.0.%u", host);
}

void script_wire_prefix(struct ip_prefix *p)
{
    const char *text = script_wire_ipv6() ? "2001:db8::1/64" : "10.0.0.1/24";

    assert_int_equal(ip_prefix_parse(text, p), 0);
}

uint16_t script_wire_extra(void)
{
    return script_wire_ipv6() ? 20 : 0;
}

void script_wire_mac(uint8_t mac[6])
{
    memcpy(mac, stack_mac, 6);
}

void script_wire_begin(struct test_frame *f, uint8_t host, uint8_t protocol, uint8_t ecn)
{
    char from[SCRIPT_WIRE_TEXT], to[SCRIPT_WIRE_TEXT];

    script_wire_host(host, from);
    script_wire_host(SCRIPT_WIRE_STACK, to);
    if (script_wire_ipv6()) {
        test_frame_ether(f, stack_mac, peer_mac, 0x86dd);
        test_frame_ipv6(f, protocol, from, to);
        f->b[TEST_L3 + 1] = (uint8_t)(ecn << 4);
    } else {
        test_frame_ether(f, stack_mac, peer_mac, 0x0800);
        test_frame_ipv4(f, protocol, from, to);
        f->b[TEST_L3 + 1] = ecn;
    }
}

/* RFC 4443, 3.1 to 3.3: what ICMPv6 has instead. */
static void translate(struct script_wire_error *e)
{
    enum { UNREACHABLE = 3, TIME = 11, PORT = 3, TOO_BIG = 4 };

    if (e->type == UNREACHABLE && e->code == TOO_BIG) {
        e->type = 2;
        e->code = 0;
        e->rest += e->rest != 0 ? script_wire_extra() : 0;
    } else if (e->type == UNREACHABLE) {
        e->type = 1;
        e->code = e->code == PORT ? 4 : 0;
    } else if (e->type == TIME) {
        e->type = 3;
    }
}

void script_wire_error(struct test_frame *f, uint8_t host, const struct script_wire_error *error)
{
    bool v6 = script_wire_ipv6();
    char from[SCRIPT_WIRE_TEXT], to[SCRIPT_WIRE_TEXT];
    struct script_wire_error e = *error;
    struct test_frame quoted;

    script_wire_host(SCRIPT_WIRE_STACK, from);
    script_wire_host(host, to);
    test_frame_ether(&quoted, peer_mac, stack_mac, v6 ? 0x86dd : 0x0800);
    if (v6)
        test_frame_ipv6(&quoted, 6, from, to);
    else
        test_frame_ipv4(&quoted, 6, from, to);
    test_frame_tcp(&quoted, e.stack_port, e.peer_port, e.seq, 0, TCP_ACK);
    test_frame_finish(&quoted);
    if (v6)
        translate(&e);
    test_frame_put16(quoted.b + TEST_L3 + (v6 ? 4 : 2), (uint16_t)(e.length - (v6 ? 20 : 0)));
    script_wire_begin(f, host, v6 ? 58 : 1, 0);
    test_frame_icmp(f, e.type, e.code, e.rest);
    test_frame_append(f, quoted.b + TEST_L3, v6 ? 60 : 28);
    test_frame_finish(f);
}

/* ---- frames of the stack ---- */

static bool is_ipv6(const uint8_t *frame)
{
    return test_frame_get16(frame + 12) == 0x86dd;
}

uint32_t script_wire_tcp(const uint8_t *frame)
{
    if (is_ipv6(frame))
        return frame[20] == 6 ? TEST6_L4 : 0;
    return test_frame_get16(frame + 12) == 0x0800 ? TEST_L4 : 0;
}

uint8_t script_wire_class(const uint8_t *frame)
{
    return is_ipv6(frame) ? (uint8_t)(frame[14] << 4 | frame[15] >> 4) : frame[15];
}

uint8_t script_wire_to(const uint8_t *frame)
{
    return is_ipv6(frame) ? frame[TEST6_L4 - 1] : frame[TEST_L4 - 1];
}

/* Not of its own address, which an announcement does. */
static bool arp_answer(const uint8_t *frame, struct test_frame *answer)
{
    char target[SCRIPT_WIRE_TEXT], stack[SCRIPT_WIRE_TEXT];

    if (test_frame_get16(frame + 20) != 1 || memcmp(frame + 38, frame + 28, 4) == 0)
        return false;
    script_wire_host(frame[41], target);
    script_wire_host(SCRIPT_WIRE_STACK, stack);
    test_frame_ether(answer, stack_mac, peer_mac, 0x0806);
    test_frame_arp(answer, 2, peer_mac, target, stack_mac, stack);
    return true;
}

/* Not from the unspecified address: that is duplicate address detection. */
static bool nd_answer(const uint8_t *frame, struct test_frame *answer)
{
    static const uint8_t unspecified[16];
    uint8_t option[8] = {2, 1};

    if (frame[20] != 58 || frame[TEST6_L4] != NEIGHBOUR_SOLICITATION ||
        memcmp(frame + TEST_L3 + 8, unspecified, 16) == 0)
        return false;
    memcpy(option + 2, peer_mac, 6);
    script_wire_begin(answer, frame[TEST6_L4 + 23], 58, 0);
    answer->b[TEST_L3 + 7] = 255;
    memcpy(answer->b + TEST_L3 + 24, frame + TEST_L3 + 8, 16);
    test_frame_icmp(answer, NEIGHBOUR_ADVERTISEMENT, 0, SOLICITED_OVERRIDE);
    test_frame_append(answer, frame + TEST6_L4 + 8, 16);
    test_frame_append(answer, option, sizeof option);
    test_frame_finish(answer);
    return true;
}

bool script_wire_answer(const uint8_t *frame, struct test_frame *answer)
{
    return is_ipv6(frame) ? nd_answer(frame, answer) : arp_answer(frame, answer);
}
