/* What a good file becomes: every value, every default, the examples, the reference of keys. */
#include "tests/unit/policy/policy_fixture.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/policy_schema.h"

static const char full[] =
    "workers: [3, 1]\n"
    "hugepages: require\n"
    "interfaces:\n"
    "  outside:\n"
    "    device: {pci: \"AF:00.1\"}\n"
    "    addresses: [192.0.2.10/24, 192.0.2.11/24]\n"
    "    mtu: 9000\n"
    "  inside: {device: {vdev: \"net_tap1,iface=in\"}, addresses: [10.0.0.1/8]}\n"
    "routes:\n"
    "  - {to: default, via: 192.0.2.1}\n"
    "  - {to: 172.16.0.0/12, via: 10.0.0.2}\n"
    "certificates:\n"
    "  shop: {chain: certs/shop.crt, key: /etc/ssl/shop.key}\n"
    "  blog:\n"
    "    key: blog.key\n"
    "    chain: blog.crt\n"
    "backends:\n"
    "  web: {servers: [10.0.0.11:8080, 10.0.0.12:65535], connect-timeout: 250ms}\n"
    "  legacy: {servers: [172.16.5.5:443], balance: round-robin}\n"
    "listeners:\n"
    "  https:\n"
    "    bind: 192.0.2.11:443\n"
    "    backlog: 17\n"
    "    tls: {certificates: [blog, shop], default-certificate: shop, min-version: \"1.3\", alpn: "
    "[h2, http/1.1]}\n"
    "  plain: {bind: 192.0.2.11:80}\n"
    "policy:\n"
    "  - {match: {listener: https, source: [198.51.100.0/24, 203.0.113.7], sni: WWW.Example},\n"
    "     action: terminate, backend: web}\n"
    "  - {match: {source: 0.0.0.0/0}, action: splice, backend: legacy}\n"
    "  - action: reject\n"
    "timeouts: {client-hello: 1s, handshake: 2s, idle: 3m, half-closed: 4h, drain: 1d}\n"
    "limits: {connections: 1000, buffer-memory: 2GiB}\n";

static void expect_mark(struct policy_mark mark, unsigned line, unsigned column)
{
    assert_int_equal(mark.line, line);
    assert_int_equal(mark.column, column);
}

static void expect_prefix(const struct ip_prefix *p, const char *text)
{
    char out[IP_TEXT_MAX];

    assert_string_equal(ip_prefix_format(p, out), text);
}

static void expect_endpoint(const struct ip_endpoint *e, const char *text)
{
    char out[IP_TEXT_MAX];

    assert_string_equal(ip_endpoint_format(e, out), text);
}

static void check_network(const struct policy *p)
{
    char text[IP_TEXT_MAX];

    assert_int_equal(p->worker_count, 2);
    assert_int_equal(p->workers[0], 3);
    assert_int_equal(p->workers[1], 1);
    expect_mark(p->workers_mark, 1, 1);
    assert_int_equal(p->hugepages, POLICY_HUGEPAGES_REQUIRE);
    assert_int_equal(p->interface_count, 2);
    assert_string_equal(p->interfaces[0].name, "outside");
    assert_int_equal(p->interfaces[0].device_kind, POLICY_DEVICE_PCI);
    assert_string_equal(p->interfaces[0].device, "0000:af:00.1");
    expect_mark(p->interfaces[0].mark, 4, 3);
    expect_mark(p->interfaces[0].device_mark, 5, 5);
    assert_int_equal(p->interfaces[0].mtu, 9000);
    assert_int_equal(p->interfaces[0].addr_count, 2);
    expect_prefix(&p->interfaces[0].addrs[1], "192.0.2.11/24");
    assert_int_equal(p->interfaces[1].device_kind, POLICY_DEVICE_VDEV);
    assert_string_equal(p->interfaces[1].device, "net_tap1,iface=in");
    assert_int_equal(p->interfaces[1].mtu, 0);
    assert_int_equal(p->route_count, 2);
    expect_prefix(&p->routes[0].to, "0.0.0.0/0");
    assert_string_equal(ip_format(&p->routes[0].via, text), "192.0.2.1");
    expect_prefix(&p->routes[1].to, "172.16.0.0/12");
    expect_mark(p->routes[1].mark, 11, 5);
}

