"""Our TCP and the kernel's on the same long, lossy path.

    sender              path                      receiver
    10.77.0.1/24                                  10.77.0.2/24
       eth0 ──────── left  relay  right ──────────── eth0

In the row path6 the ends have 2001:db8:77::1/64 and 2001:db8:77::2/64 instead.

relay.c imposes delay, loss and the bottleneck; either end is the kernel, or bulk.c on our stack, for
which the kernel gives up its address. The combinations take turns, with the same seed for all of a
round. What the receiver got in a fixed time from when all flows stood is the goodput.
"""

import contextlib
import dataclasses
import functools
import os
import re
import sys
import tempfile

from bench.results import OURS, Better, Result
from bench.rows import Row
from lab.network import Namespace, join, remove_leftovers
from lab.process import LabError

PEER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "path_peer.py")
PORT = 5001
RATE = 200                 # Mbit/s
QUEUE = 0.5                # of what fills the path
# Ahead of everything else on the machine: the relay, and then the ends.
REAL_TIME = ("chrt", "-f", "10")
CPU_STACK, CPU_RELAY = "0", "1"


@dataclasses.dataclass(frozen=True)
class Ends:
    """Where the ends are, and what the results of the row are called by."""
    name: str
    sender: str
    receiver: str
    length: int
    words: str = ""

    def at_receiver(self):
        host = f"[{self.receiver}]" if ":" in self.receiver else self.receiver
        return f"{host}:{PORT}"


IPV4 = Ends("path", "10.77.0.1", "10.77.0.2", 24)
IPV6 = Ends("path6", "2001:db8:77::1", "2001:db8:77::2", 64, "; IPv6")


@dataclasses.dataclass
class Cell:
    """A path. Where flows cannot fill it, several share it, so that chance evens out."""
    round_trip: int        # ms
    loss: float            # per cent
    flows: int
    seconds: int

    @property
    def name(self):
        return f"{self.round_trip} ms, {self.loss:g} % loss, {self.flows} flow" \
            + ("s" if self.flows > 1 else "")

    @property
    def queue(self):
        return int(QUEUE * RATE * 1e6 / 8 * self.round_trip / 1e3)


CELLS = [Cell(20, 0, 1, 8), Cell(20, 0.01, 4, 10), Cell(20, 1, 8, 10),
         Cell(100, 0, 1, 15), Cell(100, 0.01, 4, 20), Cell(100, 1, 8, 20)]

# Who sends and who receives.
KERNEL, SENDING, RECEIVING = ("kernel", "kernel"), ("sluice", "kernel"), ("kernel", "sluice")
COMBINATIONS = (KERNEL, SENDING, RECEIVING)


