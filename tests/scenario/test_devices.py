"""Ports: AF_XDP, AF_PACKET, TAP; ARP, ping, and a cable that is pulled."""

import re

from lab.process import wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import (BITS, CLIENT, HOST_BITS, IP_HEADER, OUTSIDE, distant, http_get, outer)


def serving(lab):
    with lab.tls() as connection:
        expect_in(b"200 OK", http_get(connection), "answer")


def with_devices(lab, outside, inside):
    config = lab.config()
    config["interfaces"]["outside"]["device"] = outside
    config["interfaces"]["inside"]["device"] = inside
    return config


def start(lab, config=None):
    lab.page("index.html", "x" * 200_000)
    lab.nginx()
    lab.start(config)


@scenario(families=BOTH_FAMILIES)
def kernel_device_by_af_xdp(lab):
    """A kernel interface is driven through AF_XDP, and the log says so."""
    start(lab)
    serving(lab)
    expect_in("af_xdp", lab.sluice.process.log(), "log")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def af_packet(lab):
    """The same through AF_PACKET."""
    start(lab, with_devices(lab, {"af-packet": "outside"}, {"af-packet": "inside"}))
    for _ in range(5):
        serving(lab)
    expect(re.search(r"af_packet", lab.sluice.process.log()), "the log does not name the driver")
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def af_xdp_refused(lab):
    """Where the kernel refuses XDP, AF_PACKET takes its place and the log says why."""
    lab.page("index.html", "x")
    lab.nginx()
    without = "-bpf,-sys_admin"
    lab.start(wrapper=("setpriv", f"--bounding-set={without}", f"--inh-caps={without}"))
    for _ in range(5):
        serving(lab)
    log = lab.sluice.process.log()
    expect(re.search(r" warn .*outside.*AF_XDP", log), f"no warning about AF_XDP:\n{log}")
    expect(re.search(r"outside through net_af_packet", log), f"not through AF_PACKET:\n{log}")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def tap(lab):
    """A TAP device: the client is the kernel on its other side."""
    start(lab, with_devices(lab, {"tap": "tap0"}, {"kernel": "inside"}))
    lab.proxy.add_address("tap0", f"{outer(200)}/{BITS}")
    lab.proxy.link("tap0", "up")
    result = lab.proxy.run("curl", "-sS", "--max-time", "10", "--cacert", lab.authority.certificate,
                           "--resolve", "shop.example:443:" + OUTSIDE, "-o", "/dev/null",
                           "-w", "%{http_code} %{size_download}", "https://shop.example/index.html")
    expect_equal(result.stdout, "200 200000", "status and size")
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def vdev(lab):
    """Any virtual device of DPDK's, by its own arguments."""
    start(lab, with_devices(lab, {"vdev": "net_af_packet0,iface=outside"}, {"kernel": "inside"}))
    serving(lab)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def ping(lab):
    """The appliance answers for its address and ICMP echo, also of many sizes."""
    start(lab)
    for size in (0, 56, 1000, 1500 - IP_HEADER - 8):
        result = lab.client.run("ping", "-c", "3", "-i", "0.05", "-W", "2", "-s", size, "-M", "do",
                                OUTSIDE)
        expect_in("3 received", result.stdout, f"ping with {size} bytes")
    neighbours = lab.client.run("ip", "neigh", "show", OUTSIDE).stdout
    expect_in(lab.proxy_mac(), neighbours, "the client's neighbour table")
    expect_equal(lab.sluice.counters()["icmp_echo_replies_sent"], 12, "icmp_echo_replies_sent")


@scenario(families=BOTH_FAMILIES)
def neighbour_moves(lab):
    """A peer that comes back with another MAC address is found again."""
    start(lab)
    serving(lab)
    lab.client.link("eth0", "down")
    lab.client.run("ip", "link", "set", "eth0", "address", "02:00:00:00:12:34")
    lab.client.link("eth0", "up")
    lab.client.run("ping", "-c", "1", "-W", "5", OUTSIDE, check=False)
    serving(lab)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def link_down_and_up(lab):
    """A cable that is out for a while costs retransmissions, not the connection."""
    listener = lab.listen()
    lab.start()
    client = lab.tls(timeout=30)
    server, _ = listener.accept()
    # Attaching XDP may take the carrier away for a moment.
    down = re.compile(r"link is down(?!.*link is up)", re.DOTALL)
    wait_until(lambda: not down.search(lab.sluice.process.log()), "links that are up")
    for namespace, device in ((lab.client, "eth0"), (lab.backend, "eth0")):
        mark = lab.sluice.process.log_mark()
        namespace.link(device, "down")
        lab.sluice.process.wait_for(r"(?i)link.*down", since=mark)
        server.sendall(b"sent while the cable was out")
        mark = lab.sluice.process.log_mark()
        namespace.link(device, "up")
        lab.sluice.process.wait_for(r"(?i)link.*up", since=mark)
        expect_equal(client.recv(100), b"sent while the cable was out", "bytes")
    client.close()
    server.close()
    wait_until(lambda: lab.sluice.counters()["sessions"] == 0, "the session to end")


@scenario(families=BOTH_FAMILIES)
def unknown_client_subnet(lab):
    """Clients of another network are answered by way of the gateway."""
    lab.client.add_address("lo", f"{distant(7)}/{HOST_BITS}")
    config = lab.config(routes=[{"to": "default", "via": CLIENT}])
    start(lab, config)
    result = lab.client.run("curl", "-sS", "--interface", distant(7), "--max-time", "10",
                            "--cacert", lab.authority.certificate, "-o", "/dev/null", "-w",
                            "%{http_code}", "https://shop.example/index.html")
    expect_equal(result.stdout, "200", "status")
