/*
 * A struct net with two interfaces, whose egress is a list that the test takes frames from, and a
 * clock that only the test moves:
 *
 *     peer 192.0.2.1  ---  outside 192.0.2.10/24  |net|  inside 10.0.0.1/24  ---  10.0.0.x
 *     (also the default gateway)
 */
#ifndef TESTS_UNIT_STACK_TEST_NET_FIXTURE_H
#define TESTS_UNIT_STACK_TEST_NET_FIXTURE_H

#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "stack/net/net.h"
#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

#define FIX_SENT_MAX 4096

enum { FIX_OUTSIDE, FIX_INSIDE };

struct fix_sent {
    struct rte_mbuf *m;
    enum egress_band band;
};

struct fix_egress {
    struct fix_sent sent[FIX_SENT_MAX];
    unsigned count, taken;
    uint32_t room;
};

struct fix {
    struct net *net;
    struct stack_counters counters;
    struct fix_egress egress[2];
    struct rte_mempool *tx_pool;
    clock_ns now;
    unsigned mbufs_before;
};

extern const uint8_t fix_mac[2][6]; /* ours */
extern const uint8_t fix_peer[6];
extern const uint8_t fix_broadcast[6];

/* For cmocka's set-up and tear-down: the state is a struct fix. Announcements are taken already.
 * The tear-down fails when an mbuf has leaked. */
int fix_setup(void **state);
int fix_teardown(void **state);

/* The same with IPv6 beside it, tried out already:
 *
 *     peer 2001:db8:1::1  ---  2001:db8:1::10/64  |net|  2001:db8:2::1/64  ---  2001:db8:2::x
 */
int fix_setup6(void **state);

/* With these offloads on the outside interface. */
int fix_setup_offloads(void **state, uint32_t offloads);

/* An interface of 1500 bytes whose frames go where those of `index` go. */
struct stack_iface_config fix_iface_config(struct fix *x, unsigned index, const char *name,
                                           const char *addr);

/* Parses and gives to net, as the stack does. fix_frame() takes bytes, fix_input() an mbuf. */
void fix_frame(struct fix *x, unsigned iface, const struct test_frame *f);
void fix_input(struct fix *x, unsigned iface, struct rte_mbuf *m);

/* The next frame sent, to be freed by the caller, or NULL. *band may be NULL. */
struct rte_mbuf *fix_take(struct fix *x, unsigned iface, enum egress_band *band);

/* How many frames wait to be taken. */
unsigned fix_waiting(const struct fix *x, unsigned iface);

/* Frees what was sent and not taken; returns how many frames. */
unsigned fix_discard(struct fix *x, unsigned iface);

/* Moves time to each deadline in turn, running timers, until `now` is `by` later. */
void fix_advance(struct fix *x, clock_ns by);

struct ip_addr fix_addr(const char *text);

/* An ARP packet from a peer to us on an interface. */
void fix_arp(struct fix *x, unsigned iface, uint16_t operation, const uint8_t sender_mac[6],
             const char *sender, const char *target);

/* Sends a segment of `len` bytes to `dst` by its path. */
void fix_send(struct fix *x, const char *dst, size_t len);

/* ---- IPv6 ---- */

/* A frame from fix_peer to an address or group, up to its IPv6 header. */
struct test_frame fix_ipv6(struct fix *x, unsigned iface, uint8_t next, const char *src,
                           const char *dst);

/* A neighbour's message; `mac` is its Ethernet address, also in the option, or NULL: no option. */
struct fix_nd {
    uint8_t type, flags;
    const char *src, *dst, *target;
    const uint8_t *mac;
};
struct test_frame fix_nd(struct fix *x, unsigned iface, const struct fix_nd *nd);

/* Sets hop limit 255, the length and the checksum. */
void fix_nd_finish(struct test_frame *f);

/* Takes the next frame, asserts that it is right and, unless 0, an ICMPv6 message of that type. */
struct fix_sent6 {
    uint8_t mac[6], hop_limit;
    struct ip_addr src, dst;
    size_t len; /* of all behind the IPv6 header */
    uint8_t payload[1500];
};
struct fix_sent6 fix_take6(struct fix *x, unsigned iface, uint8_t icmp_type);

/* Takes the next frame and asserts that it is an ARP packet: operation and the two IP addresses. */
struct wire_arp fix_take_arp(struct fix *x, unsigned iface, uint16_t operation, const char *sender,
                             const char *target);

/* Takes the next frame, asserts that it is IPv4 to that Ethernet address, and frees it. */
void fix_take_ipv4_to(struct fix *x, unsigned iface, const uint8_t mac[6]);

#endif
