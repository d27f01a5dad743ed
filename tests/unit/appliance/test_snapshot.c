/* Loading a configuration in full, and the books that the main thread keeps of snapshots. */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/snapshot.h"
#include "appliance/worker_snapshot.h"

#define CONFIG                                                           \
    "workers: [%s]\n"                                                    \
    "interfaces:\n"                                                      \
    "  lo: {device: {tap: sluice0}, addresses: [192.0.2.10/24]}\n"       \
    "certificates:\n"                                                    \
    "  shop: {chain: %s, key: %s}\n"                                     \
    "backends:\n"                                                        \
    "  web: {servers: [\"192.0.2.11:80\"]}\n"                            \
    "listeners:\n"                                                       \
    "  plain: {bind: \"192.0.2.10:80\"}\n"                               \
    "  https: {bind: \"192.0.2.10:443\", tls: {certificates: [shop]}}\n" \
    "policy:\n"                                                          \
    "  - {action: splice, backend: web}\n"

static const struct cpus available = {.count = 2, .id = {0, 1}};

static struct snapshot *load(const char *workers, const char *chain, const char *key, time_t now,
                             struct policy_report *report)
{
    char text[2048], path[FIXTURE_PATH_MAX];
    int len = snprintf(text, sizeof text, CONFIG, workers, chain, key);

    fixture_write("sluice.yaml", text, (size_t)len);
    memset(report, 0, sizeof *report);
    return snapshot_load(fixture_path("sluice.yaml", path), &available, now, report);
}

static void write_pair(const char *chain, const char *key)
{
    const struct fixture_spec spec = {.common_name = "shop.example",
                                      .alt_names = "DNS:shop.example"};
    struct fixture_cert c = fixture_cert_make(&spec, NULL);

    fixture_write_chain(chain, &c.x509, 1);
    fixture_write_key(key, c.key, NULL);
    fixture_cert_free(&c);
}

/* One error, at this place, that says this. */
static void expect_error(struct policy_report *report, const char *place, const char *words)
{
    const char *text = NULL;

    assert_int_equal(report->errors, 1);
    for (size_t i = 0; i < report->count; i++) {
        if (!report->findings[i].warning)
            text = report->findings[i].text;
    }
    assert_non_null(text);
    fixture_assert_contains(text, place);
    fixture_assert_contains(text, words);
    policy_report_free(report);
}

static void release(struct snapshot *s)
{
    struct snapshots all = {0};

    snapshots_add(&all, s);
    snapshot_unref(s);
    snapshots_collect(&all);
    assert_null(all.living);
}

static void test_valid(void **state)
{
    struct policy_report report;
    struct snapshot *s;

    (void)state;
    s = load("1", "shop.crt", "shop.key", FIXTURE_NOW, &report);
    assert_non_null(s);
    assert_int_equal(report.count, 0);
    assert_string_equal(tls_cert_file_name(s->certificates[0]), "shop");
    policy_report_free(&report);
    release(s);
}

static void test_refusals_have_their_place(void **state)
{
    struct policy_report report;

    (void)state;
    assert_null(load("7", "shop.crt", "shop.key", FIXTURE_NOW, &report));
    expect_error(&report, "sluice.yaml:1:1: error: workers[0]: ", "no CPU 7");
    assert_null(load("1", "none.crt", "shop.key", FIXTURE_NOW, &report));
    expect_error(&report, "sluice.yaml:5:17: error: certificates.shop.chain: ", "none.crt");
    assert_null(load("1", "shop.crt", "none.key", FIXTURE_NOW, &report));
    expect_error(&report, "sluice.yaml:5:32: error: certificates.shop.key: ", "none.key");
    assert_null(load("1", "shop.crt", "other.key", FIXTURE_NOW, &report));
    expect_error(&report, "sluice.yaml:5:32: error: certificates.shop.key: ", "does not belong");
    assert_null(load("1", "shop.crt", "shop.key", FIXTURE_NOW + 365 * FIXTURE_DAY, &report));
    expect_error(&report, "sluice.yaml:5:17: error: certificates.shop.chain: ", "expired");
}

