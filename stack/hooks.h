/*
 * Where the firewall and the scheduler are attached to the stack. The stack knows only these
 * types; appliance/ installs the modules, and a simulator may install its own.
 */
#ifndef STACK_HOOKS_H
#define STACK_HOOKS_H

#include <stdint.h>

#include "base/clock.h"
#include "stack/packet.h"

struct rte_mbuf;

/*
 * Sees every burst after it was parsed and before the stack acts on it. Sets `drop` of the packets
 * to be dropped; packets whose `drop` is set already are to be left alone. With `drop` it may
 * set `reject`: TCP is answered with a RST, anything else with ICMP "administratively prohibited"
 * (RFC 1812, 5.2.7.1), rate-limited. It may set `label`. The packets are valid during the call
 * only.
 */
typedef void stack_ingress(void *ctx, struct packet *packets, unsigned count, clock_ns now);

/*
 * Takes a frame that the stack has no use for: of an address, port or protocol that it does not
 * serve, as it came from the wire, Ethernet header included. Takes the mbuf in any case.
 */
typedef void stack_punt(void *ctx, struct rte_mbuf *m);

/* Control goes out ahead of data: ARP, ICMP, and TCP segments without payload. */
enum egress_band { EGRESS_CONTROL, EGRESS_DATA };

/*
 * One for each interface. enqueue() takes the frame (Ethernet header included, offload flags set)
 * in any case. room() says how many more data frames of a class are wanted now: the stack offers no
 * more than that, and asks again in every flush (back-pressure instead of loss). The connections of
 * a class share its room in turn, byte for byte; a class without room does not hold up the others.
 * frame_max(), which may be NULL, says how many bytes of payload one frame of the class should
 * carry at most where the device segments it: a slow class would send nothing else for a long time.
 * A full segment goes out whatever it says.
 */
#define EGRESS_CLASSES 64 /* class 0 is the default */

struct stack_egress {
    void *ctx;
    void (*enqueue)(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class);
    uint32_t (*room)(void *ctx, uint8_t egress_class);
    uint32_t (*frame_max)(void *ctx, uint8_t egress_class);
};

#endif
