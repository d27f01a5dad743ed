"""Captures at run time, read back by tcpdump."""

import os
import re
import stat
import struct

from lab.process import run, wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import BACKENDS, CLIENT, INSIDE, OUTSIDE, at, http_get


INBOUND, OUTBOUND = 1, 2
ENHANCED_PACKET = 6


def start(lab, **changes):
    lab.page("index.html", "y" * 50_000)
    lab.nginx()
    os.mkdir(lab.path("captures"))
    lab.start(lab.config(control={"socket": "control.sock", "captures": "captures"}, **changes))


def ctl(lab, *arguments, **options):
    return lab.sluice.ctl("capture", *arguments, **options)


def read(lab, name, *filters):
    """The frames of a capture as tcpdump tells them, one line each."""
    return run("tcpdump", "-nn", "-tt", "-r", lab.path("captures", name), "--number",
               *filters).stdout.splitlines()


def frames(path):
    """Each frame of a file with its direction."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        if kind == ENHANCED_PACKET:
            captured = struct.unpack_from("=I", data, at + 20)[0]
            option = at + 28 + (captured + 3) // 4 * 4
            expect_equal(struct.unpack_from("=HH", data, option), (2, 4), "option of the flags")
            yield (data[at + 28:at + 28 + captured],
                   struct.unpack_from("=I", data, option + 4)[0] & 3)
        expect_equal(struct.unpack_from("=I", data, at + length - 4)[0], length, "trailing length")
        at += length


def fetch(lab):
    with lab.tls() as connection:
        http_get(connection)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def everything(lab):
    """All interfaces, both directions; the file is the daemon's alone and never written over."""
    start(lab)
    ctl(lab, "start", "all.pcapng")
    refused = ctl(lab, "start", "other.pcapng", check=False)
    expect_equal(refused.returncode, 1, "exit status of a second capture")
    fetch(lab)
    wait_until(lambda: lab.sluice.counters()["sessions"] == 0, "the session to end")
    told = ctl(lab, "stop").stdout
    expect_in("stopped", told, "what stop says")
    expect_equal(stat.S_IMODE(os.stat(lab.path("captures", "all.pcapng")).st_mode), 0o600, "mode")
    lines = read(lab, "all.pcapng")
    for what, lowest in ((f"{CLIENT}\\.\\d+ > {OUTSIDE}\\.443: Flags \\[S\\]", 1),
                         (f"{OUTSIDE}\\.443 > {CLIENT}\\.\\d+: Flags \\[S\\.\\]", 1),
                         (f"{INSIDE}\\.\\d+ > {BACKENDS[0]}\\.8080: Flags \\[S\\]", 1),
                         (f"{OUTSIDE}\\.443 > {CLIENT}\\.\\d+: Flags", 10)):
        found = sum(1 for line in lines if re.search(what, line))
        expect(found >= lowest, f"{found} frames that match {what}")
    stamps = [float(line.split()[1]) for line in lines]
    expect(max(stamps) - min(stamps) < 60 and all(stamp > 1e9 for stamp in stamps), "odd times")
    expect(not any("incorrect" in line for line in read(lab, "all.pcapng", "-v", "dst", OUTSIDE)),
           "a received frame is not whole")
    ours = bytes.fromhex(lab.proxy_mac().replace(":", ""))
    for frame, direction in frames(lab.path("captures", "all.pcapng")):
        if ours in (frame[:6], frame[6:12]):
            expect_equal(direction, OUTBOUND if frame[6:12] == ours else INBOUND, "direction")
    again = ctl(lab, "start", "all.pcapng", check=False)
    expect_in("File exists", again.stderr, "what is said of a file that is there")
    for name in ("../x", ".x", "a/b"):
        expect_equal(ctl(lab, "start", name, check=False).returncode, 1, f"exit status for {name}")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def session(lab):
    """One session's two connections and nothing else."""
    server = lab.listen(port=8081)
    start(lab, backends={"web": {"servers": [at(BACKENDS[0], 8081)]}})
    with lab.tls() as held:
        taken, _ = server.accept()
        sessions = lab.sluice.ctl("sessions").stdout
        number = re.search(r"^(\d+\.\d+)\s", sessions, re.MULTILINE).group(1)
        ctl(lab, "start", "--session", number, "one.pcapng")
        with lab.tls():
            server.accept()[0].close()
        held.sendall(b"hello")
        expect_equal(taken.recv(100), b"hello", "what the server got")
        taken.sendall(b"answer")
        expect_equal(held.recv(100), b"answer", "what the client got")
        ports = {held.getsockname()[1], taken.getpeername()[1]}
        ctl(lab, "stop")
        taken.close()
    seen = {int(port) for line in read(lab, "one.pcapng")
            for port in re.findall(r"\.(\d{4,5})[: ]", re.split(" IP6? ", line)[1])} - {8081}
    expect_equal(seen, ports, "ports of the frames captured")


@scenario(families=BOTH_FAMILIES)
def bounds(lab):
    """A capture ends after its frames, its time or its bytes, and the next one can begin."""
    start(lab)
    ctl(lab, "start", "--count", "5", "--interface", "inside", "--snaplen", "64", "five.pcapng")
    fetch(lab)
    wait_until(lambda: "count" in ctl(lab).stdout, "the capture to end by its frames")
    lines = read(lab, "five.pcapng")
    expect_equal(len(lines), 5, "frames")
    expect(not any(CLIENT in line for line in lines), "frames of another interface")
    ctl(lab, "start", "--seconds", "1", "--host", CLIENT, "--port", "443", "short.pcapng")
    fetch(lab)
    wait_until(lambda: "time" in ctl(lab).stdout, "the capture to end by its time")
    expect(all(CLIENT in line for line in read(lab, "short.pcapng")), "frames of another host")
    ctl(lab, "start", "--megabytes", "1", "large.pcapng")
    for _ in range(40):
        fetch(lab)
    wait_until(lambda: "size" in ctl(lab).stdout, "the capture to end by its size")
    size = os.stat(lab.path("captures", "large.pcapng")).st_size
    expect(size <= 1 << 20, f"{size} bytes")
    for bad in (("--interface", "nowhere"), ("--host", "x"), ("--port", "70000"),
                ("--session", "0.999"), ("--snaplen", "10")):
        expect_equal(ctl(lab, "start", *bad, check=False).returncode, 1, f"exit status of {bad}")
