/*
 * The egress class that a session's segments travel in, both ways: that of its rule, else the one
 * that the firewall attached to the client's SYN, else none.
 */
#include "proxy/proxy_internal.h"

/* The stack knows the scheduler's number of a class, the policy what its packets are marked with.
 */
static const struct policy_class *class_of_label(const struct proxy_snapshot *snapshot,
                                                 uint8_t egress_class)
{
    const struct policy *policy = snapshot->policy;

    for (unsigned i = 0; i < policy->class_count; i++) {
        if (snapshot->classes[policy->classes[i].index] == egress_class)
            return &policy->classes[i];
    }
    return NULL; /* of a configuration that is no more */
}

const struct policy_class *proxy_class_of(const struct session *s)
{
    const struct proxy_snapshot *snapshot = s->generation->snapshot;
    uint8_t labelled;

    if (snapshot->classes == NULL)
        return NULL;
    if (s->rule != NULL && s->rule->egress_class != NULL)
        return s->rule->egress_class;
    labelled = sock_label(s->client.sock).egress_class;
    return labelled != 0 ? class_of_label(snapshot, labelled) : NULL;
}

static uint8_t dscp_of(const struct policy_class *c)
{
    return c->dscp >= 0 ? (uint8_t)c->dscp : 0;
}

void proxy_class_apply(struct session *s)
{
    const struct policy_class *c = proxy_class_of(s);

    if (c != NULL)
        sock_class_set(s->client.sock, s->generation->snapshot->classes[c->index], dscp_of(c));
}

void proxy_class_options(const struct session *s, struct sock_options *out)
{
    const struct policy_class *c = proxy_class_of(s);

    if (c == NULL)
        return;
    out->egress_class = s->generation->snapshot->classes[c->index];
    out->dscp = dscp_of(c);
}
