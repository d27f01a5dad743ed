"""The firewall between real peers: rules, sets, limits, the default, and reloads of them."""

import contextlib
import re
import socket

from lab.packets import ACK, SYN, Wire, ip, tcp
from lab.process import wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, RELEASE, expect, expect_equal,
                          expect_in, expect_within, scenario)
from lab.topology import (BITS, CLIENT, HOST_BITS, ICMP, IP_HEADER, IPV6, OUTSIDE, SOCKET_FAMILY, at,
                          distant, http_get, network_of)
from lab.topology import OTHER_CLIENT as OTHER

DISTANT = network_of(distant(0))
_RULE = re.compile(r"^firewall (?:rule )?(.+) packets (\d+) bytes (\d+)$", re.MULTILINE)


def start(lab, rules, default="accept", **more):
    lab.page("index.html", "x")
    lab.nginx()
    lab.client.add_address("eth0", f"{OTHER}/{BITS}")
    lab.start(lab.config(firewall={"default": default, "rules": rules}, **more))


def hits(lab):
    """Packets by the rule's name."""
    mark = lab.sluice.process.log_mark()
    lab.sluice.counters()
    return {name: int(packets)
            for name, packets, _ in _RULE.findall(lab.sluice.process.log(mark))}


def get(lab, source=CLIENT, timeout=3):
    """curl's exit status: 0, 28 for a timeout, 7 for a refused connection, 35 for a reset."""
    return lab.curl("/", "--interface", source, "--connect-timeout", timeout,
                    check=False).returncode


def ping(lab, count=1):
    return lab.client.run("ping", "-c", count, "-i", "0.05", "-W", "1", OUTSIDE,
                          check=False).returncode == 0


def connect(lab, source=CLIENT, port=443, timeout=2.0):
    with lab.client.enter():
        return socket.create_connection((OUTSIDE, port), timeout, (source, 0))


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def first_match(lab):
    """Rules are asked in order; `count` and `log` look on; hits and lines bear the rules' names."""
    start(lab, [
        {"name": "pings", "protocol": ICMP, "icmp-type": 128 if IPV6 else "echo-request", "action": "log"},
        {"name": "from-outside", "interface": "outside", "action": "count"},
        {"name": "trusted", "source": CLIENT, "port": 443, "action": "accept"},
        {"name": "bad", "source": "blocked", "action": "drop", "log": True},
        {"name": "late", "source": "blocked", "action": "accept"},
        {"name": "udp", "protocol": "udp", "port": ["53", "5000-6000"], "action": "drop"},
    ], sets={"blocked": {"prefixes": [f"{OTHER}/{HOST_BITS}", DISTANT]}})
    expect_equal(get(lab), 0, "curl from the trusted address")
    expect_equal(get(lab, OTHER, 1), 28, "curl from the blocked address")
    expect(ping(lab, 5), "the client is not answered")
    with lab.client.enter(), socket.socket(SOCKET_FAMILY, socket.SOCK_DGRAM) as udp:
        for port in (53, 5500, 6001):
            udp.sendto(b"x", (OUTSIDE, port))
    wait_until(lambda: hits(lab)["udp"] == 2, "the datagrams to be dropped")
    seen = hits(lab)
    expect_equal(seen["pings"], 5, "pings")
    expect(seen["trusted"] >= 8, f"trusted: {seen}")
    expect_within(seen["bad"], 1, 3, "SYNs from the blocked address")
    expect_equal(seen["late"], 0, "packets beyond the rule that decides")
    expect(seen["from-outside"] >= seen["trusted"] + seen["bad"] + 5, f"from-outside: {seen}")
    log = lab.sluice.process.log()
    blocked = f"{re.escape(at(OTHER, ''))}\\d+ > {re.escape(at(OUTSIDE, 443))}"
    expect(re.search(rf'rule "bad": drop: TCP {blocked} SYN, \d+ bytes, on outside', log),
           f"no line of the rule \"bad\" in:\n{log}")
    name, kind = ("ICMPv6", 128) if IPV6 else ("ICMP", 8)
    expect_in(f'rule "pings": log: {name} {CLIENT} > {OUTSIDE} type {kind} code 0, '
              f'{IP_HEADER + 64} bytes, on outside', log, "log")
    counters = lab.sluice.counters()
    expect_equal(counters["drop_firewall"], seen["bad"] + 2, "drop_firewall")
    expect_equal(counters["firewall_dropped"], seen["bad"] + 2, "firewall_dropped")
    expect_equal(counters["firewall_accepted"], seen["trusted"], "firewall_accepted")


