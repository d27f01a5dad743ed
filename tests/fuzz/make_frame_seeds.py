#!/usr/bin/env python3
"""Writes the seeds of fuzz_frame and fuzz_tcp_options into corpus/, beside this file."""

import os
import struct

HERE = os.path.dirname(os.path.realpath(__file__))
US, PEER, ALL = bytes.fromhex("020000000010"), bytes.fromhex("020000000077"), b"\xff" * 6
OUR_IP, GATEWAY, NEIGHBOUR, FAR = "192.0.2.10", "192.0.2.1", "192.0.2.7", "198.51.100.7"

IP_GOOD, L4_GOOD, SPLIT, PLAIN, REPAIR, TAKE, ANSWER = (1 << bit for bit in range(7))

SYN_OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")
DATA_OPTIONS = bytes.fromhex("0101080a0000000100000002")
SACK_OPTIONS = bytes.fromhex("0101050a0000000a000000140101")


def addr(text):
    return bytes(int(part) for part in text.split("."))


def ether(kind, payload, dst=US):
    return dst + PEER + struct.pack("!H", kind) + payload


def arp(operation, sender, target, dst=ALL):
    return ether(0x0806, bytes.fromhex("000108000604") + struct.pack("!H", operation) + PEER
                 + addr(sender) + bytes(6) + addr(target), dst)


def ipv4(protocol, payload, src=FAR, dst=OUR_IP, options=b"", fragment=0):
    words = 5 + len(options) // 4
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), 1, fragment, 64,
                         protocol, 0)
    return ether(0x0800, header + addr(src) + addr(dst) + options + payload)


def tcp(flags, options=b"", payload=b""):
    words = 5 + len(options) // 4
    return struct.pack("!HHIIBBHHH", 40000, 443, 1, 2, words << 4, flags, 65535, 0, 0) + options \
        + payload


def icmp(kind, code, rest, payload):
    return struct.pack("!BBHI", kind, code, 0, rest) + payload


def record(frame, control=IP_GOOD | L4_GOOD, second=0):
    return struct.pack("!BBH", control, second, len(frame)) + frame


QUOTE = ipv4(6, tcp(0x10)[:8], src=OUR_IP, dst=FAR)[14:]
KNOWN = record(arp(1, GATEWAY, OUR_IP))
TAGGED = US + PEER + struct.pack("!HHH", 0x8100, 0, 0x0800) + ipv4(6, tcp(0x10))[14:]

FRAMES = {
    "arp-request": KNOWN,
    "arp-gratuitous": KNOWN + record(arp(1, GATEWAY, GATEWAY)),
    "arp-conflict": record(arp(2, OUR_IP, OUR_IP)),
    "arp-resolve": record(ipv4(6, tcp(0x10), src=NEIGHBOUR), IP_GOOD | L4_GOOD | ANSWER)
    + record(arp(2, NEIGHBOUR, OUR_IP, US)),
    "arp-retry": record(ipv4(6, tcp(0x10), src=NEIGHBOUR), IP_GOOD | L4_GOOD | ANSWER)
    + 4 * record(b"", 0, 11) + record(arp(2, NEIGHBOUR, OUR_IP, US)),
    "arp-probe": KNOWN + 3 * record(b"", 0, 255)
    + record(ipv4(6, tcp(0x10)), IP_GOOD | L4_GOOD | ANSWER) + record(b"", 0, 11),
    "tcp-syn": KNOWN + record(ipv4(6, tcp(0x02, SYN_OPTIONS)), IP_GOOD | L4_GOOD | ANSWER),
    "tcp-data": KNOWN + record(ipv4(6, tcp(0x18, DATA_OPTIONS, b"hello")),
                               IP_GOOD | L4_GOOD | TAKE),
    "tcp-split": record(ipv4(6, tcp(0x18, DATA_OPTIONS, b"hello")), IP_GOOD | L4_GOOD | SPLIT, 40),
    "tcp-flags": record(ipv4(6, tcp(0x03))),
    "ip-options": record(ipv4(6, tcp(0x10), options=bytes.fromhex("0107070400000000"))),
    "ip-source-route": record(ipv4(6, tcp(0x10), options=bytes.fromhex("8307040a00000201"))),
    "ip-fragment": record(ipv4(6, tcp(0x10), fragment=0x2000)),
    "ip-other": KNOWN + record(ipv4(17, b"12345678datagram")),
    "vlan-0": record(TAGGED),
    "icmp-echo": KNOWN + record(ipv4(1, icmp(8, 0, 7, b"ping")), REPAIR),
    "icmp-echo-plain": KNOWN + record(ipv4(1, icmp(8, 0, 7, b"ping")) + b"pad", REPAIR | PLAIN),
    "icmp-port": record(ipv4(1, icmp(3, 3, 0, QUOTE)), REPAIR),
    "icmp-mtu": record(ipv4(1, icmp(3, 4, 1280, QUOTE)), REPAIR | SPLIT, 60),
}

OPTIONS = {
    "syn": SYN_OPTIONS,
    "timestamps": DATA_OPTIONS,
    "sack": SACK_OPTIONS,
    "sack-timestamps": DATA_OPTIONS + bytes.fromhex("0101") + bytes([5, 26]) + bytes(range(24)),
    "end": bytes.fromhex("0204021800ffffff"),
    "length-0": bytes.fromhex("63000000"),
    "length-1": bytes.fromhex("0101630100"),
    "past-the-end": bytes.fromhex("0204"),
}


def main():
    for name, seeds in (("frame", FRAMES), ("tcp_options", OPTIONS)):
        folder = os.path.join(HERE, "corpus", name)
        os.makedirs(folder, exist_ok=True)
        for seed, content in seeds.items():
            with open(os.path.join(folder, seed), "wb") as file:
                file.write(content)


if __name__ == "__main__":
    main()
