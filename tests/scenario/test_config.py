"""`sluice --check`, `--explain` and `--schema`: what is wrong is refused, with its place and what to
write instead."""

import os
import re

from lab.daemon import check, write_config
from lab.scenario import expect, expect_equal, scenario

GOOD = """\
workers: [1]
interfaces:
  outside:
    device: {kernel: outside}
    addresses: [192.0.2.10/24]
  inside:
    device: {kernel: inside}
    addresses: [10.0.0.1/24]
routes:
  - {to: default, via: 192.0.2.1}
certificates:
  shop: {chain: certs/shop.crt, key: certs/shop.key}
backends:
  web:
    servers: [10.0.0.11:8080, 10.0.0.12:8080]
  legacy:
    servers: [10.0.0.20:443]
listeners:
  https:
    bind: 192.0.2.10:443
    tls: {certificates: [shop], min-version: "1.2", alpn: [http/1.1]}
  postgres:
    bind: 192.0.2.10:5432
policy:
  - {match: {sni: legacy.example}, action: splice, backend: legacy}
  - {match: {listener: https, source: [198.51.100.0/24]}, action: reject}
  - {match: {listener: https}, action: terminate, backend: web}
  - {match: {listener: postgres}, action: splice, backend: legacy}
"""

# What is replaced, by what, and what the message about that line has to say.
MISTAKES = [
    ("    servers: [10.0.0.20:443]", "    severs: [10.0.0.20:443]", r"severs.*servers"),
    ("policy:", "polices:", r"polices.*policy"),
    ("    bind: 192.0.2.10:5432", "    bind: 192.0.2.10:443", r"bind.*https.*line 19"),
    ("    bind: 192.0.2.10:443", "    bind: 192.0.2.99:443", r"bind.*192\.0\.2\.99"),
    ("    bind: 192.0.2.10:443", "    bind: 192.0.2.10:70000", r"bind.*70000"),
    ("    bind: 192.0.2.10:443", "    bind: 192.0.2.10", r"bind.*port"),
    ("action: terminate, backend: web}", "action: terminate, backend: wbe}", r"wbe.*web"),
    ("{match: {listener: postgres}", "{match: {listener: posgres}", r"posgres.*postgres"),
    ("action: reject}", "action: rejct}", r"rejct.*reject"),
    ("certificates: [shop]", "certificates: [shoop]", r"shoop.*shop"),
    ('min-version: "1.2"', 'min-version: "1.1"', r"min-version.*1\.2"),
    ("    addresses: [10.0.0.1/24]", "    addresses: [10.0.0.1/33]", r"addresses.*10\.0\.0\.1/33"),
    ("    addresses: [10.0.0.1/24]", "    addresses: [10.0.0/24]", r"addresses.*10\.0\.0/24"),
    ("via: 192.0.2.1}", "via: 203.0.113.1}", r"via.*203\.0\.113\.1"),
    ("workers: [1]", "workers: [one]", r"workers.*one"),
    ("    device: {kernel: inside}", "    device: {kernal: inside}", r"kernal.*kernel"),
    ("chain: certs/shop.crt", "chain: certs/none.crt", r"none\.crt.*No such file"),
    ("key: certs/shop.key", "key: certs/other.key", r"key"),
    ("chain: certs/shop.crt, key: certs/shop.key", "chain: certs/old.crt, key: certs/old.key",
     r"expired"),
    ("chain: certs/shop.crt", "chain: certs/shop.key", r"certificate"),
    ("  legacy:", "  web:", r"web.*twice.*line 14"),
]


def verdict(lab, text):
    write_config(lab.path("check.yaml"), text)
    return check(lab.binary, lab.path("check.yaml"))


def prepare(lab):
    lab.authority.issue("other", "other.example")
    lab.authority.issue("old", "old.example", days=-1)


@scenario()
def good_file(lab):
    """The file of the mistakes below, without them, is accepted."""
    status, output = verdict(lab, GOOD)
    expect_equal(status, 0, f"exit status ({output})")


@scenario()
def mistakes(lab):
    """Each mistake gives status 1 and a message with file, line, column, key and expectation."""
    prepare(lab)
    wrong = []
    for old, new, pattern in MISTAKES:
        expect(GOOD.count(old) == 1, f"{old!r} is not in the file once")
        text = GOOD.replace(old, new)
        line = GOOD[:GOOD.index(old)].count("\n") + 1
        status, output = verdict(lab, text)
        message = re.search(rf"check\.yaml:{line}:[1-9]\d*: error: .*(?i:{pattern})", output)
        if status != 1 or message is None:
            wrong.append(f"{new.strip()}: status {status}, line {line}, /{pattern}/:\n{output}")
    expect(not wrong, "\n".join(wrong))


