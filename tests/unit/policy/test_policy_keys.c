/* Every key: what its value may be, and what is said when it is something else. */
#include "tests/unit/policy/policy_fixture.h"

static const struct policy_case structure_cases[] = {
    {"good", BASE, {NULL}},
    {"unknown key with a near one",
     BASE "timeoust: {}\n",
     {"10:1: error: timeoust: unknown key, did you mean \"timeouts\"?"}},
    {"unknown key with none near",
     BASE "compression: {}\n",
     {"10:1: error: compression: unknown key, expected one of: workers, hugepages, interfaces, "
      "routes, fragments, classes, certificates, backends, listeners, sets, firewall, policy, "
      "timeouts, limits, tcp, tickets, control, metrics, session-log"}},
    {"unknown key inside",
     INTERFACES PLAIN SPLICE "backends:\n  web: {server: [10.0.0.2:1]}\n",
     {"9:3: error: backends.web: the key \"servers\" is missing: expected a list of servers such "
      "as "
      "[10.0.0.11:8080]",
      "9:9: error: backends.web.server: unknown key, did you mean \"servers\"?"}},
    {"underscore for hyphen",
     BASE "limits: {buffer_memory: 1MiB}\n",
     {"10:10: error: limits.buffer_memory: unknown key, did you mean \"buffer-memory\"?"}},
    {"missing keys",
     "workers: [1]\n",
     {"1:1: error: the key \"interfaces\" is missing: expected a mapping of interfaces by name",
      "1:1: error: the key \"listeners\" is missing: expected a mapping of listeners by name",
      "1:1: error: the key \"policy\" is missing: expected a list of rules such as [{action: "
      "splice, "
      "backend: web}]"}},
    {"empty sections",
     "interfaces: {}\nlisteners:\npolicy: []\n",
     {"1:1: error: interfaces: expected a mapping of interfaces by name, found an empty one: there "
      "must be an interface",
      "2:1: error: listeners: expected a mapping of listeners by name, found nothing: there must "
      "be "
      "a listener",
      "3:1: error: policy: expected a list of rules such as [{action: splice, backend: web}], "
      "found "
      "an empty one: without a rule every connection would be rejected"}},
    {"sections that may be empty",
     BASE "certificates:\nroutes: []\ntimeouts: {}\nlimits:\n",
     {NULL}},
    {"wrong kinds",
     INTERFACES "backends: [web]\nlisteners: plain\npolicy: {action: reject}\nlimits: 5\n",
     {"4:1: error: backends: expected a mapping of backends by name, found a list",
      "5:12: error: listeners: expected a mapping of listeners by name, found \"plain\"",
      "6:1: error: policy: expected a list of rules such as [{action: splice, backend: web}], "
      "found "
      "a mapping",
      "7:9: error: limits: expected a mapping of limits, found \"5\""}},
    {"bad names",
     INTERFACES
     "backends:\n  \"a b\": {servers: [10.0.0.2:1]}\n  -x: {servers: [10.0.0.3:1]}\n" PLAIN
     "policy: [{action: splice, backend: -x}, {action: reject}]\n",
     {"5:3: error: backends.a b: expected a name of at most 64 letters, digits, '-', '_' and '.' "
      "that begins with a letter or digit",
      "6:3: error: backends.-x: expected a name of at most 64 letters, digits, '-', '_' and '.' "
      "that "
      "begins with a letter or digit"}},
};

static void test_structure(void **state)
{
    (void)state;
    POLICY_CASES_RUN(structure_cases);
}

#define CPU "expected the number of a CPU, found "

