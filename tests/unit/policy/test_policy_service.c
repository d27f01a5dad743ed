/* Backends, listeners and certificates beyond their first keys: values and mistakes. */
#include "tests/unit/policy/policy_fixture.h"

/* ---- values ---- */

static const char full[] = INTERFACES CERTIFICATES
    "backends:\n"
    "  web:\n"
    "    servers: [10.0.0.11:8080, {address: 10.0.0.12:8080, weight: 256}]\n"
    "    balance: source-hash\n"
    "    health-check: {type: tcp, interval: 5s, timeout: 500ms, rise: 1, fall: 4}\n"
    "    ejection: {failures: 7, time: 1m}\n"
    "    proxy-protocol: v2\n"
    "    tls: {ca: ca.pem, server-name: Web.Internal., certificate: blog, min-version: 1.3,\n"
    "          alpn: [h2, http/1.1]}\n"
    "  mail: {servers: [10.0.0.25:25], balance: least-connections, ejection: {},\n"
    "         health-check: {type: tcp}, proxy-protocol: v1, tls: {}}\n"
    "  plain: {servers: [10.0.0.26:25]}\n"
    "listeners:\n"
    "  https:\n"
    "    bind: 192.0.2.10:443\n"
    "    syn-cookies: always\n"
    "    proxy-protocol: {from: [10.0.0.0/24, 192.0.2.7]}\n"
    "    tls: {certificates: [shop], profile: modern, client-auth: {mode: optional, ca: in.pem}}\n"
    "  other: {bind: 192.0.2.10:444, tls: {certificates: [blog], client-auth: {ca: /c, mode: "
    "required}}}\n"
    "policy:\n"
    "  - {match: {listener: https, alpn: h2}, action: terminate, backend: web}\n"
    "  - {match: {listener: https}, action: terminate, backend: mail}\n"
    "  - {match: {listener: other}, action: terminate, backend: plain}\n";

static void check_web(const struct policy *p)
{
    const struct policy_backend *web = &p->backends[0];

    assert_int_equal(web->servers[0].weight, 1);
    assert_int_equal(web->servers[1].weight, 256);
    assert_int_equal(web->servers[1].endpoint.port, 8080);
    assert_int_equal(web->servers[1].mark.line, 9);
    assert_int_equal(web->servers[1].mark.column, 31);
    assert_int_equal(web->balance, POLICY_SOURCE_HASH);
    assert_true(web->health_check.enabled);
    assert_int_equal(web->health_check.interval, 5 * CLOCK_SEC);
    assert_int_equal(web->health_check.timeout, 500 * CLOCK_MS);
    assert_int_equal(web->health_check.rise, 1);
    assert_int_equal(web->health_check.fall, 4);
    assert_true(web->ejection.enabled);
    assert_int_equal(web->ejection.failures, 7);
    assert_int_equal(web->ejection.time, 60 * CLOCK_SEC);
    assert_int_equal(web->proxy_protocol, POLICY_PROXY_V2);
}

static void check_web_tls(const struct policy_backend_tls *tls, const struct policy *p)
{
    assert_true(tls->verify);
    assert_string_equal(tls->ca, "etc/ca.pem");
    assert_int_equal(tls->ca_mark.line, 14);
    assert_int_equal(tls->mark.line, 14);
    assert_string_equal(tls->server_name, "web.internal");
    assert_ptr_equal(tls->certificate, &p->certificates[1]);
    assert_int_equal(tls->min_version, 0x0304);
    assert_int_equal(tls->max_version, 0x0304);
    assert_int_equal(tls->alpn_len, 12);
    assert_memory_equal(tls->alpn, "\2h2\10http/1.1", 12);
}

static void check_defaults(const struct policy *p)
{
    const struct policy_backend *mail = &p->backends[1], *plain = &p->backends[2];

    assert_int_equal(mail->balance, POLICY_LEAST_CONNECTIONS);
    assert_true(mail->health_check.enabled);
    assert_int_equal(mail->health_check.interval, 2 * CLOCK_SEC);
    assert_int_equal(mail->health_check.timeout, CLOCK_SEC);
    assert_int_equal(mail->health_check.rise, 2);
    assert_int_equal(mail->health_check.fall, 3);
    assert_true(mail->ejection.enabled);
    assert_int_equal(mail->ejection.failures, 5);
    assert_int_equal(mail->ejection.time, 30 * CLOCK_SEC);
    assert_int_equal(mail->proxy_protocol, POLICY_PROXY_V1);
    assert_true(mail->tls->verify);
    assert_null(mail->tls->ca);
    assert_null(mail->tls->server_name);
    assert_null(mail->tls->certificate);
    assert_int_equal(mail->tls->min_version, 0x0303);
    assert_int_equal(mail->tls->alpn_len, 0);
    assert_null(plain->tls);
    assert_false(plain->health_check.enabled);
    assert_false(plain->ejection.enabled);
    assert_int_equal(plain->proxy_protocol, POLICY_PROXY_NONE);
}

