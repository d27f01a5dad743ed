"""A flood of SYNs from random sources: clients go on connecting, downloads go on, nothing stays."""

import os
import ssl
import sys
import threading

from lab.network import join
from lab.peers import digest, write_random
from lab.process import wait_until
from lab.scenario import ALONE, BOTH_FAMILIES, RELEASE, expect, expect_equal, scenario
from lab.topology import BITS, CLIENT, IPV6, OUTSIDE, distant

CONNECTIONS = 60
FLOOD = os.path.join(os.path.dirname(__file__), "..", "lab", "syn_flood.py")


def router_of(lab, flood):
    """The client routes for the flood's host, and loses what is answered to nobody."""
    join(lab.client, "flood", flood, "eth0")
    lab.client.add_address("flood", f"{distant(1)}/{BITS}")
    flood.add_address("eth0", f"{distant(2)}/{BITS}")
    flood.run("ip", "route", "add", "default", "via", distant(1))
    for setting in ("ip_forward=1", "conf.all.rp_filter=0", "conf.flood.rp_filter=0",
                    "conf.eth0.rp_filter=0"):
        lab.client.run("sysctl", "-qw", f"net.ipv4.{setting}")
    lab.client.run("ip", "route", "add", "blackhole", "default")


def attacker(lab):
    """Returns what starts the flood: hping3, or for IPv6, which it has not, a program of ours on the
    client's link, whose kernel is not asked for a way."""
    if IPV6:
        return lambda: lab.client.start(sys.executable, FLOOD, "eth0", lab.proxy_mac(), OUTSIDE, 443)
    flood = lab.namespace("flood")
    router_of(lab, flood)
    return lambda: flood.start("hping3", "-q", "-S", "-p", "443", "--rand-source", "--flood",
                               OUTSIDE)


def connect_all(lab):
    """New TLS connections, each with a request; returns how many succeeded."""
    good = 0
    context = lab.tls_context()
    for _ in range(CONNECTIONS):
        try:
            with lab.tls(context=context, timeout=10) as connection:
                connection.sendall(b"GET /small HTTP/1.1\r\nHost: shop.example\r\n"
                                   b"Connection: close\r\n\r\n")
                answer = b""
                while part := connection.recv(65536):
                    answer += part
                good += answer.endswith(b"small page\n")
        except (OSError, ssl.SSLError):
            pass
    return good


@scenario(builds=(RELEASE,), load=ALONE, timeout=180, families=BOTH_FAMILIES)
def clients_go_on(lab):
    lab.page("small", "small page\n")
    write_random(lab.path("www", "large"), 8 << 20)
    lab.nginx()
    config = lab.config(routes=[{"to": "default", "via": CLIENT}])
    config["listeners"]["https"]["backlog"] = 512
    config["tcp"] = {"synack-retries": 2, "time-wait": "5s"}
    flood = attacker(lab)
    lab.start(config)
    before = lab.level("buffers_used", "neighbours")

    download = threading.Thread(target=lab.curl, args=(
        "/large", "--limit-rate", "1M", "-o", lab.path("copy")), kwargs={"timeout": 60})
    download.start()
    wait_until(lambda: lab.sluice.counters()["sessions"] == 1, "the download to begin")
    attack = flood()
    wait_until(lambda: lab.sluice.counters()["tcp_cookies_sent"] > 1000, "the flood to arrive", 30)
    sent = lab.sluice.counters()["tcp_cookies_sent"]
    good = connect_all(lab)
    counters = lab.sluice.counters()
    attack.stop()
    expect(counters["tcp_cookies_sent"] > sent, "the flood ended too early")
    expect(good >= CONNECTIONS * 0.95,
           f"{good} of {CONNECTIONS} connections succeeded: {counters.drops()}")
    expect(counters["tcp_cookies_accepted"] > 0, "no client came by a cookie")
    download.join()
    expect_equal(digest(lab.path("copy")), digest(lab.path("www", "large")), "the download")
    lab.settled()
    wait_until(lambda: lab.level("connections_syn_received")["connections_syn_received"] == 0,
               "half-open connections to expire", 90, 0.5)
    lab.sluice.process.wait_for("SYN cookies are sent")
    lab.sluice.process.wait_for("no SYN cookies any more")
    after = lab.level("buffers_used", "neighbours")
    expect_equal(after["buffers_used"], before["buffers_used"], "buffers_used")
    expect(after["neighbours"] <= before["neighbours"] + 2, f"neighbours: {after['neighbours']}")


@scenario(families=BOTH_FAMILIES)
def asked_for_by_a_rule(lab):
    """A kernel's SYN carries timestamps: what its options said comes back in them."""
    lab.nginx()
    write_random(lab.path("www", "large"), 8 << 20)
    config = lab.config()
    config["firewall"] = {"rules": [
        {"action": "accept", "protocol": "tcp", "port": 443, "syn-cookies": True}]}
    lab.start(config)
    lab.curl("/large", "-o", lab.path("copy"))
    expect_equal(digest(lab.path("copy")), digest(lab.path("www", "large")), "the download")
    counters = lab.sluice.counters()
    expect_equal(counters["tcp_cookies_sent"], 1, "cookies sent")
    expect_equal(counters["tcp_cookies_accepted"], 1, "cookies accepted")
    lab.settled()
