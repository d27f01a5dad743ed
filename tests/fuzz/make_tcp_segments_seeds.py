#!/usr/bin/env python3
"""Writes the seeds of fuzz_tcp_segments: whole lives of connections, as steps of that program."""

import os

(SEGMENT, HELD, EXACT, OPEN, ACK, DATA, ACCEPT, WRITE, READ, END, CONNECT, SPLICE, TIME, ROOM, ICMP,
 SACK) = range(16)
FIN, SYN, RST, PSH, ACKF, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
SHUTDOWN, CLOSE, ABORT = 0, 2, 3
MS41, MS210, S1, S10, S61, S130 = 2, 3, 4, 5, 6, 7
ALL = 0x80  # of the interface's room
WINDOW = 255
SENT = 0x80  # acknowledges all that was sent; 0: nothing new


def step(kind, *operands, flow=0):
    return bytes([kind | flow << 4, *operands])


def segment(flags, seq=0, ack=SENT, length=0, window=WINDOW, options=0, kind=SEGMENT, flow=0):
    return step(kind, flags, seq, ack, length, window, options, flow=flow)


def opened(options=1, flow=0):
    return step(OPEN, options, flow=flow) + step(ACCEPT)


def data(length, flow=0):
    return step(DATA, length, WINDOW, flow=flow)


def ack(flow=0, window=WINDOW):
    return step(ACK, window, flow=flow)


