"""The rows of the memory lab: what the stack itself costs, and what a kernel takes for the same."""

import contextlib
import dataclasses
import string
import typing

from bench import memlab
from bench.proxies import PROXY_CPU, Nginx
from bench.priority import PRIORITY
from bench.results import OURS, Better, Goal, Result, Role
from bench.rows import Row
from bench.wirelab import Contender, WireLab
from lab.process import LabError, run

TARGETS = ("sluice", "web_server", "memload", "kload", "bench_tls")
FLOOR, DEFAULTS = "OpenSSL, tuned", "OpenSSL"   # as bench_tls calls them
NEW = ("--new", "--parallel", 256)
KEPT = ("--parallel", 512)
NEW_TO_KERNEL = ("--close", "--warm", "4")       # as kload has it

LETTERS = (string.ascii_lowercase * 3)[:64]

_SERVER = """
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/http.pid;
error_log stderr error;
events {{ worker_connections 20000; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000;
    server {{
        listen {outside}:{plain_port} backlog=65535;
        listen {outside}:{tls_port};
        return 200 {letters};
    }}
}}
"""


class WebServer(Nginx):
    """nginx as what a proxy stands before: a server on the kernel's TCP."""
    name, template = "http", _SERVER.replace("{letters}", LETTERS)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The same work on the kernel's TCP, over veth without offloads; named for what it is."""
    name: str
    proxy: Nginx
    options: tuple[str, ...] = ()

    def measure(self, session, lab):
        """Microseconds of CPU 0 for one operation, and what else there is to tell."""
        operations, expect = session.scale(100000, 10000), None
        if isinstance(self.proxy, WebServer):
            expect = self.proxy.file(lab, "letters", LETTERS)
        with lab.contender(Contender(self.name, self.proxy)) as process, \
                lab.load("64", "--parallel", 64, "--requests", operations, *self.options,
                         expect=expect) as client:
            cost = lab.measure(process, operations, client.work)
        return cost.microseconds, cost.details()


KERNEL_SERVER, KERNEL_PROXY = "nginx, kernel over veth", "nginx proxy, kernel over veth"


def openssl(session, name, row):
    """Microseconds for a connection's TLS alone (bench_tls.c), in a process of its own."""
    line = run("nice", "-n", PRIORITY, "taskset", "-c", PROXY_CPU,
               session.program("tests", "bench", "bench_tls"), name, row,
               session.scale(3000, 300), timeout=300).stdout
    return float(line.rpartition(":")[2])


@dataclasses.dataclass(frozen=True)
class Work:
    """What a row has the lab do."""
    name: str
    title: str
    arguments: tuple
    keep: int = 1
    proxied: bool = True
    tls: bool = False
    kernel: Kernel | None = None
    floor: str = ""                           # the row of bench_tls that has the same TLS
    unit: str = "us of CPU"
    better: Better = Better.LOWER
    value: typing.Callable = lambda cost: cost.microseconds
    goal: Goal | None = None
    note: str = ""

    def ours(self, session):
        """One measurement of Sluice, or of its stack alone."""
        cost = memlab.measure(session.build, proxied=self.proxied, tls=self.tls, keep=self.keep,
                              seconds=session.scale(5, 1), arguments=self.arguments)
        if "resume" in self.arguments and cost.resumed < 0.95:
            raise LabError(f"only {100 * cost.resumed:.0f} % of the handshakes resumed a session")
        return self.value(cost), cost.details()

    def measure(self, session):
        """The row's one result."""
        result = Result(self.name, self.title, "memory", self.unit, self.better, self.goal,
                        self.note)
        with contextlib.ExitStack() as stack:
            lab = None
            if self.kernel is not None and session.wanted([self.kernel.name]):
                lab = stack.enter_context(WireLab(session))
                lab.start_server()
            for _, name in session.turns(self.contenders()):
                if name == OURS:
                    value, details = self.ours(session)
                    result.add(name, value, **details)
                elif name in (FLOOR, DEFAULTS):
                    result.add(name, openssl(session, name, self.floor), Role.REFERENCE)
                else:
                    value, details = self.kernel.measure(session, lab)
                    result.add(name, value, Role.REFERENCE, **details)
        yield result

    def contenders(self):
        """Who takes turns."""
        return [OURS, *([self.kernel.name] if self.kernel else []),
                *([FLOOR, DEFAULTS] if self.floor else [])]


WORK = (
    Work("mem-server-new", "64 B on a new connection, no proxy", NEW, proxied=False,
         kernel=Kernel(KERNEL_SERVER, WebServer(), NEW_TO_KERNEL), goal=Goal(value=1e6 / 600000),
         note="the goal is 600,000 a second on one core"),
    Work("mem-server-kept", "64 B on a kept connection, no proxy", KEPT, keep=512, proxied=False,
         kernel=Kernel(KERNEL_SERVER, WebServer())),
    Work("mem-splice-new", "64 B on a new spliced connection", NEW,
         kernel=Kernel(KERNEL_PROXY, Nginx(), NEW_TO_KERNEL)),
    Work("mem-splice-kept", "64 B on a kept spliced connection", KEPT, keep=512,
         kernel=Kernel(KERNEL_PROXY, Nginx())),
    Work("mem-full-p256", "new TLS 1.3 connection, full handshake, P-256, one request of 64 B",
         ("--new", "--parallel", 64, "--tls", "full"), tls=True,
         floor="full-13-p256",
         goal=Goal(times=1 / 1.15, against=FLOOR),
         note="the goal is 1.15 of what OpenSSL takes by itself, tuned as far as its settings go"),
    Work("mem-resumed", "new TLS 1.3 connection, resumed, one request of 64 B",
         ("--new", "--parallel", 32, "--tls", "resume"), keep=32, tls=True,
         floor="resumed-13"),
    Work("mem-tls-kept", "64 B on a kept TLS connection", (*KEPT, "--tls", "full"), keep=512,
         tls=True),
    Work("mem-tls-bulk", "10 MB over TLS", ("--parallel", 8, "--tls", "full", "--size", 10 << 20),
         keep=8, tls=True, unit="Gbit/s for a core", better=Better.HIGHER,
         value=lambda cost: cost.gigabits, goal=Goal(value=10.0),
         note="content by the time that Sluice worked, not by the time that passed"),
)


def open_counts(session):
    """So many connections open, each spliced to one of its own."""
    return session.scale((1000, 10000, 100000, 1000000), (1000, 10000))


def scaling(session):
    """What a connection costs, and a request, by how many are open."""
    for count in open_counts(session):
        opening, kept, new = (
            Result(f"scale-{what}-{count}", f"{title}, {count:,} open", "scaling", "us of CPU")
            for what, title in (("open", "opening a spliced connection"),
                                ("kept", "64 B on each in turn, 20,000 a second"),
                                ("new", "64 B on a new connection beside them")))
        for _, name in session.turns([OURS]):
            seconds = session.scale(5, 1)
            cost = memlab.measure(session.build, keep=count, seconds=seconds,
                                  arguments=("--parallel", 512, "--rate", 20000))
            opening.add(name, cost.opening * 1e6 / count, memory=cost.facts["memory"])
            kept.add(name, cost.microseconds, **cost.details())
            cost = memlab.measure(session.build, keep=count, seconds=seconds,
                                  arguments=("--parallel", 256, "--new", "--rate", 10000))
            new.add(name, cost.microseconds, **cost.details())
        yield from (opening, kept, new)


ROWS = (
    *(Row(work.name, work.title, "memory", work.measure, TARGETS) for work in WORK),
    Row("scaling", "what it costs by how many connections are open", "scaling", scaling, TARGETS),
)
