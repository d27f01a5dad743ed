/* The calls of stack/socket.h that begin with a stack; those on a socket are in tcp/tcp_user.c. */
#include "stack/socket.h"

#include "stack/stack_internal.h"

struct sock *sock_listen(struct stack *s, const struct ip_endpoint *local, uint32_t backlog,
                         const struct sock_options *options, void *user, enum sock_error *error)
{
    return tcp_listen(s->tcp, local, backlog, options, user, error);
}

struct sock *sock_accept(struct sock *listener)
{
    return tcp_accept(listener);
}

struct sock *sock_connect(struct stack *s, const struct ip_endpoint *remote,
                          const struct sock_options *options, void *user, enum sock_error *error)
{
    return tcp_connect(s->tcp, remote, options, user, error);
}