static const struct policy_case worker_cases[] = {
    {"good", BASE "workers: [0, 1023]\n", {NULL}},
    {"not a list",
     BASE "workers: 2\n",
     {"10:10: error: workers: expected a list of CPU numbers such as [1, 2, 3], found \"2\""}},
    {"empty",
     BASE "workers: []\n",
     {"10:1: error: workers: expected a list of CPU numbers such as [1, 2, 3], found an empty one: "
      "leave the key out to use all CPUs but the first"}},
    {"bad numbers",
     BASE "workers: [-1, x, 1.5, 01, 1024, 99999999999999999999, \"\", [2], ]\n",
     {"10:11: error: workers[0]: " CPU "\"-1\"", "10:15: error: workers[1]: " CPU "\"x\"",
      "10:18: error: workers[2]: " CPU "\"1.5\"", "10:23: error: workers[3]: " CPU "\"01\"",
      "10:27: error: workers[4]: expected a value from 0 to 1023, found \"1024\"",
      "10:33: error: workers[5]: " CPU "\"99999999999999999999\"",
      "10:55: error: workers[6]: " CPU "\"\"", "10:59: error: workers[7]: " CPU "a list"}},
    {"twice", BASE "workers: [1, 2, 1]\n", {"10:17: error: workers[2]: listed twice"}},
    {"hugepages",
     BASE "hugepages: autp\n",
     {"10:12: error: hugepages: expected auto, require or off, found \"autp\", did you mean "
      "\"auto\"?"}},
};

static void test_workers(void **state)
{
    (void)state;
    POLICY_CASES_RUN(worker_cases);
}

#define DEVICE(text)                                                                        \
    "interfaces:\n  x: {addresses: [10.0.0.1/8], device: " text "}\nlisteners: {l: {bind: " \
    "10.0.0.1:1}}\npolicy: [{action: reject}]\n"
#define AT_DEVICE "2:32: error: interfaces.x.device: "
#define NETDEV    "expected the name of a network interface (at most 15 characters), found "
#define PCI       "expected a PCI address such as 0000:03:00.0, found "
#define VDEV      "expected a virtual device as DPDK writes it, such as net_memif0,role=client, found "

static const struct policy_case device_cases[] = {
    {"kernel", DEVICE("{kernel: enp3s0f0.100}"), {NULL}},
    {"pci", DEVICE("{pci: \"0000:03:00.0\"}"), {NULL}},
    {"short pci", DEVICE("{pci: \"03:00.0\"}"), {NULL}},
    {"af-packet", DEVICE("{af-packet: eth0}"), {NULL}},
    {"tap", DEVICE("{tap: sluice0}"), {NULL}},
    {"vdev", DEVICE("{vdev: \"net_memif0,role=client,id=0\"}"), {NULL}},
    {"a word",
     DEVICE("eth0"),
     {"2:40: error: interfaces.x.device: expected a mapping with one key, such as {kernel: eth1}, "
      "found \"eth0\""}},
    {"no key",
     DEVICE("{}"),
     {AT_DEVICE "expected one of kernel, pci, af-packet, tap and vdev, found none"}},
    {"two keys",
     DEVICE("{kernel: a, tap: b}"),
     {AT_DEVICE "expected one of kernel, pci, af-packet, tap and vdev, found several keys"}},
    {"unknown key",
     DEVICE("{kernal: a}"),
     {"2:41: error: interfaces.x.device.kernal: unknown key, did you mean \"kernel\"?"}},
    {"long name",
     DEVICE("{kernel: a23456789012345x}"),
     {"2:49: error: interfaces.x.device.kernel: " NETDEV "\"a23456789012345x\""}},
    {"name that ends a vdev's argument",
     DEVICE("{tap: \"a,b\"}"),
     {"2:46: error: interfaces.x.device.tap: " NETDEV "\"a,b\""}},
    {"path for a name",
     DEVICE("{kernel: ../eth0}"),
     {"2:49: error: interfaces.x.device.kernel: " NETDEV "\"../eth0\""}},
    {"nothing",
     DEVICE("{kernel: }"),
     {"2:41: error: interfaces.x.device.kernel: " NETDEV "nothing"}},
    {"pci: function",
     DEVICE("{pci: \"0000:03:00.8\"}"),
     {"2:46: error: interfaces.x.device.pci: " PCI "\"0000:03:00.8\""}},
    {"pci: device",
     DEVICE("{pci: \"0000:03:20.0\"}"),
     {"2:46: error: interfaces.x.device.pci: " PCI "\"0000:03:20.0\""}},
    {"pci: sign",
     DEVICE("{pci: \"+3:00.0\"}"),
     {"2:46: error: interfaces.x.device.pci: " PCI "\"+3:00.0\""}},
    {"pci: number", DEVICE("{pci: 3}"), {"2:46: error: interfaces.x.device.pci: " PCI "\"3\""}},
    {"vdev: driver",
     DEVICE("{vdev: memif0}"),
     {"2:47: error: interfaces.x.device.vdev: " VDEV "\"memif0\""}},
};

