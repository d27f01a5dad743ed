/*
 * The network beneath tcp_script: 10.0.0.0/24 or, where the environment has SCRIPT_IPV6 set,
 * 2001:db8::/64. The hosts of both have the same numbers, and the interface takes 20 bytes more
 * with IPv6, so that segments are as large as with IPv4.
 */
#ifndef TESTS_UNIT_STACK_TCP_SCRIPT_WIRE_H
#define TESTS_UNIT_STACK_TCP_SCRIPT_WIRE_H

#include "stack/stack.h"
#include "tests/unit/support/test_frame.h"

#define SCRIPT_WIRE_STACK 1  /* the stack's host */
#define SCRIPT_WIRE_TEXT  24 /* room for an address */

bool script_wire_ipv6(void);

/* 10.0.0.host, or its counterpart. */
void script_wire_host(uint8_t host, char text[SCRIPT_WIRE_TEXT]);
void script_wire_prefix(struct ip_prefix *p); /* the stack's address */

/* How much larger the IP header is than IPv4's. */
uint16_t script_wire_extra(void);

void script_wire_mac(uint8_t mac[6]); /* the stack's */

/* A frame from a host to the stack, up to the IP header; its protocol is TCP or ICMP. */
void script_wire_begin(struct test_frame *f, uint8_t host, uint8_t protocol, uint8_t ecn);

/* An ICMP error in the words of IPv4, from the host, that quotes a segment of the stack in a packet
 * of `length` bytes. */
struct script_wire_error {
    uint8_t type, code;
    uint32_t rest;
    uint16_t length, stack_port, peer_port;
    uint32_t seq;
};
void script_wire_error(struct test_frame *f, uint8_t host, const struct script_wire_error *e);

/* Where TCP begins in a frame of the stack; 0: it is another. */
uint32_t script_wire_tcp(const uint8_t *frame);
uint8_t script_wire_class(const uint8_t *frame); /* its traffic class */
uint8_t script_wire_to(const uint8_t *frame);    /* the host it is for */

/* Does a frame of the stack ask where one of the hosts is (ARP, ND)? Then *answer is the answer. */
bool script_wire_answer(const uint8_t *frame, struct test_frame *answer);

#endif
