"""Latency through a proxy that has half of its work to do, alone and during a flood of handshakes.

Requests begin at a fixed rate whatever the answers do, the same for all contenders: half of what the
slowest of them managed when asked as fast as it answers. A request's time counts from when it was
due. In a flood, a second client makes new TLS connections with full handshakes as fast as it can.

Both clients and the server share CPU 1. What measures, the server and the receive work of their
interfaces run there at real-time priority, so that the flood takes what they leave and delays none
of them.
"""

import contextlib

from bench.results import Goal, Result
from bench.rows import Row
from bench.wirelab import WireLab, contenders

PARALLEL = 64
FLOOD_PARALLEL = 64
AHEAD = ("chrt", "-f", "10")
BEHIND = ("nice", "-n", "39")  # of the lab's own priority: the lowest there is
PERCENTILES = {"p50": "median", "p99": "p99", "p99.9": "p99.9"}


def capacity(session, lab, able):
    """Requests a second of the slowest contender."""
    rates = []
    for name in session.wanted(able):
        session.progress.step(f"how much {name} can do")
        with lab.contender(able[name]), \
                lab.load("1k", "--parallel", PARALLEL, "--seconds", session.scale(3, 1), tls="1.3",
                         prefix=AHEAD) as client:
            report = client.work()
            rates.append(report["requests"] / report["seconds"])
    return min(rates)


def steady(lab, rate, seconds):
    """Requests at the rate, on connections that stand."""
    return lab.load("1k", "--parallel", PARALLEL, "--rate", rate, "--seconds", seconds, tls="1.3",
                    prefix=AHEAD)


@contextlib.contextmanager
def quiet(lab, rate, seconds, _beside):
    """The client that measures, and nothing else."""
    with steady(lab, rate, seconds) as client:
        yield client


@contextlib.contextmanager
def flooded(lab, rate, seconds, beside):
    """The same in a flood, which begins before the measurement and outlasts it."""
    with steady(lab, rate, seconds) as client, \
            lab.load("1k", "--parallel", FLOOD_PARALLEL, "--close", "--seconds", seconds + 1,
                     tls="1.3", prefix=BEHIND) as flood:
        flood.go()
        yield client
        report = flood.report()
    beside["handshakes_a_second"] = report["handshakes"] / report["seconds"]


def one_round(lab, contender, load, rate, seconds):
    """What the client found, and what goes beside it into the file."""
    report, beside = {}, {"rate": rate}
    with lab.contender(contender) as process:
        lab.real_time()
        with load(lab, rate, seconds, beside) as client:
            cost = lab.measure(process, rate * seconds, lambda: report.update(client.work()))
    return report["latency_us"], {**cost.details(), **beside}


def measure(session, name, title, load, goals):
    """All rounds; one result for each percentile."""
    able = contenders()
    results = {percentile: Result(f"{name}-{percentile}", f"{words} {title}", "wire", "us",
                                  goal=goals.get(percentile))
               for percentile, words in PERCENTILES.items()}
    with WireLab(session) as lab:
        lab.start_server()
        rate = max(1, int(capacity(session, lab, able) / 2))
        for _, contender in session.turns(able):
            latency, beside = one_round(lab, able[contender], load, rate, session.scale(10, 2))
            for percentile, result in results.items():
                result.add(contender, latency[percentile], able[contender].role, **beside)
    yield from results.values()


def row(name, title, load, goals):
    """A row of three results."""
    return Row(name, f"latency {title}", "wire",
               lambda session: measure(session, name, title, load, goals), ("sluice", "kload"))


ROWS = (
    row("latency", "of GETs of 1 KB on kept-alive TLS at half load", quiet, {}),
    row("latency-flood", "of GETs of 1 KB on kept-alive TLS at half load, in a flood of handshakes",
        flooded, {"p99": Goal(times=5.0)}),
)
