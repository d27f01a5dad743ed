#!/usr/bin/env python3
"""Writes the seeds of fuzz_fragments into corpus/fragments, beside this file."""

import os

HERE = os.path.dirname(os.path.realpath(__file__))
V6, MORE, OTHER, CUT, LONG = (1 << bit for bit in range(5))
UDP, TCP = 17, 6


def record(kind, offset, length, *, number=0, protocol=UDP, wait=0):
    units = offset // 8
    return bytes([kind, number, units >> 8, units & 255, length // 8, length % 8, protocol, wait])


SEEDS = {
    "in-order": [record(MORE, 0, 1480), record(MORE, 1480, 1480), record(0, 2960, 45)],
    "backwards-v6": [record(V6, 2960, 45), record(V6 | MORE, 1480, 1480), record(V6 | MORE, 0, 1480)],
    "duplicate": [record(MORE, 0, 800), record(MORE, 0, 800), record(0, 800, 8)],
    "overlap": [record(MORE, 0, 800), record(MORE, 400, 800), record(0, 1200, 8)],
    "other-bytes": [record(MORE, 0, 800), record(MORE | OTHER, 0, 800, wait=3)],
    "ends": [record(0, 800, 8), record(0, 1600, 8), record(MORE, 2400, 8)],
    "tiny": [record(MORE, 0, 16, protocol=TCP), record(0, 8, 80, protocol=TCP)],
    "ping-of-death": [record(0, 65528, 1400)],
    "time": [record(MORE, 0, 800)] + [record(MORE, 0, 8, number=n, wait=7) for n in range(12)],
    "sources": [record(MORE, 0, 64, number=n) for n in range(64)],
    "ecn": [record(MORE, 0, 800, number=0x80), record(0, 800, 8, number=0xC0)],
    "padded": [record(MORE | LONG, 0, 8, wait=39), record(LONG, 8, 5, wait=41)],
    "cut": [record(MORE | CUT, 0, 800, wait=100), record(CUT, 800, 8, wait=30)],
}

for name, records in SEEDS.items():
    with open(os.path.join(HERE, "corpus", "fragments", name), "wb") as seed:
        seed.write(b"".join(records))
