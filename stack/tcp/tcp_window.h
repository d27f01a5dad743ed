/* The receive window (RFC 9293, 3.8.6). */
#ifndef STACK_TCP_TCP_WINDOW_H
#define STACK_TCP_TCP_WINDOW_H

#include <stdint.h>

struct tcp_conn;

/* The window to offer now; moves rcv_adv. Never takes back what was offered (RFC 9293, 3.8.6). */
uint32_t tcp_window_offer(struct tcp_conn *c);

/* After bytes were read: sends an update when it is worth one (RFC 9293, 3.8.6.2.2). */
void tcp_window_opened(struct tcp_conn *c);

#endif
