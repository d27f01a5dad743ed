"""Frames that no honest stack sends: dropped, counted by cause, and nobody else notices."""

import random
import struct

from lab.packets import (ACK, ETH_ARP, ETH_IPV4, ETH_IPV6, FIN, RST, SYN, Wire, arp, ethernet, icmp,
                         icmp6, ip, ip_fragment, ipv4, ipv6, mac_bytes, station, tcp, who_has)
from lab.process import wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import CLIENT, INSIDE, IPV6, OUTSIDE, http_get, outer

# An address of the client's network that nobody's kernel owns.
GHOST = outer(77)
# One that is not the daemon's.
NOT_OURS = outer(55)
ETH_IP = ETH_IPV6 if IPV6 else ETH_IPV4


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


def packet(segment=None, source=GHOST, destination=OUTSIDE, protocol=6, **fields):
    """A packet of the scenario's family; `fields` are of ipv4() or ipv6()."""
    return (ipv6 if IPV6 else ipv4)(source, destination, syn() if segment is None else segment,
                                    protocol, **fields)


def from_source(source):
    return packet(syn(source), source)


def fragment(offset, length, more):
    return ip_fragment(GHOST, OUTSIDE, bytes(length), 6, offset=offset, more=more)


def bad_ipv4():
    """Each counter with the packets that it must count, where that is the family's own."""
    return {
        "drop_truncated": [packet()[:19], packet()[:1], packet(header_words=15)],
        "drop_ip_version": [packet(version=6), packet(version=0)],
        "drop_ip_header": [packet(header_words=4), packet(header_words=0)],
        "drop_ip_length": [packet(length=4000), packet(length=10), packet(length=65535),
                           packet()[:39]],
        "drop_ip_checksum": [packet(bad_checksum=True)],
        "drop_ip_fragment": [fragment(0, 20, True), fragment(1, 20, False)],
        "drop_ip_martian": [from_source(s) for s in (
            "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1")],
        "drop_icmp_invalid": [packet(icmp(8, 0, bytes(8), bad_checksum=True), protocol=1),
                              packet(b"\x08\x00", protocol=1)],
        "drop_icmp_unmatched": [packet(icmp(
            3, 4, struct.pack("!HH", 0, 576)
            + ipv4(OUTSIDE, GHOST, tcp(OUTSIDE, GHOST, 443, 9, ACK))), protocol=1)],
    }


def bad_ipv6():
    """The same of IPv6."""
    return {
        "drop_truncated": [packet()[:39], packet()[:1]],
        "drop_ip_version": [packet(version=4), packet(version=0)],
        "drop_ip_length": [packet(length=4000), packet(length=65535), packet()[:59]],
        "drop_ip_fragment": [fragment(0, 16, True), fragment(1, 20, False)],
        "drop_ip_martian": [from_source(s) for s in (
            "::1", "::", "ff02::1", "::ffff:192.0.2.77")],
        "drop_icmp_invalid": [
            packet(icmp6(GHOST, OUTSIDE, b"\x80" + bytes(15), bad_checksum=True), protocol=58),
            packet(b"\x80\x00", protocol=58)],
        "drop_icmp_unmatched": [packet(icmp6(
            GHOST, OUTSIDE, struct.pack("!BBHI", 2, 0, 0, 1280)
            + ipv6(OUTSIDE, GHOST, tcp(OUTSIDE, GHOST, 443, 9, ACK))), protocol=58)],
    }


