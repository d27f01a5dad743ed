"""The wire lab: what one operation costs the core of a proxy.

The standard laboratory (lab/topology.py) with a machine of two CPUs divided between its parts: the
proxy has CPU 0 to itself, client and server share CPU 1. On a veth a packet's receive work runs by
default on the CPU of whoever sent it, which would charge the proxy for its clients' TCP and spare
it its own; threaded NAPI puts it into a kernel thread for each interface, and those are pinned like
everything else. The cost is the busy time of CPU 0 in /proc/stat; everything of the lab runs at the
highest priority, so that little of that time is anybody else's, and how much is told.
"""

import contextlib
import dataclasses
import glob
import itertools
import os
import re
import sys
import time

from bench import priority, profile
from bench.client import Client
from bench.proxies import (BACKEND, BACKEND_PORT, PLAIN_PORT, PROXIES, PROXY_CPU, TLS_PORT, Proxy)
from bench.results import OURS, Role
from lab.peers import write_random
from lab.process import CLOCK_TICK, LabError, wait_until
from lab.topology import BITS, INSIDE, OUTSIDE, Lab

UPLOAD_SERVER = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lab",
                             "upload_server.py")
PEERS_CPU = 1
MTU = 1500
OFFLOADS = ("tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload")
LINKS = (f"veth, MTU {MTU}, threaded NAPI, GRO; off, and on where a contender says offloads: "
         + ", ".join(OFFLOADS))
REAL_TIME = 20
PAGES = {"64": 64, "1k": 1024, "16k": 16 << 10, "10m": 10 << 20}

# The devices by the CPU that does their receive work.
DEVICES = {"outside": PROXY_CPU, "inside": PROXY_CPU, "eth0": PEERS_CPU}


def busy_seconds(cpu):
    """The time a CPU has been busy since the machine started."""
    with open("/proc/stat", encoding="ascii") as stat:
        for line in stat:
            fields = line.split()
            if fields[0] == f"cpu{cpu}":
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
                return (user + nice + system + irq + softirq + steal) / CLOCK_TICK
    raise LabError(f"this machine has no CPU {cpu}: the wire lab needs two")


def tasks_of(*pids):
    """The threads of processes: (CPUs it may use, seconds it has run)."""
    for path in itertools.chain(*(glob.glob(f"/proc/{pid}/task/*") for pid in pids)):
        with open(path + "/schedstat", encoding="ascii") as stat:
            used = int(stat.read().split()[0]) / 1e9
        yield os.sched_getaffinity(int(os.path.basename(path))), used


def napi_threads():
    """The kernel threads of threaded NAPI: (id, device)."""
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path, encoding="ascii", errors="replace") as comm:
                match = re.match(r"napi/(.+)-\d*$", comm.read().strip())
        except FileNotFoundError:
            continue
        if match:
            yield int(path.split("/")[2]), match.group(1)


@dataclasses.dataclass
class Cost:
    """What a run of operations cost."""
    operations: int
    seconds: float       # wall clock
    busy: float          # CPU 0
    elsewhere: float     # the proxy's threads on other CPUs
    own: float           # CPU 0, the threads of the proxy and of its interfaces only

    @property
    def microseconds(self):
        """CPU time for one operation, wherever the proxy spent it."""
        return (self.busy + self.elsewhere) * 1e6 / self.operations

    @property
    def own_microseconds(self):
        """The same, without interrupts and without whatever else ran on CPU 0."""
        return (self.own + self.elsewhere) * 1e6 / self.operations

    def details(self):
        """What the file keeps beside the figure."""
        return {"rate": self.operations / self.seconds, "own": self.own_microseconds,
                "busy": self.busy / self.seconds, "foreign": self.foreign}

    @property
    def foreign(self):
        """The part of CPU 0's busy time that is not the threads' own: interrupts, and strangers."""
        return max(0.0, 1 - self.own / self.busy) if self.busy else 0.0


@dataclasses.dataclass(frozen=True)
class Contender:
    """A proxy, on devices with or without offloads."""
    name: str
    proxy: Proxy
    offloads: bool = False

    @property
    def role(self):
        return Role.REFERENCE if self.offloads else Role.PEER


