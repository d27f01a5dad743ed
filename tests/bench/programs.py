"""The web server's code inside the stack's thread and beside it, asked by the load client.

Two processes joined by DPDK's memif, so that no kernel takes part; each has one CPU, which the threads
of a server with its code beside share. The client's code runs inside its stack's thread in all
rounds. Ways take turns, so that what the machine does to one it does to the others.
"""

import os
import re
import signal
import statistics
import tempfile

from lab.process import LabError, Process, run

WAYS = {
    "inside": ("--inside",),
    "beside": ("--beside", "--app-cpu", "0"),
    "beside, polling": ("--beside", "--app-cpu", "0", "--spin", "20"),
}
LOADS = {
    "1 connection, kept alive": ("--parallel", "1"),
    "64 connections, kept alive": ("--parallel", "64"),
    "64 at a time, a new one for each request": ("--parallel", "64", "--close"),
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


def main(build, rounds, quick):
    """Runs all and prints a table; returns the figures for the file."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        for title, load in LOADS.items():
            print(f"\n{title}\n  {'':<18}{'requests/s':>26}{'p50 us':>10}{'p99 us':>10}"
                  f"{'CPU us':>10}", flush=True)
            seconds = SECONDS_OF_NEW if "--close" in load else SECONDS
            seen = {way: [] for way in WAYS}
            for _ in range(1 if quick else rounds):
                for way, options in WAYS.items():
                    seen[way].append(one_round(build, directory, options, load,
                                               1 if quick else seconds))
            for way, results in seen.items():
                rates, *others = zip(*results)
                spread = f"{statistics.median(rates):.0f} ({min(rates)} to {max(rates)})"
                print(f"  {way:<18}{spread:>26}"
                      + "".join(f"{statistics.median(column):>10.1f}" for column in others),
                      flush=True)
            figures[title] = seen
    return figures