static void check_listeners(const struct policy *p)
{
    const struct policy_listener *https = &p->listeners[0], *other = &p->listeners[1];

    assert_int_equal(https->syn_cookies, POLICY_SYN_COOKIES_ALWAYS);
    assert_int_equal(https->proxy_from_count, 2);
    assert_int_equal(https->proxy_from[1].len, 128);
    assert_int_equal(https->tls->profile, POLICY_TLS_MODERN);
    assert_int_equal(https->tls->min_version, 0x0304);
    assert_int_equal(https->tls->client_auth, POLICY_CLIENT_OPTIONAL);
    assert_string_equal(https->tls->client_ca, "etc/in.pem");
    assert_int_equal(https->tls->client_ca_mark.line, 24);
    assert_int_equal(other->syn_cookies, POLICY_SYN_COOKIES_AUTO);
    assert_int_equal(other->proxy_from_count, 0);
    assert_int_equal(other->tls->profile, POLICY_TLS_INTERMEDIATE);
    assert_int_equal(other->tls->min_version, 0x0303);
    assert_int_equal(other->tls->client_auth, POLICY_CLIENT_REQUIRED);
}

static void test_values(void **state)
{
    struct policy *p = policy_good(full);

    (void)state;
    check_web(p);
    check_web_tls(p->backends[0].tls, p);
    check_defaults(p);
    check_listeners(p);
    policy_free(p);
}

/* ---- mistakes ---- */

#define WEB(text)                                                                          \
    INTERFACES PLAIN SPLICE "certificates: {shop: {chain: a, key: b}}\nbackends:\n  web: " \
                            "{servers: [10.0.0.11:80], " text "}\n"