static void check_backends(const struct policy *p)
{
    assert_int_equal(p->certificate_count, 2);
    assert_string_equal(p->certificates[0].name, "shop");
    assert_string_equal(p->certificates[0].chain, "etc/certs/shop.crt");
    assert_string_equal(p->certificates[0].key, "/etc/ssl/shop.key");
    assert_string_equal(p->certificates[1].chain, "etc/blog.crt");
    expect_mark(p->certificates[0].key_mark, 13, 38);
    expect_mark(p->certificates[1].mark, 14, 3);
    expect_mark(p->certificates[1].chain_mark, 16, 12);
    assert_int_equal(p->backend_count, 2);
    assert_int_equal(p->backends[0].server_count, 2);
    expect_endpoint(&p->backends[0].servers[1].endpoint, "10.0.0.12:65535");
    expect_mark(p->backends[0].servers[1].mark, 18, 35);
    assert_int_equal(p->backends[0].connect_timeout, 250 * CLOCK_MS);
    assert_int_equal(p->backends[1].connect_timeout, 5 * CLOCK_SEC);
    assert_int_equal(p->backends[1].index, 1);
}

static void check_listeners(const struct policy *p)
{
    const struct policy_tls *tls = p->listeners[0].tls;

    assert_int_equal(p->listener_count, 2);
    expect_endpoint(&p->listeners[0].bind, "192.0.2.11:443");
    assert_int_equal(p->listeners[0].backlog, 17);
    assert_int_equal(p->listeners[1].backlog, 4096);
    assert_int_equal(p->listeners[1].index, 1);
    assert_null(p->listeners[1].tls);
    assert_int_equal(tls->certificate_count, 2);
    assert_ptr_equal(tls->certificates[0], &p->certificates[1]);
    assert_ptr_equal(tls->certificates[1], &p->certificates[0]);
    assert_int_equal(tls->default_certificate, 1);
    assert_int_equal(tls->min_version, 0x0304);
    assert_int_equal(tls->max_version, 0x0304);
    assert_int_equal(tls->alpn_len, 12);
    assert_memory_equal(tls->alpn, "\2h2\10http/1.1", 12);
    expect_mark(tls->mark, 24, 5);
}

static void check_rules(const struct policy *p)
{
    const struct policy_rule *rule = p->rules;

    assert_int_equal(p->rule_count, 3);
    assert_ptr_equal(rule[0].listener, &p->listeners[0]);
    assert_int_equal(rule[0].source_count, 2);
    expect_prefix(&rule[0].sources[1], "203.0.113.7/32");
    assert_int_equal(rule[0].sni_count, 1);
    assert_string_equal(rule[0].snis[0], "www.example");
    assert_int_equal(rule[0].action, POLICY_TERMINATE);
    assert_ptr_equal(rule[0].backend, &p->backends[0]);
    expect_mark(rule[0].mark, 27, 5);
    assert_null(rule[1].listener);
    expect_prefix(&rule[1].sources[0], "0.0.0.0/0");
    assert_int_equal(rule[1].action, POLICY_SPLICE);
    assert_int_equal(rule[2].action, POLICY_REJECT);
    assert_null(rule[2].backend);
    assert_int_equal(rule[2].index, 2);
}

static void test_all_values(void **state)
{
    struct policy *p = policy_good(full);

    (void)state;
    check_network(p);
    check_backends(p);
    check_listeners(p);
    check_rules(p);
    assert_string_equal(p->path, "etc/t.yaml");
    assert_int_equal(p->timeouts.client_hello, CLOCK_SEC);
    assert_int_equal(p->timeouts.handshake, 2 * CLOCK_SEC);
    assert_int_equal(p->timeouts.idle, 180 * CLOCK_SEC);
    assert_int_equal(p->timeouts.half_closed, 4 * 3600 * CLOCK_SEC);
    assert_int_equal(p->timeouts.drain, 86400 * CLOCK_SEC);
    assert_int_equal(p->limits.connections, 1000);
    assert_int_equal(p->limits.buffer_memory, 2ull << 30);
    policy_free(p);
}

