"""Frames that no honest stack sends: dropped, counted by cause, and nobody else notices."""

import random
import struct

from lab.packets import (ACK, ETH_ARP, FIN, RST, SYN, Wire, arp, ethernet, icmp, ipv4, mac_bytes,
                         stations, tcp)
from lab.process import wait_until
from lab.scenario import ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in, scenario
from lab.topology import CLIENT, OUTSIDE, http_get

# An address of the client's network that nobody's kernel owns.
GHOST = "192.0.2.77"
# One that is not the daemon's.
NOT_OURS = "192.0.2.55"
MORE_FRAGMENTS = 0x2000


def start(lab, config=None):
    lab.page("index.html", "x")
    lab.nginx()
    lab.start(config)
    serving(lab)


def serving(lab):
    with lab.tls() as connection:
        expect_in(b"200 OK", http_get(connection), "answer")


def syn(source=GHOST, destination=OUTSIDE, flags=SYN, **fields):
    return tcp(source, destination, 40000, 443, flags, **fields)


def packet(segment=None, source=GHOST, destination=OUTSIDE, **fields):
    return ipv4(source, destination, syn() if segment is None else segment, **fields)


# Each counter with the IPv4 packets that it must count.
BAD_PACKETS = {
    "drop_truncated": [packet()[:19], packet()[:1], packet(header_words=15)],
    "drop_ip_version": [packet(version=6), packet(version=0)],
    "drop_ip_header": [packet(header_words=4), packet(header_words=0)],
    "drop_ip_length": [packet(length=4000), packet(length=10), packet(length=65535),
                       packet()[:39]],
    "drop_ip_checksum": [packet(bad_checksum=True)],
    "drop_ip_fragment": [packet(fragment=MORE_FRAGMENTS), packet(fragment=1)],
    "drop_ip_martian": [packet(source=s, segment=syn(source=s))
                        for s in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                                  "240.0.0.1")],
    "drop_ip_spoofed": [packet(source=OUTSIDE, segment=syn(source=OUTSIDE)),
                        packet(source="10.0.0.1", segment=syn(source="10.0.0.1"))],
    "drop_ip_destination": [packet(destination=NOT_OURS, segment=syn(destination=NOT_OURS))],
    "drop_ip_protocol": [packet(protocol=17), packet(protocol=132)],
    "drop_icmp_invalid": [packet(protocol=1, segment=icmp(8, 0, bytes(8), bad_checksum=True)),
                          packet(protocol=1, segment=b"\x08\x00")],
    "drop_icmp_unmatched": [packet(protocol=1, segment=icmp(
        3, 4, struct.pack("!HH", 0, 576)
        + ipv4(OUTSIDE, GHOST, tcp(OUTSIDE, GHOST, 443, 9, ACK))))],
    "drop_tcp_header": [packet(syn(data_words=4)), packet(syn(data_words=15))],
    "drop_tcp_checksum": [packet(syn(bad_checksum=True))],
    "drop_tcp_option": [packet(syn(options=b"\x22\x00\x00\x00")),
                        packet(syn(options=b"\x02\x01\x05\xb4")),
                        packet(syn(options=b"\x01\x01\x08\x0a")),
                        packet(syn(options=b"\x03\x00\x00\x00"))],
    "drop_tcp_flags": [packet(syn(flags=SYN | FIN)), packet(syn(flags=SYN | RST)),
                       packet(syn(flags=0)), packet(syn(flags=FIN | SYN | ACK | RST))],
    "drop_tcp_no_port": [packet(tcp(GHOST, OUTSIDE, 40000, 81, SYN))],
    "drop_tcp_no_connection": [packet(syn(flags=ACK, acknowledgement=7))],
}


def counted(lab, before, name, count):
    def seen():
        return lab.sluice.counters()[name] - before[name] >= count

    def instead():
        return f"{name} to count {count}; counted were {lab.sluice.counters().since(before)}"

    wait_until(seen, instead, 5)


@scenario()
def malformed_packets(lab):
    """Each kind of malformed packet is dropped under its own cause."""
    start(lab)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    with stations(lab.client, "eth0", GHOST):
        for name, packets in BAD_PACKETS.items():
            before = lab.sluice.counters()
            for bad in packets:
                # A frame is at least 60 bytes on a real wire, but not on this one: no padding.
                wire.send_ipv4(destination, bad)
            counted(lab, before, name, len(packets))
    serving(lab)