static const struct policy_case backend_cases[] = {
    {"servers",
     INTERFACES PLAIN SPLICE "backends:\n"
                             "  web:\n"
                             "    servers:\n"
                             "    - {address: 10.0.0.11}\n"
                             "    - {adress: 10.0.0.11:80}\n"
                             "    - {address: 10.0.0.11:80, weight: 0}\n"
                             "    - {address: 10.0.0.12:80, weight: 257}\n"
                             "    - 10.0.0.12:80\n"
                             "    - [10.0.0.13:80]\n"
                             "    - {address: 172.16.0.1:80}\n",
     {"11:17: error: backends.web.servers[0].address: expected an address and a port from 1 to "
      "65535, such as 10.0.0.11:8080, found \"10.0.0.11\"",
      "12:7: error: backends.web.servers[1]: the key \"address\" is missing: expected an address "
      "and a port from 1 to 65535, such as 10.0.0.11:8080",
      "12:8: error: backends.web.servers[1].adress: unknown key, did you mean \"address\"?",
      "13:39: error: backends.web.servers[2].weight: expected a value from 1 to 256, found \"0\"",
      "14:39: error: backends.web.servers[3].weight: expected a value from 1 to 256, found \"257\"",
      "15:7: error: backends.web.servers[4]: listed twice",
      "16:7: error: backends.web.servers[5]: expected an address and a port from 1 to 65535, such "
      "as 10.0.0.11:8080, found a list",
      "17:17: error: backends.web.servers[6].address: no interface and no route reaches "
      "172.16.0.1"}},
    {"balance",
     WEB("balance: least-conections"),
     {"10:43: error: backends.web.balance: expected round-robin, least-connections or source-hash, "
      "found \"least-conections\", did you mean \"least-connections\"?"}},
    {"health check",
     WEB("health-check: tcp"),
     {"10:48: error: backends.web.health-check: expected a mapping with the key type, found "
      "\"tcp\""}},
    {"health check of nothing",
     WEB("health-check: {interval: 1s}"),
     {"10:34: error: backends.web.health-check: the key \"type\" is missing: expected tcp"}},
    {"health check values",
     WEB("health-check: {type: http, interval: 0s, timeout: 1, rise: 0, fall: 1001}"),
     {"10:55: error: backends.web.health-check.type: expected tcp, found \"http\"",
      "10:71: error: backends.web.health-check.interval: expected a value from 1ms to 7d, found "
      "\"0s\"",
      "10:84: error: backends.web.health-check.timeout: expected a duration such as 500ms, 10s, "
      "5m, 1h or 1d, found \"1\"",
      "10:93: error: backends.web.health-check.rise: expected a value from 1 to 1000, found \"0\"",
      "10:102: error: backends.web.health-check.fall: expected a value from 1 to 1000, found "
      "\"1001\""}},
    {"health check timeout",
     WEB("health-check: {type: tcp, interval: 1s, timeout: 2s}"),
     {"10:83: error: backends.web.health-check.timeout: the timeout is longer than the interval, "
      "expected at most as long"}},
    {"health check interval",
     WEB("health-check: {type: tcp, interval: 500ms}"),
     {"10:70: error: backends.web.health-check.interval: the timeout is longer than the interval, "
      "expected at most as long"}},
    {"ejection",
     WEB("ejection: {failures: 0, time: never, after: 1}"),
     {"10:55: error: backends.web.ejection.failures: expected a value from 1 to 1000, found \"0\"",
      "10:64: error: backends.web.ejection.time: expected a duration such as 500ms, 10s, 5m, 1h or "
      "1d, found \"never\"",
      "10:71: error: backends.web.ejection.after: unknown key, expected one of: failures, time"}},
    {"proxy protocol",
     WEB("proxy-protocol: v3"),
     {"10:50: error: backends.web.proxy-protocol: expected v1 or v2, found \"v3\", did you mean "
      "\"v1\"?"}},
    {"tls",
     WEB("tls: true"),
     {"10:39: error: backends.web.tls: expected a mapping such as {ca: ca.pem}, or {} for the "
      "defaults, found \"true\""}},
    {"not verified",
     WEB("tls: {verify: false}"),
     {"8:16: warning: certificates.shop: neither a listener nor a backend uses this certificate",
      "10:48: warning: backends.web.tls.verify: whoever can reach the network between can pose as "
      "the server: give ca or server-name instead"}},
    {"tls values",
     WEB("tls: {verify: no, ca: \"\", server-name: \"*.a.b\", certificate: shopp, "
         "min-version: 1.1, alpn: []}"),
     {"10:48: error: backends.web.tls.verify: expected true or false, found \"no\"",
      "10:56: error: backends.web.tls.ca: expected the path of a file, found \"\"",
      "10:73: error: backends.web.tls.server-name: expected a server name such as shop.example, "
      "found \"*.a.b\": one name, not a wildcard",
      "10:95: error: backends.web.tls.certificate: expected the name of a certificate, found "
      "\"shopp\", did you mean \"shop\"?",
      "10:115: error: backends.web.tls.min-version: expected 1.2 or 1.3: TLS 1.1 is broken and "
      "withdrawn (RFC 8996)",
      "10:120: error: backends.web.tls.alpn: expected a list of protocol names such as [http/1.1], "
      "found an empty one: leave the key out to take no part in ALPN"}},
    {"address as name",
     WEB("tls: {server-name: 10.0.0.11}"),
     {"10:53: error: backends.web.tls.server-name: expected a server name such as shop.example, "
      "found \"10.0.0.11\": clients ask for names, never for addresses (RFC 6066, 3)"}},
    {"versions crossed",
     WEB("tls: {min-version: 1.3, max-version: 1.2}"),
     {"10:53: error: backends.web.tls.min-version: min-version is above max-version: no server "
      "could connect"}},
    {"class of what is rejected",
     INTERFACES PLAIN "classes: {c: {}}\npolicy: [{action: reject, class: c}]\n",
     {"7:34: error: policy[0].class: a rule that rejects has no class"}},
    {"TLS in TLS",
     INTERFACES CERTIFICATES
     "listeners:\n  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog]}}\n"
     "  plain: {bind: 192.0.2.10:80}\n"
     "backends: {web: {servers: [10.0.0.11:80], tls: {}}}\n"
     "policy:\n"
     "  - {match: {listener: https, sni: a.b}, action: splice, backend: web}\n"
     "  - {match: {listener: plain, sni: a.b}, action: splice, backend: web}\n"
     "  - {match: {listener: https}, action: terminate, backend: web}\n"
     "  - {match: {listener: plain}, action: splice, backend: web}\n",
     {"12:50: warning: policy[0].action: the client's TLS is passed on within that to the backend "
      "\"web\" (line 10): expected terminate, or a backend without tls",
      "13:50: warning: policy[1].action: the client's TLS is passed on within that to the backend "
      "\"web\" (line 10): expected terminate, or a backend without tls"}},
    {"certificate of a backend is used", WEB("tls: {certificate: shop}"), {NULL}},
};