@scenario()
def all_mistakes_at_once(lab):
    """A file with several mistakes is told all of them."""
    text = GOOD
    chosen = [MISTAKES[0], MISTAKES[6], MISTAKES[8], MISTAKES[13]]
    for old, new, _ in chosen:
        text = text.replace(old, new)
    status, output = verdict(lab, text)
    expect_equal(status, 1, "exit status")
    for old, _, pattern in chosen:
        line = GOOD[:GOOD.index(old)].count("\n") + 1
        expect(re.search(rf"check\.yaml:{line}:\d+: error: .*{pattern}", output),
               f"/{pattern}/ in line {line} is missing in:\n{output}")


@scenario()
def unreachable_server(lab):
    """A server that no interface or route leads to is refused."""
    text = GOOD.replace("  - {to: default, via: 192.0.2.1}", "  - {to: 10.1.0.0/16, via: 10.0.0.9}")
    text = text.replace("[10.0.0.20:443]", "[172.31.0.1:443]")
    status, output = verdict(lab, text)
    expect_equal(status, 1, "exit status")
    expect(re.search(r"check\.yaml:17:\d+: error: .*172\.31\.0\.1", output), output)


@scenario()
def not_yaml(lab):
    """Text that is no YAML, no mapping, empty or missing is refused with a reason."""
    for text in ("interfaces: [", "just a word\n", "", "\tworkers: [1]\n", "a: &x [*x]\n",
                 "\x00\x01", "- a\n- b\n"):
        status, output = verdict(lab, text)
        expect_equal(status, 1, f"exit status for {text!r}")
        expect("check.yaml" in output and "error" in output,
               f"no reason given for {text!r}:\n{output}")
    status, output = check(lab.binary, lab.path("missing.yaml"))
    expect_equal(status, 1, "exit status for a missing file")
    expect("missing.yaml" in output and "No such file" in output, output)


FULL = """\
workers: [1]
interfaces:
  outside: {device: {kernel: outside}, addresses: [192.0.2.10/24], rate: 1Gbit, punt: {tap: sluice0}}
  inside: {device: {kernel: inside}, addresses: [10.0.0.1/24]}
classes:
  gold: {rate: 300Mbit, ceiling: 800Mbit, priority: 1, weight: 200, dscp: AF21}
certificates:
  shop: {chain: certs/shop.crt, key: certs/shop.key}
backends:
  web:
    servers: [10.0.0.11:8080, {address: 10.0.0.12:8080, weight: 3}]
    balance: least-connections
    health-check: {type: tcp, interval: 2s}
    ejection: {failures: 3}
    proxy-protocol: v2
    tls: {server-name: shop.example}
listeners:
  https:
    bind: 192.0.2.10:443
    syn-cookies: auto
    proxy-protocol: {from: [10.0.0.0/24]}
    tls: {certificates: [shop], profile: modern}
sets:
  blocked: {file: blocked.txt}
firewall:
  default: drop
  rules:
    - {name: blocked, source: blocked, action: drop, log: true}
    - {name: web, protocol: tcp, port: 443, action: limit, limit: {connections: 100}, class: gold}
policy:
  - {name: shop, match: {sni-file: names.txt, alpn: h2}, action: terminate, backend: web, class: gold}
tickets: {rotation: 12h}
control: {socket: control.sock, mode: "0660"}
metrics: {listen: 127.0.0.1:9180}
session-log: {file: stderr, format: json}
"""

