/*
 * Listening sockets follow the current policy. One whose address stays is never closed, not even
 * for a moment: its backlog and the connections in it outlive any number of reloads.
 */
#include "proxy/proxy_internal.h"

#include <stdlib.h>

void proxy_listener_options(struct sock_options *out)
{
    *out = (struct sock_options){.keepalive = PROXY_KEEPALIVE};
}

static enum sock_cookies cookies_of(const struct policy_listener *config)
{
    static const enum sock_cookies cookies[] = {
        [POLICY_SYN_COOKIES_AUTO] = SOCK_COOKIES_AUTO,
        [POLICY_SYN_COOKIES_ALWAYS] = SOCK_COOKIES_ALWAYS,
        [POLICY_SYN_COOKIES_OFF] = SOCK_COOKIES_OFF,
    };

    return cookies[config->syn_cookies];
}

static bool same_endpoint(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_equal(&a->addr, &b->addr);
}

static struct proxy_listener *listener_find(struct proxy *p, const struct ip_endpoint *bind)
{
    struct proxy_listener *l;

    TAILQ_FOREACH (l, &p->listeners, link) {
        if (same_endpoint(&l->bind, bind))
            return l;
    }
    return NULL;
}

static const struct policy_listener *policy_find(const struct policy *policy,
                                                 const struct ip_endpoint *bind)
{
    for (unsigned i = 0; i < policy->listener_count; i++) {
        if (same_endpoint(&policy->listeners[i].bind, bind))
            return &policy->listeners[i];
    }
    return NULL;
}

static struct proxy_listener *listener_open(struct proxy *p, const struct policy_listener *config,
                                            struct error *e)
{
    struct proxy_listener *l = calloc(1, sizeof *l);
    enum sock_error cause = SOCK_OK;
    struct sock_options options;
    char text[IP_TEXT_MAX];

    if (l == NULL) {
        error_set(e, "listener %s: out of memory", config->name);
        return NULL;
    }
    l->proxy = p;
    l->config = config;
    l->bind = config->bind;
    proxy_listener_options(&options);
    options.cookies = cookies_of(config);
    l->sock = sock_listen(p->stack, &l->bind, config->backlog, &options, l, &cause);
    if (l->sock == NULL) {
        error_set(e, "listener %s: cannot listen on %s: %s", config->name,
                  ip_endpoint_format(&l->bind, text), sock_error_text(cause));
        free(l);
        return NULL;
    }
    return l;
}

static void listener_close(struct proxy_listener_list *list, struct proxy_listener *l)
{
    TAILQ_REMOVE(list, l, link);
    sock_close(l->sock);
    free(l);
}

static void list_close(struct proxy_listener_list *list)
{
    struct proxy_listener *l = TAILQ_FIRST(list), *next;

    for (; l != NULL; l = next) {
        next = TAILQ_NEXT(l, link);
        listener_close(list, l);
    }
}

static void listener_keep(struct proxy_listener *l, const struct policy_listener *config)
{
    sock_listener_set(l->sock, config->backlog, cookies_of(config));
    l->config = config;
}

/* Connections that the stack has completed already belong to the configuration they came under. */
static void listener_retire(struct proxy_listener *l)
{
    struct proxy *p = l->proxy;

    proxy_listener_accept(l);
    listener_close(&p->listeners, l);
}

static void listeners_switch(struct proxy *p, const struct policy *policy,
                             struct proxy_listener_list *opened)
{
    struct proxy_listener *l = TAILQ_FIRST(&p->listeners), *next;

    for (; l != NULL; l = next) {
        const struct policy_listener *config = policy_find(policy, &l->bind);

        next = TAILQ_NEXT(l, link);
        if (config != NULL)
            listener_keep(l, config);
        else
            listener_retire(l);
    }
    TAILQ_CONCAT(&p->listeners, opened, link);
}

/* Opens what is new before it touches what is there, so that a failure changes nothing. */
int proxy_listener_apply(struct proxy *p, const struct policy *policy, struct error *e)
{
    struct proxy_listener_list opened = TAILQ_HEAD_INITIALIZER(opened);

    for (unsigned i = 0; i < policy->listener_count; i++) {
        struct proxy_listener *l;

        if (listener_find(p, &policy->listeners[i].bind) != NULL)
            continue;
        l = listener_open(p, &policy->listeners[i], e);
        if (l == NULL) {
            list_close(&opened);
            return -1;
        }
        TAILQ_INSERT_TAIL(&opened, l, link);
    }
    listeners_switch(p, policy, &opened);
    return 0;
}

void proxy_listener_accept(struct proxy_listener *l)
{
    struct sock *client;

    while ((client = sock_accept(l->sock)) != NULL)
        proxy_session_open(l, client);
}

void proxy_listener_close_all(struct proxy *p)
{
    list_close(&p->listeners);
}