class PathLab:
    """Two ends and the path between them."""

    def __init__(self, programs, ends):
        self.programs = programs
        self.ends = ends
        self.run_name = str(os.getpid())
        self._cleanup = contextlib.ExitStack()

    def __enter__(self):
        remove_leftovers(self.run_name)
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="sluice-path-"))
            self.sender, self.path, self.receiver = (
                self._namespace(role, stack) for role in ("sender", "path", "receiver"))
            join(self.sender, "eth0", self.path, "left")
            join(self.path, "right", self.receiver, "eth0")
            # What one transfer has learned of the path must not help the next. Buffers are twice
            # Linux's defaults: it offers half of them, which on the longest path would keep it, by
            # luck, from ever filling the queue.
            for end in (self.sender, self.receiver):
                end.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1",
                        "net.ipv4.tcp_rmem=4096 131072 12582912",
                        "net.ipv4.tcp_wmem=4096 16384 8388608")
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, kind, value, traceback):
        self._cleanup.close()

    def _namespace(self, role, stack):
        namespace = Namespace(role, self.directory, self.run_name)
        stack.callback(namespace.close)
        return namespace

    def relay(self, cell, seed):
        process = self.path.start(
            "taskset", "-c", CPU_RELAY, os.path.join(self.programs, "relay"), "left", "right",
            "--rate", RATE, "--queue", cell.queue, "--delay", cell.round_trip / 2,
            "--loss", cell.loss, "--seed", seed, name="relay")
        process.wait_for("^relaying")
        return process

    def end(self, namespace, kind, sends, seconds, flows):
        """Starts one end."""
        own = f"{self.ends.sender if sends else self.ends.receiver}/{self.ends.length}"
        # The kernel's link-local address may stay: it is nobody else's.
        namespace.run("ip", "address", "flush", "dev", "eth0", "scope", "global")
        if kind == "sluice":
            job = ["send", self.ends.at_receiver()] if sends else ["receive", PORT]
            return namespace.start(*REAL_TIME, os.path.join(self.programs, "bulk"), "--cpu",
                                   CPU_STACK, "eth0", own, *job, seconds, flows, name="bulk")
        namespace.add_address("eth0", own)
        return namespace.start(*REAL_TIME, sys.executable, PEER, "source" if sends else "sink",
                               self.ends.receiver, PORT, seconds, flows, name="peer")

    def transfer(self, cell, combination, seed):
        """Returns the goodput in Mbit/s, and what sender, receiver and relay said."""
        relay = self.relay(cell, seed)
        receiver = self.end(self.receiver, combination[1], False, cell.seconds, cell.flows)
        receiver.wait_for("^listening", timeout=20)
        sender = self.end(self.sender, combination[0], True, cell.seconds + 1, cell.flows)
        try:
            total = receiver.wait_for(r"^total ([1-9]\d*) ([\d.]+)", timeout=cell.seconds + 60)
        except LabError as error:
            raise LabError(f"{error}\nthe sender:\n{sender.log()[-2000:]}") from None
        for process in (sender, receiver):
            process.wait(30)
        relay.stop()
        said = {"sender": sender.log(), "receiver": receiver.log(), "relay": relay.log()}
        return int(total.group(1)) * 8e-6 / float(total.group(2)), said


def keep(samples, cell, number, combination, said):
    """What each sender said of its flows, in a file beside the results."""
    name = f"{cell.round_trip}ms-{cell.loss:g}-{number}-{'-'.join(combination)}.log"
    with open(os.path.join(samples, name), "w", encoding="utf-8") as out:
        out.writelines(f"-- {who}\n{text}" for who, text in said.items())


def details(said):
    """What a transfer met."""
    again = re.findall(r"flow 0 .* again (\d+)", said["sender"])
    return {"sent_again": max(map(int, again), default=0),
            "drops": re.search(r"(\d+ lost, \d+ overflown)", said["relay"]).group(1),
            "relay_late": re.search(r"^late: (.*)", said["relay"], re.MULTILINE).group(1)}


def measure_cell(session, lab, cell, samples):
    """All combinations in turn, with the same seed for all of a round; one result for sending, one
    for receiving, each beside the kernel doing both."""
    title = f"{cell.name}; {RATE} Mbit/s{lab.ends.words}"
    name = f"{lab.ends.name}-{cell.round_trip}ms-{cell.loss:g}"
    results = {SENDING: Result(f"{name}-send", f"{title}: sending", "path", "Mbit/s", Better.HIGHER),
               RECEIVING: Result(f"{name}-receive", f"{title}: receiving", "path", "Mbit/s",
                                 Better.HIGHER)}
    turns = {f"{cell.name}, {' to '.join(combination)}": combination
             for combination in COMBINATIONS}
    for number, turn in session.turns(turns):
        combination = turns[turn]
        rate, said = lab.transfer(cell, combination, number)
        keep(samples, cell, number, combination, said)
        for result in results.values() if combination == KERNEL else [results[combination]]:
            result.add("kernel" if combination == KERNEL else OURS, rate, **details(said))
    return results.values()


def measure(ends, session):
    """The whole table."""
    samples = os.path.join(session.out, ends.name)
    os.makedirs(samples, exist_ok=True)
    with PathLab(os.path.dirname(session.program("tests", "bench", "relay")), ends) as lab:
        for cell in CELLS:
            if session.quick:
                cell = dataclasses.replace(cell, seconds=cell.seconds // 2)
            yield from measure_cell(session, lab, cell, samples)


# The family makes little difference to TCP: the second row is for looking at just that.
ROWS = (
    Row("path", "our TCP and the kernel's on a long, lossy path", "path",
        functools.partial(measure, IPV4), ("relay", "bulk")),
    Row("path6", "the same over IPv6; only when asked for", "path",
        functools.partial(measure, IPV6), ("relay", "bulk"), by_name=True),
)
