/*
 * The firewall: its rules with what they have counted, and the sets, which may be changed while it
 * runs. A change of a set is in force on all workers when the reply goes out, and compiles only the
 * set anew, not the rules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "appliance/command/command_internal.h"
#include "appliance/firewall_rules.h"
#include "appliance/sets.h"
#include "base/log.h"

#define PAGE 1000 /* prefixes of a set in one reply */

static const char *action_name(enum policy_firewall_action action)
{
    static const char *const names[] = {
        [POLICY_FIREWALL_ACCEPT] = "accept", [POLICY_FIREWALL_DROP] = "drop",
        [POLICY_FIREWALL_REJECT] = "reject", [POLICY_FIREWALL_LIMIT] = "limit",
        [POLICY_FIREWALL_COUNT] = "count",   [POLICY_FIREWALL_LOG] = "log",
    };

    return names[action];
}

static json_t *rule_object(const char *name, json_t *where, const char *action,
                           const struct firewall_hits *hits)
{
    return json_pack("{s:s, s:o, s:s, s:I, s:I}", "rule", name, "where", where, "action", action,
                     "packets", (json_int_t)hits->packets, "bytes", (json_int_t)hits->bytes);
}

json_t *command_firewall(struct command_context *c, json_t *request)
{
    const struct policy *policy = c->snapshots->current->policy;
    const struct policy_firewall *f = &policy->firewall;
    struct firewall_hits hits;
    json_t *rules = json_array();

    (void)request;
    for (unsigned i = 0; i < f->rule_count; i++) {
        firewall_rules_hits(c->workers, i, &hits);
        json_array_append_new(rules, rule_object(f->rules[i].name,
                                                 command_place(policy, &f->rules[i].mark),
                                                 action_name(f->rules[i].action), &hits));
    }
    if (f->rule_count > 0) {
        firewall_rules_hits(c->workers, f->rule_count, &hits);
        json_array_append_new(rules, rule_object("default", json_null(),
                                                 f->drop_by_default ? "drop" : "accept", &hits));
    }
    return control_reply_ok(json_pack("{s:o}", "rules", rules));
}

static json_t *set_object(const struct command_context *c, const struct policy_set *set)
{
    unsigned count = 0;

    free(sets_prefixes(&c->firewall->sets, set, &count));
    return json_pack("{s:s, s:I, s:o}", "set", set->name, "count", (json_int_t)count, "file",
                     set->file != NULL ? control_string(set->file) : json_null());
}

json_t *command_sets(struct command_context *c, json_t *request)
{
    const struct policy *policy = c->snapshots->current->policy;
    json_t *sets = json_array();

    (void)request;
    for (unsigned i = 0; i < policy->set_count; i++)
        json_array_append_new(sets, set_object(c, &policy->sets[i]));
    return control_reply_ok(json_pack("{s:o}", "sets", sets));
}

json_t *command_set_list(struct command_context *c, json_t *request)
{
    uint64_t after = command_natural(request, "after", 0), next;
    struct error e = {0};
    const struct policy_set *set =
        sets_find(c->snapshots->current->policy, command_text(request, "set"), &e);
    struct ip_prefix *prefixes;
    char text[IP_TEXT_MAX];
    json_t *page = json_array();
    unsigned count = 0;

    if (set == NULL) {
        json_decref(page);
        return control_reply_error("%s", e.text);
    }
    prefixes = sets_prefixes(&c->firewall->sets, set, &count);
    for (next = after; next < count && next < after + PAGE; next++)
        json_array_append_new(page, json_string(ip_prefix_format(&prefixes[next], text)));
    free(prefixes);
    return control_reply_ok(json_pack("{s:s, s:o, s:o}", "set", set->name, "prefixes", page, "next",
                                      next < count ? json_integer((json_int_t)next) : json_null()));
}

/* One that has bits beyond its length is refused: who blocks 192.0.2.7/8 does not mean 192.0.0.0/8.
 */
static int parse_prefix(const char *text, struct ip_prefix *out, struct error *e)
{
    struct ip_prefix network;
    char meant[IP_TEXT_MAX];

    if (ip_prefix_parse(text, out) < 0)
        return error_set(e, "\"%.64s\" is no prefix and no address; nothing was changed", text);
    network = ip_prefix_network(out);
    if (ip_equal(&network.addr, &out->addr))
        return 0;
    return error_set(e,
                     "%.64s has bits set beyond its length, did you mean %s? Nothing was changed",
                     text, ip_prefix_format(&network, meant));
}

/* Returns the prefixes (malloc'd), or NULL with what is wrong with one of them. */
static struct ip_prefix *parse_prefixes(const json_t *array, struct error *e)
{
    struct ip_prefix *out = calloc(json_array_size(array) + 1, sizeof *out);
    const json_t *element;
    size_t i;

    if (out == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    json_array_foreach (array, i, element) {
        if (parse_prefix(json_string_value(element), &out[i], e) == 0)
            continue;
        free(out);
        return NULL;
    }
    return out;
}

/* "set blocked: 192.0.2.7/32 and 2 more added by command" */
static void log_change(const char *set, bool add, const struct ip_prefix *prefixes, size_t count,
                       const struct sets_outcome *outcome)
{
    char first[IP_TEXT_MAX], more[32] = "";

    if (count > 1)
        snprintf(more, sizeof more, " and %zu more", count - 1);
    if (outcome->changed > 0)
        log_info("control", "set %s: %s%s %s by command", set, ip_prefix_format(prefixes, first),
                 more, add ? "added" : "deleted");
}

static json_t *change(struct command_context *c, json_t *request, bool add)
{
    const json_t *array = json_object_get(request, "prefixes");
    const char *name = command_text(request, "set");
    struct error e = {0};
    struct ip_prefix *prefixes = parse_prefixes(array, &e);
    struct sets_outcome outcome = {0};
    int result = -1;

    if (prefixes != NULL)
        result = firewall_rules_edit(c->firewall, c->workers, c->snapshots->current->policy, name,
                                     add, prefixes, (unsigned)json_array_size(array), &outcome, &e);
    if (result == 0)
        log_change(name, add, prefixes, json_array_size(array), &outcome);
    free(prefixes);
    if (result < 0)
        return control_reply_error("%s", e.text);
    return control_reply_ok(json_pack("{s:I, s:I}", "changed", (json_int_t)outcome.changed,
                                      "unchanged", (json_int_t)outcome.unchanged));
}

json_t *command_set_add(struct command_context *c, json_t *request)
{
    return change(c, request, true);
}

json_t *command_set_delete(struct command_context *c, json_t *request)
{
    return change(c, request, false);
}