static void test_backends(void **state)
{
    (void)state;
    POLICY_CASES_RUN(backend_cases);
}

#define HTTPS(text)                                                                      \
    INTERFACES BACKENDS CERTIFICATES "listeners:\n  https: {bind: 192.0.2.10:443, " text \
                                     "}\n" SPLICE
#define TLS(text) HTTPS("tls: {certificates: [shop, blog], " text "}")

static const struct policy_case listener_cases[] = {
    {"syn-cookies",
     HTTPS("syn-cookies: on, tls: {certificates: [shop, blog]}"),
     {"10:46: error: listeners.https.syn-cookies: expected auto, always or off, found \"on\""}},
    {"PROXY header from nobody",
     TLS("}, proxy-protocol: {from: []"),
     {"10:87: error: listeners.https.proxy-protocol.from: expected a prefix such as 10.0.0.0/8, or "
      "a list of them, found an empty one: leave proxy-protocol out to expect no header"}},
    {"proxy protocol of none",
     TLS("}, proxy-protocol: {"),
     {"10:70: error: listeners.https.proxy-protocol: the key \"from\" is missing: expected a "
      "prefix such as 10.0.0.0/8, or a list of them"}},
    {"proxy protocol from",
     TLS("}, proxy-protocol: {from: [10.0.0.1/8, any]"),
     {"10:94: error: listeners.https.proxy-protocol.from[0]: 10.0.0.1/8 has bits set beyond its "
      "length, did you mean 10.0.0.0/8?",
      "10:106: error: listeners.https.proxy-protocol.from[1]: expected an address or prefix such "
      "as 198.51.100.0/24, found \"any\""}},
    {"proxy protocol version",
     TLS("}, proxy-protocol: v2, syn-cookies: {"),
     {"10:86: error: listeners.https.proxy-protocol: expected a mapping with the key from, found "
      "\"v2\"",
      "10:90: error: listeners.https.syn-cookies: expected auto, always or off, found a mapping"}},
    {"profile",
     TLS("profile: modren"),
     {"10:76: error: listeners.https.tls.profile: expected modern or intermediate, found "
      "\"modren\", did you mean \"modern\"?"}},
    {"profile and versions",
     TLS("profile: modern, min-version: 1.2, max-version: \"1.2\""),
     {"10:97: error: listeners.https.tls.min-version: expected 1.3: the profile \"modern\" has "
      "nothing older",
      "10:115: error: listeners.https.tls.max-version: expected 1.3: the profile \"modern\" has "
      "nothing older"}},
    {"profile and the same", TLS("profile: modern, min-version: 1.3, max-version: 1.3"), {NULL}},
    {"client auth",
     TLS("client-auth: required"),
     {"10:80: error: listeners.https.tls.client-auth: expected a mapping with the keys mode and "
      "ca, found \"required\""}},
    {"client auth keys",
     TLS("client-auth: {mode: require}"),
     {"10:67: error: listeners.https.tls.client-auth: the key \"ca\" is missing: expected the path "
      "of a file",
      "10:87: error: listeners.https.tls.client-auth.mode: expected optional or required, found "
      "\"require\", did you mean \"required\"?"}},
    {"client auth mode",
     TLS("client-auth: {ca: x.pem, mod: optional}"),
     {"10:67: error: listeners.https.tls.client-auth: the key \"mode\" is missing: expected "
      "optional or required",
      "10:92: error: listeners.https.tls.client-auth.mod: unknown key, did you mean \"mode\"?"}},
    {"ocsp",
     INTERFACES BACKENDS "certificates: {shop: {chain: a, key: b, ocps: c}}\n"
                         "listeners: {l: {bind: 10.0.0.1:1, tls: {certificates: [shop]}}}\n" SPLICE,
     {"6:41: error: certificates.shop.ocps: unknown key, did you mean \"ocsp\"?"}},
};

static void test_listeners(void **state)
{
    (void)state;
    POLICY_CASES_RUN(listener_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_backends),
        cmocka_unit_test(test_listeners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
