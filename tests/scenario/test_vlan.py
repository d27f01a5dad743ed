"""Interfaces of several VLANs on one device."""

import socket
import threading

from lab.packets import ETH_ARP, SYN, Wire, arp, ethernet, ipv4, tcp
from lab.process import wait_until
from lab.relay import VlanDevice
from lab.scenario import ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in, scenario
from lab.topology import BACKENDS, CLIENT, OUTSIDE, http_get, read_all

CLIENT_VLAN, SERVER_VLAN = 10, 20
TAP = "sluice0"
KERNEL = "10.0.0.2"


def trunk(lab):
    """The backend's addresses move to a VLAN of the client's link: one device carries both, and
    untagged frames beside them."""
    lab.client.run("ip", "address", "flush", "dev", "eth0")
    for vlan, addresses in ((CLIENT_VLAN, [CLIENT]), (SERVER_VLAN, BACKENDS)):
        device = VlanDevice(lab.client, "eth0", vlan)
        lab.on_exit(device.close)
        for address in addresses:
            lab.client.add_address(device.name, f"{address}/24")
    lab.client.add_address("eth0", "203.0.113.100/24")
    lab.backend = lab.client


def config_of(lab, kind, **changes):
    config = lab.config(**changes)
    device = {kind: "outside"}
    config["interfaces"] = {
        "clients": {"device": device, "vlan": CLIENT_VLAN, "addresses": [f"{OUTSIDE}/24"]},
        "servers": {"device": device, "vlan": SERVER_VLAN, "addresses": ["10.0.0.1/24"]},
        "plain": {"device": device, "addresses": ["203.0.113.10/24"]},
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
    lab.client.run("ping", "-c", "2", "-i", "0.2", "-W", "5", "203.0.113.10")
    lab.client.run("ping", "-c", "2", "-i", "0.2", "-W", "5", "10.0.0.1")
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS)
def af_xdp(lab):
    """Clients and servers on two VLANs of one device through AF_XDP, and an untagged network."""
    start(lab, "kernel")
    expect_in("through net_af_xdp", lab.sluice.process.log(), "log")
    check(lab)


@scenario(workers=ONE_AND_TWO_WORKERS)
def af_packet(lab):
    """The same through AF_PACKET."""
    start(lab, "af-packet")
    check(lab)


@scenario()
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


@scenario()
def strangers(lab):
    """Frames of VLANs that no interface has, and of one interface's VLAN for another one's address,
    are dropped; a tag of VLAN 0 is none."""
    start(lab, "af-packet")
    fetch(lab, 1)
    wire = Wire(lab.client, "eth0")
    destination = lab.proxy_mac()
    segment = ipv4(CLIENT, OUTSIDE, tcp(CLIENT, OUTSIDE, 40000, 443, SYN))

    def send(vlan, name, payload=segment):
        before = lab.sluice.counters()[name]
        wire.send(ethernet(destination, wire.mac, 0x8100,
                           vlan.to_bytes(2, "big") + b"\x08\x00" + payload))
        wait_until(lambda: lab.sluice.counters()[name] == before + 1, f"{name} to count")

    send(30, "drop_vlan")
    send(4095, "drop_vlan")
    send(SERVER_VLAN, "drop_ip_destination")
    send(0, "drop_ip_destination")
    request = arp(1, wire.mac, "203.0.113.100", "00:00:00:00:00:00", "203.0.113.10")
    before = lab.sluice.counters()["arp_replies_sent"]
    wire.send(ethernet("ff:ff:ff:ff:ff:ff", wire.mac, 0x8100,
                       b"\x60\x00" + ETH_ARP.to_bytes(2, "big") + request))
    wait_until(lambda: lab.sluice.counters()["arp_replies_sent"] == before + 1, "an ARP reply")
    fetch(lab, 1)


@scenario()
def firewall(lab):
    """A rule's `interface` means one VLAN of a device, not the others."""
    start(lab, "kernel", firewall={"rules": [
        {"name": "no-ping", "interface": ["clients"], "protocol": "icmp", "action": "drop"}]})
    fetch(lab, 1)
    lab.client.run("ping", "-c", "1", "-W", "5", "10.0.0.1")
    blocked = lab.client.run("ping", "-c", "1", "-W", "1", OUTSIDE, check=False)
    expect(blocked.returncode != 0, "a ping passed that the rule of the VLAN drops")


@scenario(workers=ONE_AND_TWO_WORKERS)
def punt(lab):
    """The kernel behind an interface of one VLAN sees that VLAN's frames, untagged."""
    trunk(lab)
    lab.page("index.html", "x" * 300_000)
    lab.nginx()
    config = config_of(lab, "kernel")
    config["interfaces"]["servers"]["punt"] = {"tap": TAP}
    lab.start(config)
    lab.proxy.run("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
    lab.proxy.link(TAP, "up")
    with lab.proxy.enter():
        server = socket.create_server((KERNEL, 22))

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
