/*
 * What a reload cannot change is what the workers were built from: their CPUs, their memory, the
 * ports, the stacks' interfaces and routes, the settings of TCP; and what the process has open: the
 * control socket, metrics. An interface's rate can change.
 */
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

#define RESTART "cannot be changed while running: restart to apply it"

static void refuse(struct policy_report *report, const struct policy *to, struct policy_mark at,
                   const char *key, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s%s%s", key, name[0] != '\0' ? "." : "", name);
    policy_report_add(report, false, to->path, at.line, at.column, path, RESTART);
}

/* Either may be missing. */
static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_interface(const struct policy_interface *a, const struct policy_interface *b)
{
    if (strcmp(a->name, b->name) != 0 || a->device_kind != b->device_kind ||
        strcmp(a->device, b->device) != 0 || a->mtu != b->mtu || a->vlan != b->vlan ||
        a->router_advertisements != b->router_advertisements || a->addr_count != b->addr_count ||
        !same_text(a->punt_tap, b->punt_tap))
        return false;
    for (unsigned i = 0; i < a->addr_count; i++)
        if (a->addrs[i].len != b->addrs[i].len || !ip_equal(&a->addrs[i].addr, &b->addrs[i].addr))
            return false;
    return true;
}

static bool has_interface(const struct policy *p, const struct policy_interface *wanted)
{
    for (unsigned i = 0; i < p->interface_count; i++)
        if (same_interface(&p->interfaces[i], wanted))
            return true;
    return false;
}

static bool has_interface_name(const struct policy *p, const char *name)
{
    for (unsigned i = 0; i < p->interface_count; i++)
        if (strcmp(p->interfaces[i].name, name) == 0)
            return true;
    return false;
}

static void compare_interfaces(const struct policy *from, const struct policy *to,
                               struct policy_report *report)
{
    for (unsigned i = 0; i < to->interface_count; i++)
        if (!has_interface(from, &to->interfaces[i]))
            refuse(report, to, to->interfaces[i].mark, "interfaces", to->interfaces[i].name);
    for (unsigned i = 0; i < from->interface_count; i++)
        if (!has_interface_name(to, from->interfaces[i].name))
            refuse(report, to, (struct policy_mark){0}, "interfaces", from->interfaces[i].name);
}

static const char *interface_of(const struct policy_route *route)
{
    return route->interface != NULL ? route->interface->name : NULL;
}

static bool has_route(const struct policy *p, const struct policy_route *wanted)
{
    for (unsigned i = 0; i < p->route_count; i++)
        if (p->routes[i].to.len == wanted->to.len &&
            ip_equal(&p->routes[i].to.addr, &wanted->to.addr) &&
            ip_equal(&p->routes[i].via, &wanted->via) &&
            same_text(interface_of(&p->routes[i]), interface_of(wanted)))
            return true;
    return false;
}

static void compare_routes(const struct policy *from, const struct policy *to,
                           struct policy_report *report)
{
    unsigned errors = report->errors;

    for (unsigned i = 0; i < to->route_count; i++)
        if (!has_route(from, &to->routes[i]))
            refuse(report, to, to->routes[i].mark, "routes", "");
    /* Routes cannot be given twice, so fewer of them means that one is gone. */
    if (report->errors == errors && to->route_count < from->route_count)
        refuse(report, to, (struct policy_mark){0}, "routes", "");
}

static bool same_workers(const struct policy *a, const struct policy *b)
{
    return a->worker_count == b->worker_count &&
           (a->worker_count == 0 ||
            memcmp(a->workers, b->workers, a->worker_count * sizeof *a->workers) == 0);
}

static bool same_control(const struct policy_control *a, const struct policy_control *b)
{
    return same_text(a->socket, b->socket) && same_text(a->group, b->group) && a->mode == b->mode;
}

static bool same_tcp(const struct policy_tcp *a, const struct policy_tcp *b)
{
    return a->congestion == b->congestion && a->ecn == b->ecn && a->mtu_probing == b->mtu_probing &&
           a->pacing == b->pacing && a->sack == b->sack && a->timestamps == b->timestamps &&
           a->initial_window == b->initial_window && a->min_rto == b->min_rto &&
           a->delayed_ack == b->delayed_ack && a->receive_buffer_max == b->receive_buffer_max &&
           a->send_buffer_max == b->send_buffer_max && a->fin_wait == b->fin_wait &&
           a->time_wait == b->time_wait && a->max_orphans == b->max_orphans &&
           a->syn_retries == b->syn_retries && a->synack_retries == b->synack_retries;
}

int policy_reloadable(const struct policy *from, const struct policy *to,
                      struct policy_report *report)
{
    unsigned errors = report->errors;

    if (!same_workers(from, to))
        refuse(report, to, to->workers_mark, "workers", "");
    if (from->hugepages != to->hugepages)
        refuse(report, to, to->hugepages_mark, "hugepages", "");
    if (from->fragments != to->fragments)
        refuse(report, to, to->fragments_mark, "fragments", "");
    compare_interfaces(from, to, report);
    compare_routes(from, to, report);
    if (from->limits.connections != to->limits.connections)
        refuse(report, to, to->limits.connections_mark, "limits", "connections");
    if (from->limits.buffer_memory != to->limits.buffer_memory)
        refuse(report, to, to->limits.buffer_memory_mark, "limits", "buffer-memory");
    if (!same_tcp(&from->tcp, &to->tcp))
        refuse(report, to, to->tcp.mark, "tcp", "");
    if (from->firewall.limit_entries != to->firewall.limit_entries)
        refuse(report, to, to->firewall.limit_entries_mark, "firewall", "limit-entries");
    if (!same_control(&from->control, &to->control))
        refuse(report, to, to->control.mark, "control", "");
    if (from->metrics.listen.port != to->metrics.listen.port ||
        !ip_equal(&from->metrics.listen.addr, &to->metrics.listen.addr))
        refuse(report, to, to->metrics.mark, "metrics", "");
    return report->errors > errors ? -1 : 0;
}
