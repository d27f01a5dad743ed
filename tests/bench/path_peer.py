#!/usr/bin/env python3
"""An end of bulk transfers on the kernel's TCP: the counterpart of bulk.c.

    path_peer.py sink HOST PORT SECONDS FLOWS
    path_peer.py source HOST PORT SECONDS FLOWS

HOST is the sink's address, of either family. SECONDS count from when all flows stand. Prints what each flow of a source is doing each tenth of a
second, then "total BYTES SECONDS", of what was received or acknowledged.
"""

import select
import socket
import struct
import sys
import time

SAMPLE = 0.1
PATIENCE = 20.0
PIECE = 1 << 18


def sample(number, flow, seconds):
    """The kernel's TCP_INFO, in the words of bulk.c."""
    info = flow.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (rto,) = struct.unpack_from("=I", info, 8)
    mss, = struct.unpack_from("=I", info, 16)
    unacked, sacked, lost, again = struct.unpack_from("=4I", info, 24)
    rtt, _, ssthresh, cwnd = struct.unpack_from("=4I", info, 68)
    (total_again,) = struct.unpack_from("=I", info, 100)
    (acked,) = struct.unpack_from("=Q", info, 120)
    print(f"{seconds:.1f} flow {number} bytes {acked} cwnd {cwnd * mss} ssthresh "
          f"{min(ssthresh * mss, 2**32 - 1)} in-flight {(unacked - sacked - lost + again) * mss} "
          f"srtt {rtt / 1e3:.1f} rto {rto / 1e3:.1f} again {total_again} lost {lost}", flush=True)
    return acked


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def connect(host, port):
    """Linux's usual algorithm, whatever this machine's default is."""
    flow = socket.socket(family_of(host))
    flow.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    flow.settimeout(PATIENCE)
    flow.connect((host, port))
    return flow


def source(host, port, seconds, count):
    flows = [connect(host, port) for _ in range(count)]
    poll = select.epoll()
    by_number = {}
    data = bytes(PIECE)
    for flow in flows:
        flow.setblocking(False)
        by_number[flow.fileno()] = flow
        poll.register(flow, select.EPOLLOUT)
    start = now = time.monotonic()
    next_sample = start
    while now - start < seconds:
        for number, _ in poll.poll(SAMPLE):
            try:
                by_number[number].send(data)
            except BlockingIOError:
                pass
        now = time.monotonic()
        if now >= next_sample:
            for number, flow in enumerate(flows):
                sample(number, flow, now - start)
            next_sample += SAMPLE
    total = sum(sample(number, flow, now - start) for number, flow in enumerate(flows))
    print(f"total {total} {now - start:.6f}", flush=True)
    for flow in flows:
        flow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        flow.close()


def sink(host, port, seconds, count):
    listener = socket.create_server((host, port), backlog=count, family=family_of(host))
    listener.settimeout(PATIENCE)
    print("listening", flush=True)
    poll = select.epoll()
    by_number = {}
    room = memoryview(bytearray(PIECE))
    total = 0
    while len(by_number) < count:
        flow, _ = listener.accept()
        flow.setblocking(False)
        by_number[flow.fileno()] = flow
        poll.register(flow, select.EPOLLIN)
    start = now = time.monotonic()
    print("standing", flush=True)
    while now - start < seconds:
        for number, _ in poll.poll(max(0.0, start + seconds - now)):
            try:
                total += by_number[number].recv_into(room)
            except BlockingIOError:
                pass
        now = time.monotonic()
    print(f"total {total} {now - start:.6f}", flush=True)
    for flow in by_number.values():
        flow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        flow.close()


if __name__ == "__main__":
    play = {"sink": sink, "source": source}[sys.argv[1]]
    play(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