@scenario(families=BOTH_FAMILIES)
def rejects(lab):
    """Who is rejected is told: by RST for TCP, and beyond a limit where that says so."""
    start(lab, [{"name": "no", "source": OTHER, "action": "reject"},
                {"name": "one", "port": 443, "action": "limit",
                 "limit": {"connections": 1, "over": "reject"}}])
    expect_equal(get(lab, OTHER), 7, "curl from the rejected address")
    with lab.tls():
        expect_equal(get(lab), 7, "curl beyond the limit")
    counters = lab.sluice.counters()
    expect_equal(counters["firewall_rejected"], 1, "firewall_rejected")
    expect_equal(counters["firewall_limited_connections"], 1, "firewall_limited_connections")


@scenario(families=BOTH_FAMILIES)
def log_is_limited(lab):
    """A flood that is logged writes ten lines a second, and says how many it held back."""
    start(lab, [{"name": "noise", "source": DISTANT, "action": "drop", "log": True}])
    wire = Wire(lab.client, "eth0")
    destination = lab.proxy_mac()
    packet = ip(distant(7), OUTSIDE, tcp(distant(7), OUTSIDE, 1, 443, SYN))
    for _ in range(500):
        wire.send_ip(destination, packet)
    wait_until(lambda: hits(lab)["noise"] == 500, "the flood to be counted")

    def held_back():
        wire.send_ip(destination, packet)
        return re.search(r'rule "noise".* \(\d+ lines held back\)', lab.sluice.process.log())

    wait_until(held_back, "a line that tells of the others")
    lines = lab.sluice.process.log().count('rule "noise"')
    expect(lines <= 60, f"{lines} lines for 500 packets")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def default_drop(lab):
    """With `default: drop` only what a rule accepts comes in, and what belongs to connections of
    ours: answers of servers."""
    start(lab, [{"name": "https", "port": 443, "protocol": "tcp", "action": "accept"}],
          default="drop")
    expect_equal(get(lab), 0, "curl")
    expect(not ping(lab), "ping is answered")
    with contextlib.suppress(TimeoutError):
        connect(lab, port=81, timeout=0.5).close()
        expect(False, "a port without a rule answers")
    before = hits(lab)
    wire = Wire(lab.client, "eth0")
    for number in range(50):
        wire.send_ip(lab.proxy_mac(), ip(CLIENT, OUTSIDE, tcp(
            CLIENT, OUTSIDE, 2000 + number, 5432, ACK)))
    wait_until(lambda: hits(lab)["default"] >= before["default"] + 50, "the segments to arrive")
    counters = lab.sluice.counters()
    expect_equal(counters["drop_tcp_no_port"], 0, "segments that got past the firewall")
    expect(counters["firewall_dropped"] >= 52, f"firewall_dropped: {counters['firewall_dropped']}")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def limits(lab):
    """A source has its connections at a time, whichever worker has them; others are not held up."""
    start(lab, [{"name": "few", "port": 443, "action": "limit",
                 "limit": {"connections": 3, "prefix-v6": 128}}])
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(lab.tls()) for _ in range(3)]
        for connection in connections:
            expect_equal(http_get(connection, close=False), b"x", "answer")
        with contextlib.suppress(TimeoutError):
            connect(lab, timeout=0.5).close()
            expect(False, "a fourth connection was let in")
        expect_equal(get(lab, OTHER), 0, "another source meanwhile")
        connections[0].close()
        wait_until(lambda: get(lab) == 0, "a place to become free")
    lab.settled()
    counters = lab.sluice.counters()
    expect(counters["firewall_limited_connections"] >= 1, "nothing was counted as limited")
    expect_equal(counters["firewall_limit_untracked"], 0, "untracked connections")
    for _ in range(4):
        expect_equal(get(lab), 0, "connections one after the other")


@scenario(families=BOTH_FAMILIES)
def rates(lab):
    """Connections and handshakes a second have their burst, then their rate."""
    start(lab, [{"name": "slow", "source": CLIENT, "action": "limit",
                 "limit": {"connections-per-second": 1, "connection-burst": 5}},
                {"name": "tls", "source": OTHER, "action": "limit",
                 "limit": {"handshakes-per-second": 1, "handshake-burst": 2}}])
    wire = Wire(lab.client, "eth0")
    for number in range(40):
        wire.send_ip(lab.proxy_mac(), ip(CLIENT, OUTSIDE, tcp(
            CLIENT, OUTSIDE, 3000 + number, 443, SYN)))
    wait_until(lambda: hits(lab)["slow"] >= 40, "the SYNs to arrive")
    limited = lab.sluice.counters()["firewall_limited_rate"]
    expect_within(limited, 30, 35, "SYNs beyond the rate")
    wait_until(lambda: get(lab, timeout=1) == 0, "the source to be served again")
    statuses = [get(lab, OTHER) for _ in range(8)]
    counters = lab.sluice.counters()
    expect(statuses.count(0) >= 2, f"curl's exits: {statuses}")
    expect_equal(counters["firewall_limited_handshakes"], 8 - statuses.count(0),
                 "handshakes beyond the rate")
    expect(counters["firewall_limited_handshakes"] >= 1, f"curl's exits: {statuses}")