static void test_defaults(void **state)
{
    struct policy *p = policy_good(
        INTERFACES BACKENDS "certificates: {shop: {chain: a, key: b}}\n"
                            "listeners: {x: {bind: 10.0.0.1:1, tls: {certificates: [shop]}}}\n"
                            "policy: [{action: terminate, backend: web}]\n");
    const struct policy_tls *tls = p->listeners[0].tls;

    (void)state;
    assert_int_equal(p->worker_count, 0);
    assert_int_equal(p->hugepages, POLICY_HUGEPAGES_AUTO);
    assert_int_equal(p->route_count, 0);
    assert_int_equal(p->backends[0].connect_timeout, 5 * CLOCK_SEC);
    assert_int_equal(p->backends[0].balance, POLICY_ROUND_ROBIN);
    assert_int_equal(p->listeners[0].backlog, 4096);
    assert_int_equal(tls->default_certificate, -1);
    assert_int_equal(tls->min_version, 0x0303);
    assert_int_equal(tls->max_version, 0x0304);
    assert_int_equal(tls->alpn_len, 0);
    assert_int_equal(p->timeouts.client_hello, 10 * CLOCK_SEC);
    assert_int_equal(p->timeouts.handshake, 10 * CLOCK_SEC);
    assert_int_equal(p->timeouts.idle, 300 * CLOCK_SEC);
    assert_int_equal(p->timeouts.half_closed, 60 * CLOCK_SEC);
    assert_int_equal(p->timeouts.drain, 30 * CLOCK_SEC);
    assert_int_equal(p->limits.connections, 131072);
    assert_int_equal(p->limits.buffer_memory, 64u << 20);
    policy_free(p);
}

static void test_path_without_directory(void **state)
{
    struct policy_report r = {0};
    const char *text = INTERFACES BACKENDS CERTIFICATES PLAIN SPLICE;
    struct policy *p = policy_parse(text, strlen(text), "t.yaml", &r);

    (void)state;
    assert_non_null(p);
    assert_string_equal(p->certificates[0].chain, "shop.crt");
    policy_free(p);
    policy_report_free(&r);
}

/* ---- files ---- */

static void expect_good(const char *path)
{
    struct policy_report r = {0};
    struct policy *p = policy_load(path, &r);

    for (size_t f = 0; f < r.count; f++)
        print_error("%s\n", r.findings[f].text);
    assert_non_null(p);
    assert_int_equal(r.count, 0);
    policy_free(p);
}

static void test_examples(void **state)
{
    glob_t examples;

    (void)state;
    assert_int_equal(glob(SOURCE_DIR "/etc/*.yaml", 0, NULL, &examples), 0);
    assert_true(examples.gl_pathc >= 4);
    for (size_t i = 0; i < examples.gl_pathc; i++)
        expect_good(examples.gl_pathv[i]);
    globfree(&examples);
}

static void expect_refused(const char *path, const char *what)
{
    struct policy_report r = {0};
    char wanted[512];

    snprintf(wanted, sizeof wanted, "%s: error: %s", path, what);
    assert_null(policy_load(path, &r));
    assert_int_equal(r.count, 1);
    assert_int_equal(r.errors, 1);
    assert_string_equal(r.findings[0].text, wanted);
    policy_report_free(&r);
}

static void test_unreadable(void **state)
{
    (void)state;
    expect_refused("/nonexistent/sluice.yaml", "cannot be opened: No such file or directory");
    expect_refused("/", "cannot be read: it is a directory, expected a file");
    expect_refused("/dev/zero", "cannot be read: it is a device, expected a file");
}

/* ---- the reference ---- */

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(in);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    return text;
}

static void test_reference_is_current(void **state)
{
    static const char begin[] = "<!-- keys: begin -->\n", end[] = "\n<!-- keys: end -->\n";
    char *page = read_file(SOURCE_DIR "/docs/configuration.md"), *keys = NULL, *from, *to;
    size_t len;
    FILE *out = open_memstream(&keys, &len);

    (void)state;
    assert_non_null(out);
    policy_reference_markdown(out);
    fclose(out);
    from = strstr(page, begin);
    to = strstr(page, end);
    assert_non_null(from);
    assert_non_null(to);
    *to = '\0';
    assert_string_equal(from + strlen(begin), keys);
    free(keys);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_path_without_directory),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_reference_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