class WireLab(Lab):
    """A laboratory whose peers and interfaces are pinned, and through which one contender after the
    other goes."""

    def __init__(self, session, certificate="P-256"):
        super().__init__(session.program("appliance", "sluice"))
        self.kload = session.program("tests", "bench", "kload")
        self._certificate = certificate
        self._clients = 0
        self.server = None

    def __enter__(self):
        priority.first()
        super().__enter__()
        self.authority.issue("shop", "shop.example", key=self._certificate)
        for namespace in (self.client, self.proxy, self.backend):
            namespace.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535",
                          "net.ipv4.tcp_tw_reuse=1", "net.core.somaxconn=65535",
                          "net.ipv4.tcp_max_syn_backlog=65535")
        self.offloads(False)  # GRO is what gives a veth a NAPI context, to be threaded
        for namespace, device in self._devices():
            namespace.run("ip", "link", "set", device, "mtu", str(MTU))
            namespace.run("sh", "-c", f"echo 1 > /sys/class/net/{device}/threaded")
        return self

    def _devices(self):
        return ((self.client, "eth0"), (self.proxy, "outside"), (self.proxy, "inside"),
                (self.backend, "eth0"))

    def offloads(self, on):
        """Without them a wire's conditions: frames of an MTU, checksums by the CPU. With them what a
        veth can do: no segmentation and no checksums anywhere. GRO in either case."""
        state = "on" if on else "off"
        for namespace, device in self._devices():
            namespace.run("ethtool", "-K", device, "tx", state, "tso", state, "gso", state,
                          "gro", "on")
            features = namespace.run("ethtool", "-k", device).stdout
            for feature in OFFLOADS:
                if f"{feature}: {state}" not in features:
                    raise LabError(f"{device} of {namespace.role}: {feature} is not {state}")

    def kernel_addresses(self, wanted):
        """Whether the proxy's interfaces have their addresses in the kernel."""
        for device, address in (("outside", OUTSIDE), ("inside", INSIDE)):
            self.proxy.run("ip", "address", "flush", "dev", device)
            if wanted:
                self.proxy.add_address(device, f"{address}/{BITS}")

    def pin_interfaces(self):
        """Pins the NAPI threads; after the proxy's start, since attaching AF_XDP makes new ones."""
        pinned = []
        for thread, device in napi_threads():
            if device in DEVICES:
                os.sched_setaffinity(thread, {DEVICES[device]})
                os.setpriority(os.PRIO_PROCESS, thread, priority.PRIORITY)
                pinned.append(device)
        if sorted(set(pinned)) != sorted(DEVICES):
            raise LabError(f"threaded NAPI runs for {sorted(set(pinned))} only, "
                           f"expected {sorted(DEVICES)}")

    @contextlib.contextmanager
    def contender(self, contender):
        """The proxy, started and ready; ended when the block is left."""
        self.offloads(contender.offloads)
        process = contender.proxy.start(self)
        self.pin_interfaces()
        try:
            yield process
            if not process.running():
                raise LabError(f"{contender.name} ended during the measurement:\n"
                               f"{process.log()[-3000:]}")
        except BaseException:
            print(f"\nlog of {contender.name}:\n{process.log()[-3000:]}", file=sys.stderr)
            raise
        finally:
            process.stop()
        if contender.name == OURS:
            self.sluice.verify_end()
    def start_server(self):
        """nginx on CPU 1, with pages of the sizes that rows ask for."""
        for name, size in PAGES.items():
            write_random(os.path.join(self.www, name), size)
        self.server = self.nginx(f"{BACKEND}:{BACKEND_PORT}")
        for task in wait_until(lambda: children(self.server.process.pid), "nginx's workers"):
            os.sched_setaffinity(task, {PEERS_CPU})

    def real_time(self):
        """Puts the server and the receive work of CPU 1 ahead of whatever else runs there."""
        threads = [thread for thread, device in napi_threads() if DEVICES.get(device) == PEERS_CPU]
        for thread in threads + children(self.server.process.pid):
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(REAL_TIME))

    def start_sink(self):
        """A server on CPU 1 that takes uploads and answers with what it got: its SHA-256."""
        sink = self.backend.start("taskset", "-c", PEERS_CPU, sys.executable, UPLOAD_SERVER,
                                  BACKEND, BACKEND_PORT, name="sink")
        sink.wait_for("^listening")

    def load(self, page, *options, tls=None, prefix=(), expect=None):
        """The measuring client, warm: see client.py."""
        self._clients += 1
        secrets = ["--tls", tls, "--ca", self.authority.certificate, "--name", "shop.example"]
        command = self.client.command(
            "taskset", "-c", str(PEERS_CPU), *prefix, self.kload, "--path", f"/{page}",
            "--to", f"{OUTSIDE}:{TLS_PORT if tls else PLAIN_PORT}",
            "--expect", expect or os.path.join(self.www, page), *(secrets if tls else ()), *options)
        return Client(command, self.path(f"client-{self._clients}.log"))

    def measure(self, proxy, operations, work):
        """Calls work(), which does the operations or raises; returns their cost."""
        napi = [thread for thread, device in napi_threads()
                if DEVICES.get(device) == PROXY_CPU]

        def reading():
            on, off = 0.0, 0.0
            for cpus, used in tasks_of(*descendants(proxy.pid)):
                on, off = (on + used, off) if cpus == {PROXY_CPU} else (on, off + used)
            interfaces = sum(used for _, used in tasks_of(*napi))
            return time.monotonic(), busy_seconds(PROXY_CPU), off, on + interfaces

        sampled = profile.recording(proxy.pid) if proxy.name == OURS else contextlib.nullcontext()
        before = reading()
        with sampled:
            work()
        return Cost(operations, *(after - earlier for earlier, after in zip(before, reading())))


def children(pid):
    """The processes that one has started."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
            return [int(child) for child in listed.read().split()]
    except FileNotFoundError:
        return []


def descendants(pid):
    """A process and all below it."""
    return [pid] + [other for child in children(pid) for other in descendants(child)]


def contenders(splices=False):
    """Who takes part, by name: Sluice and the peers, and each peer with all offloads of a veth, since
    that is what a user of this machine would run."""
    able = [proxy for proxy in PROXIES.values() if proxy.splices or not splices]
    plain = [Contender(proxy.name, proxy) for proxy in able]
    return {contender.name: contender for contender in plain + [
        Contender(f"{proxy.name}, offloads", proxy, True) for proxy in able if proxy.name != OURS]}
