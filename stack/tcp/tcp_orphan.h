/* Connections that nobody owns any more, and that are not over. */
#ifndef STACK_TCP_TCP_ORPHAN_H
#define STACK_TCP_TCP_ORPHAN_H

struct tcp_conn;

/* Nobody owns the connection any more. May end an older such one, or this one. */
void tcp_orphan_add(struct tcp_conn *c);
void tcp_orphan_remove(struct tcp_conn *c);

#endif