@scenario(families=BOTH_FAMILIES)
def reload_keeps(lab):
    """Over a reload, rules that stay go on counting and limiting; new ones take effect at once."""
    few = {"name": "few", "port": 443, "action": "limit", "limit": {"connections": 1}}
    start(lab, [few])
    first = lab.tls()
    served = hits(lab)["few"]
    expect(served >= 3, f"few: {served}")
    rules = [{"name": "blocked", "source": OTHER, "action": "drop"}, few]
    lab.rewrite(lab.config(firewall={"rules": rules}))
    lab.sluice.reload(r"is in force")
    after = hits(lab)
    expect(after["few"] >= served, f"few: {served} before the reload, {after['few']} after it")
    with contextlib.suppress(TimeoutError):
        connect(lab, timeout=0.5).close()
        expect(False, "the connection from before the reload does not count any more")
    expect_equal(get(lab, OTHER, 1), 28, "curl from the address that is now blocked")
    expect_in(b"200 OK", http_get(first), "answer on the connection from before")
    first.close()
    lab.rewrite(lab.config())
    lab.sluice.reload(r"is in force")
    expect_equal(get(lab, OTHER), 0, "curl without rules")
    expect_equal(list(hits(lab)), ["default"], "rules without rules")


@scenario(families=BOTH_FAMILIES)
def set_files(lab):
    """A bad line in a set's file refuses the reload with its place; the old set stays."""
    path = lab.path("blocked.txt")

    def write(*lines):
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")

    write("# blocked", f"{OTHER}  # the other one", DISTANT)
    start(lab, [{"name": "blocked", "source": "bad", "action": "drop"}],
          sets={"bad": {"file": path}})
    expect_equal(get(lab, OTHER, 1), 28, "curl from the blocked address")
    wrong = f"{distant(0)}/{HOST_BITS + 1}"
    write(DISTANT, wrong)
    lab.sluice.reload(re.escape(path) + r":2:\d+: .*" + re.escape(wrong))
    wait_until(lambda: "former configuration stays in force" in lab.sluice.process.log(),
               "the refusal")
    expect_equal(get(lab, OTHER, 1), 28, "curl from the blocked address after the refused reload")
    write(DISTANT)
    lab.sluice.reload(r"is in force")
    expect_equal(get(lab, OTHER), 0, "curl after it was taken from the file")


def numbered(n):
    """One of many prefixes that do not overlap."""
    return f"2001:{0xe00 + (n >> 16):x}:{n & 0xffff:x}::/48" if IPV6 \
        else f"{n >> 16}.{n >> 8 & 255}.{n & 255}.0/24"


@scenario(builds=(RELEASE,), timeout=120.0, families=BOTH_FAMILIES)
def ten_thousand_rules(lab):
    """Many rules and a large set: started with, reloaded, and asked in order."""
    many = [{"name": f"r{n}", "source": numbered(203 << 16 | n), "port": 1 + n % 60000,
             "action": "drop"} for n in range(10_000)]
    with open(lab.path("large.txt"), "w", encoding="ascii") as out:
        out.writelines(numbered(100 << 16 | n) + "\n" for n in range(0, 400_000, 2))
    more = {"sets": {"large": {"file": lab.path("large.txt")}}}
    last = [{"name": "large", "source": "large", "action": "drop"},
            {"name": "other", "source": OTHER, "action": "drop"}]
    start(lab, many + last, **more)
    expect_equal(get(lab), 0, "curl")
    expect_equal(get(lab, OTHER, 1), 28, "curl from the address of the last rule")
    for _ in range(2):
        mark = lab.sluice.process.log_mark()
        lab.sluice.reload(r"is in force")
        expect("error" not in lab.sluice.process.log(mark), "the reload was not in peace")
    expect(hits(lab)["other"] >= 1, "the last rule's hits are lost")
    expect_equal(get(lab), 0, "curl after the reloads")
