/*
 * What a station made of stack/io alone answers, for one address of each family: ARP and neighbour
 * solicitations, ICMP echo, and TCP SYNs with RST.
 */
#ifndef TESTS_UNIT_IO_IO_ANSWER_H
#define TESTS_UNIT_IO_IO_ANSWER_H

#include <stdint.h>

#include "base/ip.h"
#include "stack/io/io.h"

struct rte_mbuf;

/* One worker's. All workers hear who asks for an address; the first one answers. */
struct io_answer {
    struct io_port *port;
    const struct io_port_facts *facts;
    struct ip_addr ipv4, ipv6;
    unsigned worker;
    uint64_t arp, nd; /* questions; of `nd`, those for our address */
    uint64_t echo, tcp;
    uint64_t astray; /* TCP segments that io_port_worker_of() says are another worker's */
    uint64_t other, unsent;
};

/* Takes a received frame. */
void io_answer_frame(struct io_answer *a, struct rte_mbuf *in);

#endif