# The same as above, for the keys of FULL.
FULL_MISTAKES = [
    ("rate: 1Gbit", "rate: 1gbit", r"rate.*1Gbit"),
    ("punt: {tap: sluice0}", "punt: {tap: inside}", r"punt\.tap.*inside"),
    ("{kernel: inside}", "{kernel: lo}", r"loopback"),
    ("rate: 300Mbit", "rate: 900Mbit", r"gold\.rate.*ceiling"),
    ("rate: 300Mbit, ceiling: 800Mbit", "rate: 1100Mbit", r"gold\.rate.*1100Mbit.*1Gbit.*outside"),
    ("dscp: AF21", "dscp: af21", r"AF21"),
    ("weight: 3", "weight: 300", r"weight.*256"),
    ("least-connections", "least-conections", r"least-connections"),
    ("type: tcp", "type: http", r"health-check.*tcp"),
    ("failures: 3", "failure: 3", r"failures"),
    ("proxy-protocol: v2", "proxy-protocol: v4", r"v1 or v2"),
    ("server-name: shop.example", 'server-name: "*.example"', r"server-name.*wildcard"),
    ("syn-cookies: auto", "syn-cookies: yes", r"auto, always or off"),
    ("from: [10.0.0.0/24]", "from: [10.0.0.1/24]", r"did you mean 10\.0\.0\.0/24"),
    ("profile: modern", 'profile: modern, max-version: "1.2"', r"max-version.*modern"),
    ("file: blocked.txt", "file: none.txt", r"blocked\.file.*none\.txt.*No such file"),
    ("file: blocked.txt", "file: certs/", r"blocked\.file.*path"),
    ("default: drop", "default: deny", r"accept or drop"),
    ("source: blocked", "source: bloked", r"bloked.*did you mean .blocked"),
    ("name: web", "name: blocked", r"line \d+ has this name"),
    ("protocol: tcp", "protocol: icmp", r"tcp or udp.*port"),
    ("port: 443", "port: 443-80", r"80-443"),
    ("limit: {connections: 100}", "limit: {}", r"limit.*found none"),
    ("action: limit", "action: accept", r"limit"),
    ("{connections: 100}, class: gold", "{connections: 100}, class: glod", r"glod.*gold"),
    ("names.txt", "nonames.txt", r"nonames\.txt.*No such file"),
    ("rotation: 12h", "rotation: 1s", r"rotation.*1m to 7d"),
    ('mode: "0660"', 'mode: "0666"', r"mode.*0666"),
    ("127.0.0.1:9180", "192.0.2.10:9180", r"listen.*loopback"),
    ("format: json", "format: jsn", r"json"),
]


def write_lists(lab):
    write_config(lab.path("blocked.txt"), "# ours\r\n203.0.113.0/24\r\n2001:db8::/32\r\n")
    write_config(lab.path("names.txt"), "shop.example\n*.shop.example\n")


@scenario()
def full_file(lab):
    """Every section is accepted, and each mistake in one refused with its place."""
    write_lists(lab)
    status, output = verdict(lab, FULL)
    expect_equal(status, 0, f"exit status ({output})")
    wrong = []
    for old, new, pattern in FULL_MISTAKES:
        expect(FULL.count(old) == 1, f"{old!r} is not in the file once")
        status, output = verdict(lab, FULL.replace(old, new))
        line = FULL[:FULL.index(old)].count("\n") + 1
        if status != 1 or not re.search(rf"check\.yaml:{line}:[1-9]\d*: error: .*{pattern}", output):
            wrong.append(f"{new}: status {status}, line {line}, /{pattern}/:\n{output}")
    expect(not wrong, "\n".join(wrong))


@scenario()
def lists(lab):
    """A bad line in a file of prefixes or names is told with that file and line."""
    write_lists(lab)
    write_config(lab.path("blocked.txt"), "203.0.113.0/24\n\n 203.0.113.999 # x\n203.0.113.1/24\n")
    status, output = verdict(lab, FULL)
    expect_equal(status, 1, "exit status for a bad set")
    expect(re.search(r"blocked\.txt:3:2: error: .*203\.0\.113\.999", output), output)
    expect(re.search(r"blocked\.txt:4:1: error: .*did you mean 203\.0\.113\.0/24", output), output)
    write_lists(lab)
    write_config(lab.path("names.txt"), "shop.example\nshop..example\n")
    status, output = verdict(lab, FULL)
    expect_equal(status, 1, "exit status for a bad list of names")
    expect(re.search(r"names\.txt:2:1: error: .*empty label", output), output)


@scenario()
def no_regular_file(lab):
    """A FIFO, directory or device in place of a file is refused at once, never waited for."""
    write_lists(lab)
    os.remove(lab.path("blocked.txt"))
    os.mkfifo(lab.path("blocked.txt"))
    status, output = verdict(lab, FULL)
    expect_equal(status, 1, "exit status for a FIFO as set")
    expect(re.search(r"check\.yaml:24:\d+: error: .*blocked\.txt.*pipe", output), output)
    os.mkfifo(lab.path("fifo.yaml"))
    for path, kind in ((lab.path("fifo.yaml"), "pipe"), (lab.path("."), "directory"),
                       ("/dev/zero", "device")):
        status, output = check(lab.binary, path)
        expect_equal(status, 1, f"exit status for {path}")
        expect(kind in output, output)


