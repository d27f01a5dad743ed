"""The memory lab: what Sluice's own stack costs, with no kernel on the way.

Sluice has one worker on CPU 0; the load (tests/bench/memload: clients and server on our stack, in one
thread) has CPU 1; DPDK's memif joins them. What is told is the time of the worker's rounds in which
packets came or went, for one operation, so that neither its polling nor a load that is slower than
Sluice shows in it. That time is the wall clock's: what else ran on CPU 0 meanwhile is in it, and how
long the thread waited for its CPU is told beside it.
"""

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time

from bench import priority, profile
from bench.proxies import PROXY_CPU
from bench.wirelab import PEERS_CPU
from lab.certs import Authority
from lab.daemon import Sluice, write_config
from lab.process import LabError, Process

CLIENTS, OUTSIDE, INSIDE, SERVERS = "10.9.0.2", "10.9.0.1", "10.10.0.1", "10.10.0.2"
PROXIED, SERVER = 1024, 3072                # the first of so many ports:
PORTS = 32
TRIES = 5
LINK_DOWN = 3                               # memload's exit status
WARM_UP = 0.5                               # s, in which the first sessions' tickets come


def memif(number, role, directory):
    """A DPDK device: one end of a link."""
    return (f"net_memif{number},role={role},id={number},socket={directory}/memif,"
            "socket-abstract=no")


