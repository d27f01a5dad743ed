/* The configuration in force: certificates and rules; reload and the log's level. */
#include <string.h>

#include "appliance/command/command_internal.h"
#include "base/log.h"

static json_t *certificate_names(const struct tls_cert_file *f)
{
    json_t *names = json_array();
    const char *name;

    for (unsigned i = 0; (name = tls_cert_file_dns(f, i)) != NULL; i++)
        json_array_append_new(names, control_string(name));
    return names;
}

static json_t *certificate_listeners(const struct policy *policy,
                                     const struct policy_certificate *certificate)
{
    json_t *names = json_array();

    for (unsigned i = 0; i < policy->listener_count; i++) {
        const struct policy_listener *l = &policy->listeners[i];

        for (unsigned k = 0; l->tls != NULL && k < l->tls->certificate_count; k++) {
            if (l->tls->certificates[k] == certificate)
                json_array_append_new(names, json_string(l->name));
        }
    }
    return names;
}

json_t *command_certs(struct command_context *c, json_t *request)
{
    const struct snapshot *s = c->snapshots->current;
    json_t *certs = json_array();
    time_t now = time(NULL);

    (void)request;
    for (unsigned i = 0; i < s->policy->certificate_count; i++) {
        const struct policy_certificate *p = &s->policy->certificates[i];
        const struct tls_cert_file *f = s->certificates[i];

        json_array_append_new(
            certs, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "certificate",
                             p->name, "subject", control_string(tls_cert_file_subject(f)), "issuer",
                             control_string(tls_cert_file_issuer(f)), "names", certificate_names(f),
                             "ocsp_expires", command_time(tls_cert_file_ocsp_expiry(f)), "expires",
                             command_time(tls_cert_file_expiry(f)), "days_left",
                             (json_int_t)(tls_cert_file_expiry(f) - now) / 86400, "listeners",
                             certificate_listeners(s->policy, p), "chain", control_string(p->chain),
                             "key", control_string(p->key)));
    }
    return control_reply_ok(json_pack("{s:o}", "certificates", certs));
}

static const char *action_name(enum policy_action action)
{
    static const char *const names[] = {
        [POLICY_TERMINATE] = "terminate",
        [POLICY_SPLICE] = "splice",
        [POLICY_REJECT] = "reject",
    };

    return names[action];
}

static json_t *strings(const char *const *list, unsigned count)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(array, control_string(list[i]));
    return array;
}

#define SHOWN_MAX 20 /* names or prefixes of one rule: a list file may bring a hundred thousand */

static json_t *prefixes(const struct ip_prefix *list, unsigned count)
{
    json_t *array = json_array();
    char text[IP_TEXT_MAX];

    for (unsigned i = 0; i < count && i < SHOWN_MAX; i++)
        json_array_append_new(array, json_string(ip_prefix_format(&list[i], text)));
    return array;
}

static json_t *rule_object(const struct policy *policy, const struct policy_rule *r,
                           const struct rule_hits *hits)
{
    unsigned snis = r->sni_count < SHOWN_MAX ? r->sni_count : SHOWN_MAX;

    return json_pack(
        "{s:s, s:o, s:s*, s:o, s:I, s:o, s:I, s:s, s:s*, s:s*, s:I}", "rule", r->name, "where",
        command_place(policy, &r->mark), "listener", r->listener != NULL ? r->listener->name : NULL,
        "sources", prefixes(r->sources, r->source_count), "source_count",
        (json_int_t)r->source_count, "server_names", strings((const char *const *)r->snis, snis),
        "server_name_count", (json_int_t)r->sni_count, "action", action_name(r->action), "backend",
        r->backend != NULL ? r->backend->name : NULL, "class",
        r->egress_class != NULL ? r->egress_class->name : NULL, "hits",
        (json_int_t)rule_hits_of(hits, r->name));
}

json_t *command_policy(struct command_context *c, json_t *request)
{
    const struct policy *policy = c->snapshots->current->policy;
    struct rule_hits hits = {0};
    json_t *rules = json_array();

    (void)request;
    workers_rule_hits(c->workers, &hits);
    for (unsigned i = 0; i < policy->rule_count; i++)
        json_array_append_new(rules, rule_object(policy, &policy->rules[i], &hits));
    rule_hits_free(&hits);
    return control_reply_ok(json_pack("{s:o}", "rules", rules));
}

static json_t *findings(const struct policy_report *report)
{
    json_t *array = json_array();

    for (size_t i = 0; i < report->count; i++)
        json_array_append_new(array, control_string(report->findings[i].text));
    return array;
}

json_t *command_reload(struct command_context *c, json_t *request)
{
    struct policy_report report = {0};
    struct error e = {0};
    json_t *reply, *found;
    bool ok;

    (void)request;
    ok = c->reload(c->owner, &report, &e) == 0;
    found = findings(&report);
    policy_report_free(&report);
    if (ok)
        return control_reply_ok(json_pack("{s:o}", "findings", found));
    reply = control_reply_error("%s", e.text);
    json_object_set_new(reply, "findings", found);
    return reply;
}

/* Told under the more talkative level of the two. */
static void set_log_level(enum log_level level)
{
    enum log_level former = log_level_get();

    if (level > former)
        log_level_set(level);
    if (level != former)
        log_info("control", "the log level is %s from now on", log_level_name(level));
    log_level_set(level);
}

json_t *command_log_level(struct command_context *c, json_t *request)
{
    const char *text = command_text(request, "level");
    enum log_level level;

    (void)c;
    if (text != NULL) {
        if (log_level_parse(text, &level) < 0)
            return control_reply_error("log level \"%.32s\": expected error, warn, info or debug",
                                       text);
        set_log_level(level);
    }
    return control_reply_ok(json_pack("{s:s}", "level", log_level_name(log_level_get())));
}