static void test_devices(void **state)
{
    (void)state;
    POLICY_CASES_RUN(device_cases);
}

#define ADDRESSES(text)                                           \
    "interfaces:\n  x: {device: {tap: x}, addresses: " text "}\n" \
    "listeners: {l: {bind: 10.0.0.1:1}}\npolicy: [{action: reject}]\n"
#define AT_ADDRESS "2:37: error: interfaces.x.addresses[0]: "
#define HOST       "expected the address of a host, found "
#define LENGTH \
    "expected an address with its prefix length, such as 192.0.2.10/24 or 2001:db8::10/64, found "

static const struct policy_case address_cases[] = {
    {"point to point", ADDRESSES("[10.0.0.0/31, 10.0.0.1/32]"), {NULL}},
    {"two in a network", ADDRESSES("[10.0.0.1/24, 10.0.0.2/24]"), {NULL}},
    {"not a list",
     ADDRESSES("10.0.0.1/24"),
     {"2:36: error: interfaces.x.addresses: expected a list of addresses with prefix length, such "
      "as [192.0.2.10/24], found \"10.0.0.1/24\""}},
    {"none",
     ADDRESSES("[]"),
     {"2:25: error: interfaces.x.addresses: expected a list of addresses with prefix length, such "
      "as [192.0.2.10/24], found an empty one: an interface needs an address"}},
    {"no length", ADDRESSES("[10.0.0.1]"), {AT_ADDRESS LENGTH "\"10.0.0.1\""}},
    {"length", ADDRESSES("[10.0.0.1/33]"), {AT_ADDRESS LENGTH "\"10.0.0.1/33\""}},
    {"three octets", ADDRESSES("[10.0.1/24]"), {AT_ADDRESS LENGTH "\"10.0.1/24\""}},
    {"no address", ADDRESSES("[eth0/24]"), {AT_ADDRESS LENGTH "\"eth0/24\""}},
    {"IPv6 without length", ADDRESSES("[\"2001:db8::1\"]"), {AT_ADDRESS LENGTH "\"2001:db8::1\""}},
    {"IPv4-mapped",
     ADDRESSES("[\"::ffff:10.0.0.1/24\"]"),
     {AT_ADDRESS "an IPv4 address is written as such: 10.0.0.1"}},
    {"link-local",
     ADDRESSES("[\"fe80::1/64\"]"),
     {AT_ADDRESS HOST "fe80::1, a link-local address, which is good on its link only"}},
    {"multicast IPv6",
     ADDRESSES("[\"ff02::1/64\"]"),
     {AT_ADDRESS HOST "ff02::1, a multicast address"}},
    {"loopback IPv6", ADDRESSES("[\"::1/128\"]"), {AT_ADDRESS HOST "::1, a loopback address"}},
    {"unspecified IPv6", ADDRESSES("[\"::/64\"]"), {AT_ADDRESS HOST "::, the unspecified address"}},
    {"all routers",
     ADDRESSES("[\"2001:db8::/64\"]"),
     {AT_ADDRESS HOST "2001:db8::/64, the address of all the network's routers"}},
    {"whole IPv6 internet",
     ADDRESSES("[\"2001:db8::1/0\"]"),
     {AT_ADDRESS HOST "2001:db8::1/0, which leaves no address outside the network"}},
    {"IPv6 twice",
     ADDRESSES("[10.0.0.1/8, \"2001:db8::1/64\", \"2001:db8:0::1/64\"]"),
     {"2:67: error: interfaces.x.addresses[2]: the address is that of interface \"x\" (line 2) "
      "already: 2001:db8::1/64"}},
    {"mtu of IPv6",
     ADDRESSES("[10.0.0.1/8, \"2001:db8::1/64\"], mtu: 1279"),
     {"2:73: error: interfaces.x.mtu: IPv6 needs an MTU of at least 1280"}},
    {"router advertisements",
     ADDRESSES("[10.0.0.1/8], router-advertisements: acept"),
     {"2:73: error: interfaces.x.router-advertisements: expected accept or ignore, found "
      "\"acept\""}},
    {"network",
     ADDRESSES("[10.0.0.0/24]"),
     {AT_ADDRESS HOST "10.0.0.0/24, the address of the network itself"}},
    {"broadcast",
     ADDRESSES("[10.0.0.3/30]"),
     {AT_ADDRESS HOST "10.0.0.3/30, the broadcast address of the network"}},
    {"multicast", ADDRESSES("[224.0.0.5/24]"), {AT_ADDRESS HOST "224.0.0.5, a multicast address"}},
    {"loopback", ADDRESSES("[127.0.0.1/8]"), {AT_ADDRESS HOST "127.0.0.1, a loopback address"}},
    {"unspecified", ADDRESSES("[0.0.0.0/0]"), {AT_ADDRESS HOST "0.0.0.0, the unspecified address"}},
    {"zero network",
     ADDRESSES("[0.1.0.0/8]"),
     {AT_ADDRESS HOST "0.1.0.0, in 0.0.0.0/8, which no host has"}},
    {"reserved",
     ADDRESSES("[240.0.0.1/8]"),
     {AT_ADDRESS HOST "240.0.0.1, in 240.0.0.0/4, which is reserved"}},
    {"limited broadcast",
     ADDRESSES("[255.255.255.255/32]"),
     {AT_ADDRESS HOST "255.255.255.255, the broadcast address"}},
    {"whole internet",
     ADDRESSES("[10.0.0.1/0]"),
     {AT_ADDRESS HOST "10.0.0.1/0, which leaves no address outside the network"}},
    {"twice",
     ADDRESSES("[10.0.0.1/24, 10.0.0.1/24]"),
     {"2:50: error: interfaces.x.addresses[1]: the address is that of interface \"x\" (line 2) "
      "already: 10.0.0.1/24"}},
    {"small mtu",
     ADDRESSES("[10.0.0.1/8], mtu: 575"),
     {"2:55: error: interfaces.x.mtu: expected a value from 576 to 9000, found \"575\""}},
    {"large mtu",
     ADDRESSES("[10.0.0.1/8], mtu: 9001"),
     {"2:55: error: interfaces.x.mtu: expected a value from 576 to 9000, found \"9001\""}},
    {"no mtu",
     ADDRESSES("[10.0.0.1/8], mtu: jumbo"),
     {"2:55: error: interfaces.x.mtu: expected a number of bytes, found \"jumbo\""}},
};

