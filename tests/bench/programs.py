"""The web server's code inside the stack's thread and beside it, asked by the load client.

Two processes joined by DPDK's memif, so that no kernel takes part; each has one CPU, which the threads
of a server with its code beside share. The client's code runs inside its stack's thread in all
rounds. Ways take turns, so that what the machine does to one it does to the others.
"""

import os
import re
import signal
import tempfile

from bench.results import Result, Role
from bench.rows import Row
from lab.process import LabError, Process, run

WAYS = {
    "inside": ("--inside",),
    "beside": ("--beside", "--app-cpu", "0"),
    "beside, polling": ("--beside", "--app-cpu", "0", "--spin", "20"),
}
LOADS = {
    "1": ("1 connection, kept alive", ("--parallel", "1")),
    "64": ("64 connections, kept alive", ("--parallel", "64")),
    "new": ("64 at a time, a new one for each request", ("--parallel", "64", "--close")),
}
TRIES = 5
# A client has 49,152 ports: longer, and new connections meet those of before in TIME_WAIT.
SECONDS, SECONDS_OF_NEW = 5, 2
_RESULT = re.compile(r"requests  (\d+), failed 0, .*\nrate +(\d+) .*\n"
                     r"latency +p50 ([\d.]+) us, p90 [\d.]+ us, p99 ([\d.]+) us")


def command(build, name, role, wire, address, cpu):
    return [os.path.join(build, "programs", name), "--device",
            f"vdev:net_memif0,role={role},socket={wire},socket-abstract=no",
            "--address", f"{address}/24", "--cpu", cpu]


def one_round(build, directory, way, load, seconds):
    """As attempt(). memif connects once, when it is opened, and on a busy machine that may fail."""
    for _ in range(TRIES):
        figures = attempt(build, directory, way, load, seconds)
        if figures is not None:
            return figures
    raise LabError("memif does not connect")


def attempt(build, directory, way, load, seconds):
    """Requests a second, their median time and 99th percentile, and what one takes of the server's
    CPU: microseconds. None when the link stayed down."""
    wire = os.path.join(tempfile.mkdtemp(dir=directory), "memif")
    server = Process([*command(build, "web_server", "server", wire, "10.9.0.1", "0"), *way],
                     os.path.join(directory, "server.log"))
    try:
        server.wait_for("ready", 30)
        before = server.cpu_seconds()
        result = run(*command(build, "load_client", "client", wire, "10.9.0.2", "1"), "--inside",
                     "--to", "10.9.0.1:80", "--seconds", seconds, *load, timeout=seconds + 60, check=False)
        cpu = server.cpu_seconds() - before
    finally:
        server.signal(signal.SIGTERM)
        server.wait(20)
    match = _RESULT.match(result.stdout)
    if match is None and "a link is down" in result.stderr:
        return None
    if match is None:
        raise LabError(f"the load client failed:\n{result.stdout}{result.stderr}")
    return (int(match.group(2)), float(match.group(3)), float(match.group(4)),
            cpu * 1e6 / int(match.group(1)))


def measure(session):
    """One result for each load: what a request takes of the server's CPU."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        for name, (title, load) in LOADS.items():
            seconds = SECONDS_OF_NEW if "--close" in load else SECONDS
            result = Result(f"programs-{name}", f"web server over memif: {title}", "programs",
                            "us of CPU")
            for _, way in session.turns(WAYS):
                rate, median, p99, cpu = one_round(session.build, directory, WAYS[way], load,
                                                   session.scale(seconds, 1))
                result.add(way, cpu, Role.REFERENCE, rate=rate, p50_us=median, p99_us=p99)
            yield result


ROWS = (Row("programs", "code inside the stack's thread and beside it", "programs", measure,
            ("web_server", "load_client")),)
