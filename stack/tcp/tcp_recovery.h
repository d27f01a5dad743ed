/*
 * Loss recovery: what acknowledgements and timeouts say of losses, and what is sent again. How much
 * may be in flight meanwhile is asked of tcp_cc.h.
 */
#ifndef STACK_TCP_TCP_RECOVERY_H
#define STACK_TCP_TCP_RECOVERY_H

#include <stdint.h>

struct tcp_conn;

void tcp_recovery_init(struct tcp_conn *c);
void tcp_recovery_ack(struct tcp_conn *c, uint32_t acked); /* new data acknowledged */
void tcp_recovery_dupack(struct tcp_conn *c);              /* may enter recovery */
void tcp_recovery_timeout(struct tcp_conn *c);

#endif