static void test_addresses(void **state)
{
    (void)state;
    POLICY_CASES_RUN(address_cases);
}

#define ENDPOINT(example) \
    "expected an address and a port from 1 to 65535, such as " example ", found "

static const struct policy_case endpoint_cases[] = {
    {"servers",
     INTERFACES PLAIN SPLICE "backends:\n"
                             "  web:\n"
                             "    servers:\n"
                             "    - 10.0.0.11\n"
                             "    - 10.0.0.11:0\n"
                             "    - 10.0.0.11:65536\n"
                             "    - web.internal:80\n"
                             "    - \"[2001:db8::1]:80\"\n"
                             "    - 10.0.0.11:080\n"
                             "    - 127.0.0.1:80\n"
                             "    - 10.0.0.12:80\n"
                             "    - 10.0.0.12:80\n",
     {"11:7: error: backends.web.servers[0]: " ENDPOINT("10.0.0.11:8080") "\"10.0.0.11\"",
      "12:7: error: backends.web.servers[1]: " ENDPOINT("10.0.0.11:8080") "\"10.0.0.11:0\"",
      "13:7: error: backends.web.servers[2]: " ENDPOINT("10.0.0.11:8080") "\"10.0.0.11:65536\"",
      "14:7: error: backends.web.servers[3]: " ENDPOINT(
          "10.0.0.11:8080") "\"web.internal:80\": names are not looked up, write the address",
      "15:7: error: backends.web.servers[4]: no interface and no route reaches 2001:db8::1",
      "16:7: error: backends.web.servers[5]: " ENDPOINT("10.0.0.11:8080") "\"10.0.0.11:080\"",
      "17:7: error: backends.web.servers[6]: " HOST "127.0.0.1, a loopback address",
      "19:7: error: backends.web.servers[8]: listed twice"}},
    {"no servers",
     INTERFACES PLAIN SPLICE "backends:\n  web: {servers: []}\n",
     {"9:9: error: backends.web.servers: expected a list of servers such as [10.0.0.11:8080], "
      "found "
      "an empty one: a backend needs a server"}},
    {"bind",
     INTERFACES BACKENDS "listeners:\n"
                         "  a: {bind: 192.0.2.10}\n"
                         "  b: {bind: 0.0.0.0:80}\n"
                         "  c: {bind: \"[::]:80\"}\n"
                         "  d: {}\n"
                         "  e: {bind: 192.0.2.10:443, backlog: 0}\n" SPLICE,
     {"7:13: error: listeners.a.bind: " ENDPOINT("192.0.2.10:443") "\"192.0.2.10\"",
      "8:13: error: listeners.b.bind: expected one of the interfaces' addresses, found 0.0.0.0: a "
      "listener has one address",
      "9:13: error: listeners.c.bind: expected one of the interfaces' addresses, found ::: a "
      "listener has one address",
      "10:3: error: listeners.d: the key \"bind\" is missing: expected an address and a port from "
      "1 "
      "to 65535, such as 192.0.2.10:443",
      "11:38: error: listeners.e.backlog: expected a value from 1 to 1048576, found \"0\""}},
    {"routes",
     BASE "routes:\n"
          "  - {to: 198.51.100.1/24, via: 10.0.0.2}\n"
          "  - {to: defualt, via: 10.0.0.2}\n"
          "  - {to: \"::/0\", via: \"fe80::1\"}\n"
          "  - {to: \"2001:db8::/32\", via: 10.0.0.2}\n"
          "  - {to: default, via: \"fe80::1\", interface: inside}\n"
          "  - {to: 198.51.100.0/24, via: 10.0.0.2, interface: inside}\n"
          "  - {via: 224.0.0.1}\n",
     {"11:10: error: routes[0].to: 198.51.100.1/24 has bits set beyond its length, did you mean "
      "198.51.100.0/24?",
      "12:10: error: routes[1].to: expected a prefix such as 198.51.100.0/24 or 2001:db8:1::/48, "
      "or "
      "default, found \"defualt\"",
      "13:23: error: routes[2].via: a link-local gateway needs the key \"interface\": the same "
      "address may be on every link",
      "14:32: error: routes[3].via: the gateway is IPv4, the destination is not",
      "15:10: error: routes[4].to: there is a route to this destination already, in line 13",
      "15:46: error: routes[4].interface: the interface \"inside\" (line 3) has no IPv6 address",
      "16:53: error: routes[5].interface: only a link-local gateway needs an interface: the "
      "network "
      "of 10.0.0.2 says which it is",
      "17:5: error: routes[6]: the key \"to\" is missing: expected a prefix such as "
      "198.51.100.0/24 or 2001:db8:1::/48, or default",
      "17:11: error: routes[6].via: " HOST "224.0.0.1, a multicast address"}},
};