BAD_PACKETS = {
    **(bad_ipv6() if IPV6 else bad_ipv4()),
    "drop_ip_spoofed": [from_source(OUTSIDE), from_source(INSIDE)],
    "drop_ip_destination": [packet(destination=NOT_OURS, segment=syn(destination=NOT_OURS))],
    "drop_ip_protocol": [packet(protocol=17), packet(protocol=132)],
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


@scenario(families=BOTH_FAMILIES)
def malformed_packets(lab):
    """Each kind of malformed packet is dropped under its own cause."""
    start(lab)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    with station(lab.client, "eth0", GHOST):
        for name, packets in BAD_PACKETS.items():
            before = lab.sluice.counters()
            for bad in packets:
                # A frame is at least 60 bytes on a real wire, but not on this one: no padding.
                wire.send_ip(destination, bad, ETH_IP)
            counted(lab, before, name, len(packets))
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def malformed_frames(lab):
    """Frames for others, of other kinds, tagged, or with broken questions for a neighbour are dropped
    and counted."""
    start(lab)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    frames = {
        "drop_ethernet_type": ethernet(destination, wire.mac, 0x88CC, bytes(46)),
        "drop_ethernet_address": ethernet("02:00:00:00:00:99", wire.mac, ETH_IP, packet()),
        "drop_vlan": ethernet(destination, wire.mac, 0x8100,
                              b"\0\x05" + ETH_IP.to_bytes(2, "big") + packet()),
        "drop_truncated": mac_bytes(destination) + mac_bytes(wire.mac) + ETH_IP.to_bytes(2, "big"),
    }
    if IPV6:
        through_router = bytearray(who_has(wire.mac, GHOST, OUTSIDE))
        through_router[21] = 254  # the hop limit
        frames["drop_nd_invalid"] = bytes(through_router)
    else:
        frames["drop_arp_invalid"] = ethernet(destination, wire.mac, ETH_ARP, b"\0\x07" + arp(
            1, wire.mac, GHOST, "00:00:00:00:00:00", OUTSIDE)[2:])
    for name, frame in frames.items():
        before = lab.sluice.counters()
        wire.send(frame)
        counted(lab, before, name, 1)
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def data_on_syn(lab):
    """Data on a SYN opens no session and is not delivered."""
    start(lab)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    before = lab.sluice.counters()
    with station(lab.client, "eth0", GHOST):
        for _ in range(10):
            wire.send_ip(destination, packet(syn(payload=b"GET / HTTP/1.0\r\n\r\n")))
        wait_until(lambda: lab.sluice.counters()["tcp_segments_received"]
                   - before["tcp_segments_received"] >= 10,
                   "the segments to arrive")
    expect_equal(lab.sluice.counters()["sessions_opened"], before["sessions_opened"],
                 "sessions_opened")
    serving(lab)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def random_frames(lab):
    """Frames with random damage, and random bytes, hurt nobody (the seed is printed)."""
    start(lab)
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    source = random.Random(seed)
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    good = ethernet(destination, wire.mac, ETH_IP, packet(syn(options=bytes.fromhex(
        "020405b40402080a0000000100000000"), payload=b"x" * 20)))
    with station(lab.client, "eth0", GHOST):
        for _ in range(4000):
            frame = bytearray(good)
            for _ in range(source.randint(1, 4)):
                frame[source.randrange(12, len(frame))] = source.randrange(256)
            wire.send(frame[:source.randint(14, len(frame))])
        for _ in range(1000):
            wire.send(mac_bytes(destination) + source.randbytes(source.randint(8, 1400)))
    serving(lab)
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def syn_flood(lab):
    """A flood of SYNs from made-up addresses stays within its pools; honest clients are served."""
    start(lab, lab.config(limits={"connections": 8192}))
    destination = lab.proxy_mac()
    wire = Wire(lab.client, "eth0")
    resident = lab.sluice.process.resident_bytes()
    count = lab.scale(50_000, 10_000)
    for number in range(count):
        source = outer(128 + number % 100)
        wire.send_ip(destination, ip(source, OUTSIDE, tcp(
            source, OUTSIDE, 1024 + number // 100, 443, SYN, sequence=number)))
        if number % (count // 5) == 0:
            serving(lab)
    counters = lab.sluice.counters()
    expect(counters["connections_used"] <= counters["connections_max"], "the pool was exceeded")
    growth = lab.sluice.process.resident_bytes() - resident
    print(f"growth of resident memory: {growth} bytes, drops: {counters.drops()}")
    expect(lab.sanitized or growth < 16 << 20, f"resident memory grew by {growth} bytes")
    serving(lab)


@scenario(families=BOTH_FAMILIES)
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
            wire.send_ip(destination, ip(CLIENT, OUTSIDE, tcp(
                CLIENT, OUTSIDE, port, 443, flags, sequence=guess)))
    wait_until(lambda: lab.sluice.counters()["tcp_segments_received"]
               - before["tcp_segments_received"] >= 600,
               "the forged segments to arrive")
    client.sendall(b"still here")
    expect_equal(server.recv(100), b"still here", "bytes after the forgeries")
    client.close()
    server.close()
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def neighbour_flood(lab):
    """Questions from thousands of stations do not push out the neighbours in use."""
    start(lab)
    wire = Wire(lab.client, "eth0")
    for number in range(20_000):
        sender = outer(f"{number:x}" if IPV6 else number % 254 + 1)
        if sender not in (CLIENT, OUTSIDE):
            mac = "02:00:00:00:" + ":".join(f"{b:02x}" for b in struct.pack("!H", number))
            wire.send(who_has(mac, sender, OUTSIDE))
        if number % 4000 == 0:
            serving(lab)
    serving(lab)