@scenario()
def malformed_frames(lab):
    """Frames for others, of other kinds, tagged, or with broken ARP are dropped and counted."""
    start(lab)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    ghost_arp = arp(1, wire.mac, GHOST, "00:00:00:00:00:00", OUTSIDE)
    frames = {
        "drop_ethernet_type": ethernet(destination, wire.mac, 0x88CC, bytes(46)),
        "drop_ethernet_address": ethernet("02:00:00:00:00:99", wire.mac, 0x0800, packet()),
        "drop_vlan": ethernet(destination, wire.mac, 0x8100, b"\0\x05\x08\0" + packet()),
        "drop_arp_invalid": ethernet(destination, wire.mac, ETH_ARP, b"\0\x07" + ghost_arp[2:]),
        "drop_truncated": mac_bytes(destination) + mac_bytes(wire.mac) + b"\x08\0",
    }
    for name, frame in frames.items():
        before = lab.sluice.counters()
        wire.send(frame)
        counted(lab, before, name, 1)
    serving(lab)


@scenario()
def data_on_syn(lab):
    """Data on a SYN opens no session and is not delivered."""
    start(lab)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    before = lab.sluice.counters()
    with stations(lab.client, "eth0", GHOST):
        for _ in range(10):
            wire.send_ipv4(destination, packet(syn(payload=b"GET / HTTP/1.0\r\n\r\n")))
        wait_until(lambda: lab.sluice.counters()["rx_packets"] - before["rx_packets"] >= 10,
                   "the segments to arrive")
    expect_equal(lab.sluice.counters()["sessions_opened"], before["sessions_opened"],
                 "sessions_opened")
    serving(lab)


@scenario(workers=ONE_AND_TWO_WORKERS)
def random_frames(lab):
    """Frames with random damage, and random bytes, hurt nobody (the seed is printed)."""
    start(lab)
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    source = random.Random(seed)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    good = ethernet(destination, wire.mac, 0x0800, packet(syn(options=bytes.fromhex(
        "020405b40402080a0000000100000000"), payload=b"x" * 20)))
    with stations(lab.client, "eth0", GHOST):
        for _ in range(4000):
            frame = bytearray(good)
            for _ in range(source.randint(1, 4)):
                frame[source.randrange(12, len(frame))] = source.randrange(256)
            wire.send(frame[:source.randint(14, len(frame))])
        for _ in range(1000):
            wire.send(mac_bytes(destination) + source.randbytes(source.randint(8, 1400)))
    serving(lab)
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS)
def syn_flood(lab):
    """A flood of SYNs from made-up addresses stays within its pools; honest clients are served."""
    start(lab, lab.config(limits={"connections": 8192}))
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    resident = lab.sluice.process.resident_bytes()
    count = lab.scale(50_000, 10_000)
    for number in range(count):
        source = f"192.0.2.{128 + number % 100}"
        wire.send_ipv4(destination, ipv4(source, OUTSIDE, tcp(
            source, OUTSIDE, 1024 + number // 100, 443, SYN, sequence=number)))
        if number % (count // 5) == 0:
            serving(lab)
    counters = lab.sluice.counters()
    expect(counters["connections_used"] <= counters["connections_max"], "the pool was exceeded")
    growth = lab.sluice.process.resident_bytes() - resident
    print(f"growth of resident memory: {growth} bytes, drops: {counters.drops()}")
    expect(lab.sanitized or growth < 16 << 20, f"resident memory grew by {growth} bytes")
    serving(lab)


@scenario()
def blind_reset(lab):
    """RSTs and SYNs that guess at a connection do not end it (RFC 5961)."""
    listener = lab.listen()
    lab.start()
    client = lab.tls()
    server, _ = listener.accept()
    port = client.getsockname()[1]
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    before = lab.sluice.counters()
    for number in range(200):
        guess = number * 0x01234567 & 0xFFFFFFFF
        for flags in (RST, SYN, RST | ACK):
            wire.send_ipv4(destination, ipv4(CLIENT, OUTSIDE, tcp(
                CLIENT, OUTSIDE, port, 443, flags, sequence=guess)))
    wait_until(lambda: lab.sluice.counters()["rx_packets"] - before["rx_packets"] >= 600,
               "the forged segments to arrive")
    client.sendall(b"still here")
    expect_equal(server.recv(100), b"still here", "bytes after the forgeries")
    client.close()
    server.close()
    lab.settled()


@scenario()
def arp_flood(lab):
    """ARP from thousands of stations does not push out the neighbours in use."""
    start(lab)
    wire = Wire(lab.client, "eth0")
    for number in range(20_000):
        sender = f"192.0.2.{number % 254 + 1}"
        if sender not in (CLIENT, OUTSIDE):
            mac = "02:00:00:00:" + ":".join(f"{b:02x}" for b in struct.pack("!H", number))
            wire.send(ethernet("ff:ff:ff:ff:ff:ff", mac, ETH_ARP,
                               arp(1, mac, sender, "00:00:00:00:00:00", OUTSIDE)))
        if number % 4000 == 0:
            serving(lab)
    serving(lab)
