"""What connections on which nothing happens cost a proxy: memory for each, and CPU time.

Each connection has made one request, so that both of its sides stand. Its memory has three parts:

- what the processes of the proxy have more than before, counted by the kernel (PSS);
- what was taken from pools that were touched before: Sluice's packet buffers, by its own gauge. Its
  other pools are mapped at the start but untouched, so that what is used of them is in the first part;
- the kernel's socket of each side, with its inode, file, dentry and place in an epoll set: the sizes
  that /proc/slabinfo tells, times the sockets that `ss` finds with the proxy. Sluice has none.

What the whole machine has less than before, with client and server, stands beside it in the file.
"""

import re
import time

from bench.results import OURS, Goal, Result
from bench.rows import Row
from bench.wirelab import WireLab, contenders, descendants

# Of one socket in an epoll set.
CACHES = ("TCP", "sock_inode_cache", "filp", "dentry", "eventpoll_epi")
BUFFER = 2048              # as docs/operations.md counts them
SETTLE = 1.0               # seconds, after the last handshake


def proportional_set(pid):
    """PSS of a process and all below it, in bytes: pages that are shared are counted once."""
    total = 0
    for process in descendants(pid):
        with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as rollup:
            total += int(re.search(r"^Pss: +(\d+) kB", rollup.read(), re.MULTILINE).group(1))
    return total << 10


def socket_size():
    """Bytes that the kernel keeps of one socket."""
    with open("/proc/slabinfo", encoding="ascii") as slabs:
        sizes = {line.split()[0]: int(line.split()[3]) for line in slabs if line[0] != "#"
                 and not line.startswith("slabinfo")}
    return sum(sizes[cache] for cache in CACHES)


def available():
    """What the machine could still give."""
    with open("/proc/meminfo", encoding="ascii") as info:
        return int(re.search(r"^MemAvailable: +(\d+)", info.read(), re.MULTILINE).group(1)) << 10


def reading(lab, contender, process):
    """The parts, in bytes, and the machine's."""
    time.sleep(SETTLE)
    sockets = len(lab.proxy.run("ss", "-Htn", "state", "established").stdout.splitlines())
    buffers = lab.sluice.counters()["buffers_used"] if contender.name == OURS else 0
    return {"processes": proportional_set(process.pid), "kernel": sockets * socket_size(),
            "buffers": buffers * BUFFER, "machine": -available()}


def memory_of(lab, contender, count, tls, page):
    """Bytes for each connection, by part."""
    with lab.contender(contender) as process:
        with lab.load(page, "--parallel", 16, "--requests", 64, "--close", tls=tls) as client:
            client.work()
        before = reading(lab, contender, process)
        with lab.load(page, "--parallel", count, "--requests", 0, tls=tls) as client:
            after = reading(lab, contender, process)
            client.work()  # all of them still stand
    return {part: (after[part] - before[part]) / count for part in before}


def memory(session, name, title, tls, goal):
    """All rounds."""
    able = {contender: who for contender, who in contenders(splices=tls is None).items()
            if not who.offloads}
    result = Result(name, title, "wire", "bytes", goal=goal,
                    note="The proxy's processes, and for peers the kernel's sockets.")
    count = session.scale(4000, 1000)
    with WireLab(session) as lab:
        lab.start_server()
        for _, contender in session.turns(able):
            parts = memory_of(lab, able[contender], count, tls, "1k")
            result.add(contender, sum(parts[part] for part in ("processes", "kernel", "buffers")),
                       connections=count, **parts)
    yield result


def idle_cpu(session):
    """The part of a CPU that the proxy's own threads take; what strangers do there does not count."""
    result = Result("idle-cpu", "CPU of a proxy with 100 idle TLS connections", "wire",
                    "% of a CPU")
    seconds = session.scale(10, 3)
    able = {name: who for name, who in contenders().items() if not who.offloads}
    with WireLab(session) as lab:
        lab.start_server()
        for _, name in session.turns(able):
            with lab.contender(able[name]) as process, \
                    lab.load("1k", "--parallel", 100, "--requests", 0, tls="1.3") as client:
                time.sleep(SETTLE)
                cost = lab.measure(process, 1, lambda: time.sleep(seconds))
                client.work()
            result.add(name, cost.own_microseconds / seconds / 1e4, busy=cost.busy / seconds)
    yield result


def memory_row(name, title, tls, goal=None):
    """A row of memory."""
    return Row(name, title, "wire", lambda session: memory(session, name, title, tls, goal),
               ("sluice", "kload"))


ROWS = (
    memory_row("memory-tls", "memory of an idle TLS connection, both sides", "1.3",
               Goal(times=2.0, value=24 * 1024)),
    memory_row("memory-splice", "memory of an idle spliced connection, both sides", None),
    Row("idle-cpu", "CPU of an idle proxy", "wire", idle_cpu, ("sluice", "kload")),
)