/* Another key by way of the first one's value. */
#define NO_MACHINE_HAS "1]\nlimits: {buffer-memory: 1TiB}\nroutes: ["

static void test_more_memory_than_there_is(void **state)
{
    struct policy_report report;

    (void)state;
    assert_null(load(NO_MACHINE_HAS, "shop.crt", "shop.key", FIXTURE_NOW, &report));
    expect_error(&report, "sluice.yaml:2:25: error: limits.buffer-memory: ",
                 "the buffers of 1 worker and 1 interface take ");
}

static void test_near_expiry_is_a_warning(void **state)
{
    struct policy_report report;
    struct snapshot *s;

    (void)state;
    s = load("1", "shop.crt", "shop.key", FIXTURE_NOW + 85 * (time_t)FIXTURE_DAY, &report);
    assert_non_null(s);
    assert_int_equal(report.warnings, 1);
    fixture_assert_contains(report.findings[0].text, "expires in ");
    policy_report_free(&report);
    release(s);
}

static void test_references_decide_who_lives(void **state)
{
    struct policy_report report;
    struct snapshots all = {0};
    struct snapshot *first, *second;

    (void)state;
    first = load("1", "shop.crt", "shop.key", FIXTURE_NOW, &report);
    second = load("1", "shop.crt", "shop.key", FIXTURE_NOW, &report);
    snapshots_add(&all, first);
    snapshots_replace(&all, first);
    snapshot_ref(first); /* a worker's sessions */
    snapshots_add(&all, second);
    snapshots_replace(&all, second);
    snapshots_collect(&all);
    assert_ptr_equal(all.living, second);
    assert_ptr_equal(second->next, first); /* sessions go on under it */
    snapshot_unref(first);
    snapshots_collect(&all);
    assert_ptr_equal(all.living, second);
    assert_null(second->next);
    snapshots_replace(&all, NULL);
    snapshots_collect(&all);
    assert_null(all.living);
}

static uint64_t hits_of_rule_1(const struct worker_snapshots *owner)
{
    struct rule_hits hits = {0};
    uint64_t n;

    worker_snapshot_rule_hits(owner, &hits);
    n = rule_hits_of(&hits, "rule 1");
    rule_hits_free(&hits);
    return n;
}

/* Over a reload two snapshots count; what the one that goes has counted stays. */
static void test_hits_outlive_their_snapshot(void **state)
{
    static const uint8_t secret[TLS_TICKET_SECRET_LEN] = {1};
    struct tls_worker *tls = tls_worker_create(NULL);
    struct worker_snapshots owner = {.retired = NULL};
    struct worker_snapshot *former, *next;
    struct policy_report report;
    struct snapshot *s;

    (void)state;
    s = load("1", "shop.crt", "shop.key", FIXTURE_NOW, &report);
    former = worker_snapshot_create(s, tls, secret, &owner, NULL);
    former->proxy.rule_hits[0] = 5;
    next = worker_snapshot_create(s, tls, secret, &owner, NULL);
    next->proxy.rule_hits[0] = 2;
    assert_int_equal(hits_of_rule_1(&owner), 7);
    former->proxy.released(&former->proxy);
    assert_int_equal(hits_of_rule_1(&owner), 7);
    assert_int_equal(worker_snapshot_collect(&owner), 1);
    assert_int_equal(hits_of_rule_1(&owner), 7);
    next->proxy.released(&next->proxy);
    assert_int_equal(worker_snapshot_collect(&owner), 1);
    assert_int_equal(worker_snapshot_collect(&owner), 0);
    assert_int_equal(hits_of_rule_1(&owner), 7);
    rule_hits_free(&owner.hits);
    release(s);
    tls_worker_destroy(tls);
}

