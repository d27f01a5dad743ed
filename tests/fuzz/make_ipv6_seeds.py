#!/usr/bin/env python3
"""Writes the seeds of fuzz_ipv6 and fuzz_nd into corpus/, beside this file."""

import os
import struct

HERE = os.path.dirname(os.path.realpath(__file__))
HOP, TCP, UDP, ROUTING, FRAGMENT, ICMP6, NONE, OPTIONS = 0, 6, 17, 43, 44, 58, 59, 60
SPLIT, REPAIR, GROUP, CUT, PADDED = (1 << bit for bit in range(5))

SEGMENT = struct.pack("!HHIIBBHHH", 40000, 443, 1, 2, 0x50, 0x10, 65535, 0, 0) + b"hello"
DATAGRAM = struct.pack("!HHHH", 4000, 53, 16, 0) + b"datagram"
ECHO = struct.pack("!BBHHH", 128, 0, 0, 7, 1) + b"ping"


def extension(following, options):
    """A header of options; its length is a multiple of eight."""
    assert (len(options) + 2) % 8 == 0
    return bytes([following, (len(options) + 2) // 8 - 1]) + options


def fragment(following, offset, more, identification=7):
    return struct.pack("!BBHI", following, 0, offset | more, identification)


PAD, SKIP, TELL = bytes.fromhex("010400000000"), bytes.fromhex("1e0461626364"), \
    bytes.fromhex("9e0461626364")
QUOTE = struct.pack("!IHBB", 6 << 28, 20, TCP, 64) + bytes.fromhex(
    "20010db8000000000000000000000010" "20010db8000000000000000000000007") + SEGMENT[:8]

IPV6 = {
    "tcp": (REPAIR, TCP, 64, SEGMENT),
    "tcp-split": (REPAIR | SPLIT, TCP, 40, SEGMENT),
    "tcp-padded": (REPAIR | PADDED, TCP, 64, SEGMENT),
    "chain": (REPAIR, HOP, 64, extension(OPTIONS, PAD) + extension(ROUTING, SKIP)
              + extension(OPTIONS, b"\4\0\0\0\0\0") + extension(TCP, SKIP) + SEGMENT),
    "option-tell": (REPAIR, OPTIONS, 64, extension(TCP, TELL) + SEGMENT),
    "option-tell-group": (REPAIR | GROUP, OPTIONS, 64, extension(TCP, TELL) + SEGMENT),
    "option-overrun": (0, OPTIONS, 64, extension(TCP, b"\x1e\x05abcd") + SEGMENT),
    "hop-late": (0, OPTIONS, 64, extension(HOP, PAD) + extension(TCP, PAD) + SEGMENT),
    "routing-0": (0, ROUTING, 64, extension(TCP, b"\0\1\0\0\0\0") + SEGMENT),
    "fragment-first": (0, FRAGMENT, 64, fragment(UDP, 0, 1) + DATAGRAM),
    "fragment-last": (0, FRAGMENT, 64, fragment(UDP, 16, 0) + DATAGRAM),
    "fragment-atomic": (REPAIR, FRAGMENT, 64, fragment(TCP, 0, 0) + SEGMENT),
    "fragment-odd": (0, FRAGMENT, 64, fragment(UDP, 0, 1) + DATAGRAM + b"x"),
    "too-many": (0, OPTIONS, 64, 6 * extension(OPTIONS, PAD) + SEGMENT),
    "cut": (CUT, OPTIONS, 64, extension(TCP, PAD) + SEGMENT),
    "none": (0, NONE, 64, b"nothing"),
    "unknown": (0, 253, 64, b"anything"),
    "echo": (REPAIR, ICMP6, 64, ECHO),
    "too-big": (REPAIR, ICMP6, 64, struct.pack("!BBHI", 2, 0, 0, 1280) + QUOTE),
    "solicitation": (REPAIR | GROUP, ICMP6, 255, bytes([135]) + bytes(7) + bytes.fromhex(
        "20010db8000000000000000000000010" "0101020000000077")),
}

SEND, FAR, OWN = 8, 16, 32
ROUTER, ADVERTISEMENT, ANSWER, REDIRECT, QUERY = 1, 2, 3, 4, 5  # places in types[]; 2: a question
LOCAL, NEIGHBOUR, US, NOBODY, ELSEWHERE, LOCAL_2, ALL, GROUP_OF_US = range(8)


def record(what, source=0, destination=0, tenths=0, body=b""):
    return bytes([what, source | destination << 3, tenths, len(body)]) + body


def address(text):
    return bytes.fromhex(text.replace(":", ""))


US_ADDRESS = address("2001:0db8:0000:0000:0000:0000:0000:0010")
NEIGHBOUR_ADDRESS = address("2001:0db8:0000:0000:0000:0000:0000:0007")
SOURCE_MAC, TARGET_MAC = bytes.fromhex("0101020000000077"), bytes.fromhex("0201020000000077")
PREFIX = bytes.fromhex("030440c0" "00000e10" "00000708" "00000000") \
    + address("2001:0db8:0009:0000:0000:0000:0000:0000")
MTU = bytes.fromhex("0501000000000578")
READY = record(SEND, ELSEWHERE, 0, 30)
RA = bytes.fromhex("40000708" "00000000" "00000000") + SOURCE_MAC + MTU + PREFIX
QUESTION = bytes(4) + US_ADDRESS + SOURCE_MAC

ND = {
    "question": READY + record(2, NEIGHBOUR, GROUP_OF_US, 0, QUESTION),
    "test-of-ours": READY + record(2, NOBODY, GROUP_OF_US, 0, bytes(4) + US_ADDRESS),
    "both-want-it": record(2, NOBODY, GROUP_OF_US, 1, bytes(4) + US_ADDRESS),
    "duplicate": record(ANSWER, US, ALL, 5, bytes.fromhex("20000000") + US_ADDRESS + TARGET_MAC),
    "resolve": READY + record(SEND, NEIGHBOUR)
    + record(ANSWER, NEIGHBOUR, US, 1, bytes.fromhex("60000000") + NEIGHBOUR_ADDRESS + TARGET_MAC)
    + record(SEND, NEIGHBOUR, 0, 255) + record(SEND, NEIGHBOUR, 0, 255)
    + record(SEND, NEIGHBOUR, 0, 60),
    "silent": READY + record(SEND, NEIGHBOUR) + record(SEND, NEIGHBOUR, 0, 50),
    "router": READY + record(ROUTER, LOCAL, ALL, 0, RA) + record(SEND, ELSEWHERE, 0, 20)
    + record(ROUTER, LOCAL, ALL, 0, bytes.fromhex("40000000") + RA[4:]),
    "two-routers": READY + record(ROUTER, LOCAL, ALL, 0, RA)
    + record(ROUTER, LOCAL_2, ALL, 0, b"\x40\x08" + RA[2:]) + record(SEND, ELSEWHERE, 0, 50),
    "redirect": READY + record(REDIRECT, LOCAL, US, 0, bytes(4) + 2 * NEIGHBOUR_ADDRESS),
    "query": READY + record(QUERY, LOCAL, ALL, 0, bytes.fromhex("03e80000") + bytes(16) + bytes(4)),
    "query-v1": READY + record(QUERY, LOCAL, ALL, 0, bytes.fromhex("03e80000") + bytes(16)),
    "option-0": READY + record(2, NEIGHBOUR, GROUP_OF_US, 0, bytes(4) + US_ADDRESS + bytes(8)),
    "far": READY + record(2 | FAR, NEIGHBOUR, US, 0, QUESTION),
    "own": READY + record(2 | OWN, NEIGHBOUR, US, 0, QUESTION),
}


def main():
    chains = {name: bytes(seed[:3]) + seed[3] for name, seed in IPV6.items()}
    for name, seeds in (("ipv6", chains), ("nd", ND)):
        folder = os.path.join(HERE, "corpus", name)
        os.makedirs(folder, exist_ok=True)
        for seed, content in seeds.items():
            with open(os.path.join(folder, seed), "wb") as file:
                file.write(content)


if __name__ == "__main__":
    main()
