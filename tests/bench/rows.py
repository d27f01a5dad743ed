"""What is measured: a function for each row of the table.

A row is run against each proxy in turn, in a laboratory of its own. It does its operations,
verifies that every one succeeded, and raises LabError when one did not.
"""

import dataclasses
import re
import typing

from lab.process import LabError

URL = "https://shop.example"


@dataclasses.dataclass
class Row:
    """A row of the table."""
    name: str
    title: str
    operations: int          # in one round
    run: typing.Callable     # run(lab, operations)
    certificate: str         # the key of the certificate for shop.example


ROWS = {}


def row(title, operations, certificate="P-256"):
    """Registers a function as a row under its own name."""
    def register(function):
        name = function.__name__.replace("_", "-")
        ROWS[name] = Row(name, title, operations, function, certificate)
        return function
    return register


def ab(lab, operations, *options, page="1k", protocol="TLSv1.3"):
    """ApacheBench, 64 at a time; every response is complete and a 200."""
    result = lab.on_client_cpu("ab", "-q", "-n", operations, "-c", "64", "-s", "30", "-f",
                               protocol.replace("v", ""), *options, f"{URL}/{page}")
    text = result.stdout + result.stderr
    if (result.returncode != 0 or f"Complete requests:      {operations}\n" not in text
            or not re.search(r"Failed requests: +0\n", text) or "Non-2xx" in text
            or f"SSL/TLS Protocol:       {protocol}," not in text):
        raise LabError(f"ab did not complete {operations} requests over {protocol}:\n{text}")


@row("new TLS 1.3 connection, full handshake, P-256 certificate, one GET of 1 KB", 6000)
def handshake_full(lab, operations):
    """ab neither resumes sessions nor keeps connections alive unless told to."""
    ab(lab, operations)
