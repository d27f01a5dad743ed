/*
 * TCP (RFC 9293) of one stack: the contract towards socket.c and stack.c. Everybody else uses
 * stack/socket.h.
 */
#ifndef STACK_TCP_TCP_H
#define STACK_TCP_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "stack/event.h"
#include "stack/net/net.h"
#include "stack/socket.h"
#include "stack/stack.h"

struct tcp;

/* Registers itself with `net`, which outlives it. */
struct tcp *tcp_create(const struct stack_config *config, struct net *net,
                       struct stack_counters *counters, clock_ns now, struct error *e);
void tcp_destroy(struct tcp *t);

/* The time of the round, for calls that have no `now` of their own. */
void tcp_now_set(struct tcp *t, clock_ns now);

/* Before the packets of a burst go to TCP one by one: sets flow_hash, by which each is looked up,
 * and asks for the memory that they will need, all at once. */
void tcp_prepare(const struct tcp *t, struct packet *packets, unsigned count);

/* Fires timers, then emits what became sendable. */
void tcp_flush(struct tcp *t, clock_ns now);

/* As stack_deadline(), for TCP alone. */
clock_ns tcp_deadline(const struct tcp *t);

bool tcp_event_next(struct tcp *t, struct event *out);
void tcp_usage(const struct tcp *t, struct stack_usage *out);

/* As stack_expects(). */
bool tcp_expects(const struct tcp *t, const struct packet *segment);

/* The calls behind stack/socket.h. */
struct sock *tcp_listen(struct tcp *t, const struct ip_endpoint *local, uint32_t backlog,
                        const struct sock_options *options, void *user, enum sock_error *error);
struct sock *tcp_accept(struct sock *listener);
struct sock *tcp_connect(struct tcp *t, const struct ip_endpoint *remote,
                         const struct sock_options *options, void *user, enum sock_error *error);

#endif
