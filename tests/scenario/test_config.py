"""`sluice --check`: what is wrong is refused, with its place and what to write instead."""

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


@scenario()
def called_wrongly(lab):
    """Wrong options end with status 2 and usage, never with a start."""
    for arguments in ((), ("-c",), ("--nonsense",), ("--check",)):
        result = lab.proxy.run(lab.binary, *arguments, check=False)
        expect_equal(result.returncode, 2, f"exit status of sluice {' '.join(arguments)}")
        expect(result.stderr, "nothing was said")
