/* The stack's own block, for stack.c and socket.c. */
#ifndef STACK_STACK_INTERNAL_H
#define STACK_STACK_INTERNAL_H

#include "stack/net/net.h"
#include "stack/stack.h"
#include "stack/tcp/tcp.h"

struct stack {
    char name[32];
    struct net *net;
    struct tcp *tcp;
    stack_ingress *ingress;
    void *ingress_ctx;
    stack_owns_flow *owns_flow;
    stack_pass *pass;
    void *owns_flow_ctx;
    clock_ns now;
    struct stack_counters counters;
};

#endif
