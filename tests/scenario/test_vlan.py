"""Interfaces of several VLANs on one device."""

import socket
import threading

from lab.packets import ETH_IPV4, ETH_IPV6, SYN, Wire, ethernet, ip, tcp, who_has
from lab.process import wait_until
from lab.relay import VlanDevice
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import (BACKENDS, BITS, CLIENT, ICMP, INSIDE, IPV6, OUTSIDE, SOCKET_FAMILY, foreign,
                          http_get, inner, read_all)

CLIENT_VLAN, SERVER_VLAN = 10, 20
TAP = "sluice0"
KERNEL = inner(2)
PLAIN, NEIGHBOUR = foreign(10), foreign(100)  # untagged: the daemon, and its client


def trunk(lab):
    """The backend's addresses move to a VLAN of the client's link: one device carries both, and
    untagged frames beside them."""
    lab.client.run("ip", "address", "flush", "dev", "eth0")
    for vlan, addresses in ((CLIENT_VLAN, [CLIENT]), (SERVER_VLAN, BACKENDS)):
        device = VlanDevice(lab.client, "eth0", vlan)
        lab.on_exit(device.close)
        for address in addresses:
            lab.client.add_address(device.name, f"{address}/{BITS}")
    lab.client.add_address("eth0", f"{NEIGHBOUR}/{BITS}")
    lab.backend = lab.client


def config_of(lab, kind, **changes):
    config = lab.config(**changes)
    device = {kind: "outside"}
    config["interfaces"] = {
        "clients": {"device": device, "vlan": CLIENT_VLAN, "addresses": [f"{OUTSIDE}/{BITS}"]},
        "servers": {"device": device, "vlan": SERVER_VLAN, "addresses": [f"{INSIDE}/{BITS}"]},
        "plain": {"device": device, "addresses": [f"{PLAIN}/{BITS}"]},
    }
    return config


def start(lab, kind, **changes):
    trunk(lab)
    lab.page("index.html", "x" * 300_000)
    lab.nginx()
    lab.start(config_of(lab, kind, **changes))


def fetch(lab, times=4):
    for _ in range(times):
        with lab.tls() as connection:
            expect_equal(len(http_get(connection).partition(b"\r\n\r\n")[2]), 300_000, "page")


def check(lab):
    fetch(lab)
    lab.client.run("ping", "-c", "2", "-i", "0.2", "-W", "5", PLAIN)
    lab.client.run("ping", "-c", "2", "-i", "0.2", "-W", "5", INSIDE)
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def af_xdp(lab):
    """Clients and servers on two VLANs of one device through AF_XDP, and an untagged network."""
    start(lab, "kernel")
    expect_in("through net_af_xdp", lab.sluice.process.log(), "log")
    check(lab)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def af_packet(lab):
    """The same through AF_PACKET."""
    start(lab, "af-packet")
    check(lab)


@scenario(families=BOTH_FAMILIES)
def tap(lab):
    """The same through a TAP whose other end is the clients' kernel."""
    lab.page("index.html", "x" * 300_000)
    config = config_of(lab, "tap")
    for interface in config["interfaces"].values():
        interface["device"] = {"tap": "eth0"}
    lab.start(config)
    lab.client, lab.backend = lab.proxy, lab.proxy
    lab.client.link("eth0", "up")
    lab.client.add_host(OUTSIDE, "shop.example", "legacy.example")
    trunk(lab)
    lab.nginx()
    check(lab)


@scenario(families=BOTH_FAMILIES)
def strangers(lab):
    """Frames of VLANs that no interface has, and of one interface's VLAN for another one's address,
    are dropped; a tag of VLAN 0 is none."""
    start(lab, "af-packet")
    fetch(lab, 1)
    wire = Wire(lab.client, "eth0")
    destination = lab.proxy_mac()
    segment = ip(CLIENT, OUTSIDE, tcp(CLIENT, OUTSIDE, 40000, 443, SYN))

    def send(vlan, name, payload=segment):
        before = lab.sluice.counters()[name]
        wire.send(ethernet(destination, wire.mac, 0x8100,
                           vlan.to_bytes(2, "big") + (ETH_IPV6 if IPV6 else ETH_IPV4).to_bytes(2, "big")
                           + payload))
        wait_until(lambda: lab.sluice.counters()[name] == before + 1, f"{name} to count")

    send(30, "drop_vlan")
    send(4095, "drop_vlan")
    send(SERVER_VLAN, "drop_ip_destination")
    send(0, "drop_ip_destination")
    question = who_has(wire.mac, NEIGHBOUR, PLAIN)
    answers = "nd_advertisements_sent" if IPV6 else "arp_replies_sent"
    before = lab.sluice.counters()[answers]
    wire.send(question[:12] + b"\x81\x00\x60\x00" + question[12:])  # VLAN 0, priority 3
    wait_until(lambda: lab.sluice.counters()[answers] == before + 1, "an answer")
    fetch(lab, 1)


@scenario(families=BOTH_FAMILIES)
def firewall(lab):
    """A rule's `interface` means one VLAN of a device, not the others."""
    start(lab, "kernel", firewall={"rules": [
        {"name": "no-ping", "interface": ["clients"], "protocol": ICMP, "action": "drop"}]})
    fetch(lab, 1)
    lab.client.run("ping", "-c", "1", "-W", "5", INSIDE)
    blocked = lab.client.run("ping", "-c", "1", "-W", "1", OUTSIDE, check=False)
    expect(blocked.returncode != 0, "a ping passed that the rule of the VLAN drops")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def punt(lab):
    """The kernel behind an interface of one VLAN sees that VLAN's frames, untagged."""
    trunk(lab)
    lab.page("index.html", "x" * 300_000)
    lab.nginx()
    config = config_of(lab, "kernel")
    config["interfaces"]["servers"]["punt"] = {"tap": TAP}
    lab.start(config)
    lab.proxy.add_address(TAP, f"{KERNEL}/{BITS}")
    lab.proxy.link(TAP, "up")
    with lab.proxy.enter():
        server = socket.create_server((KERNEL, 22), family=SOCKET_FAMILY)

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.sendall(read_all(connection))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with lab.client.enter():
        connection = socket.create_connection((KERNEL, 22), 10)
    with connection:
        connection.sendall(b"k" * 20_000)
        connection.shutdown(socket.SHUT_WR)
        expect_equal(read_all(connection), b"k" * 20_000, "what the kernel sent back")
    thread.join(10)
    server.close()
    fetch(lab)
