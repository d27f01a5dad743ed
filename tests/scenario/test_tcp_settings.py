"""The key `tcp`: what it says is what the kernels on both sides see, and what the session tells."""

import socket

from lab.scenario import BOTH_FAMILIES, expect, expect_equal, expect_in, scenario
from lab.topology import OUTSIDE, at

# tcpi_options (linux/tcp.h), the sixth byte of struct tcp_info
TIMESTAMPS, SACK, WSCALE, ECN, ECN_SEEN = 1, 2, 4, 8, 16
PLAIN = {"plain": {"bind": at(OUTSIDE, 5432)}}
SPLICE = [{"action": "splice", "backend": "web"}]


def options(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5]


def started(lab, **tcp):
    lab.start(lab.config(control={"socket": "control.sock"}, listeners=PLAIN, policy=SPLICE,
                         tcp=tcp))


def session(lab, listener):
    """A session that has moved some megabytes both ways."""
    client = lab.connect(5432)
    server, _ = listener.accept()
    for sender, receiver in ((client, server), (server, client)):
        for _ in range(20):
            sender.sendall(b"x" * 100000)
            left = 100000
            while left:
                part = receiver.recv(left)
                expect(part, "an early end")
                left -= len(part)
    rows = lab.sluice.ask("sessions")
    expect_equal(len(rows), 1, "sessions")
    return client, server, rows[0]["id"]


@scenario(families=BOTH_FAMILIES)
def defaults(lab):
    """CUBIC, SACK, timestamps; no ECN where nobody asks for it."""
    listener = lab.listen()
    started(lab)
    client, server, number = session(lab, listener)
    for connection in (client, server):
        expect_equal(options(connection) & (TIMESTAMPS | SACK | WSCALE | ECN),
                     TIMESTAMPS | SACK | WSCALE, "options")
    told = lab.sluice.ask("sessions", number)
    for side in ("client_side", "backend_side"):
        tcp = told[side]
        expect_equal((tcp["congestion"], tcp["sack"], tcp["timestamps"], tcp["ecn"],
                      tcp["path_mtu"]), ("cubic", True, True, False, 1500), side)
        expect(tcp["receive_buffer"] >= 65536 and tcp["send_buffer"] >= 65536, f"{side}: {tcp}")
    text = lab.sluice.ctl("sessions", number).stdout
    for word in ("congestion control", "cubic", "pacing rate", "receive buffer", "ECN"):
        expect_in(word, text, "one session")
    client.close()
    server.close()


@scenario(families=BOTH_FAMILIES)
def settings(lab):
    """Otherwise than by default: both kernels agree to ECN and see that data is capable of it."""
    listener = lab.listen()
    started(lab, **{"congestion-control": "new-reno", "ecn": "active", "sack": False,
                    "timestamps": False, "receive-buffer-max": "100KiB",
                    "send-buffer-max": "50KiB"})
    with lab.client.enter(), open("/proc/sys/net/ipv4/tcp_ecn", "w", encoding="ascii") as out:
        out.write("1")
    client, server, number = session(lab, listener)
    for connection in (client, server):
        expect_equal(options(connection) & (TIMESTAMPS | SACK | ECN | ECN_SEEN), ECN | ECN_SEEN,
                     "options")
    told = lab.sluice.ask("sessions", number)
    for side in ("client_side", "backend_side"):
        tcp = told[side]
        expect_equal((tcp["congestion"], tcp["sack"], tcp["timestamps"], tcp["ecn"],
                      tcp["send_buffer"]), ("new-reno", False, False, True, 51200), side)
        expect(tcp["receive_buffer"] <= 102400, f"{side}: {tcp}")
    client.close()
    server.close()