@scenario()
def memory(lab):
    """Buffers that no machine has room for are refused by --check, in our words."""
    status, output = verdict(lab, GOOD + "limits: {buffer-memory: 1TiB}\n")
    expect_equal(status, 1, "exit status")
    expect(re.search(r"check\.yaml:29:\d+: error: limits\.buffer-memory: .*this machine has", output),
           output)


def explain(lab, *arguments):
    return lab.proxy.run(lab.binary, "--explain", "-c", lab.path("check.yaml"), *arguments,
                         check=False)


@scenario()
def explained(lab):
    """--explain tells what of each rule does not match, and the decision."""
    write_lists(lab)
    write_config(lab.path("check.yaml"), GOOD)
    result = explain(lab, "listener=https", "source=198.51.100.7", "sni=Shop.example.")
    expect_equal(result.returncode, 0, f"exit status ({result.stderr})")
    lines = result.stdout.splitlines()
    expect("sni shop.example" in lines[0], result.stdout)
    expect(re.search(r"line 25, rule 1: does not match: .*legacy\.example", lines[1]), result.stdout)
    expect(re.search(r"line 26, rule 2: matches", lines[2]), result.stdout)
    expect(re.search(r"rule 2 \(.*check\.yaml:26\) decides: reject", lines[3]), result.stdout)
    result = explain(lab, "listener=https", "source=192.0.2.7")
    expect("the ClientHello is waited for" in result.stdout, result.stdout)
    result = explain(lab, "listener=https", "source=192.0.2.7", "sni=")
    expect("decides: terminate, backend web" in result.stdout, result.stdout)
    write_config(lab.path("check.yaml"), FULL)
    result = explain(lab, "source=192.0.2.7", "sni=a.shop.example", "alpn=http/1.1,h2")
    expect("shop (" in result.stdout and "class gold" in result.stdout, result.stdout)
    result = explain(lab, "source=192.0.2.7", "sni=a.shop.example", "tls-version=1.2")
    expect("alpn does not offer h2" in result.stdout, result.stdout)
    expect("no rule matches: the connection is rejected" in result.stdout, result.stdout)


@scenario()
def explained_wrongly(lab):
    """Arguments of --explain that make no sense end with status 2, and a bad file with 1."""
    write_config(lab.path("check.yaml"), GOOD)
    for arguments, words in (((), "source=ADDRESS is missing"),
                             (("source=192.0.2.7",), "listener=NAME is missing"),
                             (("source=1.2.3", "listener=https"), "source=1.2.3: expected"),
                             (("source=192.0.2.7", "listener=htps"), "did you mean \"https\"?"),
                             (("sorce=192.0.2.7",), "did you mean source=?"),
                             (("source=192.0.2.7", "source=192.0.2.8"), "given twice"),
                             (("nonsense",), "expected listener=NAME"),
                             (("source=192.0.2.7", "listener=https", "tls-version=1.1"), "1.2,1.3"),
                             (("source=192.0.2.7", "listener=https", "alpn=h2,"), "alpn=h2,:")):
        result = explain(lab, *arguments)
        expect_equal(result.returncode, 2, f"exit status of {arguments}")
        expect(words in result.stderr, f"{arguments}: {result.stderr}")
        expect(not result.stdout, result.stdout)
    write_config(lab.path("check.yaml"), GOOD.replace("backend: web}", "backend: wbe}"))
    result = explain(lab, "source=192.0.2.7", "listener=https")
    expect_equal(result.returncode, 1, "exit status for a bad file")
    expect("did you mean" in result.stderr, result.stderr)


@scenario()
def schema(lab):
    """--schema prints the reference of all keys, in Markdown and as part of a man page."""
    markdown = lab.proxy.run(lab.binary, "--schema").stdout
    expect_equal(lab.proxy.run(lab.binary, "--schema=markdown").stdout, markdown, "the default form")
    expect("### `firewall.rules[].limit`" in markdown, markdown)
    roff = lab.proxy.run(lab.binary, "--schema=man").stdout
    expect(".SS firewall.rules[].limit" in roff and ".B connections\\-per\\-second" in roff, roff)
    expect_equal(markdown.count("\n| `"), roff.count("\n.TP\n"), "keys in both forms")


@scenario()
def called_wrongly(lab):
    """Wrong options end with status 2 and usage, never with a start."""
    for arguments in ((), ("-c",), ("--nonsense",), ("--check",), ("--explain",), ("--schema=x",),
                      ("--check", "-c", "x.yaml", "source=192.0.2.7")):
        result = lab.proxy.run(lab.binary, *arguments, check=False)
        expect_equal(result.returncode, 2, f"exit status of sluice {' '.join(arguments)}")
        expect(result.stderr, "nothing was said")