def sack(*edges, ack=0, flow=0):
    """Blocks as pairs of offsets: from what is acknowledged, and their length."""
    return step(SACK, len(edges) // 2 - 1, ack, *edges, flow=flow)


FIN_ACK = segment(FIN | ACKF)
EXCHANGE = data(100) + step(READ, 10) + step(WRITE, 50) + ack()

SEEDS = {
    "active-close": opened() + EXCHANGE + step(END, CLOSE) + ack() + FIN_ACK + step(TIME, S61),
    "passive-close": opened(7) + EXCHANGE + FIN_ACK + step(END, CLOSE) + ack(),
    "simultaneous-close": opened() + step(END, SHUTDOWN) + segment(FIN | ACKF, 0, 0) + ack(),
    "time-wait-syn": opened(5) + step(END, CLOSE) + ack() + FIN_ACK + segment(SYN, 0x25, options=5)
                     + FIN_ACK + segment(RST) + step(TIME, S1) + segment(SYN, 0x05, options=4),
    "connect": step(CONNECT, 1) + segment(SYN | ACKF, options=5) + EXCHANGE + step(END, ABORT),
    "simultaneous-open": step(CONNECT, 0) + segment(SYN, options=3) + segment(SYN | ACKF, 0x81, SENT)
                         + EXCHANGE + step(TIME, S10),
    "refused": step(CONNECT, 0) + segment(RST | ACKF) + step(END, CLOSE),
    "icmp": step(CONNECT, 0) + step(ICMP, 3, 0, 0) + opened(flow=1) + step(WRITE, 200, flow=1)
            + step(ICMP, 4, 0, 100, flow=1),
    "out-of-order": opened(3) + b"".join(segment(ACKF, n, SENT, 20, kind=k) for n, k in
                                         ((0x25, 0), (0x23, 1), (0x43, 2), (0x21, 0), (0x44, 1),
                                          (0, 0))) + step(TIME, 0) + step(READ, 255),
    "loss": opened() + step(WRITE, 255) + b"".join(segment(ACKF, 0, 0) for _ in range(5))
            + segment(ACKF, 0, 0x22) + segment(ACKF, 0, 0x23) + ack() + step(WRITE, 255)
            + step(TIME, MS210) + segment(ACKF, 0, 0x25) + step(TIME, S1) + ack(),
    "closed-window": opened() + ack(window=0) + step(WRITE, 100) + step(TIME, S10)
                     + ack(window=0) + step(TIME, S61) + ack(window=1) + step(TIME, MS210) + ack(),
    "orphan": opened() + ack(window=0) + step(WRITE, 100) + step(END, CLOSE) + step(TIME, S130)
              + opened(flow=1) + step(END, CLOSE, flow=1) + ack(flow=1) + data(10, flow=1),
    "forgeries": opened(4) + segment(RST, 1) + segment(RST, 0x21) + segment(SYN, 1)
                 + segment(ACKF, 0, 1, 10) + segment(ACKF, 0, SENT, 10, options=12) + segment(RST),
    "flood": b"".join(segment(SYN, n, flow=n % 4) for n in range(8)) + segment(RST, 0, flow=3)
             + segment(ACKF, 0, SENT, flow=2) + segment(ACKF, 9, 9, flow=1) + step(TIME, S61),
    "delayed": opened() + data(1) * 18 + step(TIME, MS41) + data(255) * 3 + step(TIME, MS41),
    "splice": opened() + opened(flow=1) + data(200) + step(SPLICE, 1, 255)
              + ack(flow=1) + data(1) + step(SPLICE, 1, 255) + FIN_ACK + step(END, SHUTDOWN, flow=1),
    "sack-loss": opened(9) + step(WRITE, 255) + sack(0x21, 0x21) + sack(0x21, 0x22)
                 + sack(0x21, 0x23) + step(TIME, MS41) + sack(0x24, 0x21, 0x21, 0x21, ack=0x21)
                 + ack() + step(WRITE, 255) + step(TIME, MS210) + ack(),
    "sack-forged": opened(9) + step(WRITE, 100) + sack(0xa1, 0x21) + sack(0x60, 0x61, 0x21, 0xa2)
                   + sack(0x21, 0x62, 0x22, 0x63, 0x23, 0x21, 0x24, 0x21) + step(TIME, S1) + ack(),
    "dsack": opened(13) + step(WRITE, 200) + step(TIME, MS210) + sack(0xa1, 0x21, ack=0x21)
             + sack(0x00, 0x21, 0x22, 0x21) + ack() + step(TIME, S10),
    "urgent": opened(1) + segment(ACKF | URG, 0, SENT, 20) + segment(ACKF | URG | PSH, 0x25, SENT, 9)
              + step(READ, 255) + segment(ACKF | URG, 0, SENT, 20) + step(READ, 255) + FIN_ACK,
    "marked": opened(17) + step(WRITE, 255) + segment(ACKF | ECE, 0, 0x21) + segment(ACKF | CWR, 0,
              SENT, 20) + segment(ACKF | ECE | CWR, 0, SENT, 20) + step(READ, 255) + ack(),
    "black-hole": opened(9) + step(WRITE, 200) + step(TIME, S10) + ack() + step(TIME, S10)
                  + step(WRITE, 200) + sack(0x22, 0x23) + step(TIME, MS210) + ack(),
    "too-big": opened(9) + step(WRITE, 200) + step(ICMP, 4, 0, 150) + step(WRITE, 50) + ack()
               + step(ICMP, 0x44, 0, 100) + step(TIME, S61),
    "shrunk": opened(1) + step(WRITE, 200) + segment(ACKF, 0, 0x21, 0, 2) + step(TIME, S1)
              + segment(ACKF, 0, 0x21, 0, 0) + step(TIME, S10) + ack(),
    "orphans": b"".join(opened(1, flow=n) + step(END, SHUTDOWN, flow=n) + step(END, CLOSE, flow=n)
                        for n in range(4)) + step(TIME, S10),
    "no-room": opened() + step(ROOM, 2) + step(WRITE, 255) + step(TIME, 0) + ack() + step(ROOM, ALL),
    "no-mbufs": opened() + step(ROOM, ALL | 0x40) + step(WRITE, 100) + data(100) + step(TIME, 0)
                + step(ROOM, ALL) + step(TIME, S1),
}


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "tcp_segments")
    os.makedirs(folder, exist_ok=True)
    for name, steps in SEEDS.items():
        for kind in (0, 1 | 2 | 4 | 8 | 16, 1 | 32 | 64 | 128):
            with open(os.path.join(folder, f"{name}-{kind}"), "wb") as seed:
                seed.write(bytes([kind]) + steps)


if __name__ == "__main__":
    main()