static void test_worker_snapshot_is_released_whole(void **state)
{
    static const uint8_t secret[TLS_TICKET_SECRET_LEN] = {1};
    struct tls_worker *tls = tls_worker_create(NULL);
    struct worker_snapshots retired = {.retired = NULL};
    struct policy_report report;
    struct worker_snapshot *ws;
    struct snapshot *s;

    (void)state;
    s = load("1", "shop.crt", "shop.key", FIXTURE_NOW, &report);
    ws = worker_snapshot_create(s, tls, secret, &retired, NULL);
    assert_non_null(ws);
    assert_int_equal(atomic_load(&s->references), 2);
    assert_ptr_equal(ws->proxy.policy, s->policy);
    for (unsigned i = 0; i < s->policy->listener_count; i++) {
        const struct policy_listener *l = &s->policy->listeners[i];

        if (l->tls == NULL) {
            assert_null(ws->proxy.tls[l->index]);
            continue;
        }
        assert_int_equal(tls_server_select(ws->proxy.tls[l->index], "shop.example"), 0);
        assert_int_equal(tls_server_select(ws->proxy.tls[l->index], "other.example"), -1);
    }
    ws->proxy.released(&ws->proxy);
    assert_int_equal(atomic_load(&s->references), 2); /* the worker does not destroy */
    worker_snapshot_collect(&retired);
    assert_int_equal(atomic_load(&s->references), 1);
    worker_snapshot_collect(&retired);
    release(s);
    tls_worker_destroy(tls);
}

/* ---- what TLS needs besides certificates ---- */

#define TLS_CONFIG                                                                         \
    "interfaces:\n"                                                                        \
    "  lo: {device: {tap: sluice0}, addresses: [192.0.2.10/24]}\n"                         \
    "certificates:\n"                                                                      \
    "  shop: {chain: shop.crt, key: shop.key%s}\n"                                         \
    "  gate: {chain: %s.crt, key: %s.key}\n"                                               \
    "backends:\n"                                                                          \
    "  web:\n"                                                                             \
    "    servers: [\"192.0.2.11:443\"]\n"                                                  \
    "    tls: {ca: %s, certificate: gate}\n"                                               \
    "  same: {servers: [\"192.0.2.12:443\"], tls: {ca: shop.crt}}\n"                       \
    "  lax: {servers: [\"192.0.2.13:443\"], tls: {verify: false}}\n"                       \
    "listeners:\n"                                                                         \
    "  https:\n"                                                                           \
    "    bind: \"192.0.2.10:443\"\n"                                                       \
    "    tls:\n"                                                                           \
    "      certificates: [shop]\n"                                                         \
    "      profile: modern\n"                                                              \
    "      client-auth: {mode: required, ca: %s}\n"                                        \
    "tickets: {secret-file: %s, rotation: 1h}\n"                                           \
    "policy:\n"                                                                            \
    "  - {action: terminate, match: {listener: https, sni: [a.example]}, backend: web}\n"  \
    "  - {action: terminate, match: {listener: https, sni: [b.example]}, backend: same}\n" \
    "  - {action: terminate, match: {listener: https}, backend: lax}\n"

static const char *ocsp = ""; /* ", ocsp: FILE" */

static struct snapshot *load_tls(const char *gate, const char *server_ca, const char *client_ca,
                                 const char *secret, struct policy_report *report)
{
    char text[2048], path[FIXTURE_PATH_MAX];
    int len =
        snprintf(text, sizeof text, TLS_CONFIG, ocsp, gate, gate, server_ca, client_ca, secret);

    fixture_write("sluice.yaml", text, (size_t)len);
    memset(report, 0, sizeof *report);
    return snapshot_load(fixture_path("sluice.yaml", path), &available, FIXTURE_NOW, report);
}

