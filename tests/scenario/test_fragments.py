"""Fragments of IP packets: put together, refused where they are not honest, bounded."""

import random
import socket

from lab.packets import Wire, ip_fragment
from lab.process import wait_until
from lab.relay import FragmentingDevice
from lab.scenario import BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, scenario
from lab.topology import (BACKENDS, BITS, CLIENT, IP_HEADER, IPV6, OUTSIDE, SOCKET_FAMILY, at,
                          http_get, outer)

KERNEL = outer(50)
BUFFERS = 1024


def cut_everything(lab):
    """All that the client sends goes out in fragments, the last one first."""
    lab.client.run("ip", "address", "flush", "dev", "eth0")
    device = FragmentingDevice(lab.client, "eth0", "cut0")
    lab.on_exit(device.close)
    lab.client.add_address(device.name, f"{CLIENT}/{BITS}")


def start(lab, **changes):
    lab.page("index.html", "x" * 100_000)
    lab.nginx()
    lab.start(lab.config(**changes))


def fetch(lab):
    with lab.tls() as connection:
        expect_equal(len(http_get(connection).partition(b"\r\n\r\n")[2]), 100_000, "page")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def tcp(lab):
    """TCP connections whose segments come in fragments, on whichever worker they are at home."""
    start(lab)
    cut_everything(lab)
    for _ in range(4):
        fetch(lab)
    server = lab.listen(port=8081)
    config = lab.config(backends={"web": {"servers": [at(BACKENDS[0], 8081)]}})
    lab.rewrite(config)
    lab.sluice.reload(r"is in force")
    data = random.Random(7).randbytes(200_000)
    with lab.tls() as connection:
        taken, _ = server.accept()
        connection.sendall(data)
        seen = b""
        while len(seen) < len(data):
            seen += taken.recv(65536)
        taken.close()
    expect(seen == data, "the bytes that came through are not those that were sent")
    counters = lab.sluice.counters()
    expect(counters["ip_reassembled"] > 100, f"reassembled: {counters['ip_reassembled']}")
    expect_equal(counters["drop_ip_fragment"], 0, "fragments dropped")
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def refused(lab):
    """With `fragments: drop`, none is taken."""
    start(lab, fragments="drop")
    fetch(lab)
    cut_everything(lab)
    try:
        with lab.tls(timeout=3):
            expect(False, "a handshake in fragments was taken")
    except (TimeoutError, socket.timeout):
        pass
    counters = lab.sluice.counters()
    expect(counters["drop_ip_fragment"] > 0, "no fragment was counted as dropped")
    expect_equal(counters["ip_reassembled"], 0, "packets reassembled")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def flood(lab):
    """Unfinished packets of many sources stay within their budget; who is honest is served."""
    start(lab)
    cut_everything(lab)
    wire = Wire(lab.client, "eth0")
    destination = lab.proxy_mac()
    source = random.Random(3)
    pool = lab.sluice.counters()["pool_outside_used"]
    for number in range(20_000):
        sender = ("2001:db8:51::{:x}:{:x}" if IPV6 else "198.51.{}.{}").format(
            source.randrange(256), source.randrange(1, 255))
        offset = source.choice([0, 3, 100, 8000])
        wire.send_ip(destination, ip_fragment(sender, OUTSIDE, bytes(64), source.choice([6, 17]),
                                              offset=offset, more=True))
        if number % 5000 == 0:
            fetch(lab)
    fetch(lab)
    counters = lab.sluice.counters()
    expect(counters["ip_reassembly_evicted"] > 1000, "no unfinished packet gave way")
    held = counters["pool_outside_used"] - pool
    expect(held <= BUFFERS + 2500, f"{held} buffers are held")


@scenario(families=BOTH_FAMILIES)
def overlaps(lab):
    """Overlapping and tiny fragments are dropped with what they are of."""
    start(lab)
    wire = Wire(lab.client, "eth0")
    destination = lab.proxy_mac()
    before = lab.sluice.counters()
    for first, second in (((0, 64), (4, 64)), ((8, 64), (0, 128)), ((0, 64), (0, 128))):
        for offset, length in (first, second):
            wire.send_ip(destination, ip_fragment(CLIENT, OUTSIDE, bytes(length), 17,
                                                  offset=offset, more=True,
                                                  identification=first[0] + second[1]))
    for offset, length in ((0, 16), (1, 64)):
        wire.send_ip(destination, ip_fragment(CLIENT, OUTSIDE, bytes(length), 6, offset=offset,
                                              more=True))
    wait_until(lambda: lab.sluice.counters()["drop_ip_fragment"]
               - before["drop_ip_fragment"] >= 8, "eight fragments to be dropped")
    expect_equal(lab.sluice.counters()["ip_reassembly_overlaps"], 3, "overlaps")
    fetch(lab)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def ports(lab):
    """The firewall knows the port of a datagram in fragments, of all of them."""
    lab.page("index.html", "x" * 100_000)
    lab.nginx()
    config = lab.config(firewall={"rules": [
        {"name": "no-dns", "protocol": "udp", "port": 5353, "action": "drop"}]})
    config["interfaces"]["outside"]["punt"] = {"tap": "sluice0"}
    lab.start(config)
    lab.proxy.add_address("sluice0", f"{KERNEL}/{BITS}")
    lab.proxy.link("sluice0", "up")
    with lab.proxy.enter():
        seen = socket.socket(SOCKET_FAMILY, socket.SOCK_RAW, socket.IPPROTO_UDP)
        server = socket.socket(SOCKET_FAMILY, socket.SOCK_DGRAM)
        server.bind((KERNEL, 5354))
    server.settimeout(10)
    with lab.client.enter(), socket.socket(SOCKET_FAMILY, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"d" * 5000, (KERNEL, 5353))
        udp.sendto(b"a" * 5000, (KERNEL, 5354))
    expect_equal(server.recv(65536), b"a" * 5000, "the datagram that is let through")
    seen.settimeout(1)
    # A raw socket gets the IPv4 header as well, but not the one of IPv6 (RFC 3542).
    expect_equal(len(seen.recv(65536)), (0 if IPV6 else IP_HEADER) + 8 + 5000, "datagrams that the kernel saw")
    try:
        seen.recv(65536)
        expect(False, "the kernel saw the datagram that a rule drops")
    except (TimeoutError, socket.timeout):
        pass
    lab.client.run("ping", "-c", "1", "-W", "5", OUTSIDE)
    fetch(lab)
