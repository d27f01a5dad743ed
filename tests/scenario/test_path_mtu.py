"""Clients behind a router whose link takes less than 1,500 bytes."""

from lab.network import join
from lab.peers import curl, digest, write_random
from lab.scenario import BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, scenario
from lab.topology import BITS, CLIENT, FAMILY, IPV6, OUTSIDE, distant, network_of

PATH_MTU = 1280
FORWARDING = "net.ipv6.conf.all.forwarding=1" if IPV6 else "net.ipv4.ip_forward=1"


def far_client(lab):
    """A host behind the client, which routes for it over a path of PATH_MTU bytes that neither end
    knows of."""
    far = lab.namespace("far")
    join(lab.client, "far", far, "eth0")
    lab.client.add_address("far", f"{distant(1)}/{BITS}")
    far.add_address("eth0", f"{distant(2)}/{BITS}")
    far.add_host(OUTSIDE, "shop.example")
    far.run("ip", f"-{FAMILY}", "route", "add", "default", "via", distant(1))
    lab.client.run("sysctl", "-qw", FORWARDING)
    lab.client.run("ip", f"-{FAMILY}", "route", "del", network_of(distant(0)), "dev", "far")
    lab.client.run("ip", f"-{FAMILY}", "route", "add", network_of(distant(0)), "dev", "far", "mtu", "lock",
                   str(PATH_MTU))
    return far


def download(lab, far):
    curl(far, "https://shop.example/large", "--cacert", lab.authority.certificate,
         "-o", lab.path("copy"))
    expect_equal(digest(lab.path("copy")), digest(lab.path("www", "large")), "the download")


def start(lab):
    write_random(lab.path("www", "large"), 4 << 20)
    lab.nginx()
    far = far_client(lab)
    lab.start(lab.config(routes=[{"to": "default", "via": CLIENT}]))
    return far


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def told(lab):
    """The router says what it takes; the connections that follow know already."""
    far = start(lab)
    download(lab, far)
    expect(lab.sluice.counters()["pmtu_lowered"] > 0, "no path MTU was learned")
    for _ in range(3):
        download(lab, far)
    workers = len(lab.workers)
    expect(lab.sluice.counters()["pmtu_lowered"] <= workers, "a worker was told again")
    lab.settled()


@scenario(timeout=90, families=BOTH_FAMILIES)
def filtered(lab):
    """The router's word is filtered: that nothing large passes is found out from the losses."""
    far = start(lab)
    lab.client.run("ip", f"-{FAMILY}", "rule", "add", "pref", "10", "iif", "lo", "ipproto",
                   "ipv6-icmp" if IPV6 else "icmp", "blackhole")
    download(lab, far)
    counters = lab.sluice.counters()
    expect_equal(counters["pmtu_lowered"], 0, "the filter let ICMP pass: pmtu_lowered")
    expect(counters["mtu_black_holes"] > 0, "no black hole was found")
    lab.settled()