static void test_endpoints(void **state)
{
    (void)state;
    POLICY_CASES_RUN(endpoint_cases);
}

/* The listener's tls is in line 12. */
#define TLS(text)                    \
    INTERFACES BACKENDS CERTIFICATES \
        "listeners:\n  https:\n    bind: 192.0.2.10:443\n    tls: {" text "}\n" SPLICE
#define SHOP "certificates: [shop, blog], "

static const struct policy_case tls_cases[] = {
    {"good",
     TLS(SHOP "default-certificate: blog, min-version: \"1.2\", max-version: 1.3, alpn: [h2, "
              "http/1.1]"),
     {NULL}},
    {"no certificates",
     TLS(""),
     {"12:5: error: listeners.https.tls: the key \"certificates\" is missing: expected a list of "
      "names of certificates"}},
    {"unknown certificates",
     TLS("certificates: [shop, blgo, xyz, blog]"),
     {"12:32: error: listeners.https.tls.certificates[1]: expected the name of a certificate, "
      "found "
      "\"blgo\", did you mean \"blog\"?",
      "12:38: error: listeners.https.tls.certificates[2]: expected the name of a certificate, "
      "found "
      "\"xyz\"; there are: shop, blog"}},
    {"certificate twice",
     TLS("certificates: [shop, blog, shop]"),
     {"12:38: error: listeners.https.tls.certificates[2]: listed twice"}},
    {"default of others",
     TLS("certificates: [shop, blog], default-certificate: blgo"),
     {"12:60: error: listeners.https.tls.default-certificate: expected one of the listener's "
      "certificates, found \"blgo\", did you mean \"blog\"?"}},
    {"withdrawn version",
     TLS(SHOP "min-version: \"1.1\""),
     {"12:52: error: listeners.https.tls.min-version: expected 1.2 or 1.3: TLS 1.1 is broken and "
      "withdrawn (RFC 8996)"}},
    {"no version",
     TLS(SHOP "max-version: tls13"),
     {"12:52: error: listeners.https.tls.max-version: expected 1.2 or 1.3, found \"tls13\""}},
    {"versions crossed",
     TLS(SHOP "min-version: 1.3, max-version: 1.2"),
     {"12:52: error: listeners.https.tls.min-version: min-version is above max-version: no client "
      "could connect"}},
    {"no protocols",
     TLS(SHOP "alpn: []"),
     {"12:39: error: listeners.https.tls.alpn: expected a list of protocol names such as "
      "[http/1.1], found an empty one: leave the key out to take no part in ALPN"}},
    {"protocols",
     TLS(SHOP "alpn: [h2, \"\", h2, {a: b}]"),
     {"12:50: error: listeners.https.tls.alpn[1]: expected a protocol name such as http/1.1, found "
      "\"\"",
      "12:54: error: listeners.https.tls.alpn[2]: listed twice",
      "12:58: error: listeners.https.tls.alpn[3]: expected a protocol name such as http/1.1, found "
      "a mapping"}},
    {"not a mapping",
     TLS(SHOP "alpn: h2"),
     {"12:45: error: listeners.https.tls.alpn: expected a list of protocol names such as "
      "[http/1.1], found \"h2\""}},
};