static void test_tls_options(void **state)
{
    static const uint8_t secret[TLS_TICKET_SECRET_LEN] = {1};
    struct tls_worker *tls = tls_worker_create(NULL);
    struct worker_snapshots retired = {.retired = NULL};
    struct policy_report report;
    struct worker_snapshot *ws;
    struct snapshot *s;
    struct error e = {0};

    (void)state;
    s = load_tls("gate", "shop.crt", "shop.crt", "secret", &report);
    assert_int_equal(report.errors, 0);
    assert_non_null(s);
    policy_report_free(&report);
    assert_non_null(s->trust.clients[0]);
    assert_non_null(s->trust.servers[0]);
    assert_ptr_equal(s->trust.servers[1], s->trust.servers[0]); /* read once */
    assert_null(s->trust.servers[2]);
    assert_true(s->shared_tickets);
    ws = worker_snapshot_create(s, tls, secret, &retired, &e);
    if (ws == NULL) {
        fail_msg("%s", e.text);
        return;
    }
    for (int i = 0; i < 3; i++)
        assert_non_null(ws->proxy.backend_tls[i]);
    ws->proxy.released(&ws->proxy);
    worker_snapshot_collect(&retired);
    release(s);
    tls_worker_destroy(tls);
}

static void test_tls_refusals_have_their_place(void **state)
{
    struct policy_report report;

    (void)state;
    assert_null(load_tls("gate", "none.pem", "shop.crt", "secret", &report));
    expect_error(&report, "sluice.yaml:9:15: error: backends.web.tls.ca: ", "none.pem");
    assert_null(load_tls("gate", "shop.crt", "shop.key", "secret", &report));
    expect_error(&report, "error: listeners.https.tls.client-auth.ca: ", "no certificate");
    assert_null(load_tls("gate", "shop.crt", "shop.crt", "short", &report));
    expect_error(&report, "error: tickets.secret-file: ", "a ticket secret has 32 to 4096");
    assert_null(load_tls("server", "shop.crt", "shop.crt", "secret", &report));
    expect_error(&report, "error: certificates.gate.", "lacks clientAuth");
    ocsp = ", ocsp: shop.crt";
    assert_null(load_tls("gate", "shop.crt", "shop.crt", "secret", &report));
    expect_error(&report, "sluice.yaml:4:48: error: certificates.shop.ocsp: ", "is in PEM form");
    ocsp = "";
}

static void write_gate(const char *chain, const char *key, const char *usage)
{
    const struct fixture_spec spec = {.common_name = "the gate", .extended_key_usage = usage};
    struct fixture_cert c = fixture_cert_make(&spec, NULL);

    fixture_write_chain(chain, &c.x509, 1);
    fixture_write_key(key, c.key, NULL);
    fixture_cert_free(&c);
}

static void write_secrets(void)
{
    static const uint8_t bytes[80];
    char path[FIXTURE_PATH_MAX];

    fixture_write("secret", bytes, 80);
    fixture_write("short", bytes, 8);
    chmod(fixture_path("secret", path), 0600);
    chmod(fixture_path("short", path), 0600);
}

static int make_files(void **state)
{
    (void)state;
    fixture_dir_create();
    write_pair("shop.crt", "shop.key");
    write_pair("other.crt", "other.key");
    write_gate("gate.crt", "gate.key", "clientAuth");
    write_gate("server.crt", "server.key", "serverAuth");
    write_secrets();
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    fixture_dir_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_refusals_have_their_place),
        cmocka_unit_test(test_more_memory_than_there_is),
        cmocka_unit_test(test_near_expiry_is_a_warning),
        cmocka_unit_test(test_references_decide_who_lives),
        cmocka_unit_test(test_worker_snapshot_is_released_whole),
        cmocka_unit_test(test_hits_outlive_their_snapshot),
        cmocka_unit_test(test_tls_options),
        cmocka_unit_test(test_tls_refusals_have_their_place),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
