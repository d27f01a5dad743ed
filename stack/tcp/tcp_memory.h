/* The packet buffers of all connections together, and what of them one may have. */
#ifndef STACK_TCP_TCP_MEMORY_H
#define STACK_TCP_TCP_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct tcp;
struct tcp_conn;

/* Bytes that the send queue, and the receive queue, may hold under the present memory pressure. */
uint32_t tcp_memory_send_limit(const struct tcp_conn *c);
uint32_t tcp_memory_receive_limit(const struct tcp_conn *c);

/* The budget of all is used up: writers wait, except for what keeps each of them going. */
bool tcp_memory_tight(const struct tcp_conn *c);

/* Room for another segment of payload in the budget of all connections? */
bool tcp_memory_room(const struct tcp_conn *c, bool in_order);

/* tcp_memory_tight() was true: the owner is told when there is room again. */
void tcp_memory_wait(struct tcp_conn *c);
void tcp_memory_wait_end(struct tcp_conn *c);

/* Once a round: wakes who waits, and watches how much is left. */
void tcp_memory_round(struct tcp *t);

#endif