static void test_tls(void **state)
{
    (void)state;
    POLICY_CASES_RUN(tls_cases);
}

#define RULE(text) \
    INTERFACES BACKENDS PLAIN "policy:\n  - " text "\n  - {action: splice, backend: web}\n"
#define SNI(text) RULE("{match: {listener: plain, sni: " text "}, action: reject}")
#define AT_SNI                                                                          \
    "9:36: error: policy[0].match.sni: expected a server name such as shop.example or " \
    "*.shop.example, found "

static const struct policy_case rule_cases[] = {
    {"good",
     RULE("{match: {listener: plain, source: 10.0.0.0/8, sni: [a.b, \"*.b\"]}, action: "
          "reject}"),
     {NULL}},
    {"no action",
     RULE("{backend: web}"),
     {"9:5: error: policy[0]: the key \"action\" is missing: expected terminate, splice or "
      "reject"}},
    {"action",
     RULE("{action: splcie, backend: web}"),
     {"9:14: error: policy[0].action: expected terminate, splice or reject, found \"splcie\", did "
      "you mean \"splice\"?"}},
    {"action and no backend",
     RULE("{match: {source: 10.0.0.0/8}, action: terminat}"),
     {"9:43: error: policy[0].action: expected terminate, splice or reject, found \"terminat\", "
      "did "
      "you mean \"terminate\"?"}},
    {"no backend",
     RULE("{match: {source: 10.0.0.0/8}, action: splice}"),
     {"9:43: error: policy[0].action: to splice, the rule needs a backend"}},
    {"reject to a backend",
     RULE("{match: {source: 10.0.0.0/8}, action: reject, backend: web}"),
     {"9:60: error: policy[0].backend: a rule that rejects has no backend"}},
    {"no such backend",
     RULE("{action: splice, backend: wbe}"),
     {"9:31: error: policy[0].backend: expected the name of a backend, found \"wbe\", did you mean "
      "\"web\"?"}},
    {"no such listener",
     RULE("{match: {listener: plian}, action: reject}"),
     {"9:24: error: policy[0].match.listener: expected the name of a listener, found \"plian\", "
      "did "
      "you mean \"plain\"?"}},
    {"empty match",
     RULE("{match: {}, action: reject}"),
     {"9:6: error: policy[0].match: expected listener, source, sni, sni-file, alpn or "
      "tls-version, found none: leave the key out to match every connection"}},
    {"match of nothing",
     RULE("{match: , action: reject}"),
     {"9:6: error: policy[0].match: expected listener, source, sni, sni-file, alpn or "
      "tls-version, found none: leave the key out to match every connection"}},
    {"terminate plain TCP",
     RULE("{match: {listener: plain}, action: terminate, backend: web}"),
     {"9:40: error: policy[0].action: expected splice or reject: the listener \"plain\" (line 7) "
      "has no tls to terminate"}},
    {"no sources",
     RULE("{match: {source: []}, action: reject}"),
     {"9:14: error: policy[0].match.source: expected a prefix such as 198.51.100.0/24, or a list "
      "of "
      "them, found an empty one: leave the key out to match any address"}},
    {"sources",
     RULE("{match: {source: [10.1.0.0/8, x, 10.0.0.0/8]}, action: reject}"),
     {"9:23: error: policy[0].match.source[0]: 10.1.0.0/8 has bits set beyond its length, did you "
      "mean 10.0.0.0/8?",
      "9:35: error: policy[0].match.source[1]: expected an address or prefix such as "
      "198.51.100.0/24, found \"x\""}},
    {"upper case and a final dot", SNI("Shop.EXAMPLE."), {NULL}},
    {"one label", SNI("localhost"), {NULL}},
    {"any name", SNI("\"*\""), {AT_SNI "\"*\": leave the key out to match any name"}},
    {"wildcard inside",
     SNI("a.*.b"),
     {AT_SNI "\"a.*.b\": \"*\" may only be the whole first label, as in *.example.com"}},
    {"half a label",
     SNI("\"*a.b\""),
     {AT_SNI "\"*a.b\": \"*\" may only be the whole first label, as in *.example.com"}},
    {"wildcard of a wildcard",
     SNI("\"*.*.b\""),
     {AT_SNI "\"*.*.b\": \"*\" may only be the whole first label, as in *.example.com"}},
    {"wildcard of nothing", SNI("\"*.\""), {AT_SNI "\"*.\": leave the key out to match any name"}},
    {"empty label", SNI("a..b"), {AT_SNI "\"a..b\": it has an empty label"}},
    {"dot at the start", SNI(".b"), {AT_SNI "\".b\": it has an empty label"}},
    {"empty", SNI("\"\""), {AT_SNI "\"\": it has an empty label"}},
    {"address",
     SNI("192.0.2.1"),
     {AT_SNI "\"192.0.2.1\": clients ask for names, never for addresses (RFC 6066, 3)"}},
    {"blank", SNI("a b"), {AT_SNI "\"a b\": it has characters that no host name has"}},
    {"international",
     SNI("caf\xc3\xa9.example"),
     {AT_SNI "\"caf\xc3\xa9.example\": international names are written in their ASCII form "
             "(xn--\xe2\x80\xa6)"}},
    {"long label",
     SNI("a234567890123456789012345678901234567890123456789012345678901234.b"),
     {AT_SNI
      "\"a23456789012345678901234567890123456789012345678901234567890\xe2\x80\xa6\": a label "
      "has more than 63 characters"}},
};

