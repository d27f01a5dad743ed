"""The rows of the wire lab: whole proxies between a client and a server on veth."""

import re

from bench.results import Goal, Result
from bench.rows import Row
from bench.wirelab import WireLab, contenders
from lab.process import LabError

URL = "https://shop.example"


def ab(lab, operations, *options, page="1k", protocol="TLSv1.3"):
    """ApacheBench, 64 at a time; every response is complete and a 200."""
    result = lab.on_client_cpu("ab", "-q", "-n", operations, "-c", "64", "-s", "30", "-f",
                               protocol.replace("v", ""), *options, f"{URL}/{page}")
    text = result.stdout + result.stderr
    if (result.returncode != 0 or f"Complete requests:      {operations}\n" not in text
            or not re.search(r"Failed requests: +0\n", text) or "Non-2xx" in text
            or f"SSL/TLS Protocol:       {protocol}," not in text):
        raise LabError(f"ab did not complete {operations} requests over {protocol}:\n{text}")


def full(session):
    """What a new connection costs with a full handshake."""
    able = contenders()
    result = Result("full-p256", "new TLS 1.3 connection, full handshake, P-256, one GET of 1 KB",
                    "wire", "us of CPU", goal=Goal(times=2.0))
    with WireLab(session.program("appliance", "sluice")) as lab:
        lab.start_server()
        for _, name in session.turns(able):
            operations = session.scale(6000, 1500)
            with lab.contender(able[name]) as process:
                ab(lab, 500)
                cost = lab.measure(process, operations, lambda: ab(lab, operations))
            result.add(name, cost.microseconds, able[name].role,
                       rate=operations / cost.seconds, own=cost.own_microseconds)
    yield result


ROWS = (Row("full-p256", "new TLS 1.3 connections", "wire", full),)
