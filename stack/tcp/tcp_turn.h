/* Fairness between the connections of a class: they send in turns. */
#ifndef STACK_TCP_TCP_TURN_H
#define STACK_TCP_TCP_TURN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "stack/tcp/tcp_conn.h"

struct tcp;

/* Connections of one class of one interface that have data to send, in the order of their turns. */
struct tcp_turn {
    struct tcp_conns waiting;
    TAILQ_ENTRY(tcp_turn) link; /* on tcp->turns while somebody waits */
    uint8_t iface, egress_class;
    /* As the egress hook told last: */
    uint32_t room;      /* frames */
    uint32_t frame_max; /* bytes of payload */
};

void tcp_turn_init(struct tcp *t);

/* The connection has something to send: sends it when nobody waits, else queues up. */
void tcp_turn_take(struct tcp_conn *c);
void tcp_turn_leave(struct tcp_conn *c);                      /* its turns are over */
void tcp_turn_move(struct tcp_conn *c, uint8_t egress_class); /* to another class */

/* Serves all queues as far as there is room. Returns false when there were no mbufs. */
bool tcp_turn_flush(struct tcp *t);

/* Would another flush serve somebody? */
bool tcp_turn_possible(const struct tcp *t);

/* During a turn: room left, most payload of a frame; a frame was sent. */
bool tcp_turn_room(const struct tcp_conn *c);
uint32_t tcp_turn_frame_max(const struct tcp_conn *c);
void tcp_turn_charge(struct tcp_conn *c, uint32_t payload);

#endif