static void test_rules(void **state)
{
    (void)state;
    POLICY_CASES_RUN(rule_cases);
}

#define DURATION "expected a duration such as 500ms, 10s, 5m, 1h or 1d, found "

static const struct policy_case amount_cases[] = {
    {"good",
     BASE "timeouts: {client-hello: 1ms, handshake: 2s, idle: 7d, half-closed: 3m, drain: 0s}\n"
          "limits: {connections: 64, buffer-memory: 1TiB}\n",
     {NULL}},
    {"durations",
     BASE "timeouts:\n"
          "  client-hello: 10\n"
          "  handshake: 0s\n"
          "  idle: 8d\n"
          "  half-closed: 1m30s\n"
          "  drain: -1s\n",
     {"11:17: error: timeouts.client-hello: " DURATION "\"10\"",
      "12:14: error: timeouts.handshake: expected a value from 1ms to 7d, found \"0s\"",
      "13:9: error: timeouts.idle: expected a value from 1ms to 7d, found \"8d\"",
      "14:16: error: timeouts.half-closed: " DURATION "\"1m30s\"",
      "15:10: error: timeouts.drain: expected a duration such as 30s, or 0s, found \"-1s\""}},
    {"more durations",
     BASE
     "timeouts: {client-hello: 1.5s, handshake: 10 s, idle: 99999999999999999999s, half-closed: "
     "18446744073709551615d}\n",
     {"10:26: error: timeouts.client-hello: " DURATION "\"1.5s\"",
      "10:43: error: timeouts.handshake: " DURATION "\"10 s\", did you mean \"10s\"?",
      "10:55: error: timeouts.idle: " DURATION "\"99999999999999999999s\"",
      "10:91: error: timeouts.half-closed: expected a value from 1ms to 7d, found "
      "\"18446744073709551615d\""}},
    {"sizes",
     BASE "limits: {connections: 63, buffer-memory: 64MB}\n",
     {"10:23: error: limits.connections: expected a value from 64 to 16777216, found \"63\"",
      "10:42: error: limits.buffer-memory: expected a size such as 64MiB or 1GiB, found \"64MB\", "
      "did "
      "you mean \"64MiB\"?"}},
    {"small",
     BASE "limits: {connections: 1k, buffer-memory: 1023KiB}\n",
     {"10:23: error: limits.connections: expected a number of connections, found \"1k\"",
      "10:42: error: limits.buffer-memory: expected a value from 1MiB to 1TiB, found "
      "\"1023KiB\""}},
    {"connect timeout",
     INTERFACES PLAIN SPLICE
     "backends:\n  web: {servers: [10.0.0.2:1], connect-timeout: soon, balance: random}\n",
     {"9:49: error: backends.web.connect-timeout: " DURATION "\"soon\"",
      "9:64: error: backends.web.balance: expected round-robin, least-connections or source-hash, "
      "found "
      "\"random\""}},
    {"paths",
     BASE "certificates:\n  a: {chain: \"\", key: certs/}\n  b: {chain: [x]}\n",
     {"11:14: error: certificates.a.chain: expected the path of a file, found \"\"",
      "11:23: error: certificates.a.key: expected the path of a file, found \"certs/\"",
      "12:3: error: certificates.b: the key \"key\" is missing: expected the path of a file",
      "12:7: error: certificates.b.chain: expected the path of a file, found a list"}},
};

static void test_amounts(void **state)
{
    (void)state;
    POLICY_CASES_RUN(amount_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure), cmocka_unit_test(test_workers),
        cmocka_unit_test(test_devices),   cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_endpoints), cmocka_unit_test(test_tls),
        cmocka_unit_test(test_rules),     cmocka_unit_test(test_amounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
