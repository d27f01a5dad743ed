"""Network namespaces and the veth links between them."""

import contextlib
import ctypes
import os
import re
import shutil
import signal

from lab.process import LabError, Process, run

PREFIX = "sluice-"
_ETC = "/etc/netns"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """A network namespace, named sluice-<run>-<role>; <run> is the process id of the run."""

    def __init__(self, role, log_dir, run_name):
        self.role = role
        self.name = f"{PREFIX}{run_name}-{role}"
        self.log_dir = log_dir
        self._processes = []
        run("ip", "netns", "add", self.name)
        self._host_file = os.path.join(_ETC, self.name, "hosts")
        os.makedirs(os.path.dirname(self._host_file), exist_ok=True)
        self.add_host("127.0.0.1", "localhost")
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                 "net.ipv6.conf.default.disable_ipv6=1", *(  # as IPv4 addresses do on a link that goes
                     f"net.ipv6.conf.{which}.keep_addr_on_down=1" for which in ("all", "default")))
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *command):
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def start(self, *command, name=None, **options):
        """Starts a process in the namespace; it ends with the namespace at the latest."""
        name = name or os.path.basename(str(command[0]))
        path = os.path.join(self.log_dir, f"{len(self._processes):02d}-{self.role}-{name}.log")
        process = Process(self.command(*command), path, name, **options)
        self._processes.append(process)
        return process

    @contextlib.contextmanager
    def enter(self):
        """Sockets that this thread makes in the block belong to the namespace, and stay there."""
        with open("/proc/thread-self/ns/net", "rb") as before, \
                open(f"/run/netns/{self.name}", "rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(before.fileno())

    def add_host(self, address, *names):
        """Makes names known to processes in the namespace: `ip netns exec` gives them this file as
        their /etc/hosts."""
        with open(self._host_file, "a", encoding="ascii") as hosts:
            hosts.write(f"{address} {' '.join(names)}\n")

    def add_address(self, device, address):
        if ":" not in address:
            self.run("ip", "address", "add", address, "dev", device)
            return
        self.run("sysctl", "-qw", f"net/ipv6/conf/{device}/disable_ipv6=0")  # it may be eth0.10
        # The first one is what is sent from, as with IPv4, unless a program says otherwise.
        first = "inet6 2" not in self.run("ip", "-6", "address", "show", "dev", device).stdout
        self.run("ip", "address", "add", address, "dev", device, "nodad",
                 *([] if first else ["preferred_lft", "0"]))

    def link(self, device, state):
        self.run("ip", "link", "set", device, state)

    def mac(self, device):
        text = self.run("ip", "-o", "link", "show", device).stdout
        return re.search(r"link/ether ([0-9a-f:]{17})", text).group(1)

    def close(self):
        for process in reversed(self._processes):
            process.stop(timeout=5.0)
        remove_namespace(self.name)


def join(a, a_device, b, b_device):
    """Joins two namespaces by a veth pair.

    Offloads are off at both ends: a veth hands frames over without the checksums it promised and
    larger than the MTU, which no wire would, and a stack that reads frames must not see those.
    """
    run("ip", "link", "add", a_device, "netns", a.name, "type", "veth",
        "peer", "name", b_device, "netns", b.name)
    for namespace, device in ((a, a_device), (b, b_device)):
        namespace.run("ethtool", "-K", device, *"tx off tso off gso off gro off".split())
        namespace.link(device, "up")


def remove_namespace(name):
    """Removes a namespace of ours with the processes that still run in it."""
    listed = run("ip", "netns", "pids", name, check=False)
    for pid in listed.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "delete", name, check=False)
    shutil.rmtree(os.path.join(_ETC, name), ignore_errors=True)


def remove_leftovers(run_name=None):
    """Removes the namespaces of a run that has ended, and of all runs whose process is gone."""
    for line in run("ip", "netns", "list").stdout.splitlines():
        name = line.split()[0] if line else ""
        match = re.match(rf"{PREFIX}(\d+)-", name)
        dead = match is not None and not os.path.exists(f"/proc/{match.group(1)}")
        if dead or (run_name and name.startswith(f"{PREFIX}{run_name}-")):
            remove_namespace(name)


def require_root():
    if os.geteuid() != 0:
        raise LabError("network namespaces need root: run this with sudo")
