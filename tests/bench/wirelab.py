"""The wire lab: what one operation costs the core of a proxy.

The standard laboratory (lab/topology.py) with a machine of two CPUs divided between its parts: the
proxy has CPU 0 to itself, client and server share CPU 1. On a veth a packet's receive work runs by
default on the CPU of whoever sent it, which would charge the proxy for its clients' TCP and spare
it its own; threaded NAPI puts it into a kernel thread for each interface, and those are pinned like
everything else. The cost is the busy time of CPU 0 in /proc/stat; everything of the lab runs at the
highest priority, so that little of that time is anybody else's, and how much is told.
"""

import dataclasses
import glob
import os
import re
import time

from lab.peers import nginx_path
from lab.process import CLOCK_TICK, LabError, run, wait_until
from lab.topology import Lab

PROXY_CPU, PEERS_CPU = 0, 1
PRIORITY = -20

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


def tasks_of(pid):
    """The threads of a process: (CPUs it may use, seconds it has run)."""
    for path in glob.glob(f"/proc/{pid}/task/*"):
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

    @property
    def foreign(self):
        """The part of CPU 0's busy time that is not the threads' own: interrupts, and strangers."""
        return max(0.0, 1 - self.own / self.busy)


class WireLab(Lab):
    """A laboratory whose peers and interfaces are pinned."""

    def __enter__(self):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        super().__enter__()
        for namespace, device in ((self.client, "eth0"), (self.proxy, "outside"),
                                  (self.proxy, "inside"), (self.backend, "eth0")):
            namespace.run("ethtool", "-K", device, "gro", "on")
            namespace.run("sh", "-c", f"echo 1 > /sys/class/net/{device}/threaded")
        return self

    def pin_interfaces(self):
        """Pins the NAPI threads; after the proxy's start, since attaching AF_XDP makes new ones."""
        pinned = []
        for thread, device in napi_threads():
            if device in DEVICES:
                os.sched_setaffinity(thread, {DEVICES[device]})
                os.setpriority(os.PRIO_PROCESS, thread, PRIORITY)
                pinned.append(device)
        if sorted(set(pinned)) != sorted(DEVICES):
            raise LabError(f"threaded NAPI runs for {sorted(set(pinned))} only, "
                           f"expected {sorted(DEVICES)}")

    def start_server(self):
        """nginx on CPU 1, with pages of the sizes that rows ask for."""
        self.page("1k", "x" * 1023 + "\n")
        server = self.nginx()
        for task in wait_until(lambda: workers_of(server.process.pid), "nginx's workers"):
            os.sched_setaffinity(task, {PEERS_CPU})
        return server

    def on_client_cpu(self, *command, timeout=600):
        """Runs the measuring client."""
        return self.client.run("taskset", "-c", PEERS_CPU, *command, check=False, timeout=timeout)

    def measure(self, proxy, operations, work):
        """Calls work(), which does the operations or raises; returns their cost."""
        napi = [thread for thread, device in napi_threads()
                if DEVICES.get(device) == PROXY_CPU]

        def reading():
            on, off = 0.0, 0.0
            for cpus, used in tasks_of(proxy.pid):
                on, off = (on + used, off) if cpus == {PROXY_CPU} else (on, off + used)
            interfaces = sum(used for thread in napi for _, used in tasks_of(thread))
            return time.monotonic(), busy_seconds(PROXY_CPU), off, on + interfaces

        before = reading()
        work()
        return Cost(operations, *(after - earlier for earlier, after in zip(before, reading())))


def workers_of(pid):
    """The children of a process."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


def versions():
    """What is compared, for the record."""
    return {
        "kernel": os.uname().release,
        "haproxy": run("haproxy", "-v").stdout.split()[2],
        "nginx": run(nginx_path(), "-v").stderr.strip().rpartition("/")[2],
        "openssl": run("openssl", "version").stdout.split()[1],
        "cpu": next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo",
                     encoding="ascii") if line.startswith("model name")), "unknown"),
    }