def waited_seconds(process):
    """How long the thread that is measured has waited for its CPU."""
    task = profile.thread_named(process.pid, profile.THREADS)
    with open(f"/proc/{process.pid}/task/{task}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[1]) / 1e9


class LinkDown(LabError):
    """memif connects once, when it is opened, and on a busy machine that may fail."""


class Here:
    """Where Sluice runs that needs no namespace: it has no interface of the kernel's."""

    def __init__(self, directory):
        self._directory = directory

    def start(self, *command, name=None, env=None):
        return Process(command, os.path.join(self._directory, f"{name}.log"), name=name, env=env)


class Load:
    """The load, which goes on when it is told to."""

    def __init__(self, build, directory, *arguments):
        program = os.path.join(build, "tests", "bench", "memload")
        end, self._told = os.pipe()
        self.process = Process([program, "--cpu", PEERS_CPU, *arguments],
                               os.path.join(directory, "memload.log"), stdin=end)
        os.close(end)

    def said(self, key, timeout):
        """The line with a key, as values."""
        try:
            return json.loads(self.process.wait_for(rf'^\{{"{key}":.*$', timeout).group(0))
        except LabError:
            if self.process.status() == LINK_DOWN:
                raise LinkDown("memif does not connect") from None
            raise

    def go(self):
        os.write(self._told, b"go\n")

    def end(self):
        """Ends it. Twice does no harm."""
        if self._told is not None:
            os.close(self._told)
            self._told = None
        self.process.wait(60)


class Subject:
    """What is measured."""

    def busy_seconds(self):
        """Time of rounds with work so far."""
        raise NotImplementedError

    def facts(self):
        """What else there is to tell."""
        return {}


class Proxy(Subject):
    """Sluice with one worker."""

    def __init__(self, directory, binary, connections, tls):
        config = os.path.join(directory, "sluice.yaml")
        write_config(config, self._config(directory, connections, tls))
        self._sluice = Sluice(Here(directory), binary, config)
        self._sluice.start(ready_timeout=120)
        self.process = self._sluice.process

    @staticmethod
    def _config(directory, connections, tls):
        secured = {"tls": {"certificates": ["bench"]}} if tls else {}
        return {
            "workers": [PROXY_CPU],
            "interfaces": {
                "outside": {"device": {"vdev": memif(0, "server", directory)},
                            "addresses": [f"{OUTSIDE}/24"]},
                "inside": {"device": {"vdev": memif(1, "server", directory)},
                           "addresses": [f"{INSIDE}/24"]}},
            **({"certificates": {"bench": {"chain": "certs/bench.crt", "key": "certs/bench.key"}}}
               if tls else {}),
            "backends": {"load": {"servers": [f"{SERVERS}:{SERVER + i}" for i in range(PORTS)]}},
            "listeners": {f"port{i}": {"bind": f"{OUTSIDE}:{PROXIED + i}", **secured}
                          for i in range(PORTS)},
            "policy": [{"action": "terminate" if tls else "splice", "backend": "load"}],
            "timeouts": {"idle": "1h"},
            "limits": {"connections": 131072 + connections * 5 // 2, "buffer-memory": "256MiB"}}

    def busy_seconds(self):
        return self._sluice.counters()["worker_busy_nanoseconds"] / 1e9

    def facts(self):
        counters = self._sluice.counters()
        return {"retransmissions": counters["tcp_retransmissions"], "drops": counters.drops(),
                "memory": self.process.resident_bytes()}

    def stop(self):
        self._sluice.stop()
        self._sluice.verify_end()


class Server(Subject):
    """The web server of programs/, its code inside the stack's thread: no proxy."""

    def __init__(self, directory, build):
        self.process = Process(
            [os.path.join(build, "programs", "web_server"), "--inside", "--cpu", PROXY_CPU,
             "--device", "vdev:" + memif(0, "server", directory), "--address", f"{OUTSIDE}/24",
             "--connections", 131072, "--listen", PROXIED],
            os.path.join(directory, "web_server.log"))
        self.process.wait_for("ready", 60)

    def busy_seconds(self):
        mark = self.process.log_mark()
        self.process.signal(signal.SIGUSR1)
        return float(self.process.wait_for(r"busy ([\d.]+) s", since=mark).group(1))

    def stop(self):
        self.process.signal(signal.SIGTERM)
        if self.process.wait(30) != 0:
            raise LabError(f"web_server failed:\n{self.process.log()[-2000:]}")


class MemoryLab:
    """One measurement's processes and their directory; a context manager."""

    def __init__(self, build):
        self._build = build
        self.directory = tempfile.mkdtemp(prefix="sluice-bench-")
        self._cleanup = contextlib.ExitStack()
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)

    def __enter__(self):
        priority.first()
        return self

    def __exit__(self, *_):
        self._cleanup.close()

    def proxy(self, connections, tls):
        """Starts Sluice, sized for so many clients at a time."""
        Authority(os.path.join(self.directory, "certs")).issue("bench", "*.bench.example")
        return self._started(Proxy, self.directory,
                             os.path.join(self._build, "appliance", "sluice"), connections, tls)

    def server(self):
        """Starts the server that needs no proxy."""
        return self._started(Server, self.directory, self._build)

    def load(self, *arguments, proxied):
        """Starts the load against what has been started."""
        ports, backend = 1, []
        if proxied:
            ports = PORTS
            backend = ["--server", memif(1, "client", self.directory), "--address",
                       f"{SERVERS}/24", "--listen", f"{SERVER}+{PORTS}"]
        load = Load(self._build, self.directory, "--client", memif(0, "client", self.directory),
                    "--address", f"{CLIENTS}/24", "--to", f"{OUTSIDE}:{PROXIED}+{ports}", *backend,
                    *arguments)
        self._cleanup.callback(load.process.stop)
        return load

    def _started(self, kind, *arguments):
        subject = kind(*arguments)
        self._cleanup.callback(subject.process.stop)
        return subject


class Cost:
    """What a run of operations cost."""

    def __init__(self, busy, waited, opening, result, facts):
        self.busy = busy              # s, of what is measured
        self.waited = waited          # s, its thread for its CPU
        self.opening = opening        # s of its work, for the connections that are kept
        self.result = result          # the load's
        self.facts = facts

    @property
    def microseconds(self):
        """For one operation."""
        return self.busy * 1e6 / self.result["requests"]

    @property
    def gigabits(self):
        """Content a second of work."""
        return self.result["bytes"] * 8 / self.busy / 1e9

    @property
    def resumed(self):
        """The part of the handshakes that resumed a session."""
        return self.result["resumed"] / max(1, self.result["handshakes"])

    def details(self):
        """For the file and the page."""
        seconds = self.result["seconds"]
        return {"rate": self.result["requests"] / seconds, "busy": self.busy / seconds,
                "foreign": self.waited / seconds, "load_busy": self.result["busy_seconds"] / seconds,
                "p50_us": self.result["p50_us"], "p99_us": self.result["p99_us"],
                "load_retransmissions": self.result["retransmissions"],
                "load_drops": self.result["drops"], **self.facts}


def attempt(build, proxied, tls, keep, seconds, *arguments):
    """One measurement with fresh processes."""
    with MemoryLab(build) as lab:
        subject = lab.proxy(keep, tls) if proxied else lab.server()
        load = lab.load("--seconds", seconds, "--keep", keep, *arguments, proxied=proxied)
        load.said("opened", 330)
        time.sleep(WARM_UP)
        with profile.recording(subject.process.pid):
            busy, waited = subject.busy_seconds(), waited_seconds(subject.process)
            load.go()
            result = load.said("requests", seconds + 60)
            cost = Cost(subject.busy_seconds() - busy, waited_seconds(subject.process) - waited,
                        busy, result, subject.facts())
        load.end()
        if result["failed"] or load.process.status() != 0 or result["requests"] == 0:
            raise LabError(f"the load failed: {result['fault']}\n{load.process.log()[-2000:]}")
        subject.stop()
        return cost


def measure(build, *, proxied=True, tls=False, keep=1, seconds=5, arguments=()):
    """As attempt(), again when a link did not come up."""
    for _ in range(TRIES):
        try:
            return attempt(build, proxied, tls, keep, seconds, *arguments)
        except LinkDown:
            continue
    raise LabError("memif does not connect")
