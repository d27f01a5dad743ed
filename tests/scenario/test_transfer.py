"""Bulk data through TLS termination, compared by SHA-256; and very many short connections."""

import concurrent.futures
import os
import re
import sys

from lab.peers import digest, write_random
from lab.process import wait_until
from lab.scenario import (BOTH_FAMILIES, HEAVY, ONE_AND_TWO_WORKERS, expect, expect_equal,
                          expect_in, expect_within, scenario)
from lab.topology import BACKENDS

MEGABYTE = 1_000_000
UPLOAD_SERVER = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lab",
                             "upload_server.py")


def curl_command(lab, *options):
    return ["curl", "-sS", "--fail", "--max-time", "500", "--cacert", lab.authority.certificate,
            *options]


def start_upload_server(lab):
    server = lab.backend.start(sys.executable, UPLOAD_SERVER, BACKENDS[0], "8080", name="upload")
    server.wait_for("listening")


def downloads(lab, wanted, count):
    """Fetches the file `count` times at once; returns how many arrived as they are."""
    command = " ".join(curl_command(lab, "https://shop.example/file"))
    pipeline = f"set -o pipefail; {command} | openssl dgst -sha256 -r"

    def fetch(_number):
        return lab.client.run("bash", "-c", pipeline, timeout=600).stdout.split()[0]

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return sum(seen == wanted for seen in pool.map(fetch, range(count)))


def uploads(lab, path, wanted, count):
    command = curl_command(lab, "-H", "Expect:", "-T", path, "https://shop.example/")

    def send(_number):
        return lab.client.run(*command, timeout=600).stdout

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return sum(seen == wanted for seen in pool.map(send, range(count)))


def random_file(lab, size):
    path = os.path.join(lab.www, "file")
    write_random(path, size)
    return path, digest(path)


@scenario(workers=ONE_AND_TWO_WORKERS, load=HEAVY, timeout=240, families=BOTH_FAMILIES)
def download(lab):
    """100 MB from nginx to curl arrive bit for bit."""
    _, wanted = random_file(lab, lab.scale(100, 20) * MEGABYTE)
    lab.nginx()
    lab.start()
    expect_equal(downloads(lab, wanted, 1), 1, "downloads with the right SHA-256")
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS, load=HEAVY, timeout=240, families=BOTH_FAMILIES)
def upload(lab):
    """100 MB from curl to a server arrive bit for bit."""
    path, wanted = random_file(lab, lab.scale(100, 20) * MEGABYTE)
    start_upload_server(lab)
    lab.start()
    expect_equal(uploads(lab, path, wanted, 1), 1, "uploads with the right SHA-256")
    lab.settled()


@scenario(workers=((0, 1),), load=HEAVY, timeout=600, families=BOTH_FAMILIES)
def downloads_64_at_a_time(lab):
    """64 downloads at once of 16 MB (FULL=1: 100 MB; the sanitizers' build: 1 MB)."""
    _, wanted = random_file(lab, lab.scale(100 if lab.thorough else 16, 1) * MEGABYTE)
    lab.nginx()
    lab.start()
    expect_equal(downloads(lab, wanted, 64), 64, "downloads with the right SHA-256")
    lab.settled()


@scenario(load=HEAVY, timeout=600, families=BOTH_FAMILIES)
def uploads_64_at_a_time(lab):
    """64 uploads at once of 16 MB (FULL=1: 100 MB; the sanitizers' build: 1 MB)."""
    path, wanted = random_file(lab, lab.scale(100 if lab.thorough else 16, 1) * MEGABYTE)
    start_upload_server(lab)
    lab.start()
    expect_equal(uploads(lab, path, wanted, 64), 64, "uploads with the right SHA-256")
    lab.settled()


POOLS = re.compile(r"connections_used|connections_established|buffers_used|sessions|data_pool_used"
                   r"|pool_\w+_used")

# Frames that were sent last stay with the device until it is given more to send.
DEVICE_SLACK = 64


def levels(counters):
    return {name: value for name, value in counters.items() if POOLS.fullmatch(name)}


def many_connections(lab, count):
    """`count` new TLS connections with one GET each, 64 at a time."""
    result = lab.client.run("ab", "-q", "-n", count, "-c", "64", "-s", "60",
                            "https://shop.example/page", timeout=400)
    expect_in(f"Complete requests:      {count}", result.stdout, "ab")
    expect_in("Failed requests:        0", result.stdout, "ab")
    expect("Non-2xx" not in result.stdout and "SSL" not in result.stderr,
           f"ab: {result.stdout}{result.stderr}")


def above(now, before):
    """The pools that hold more than before."""
    return {name: value for name, value in now.items()
            if value > before[name] + (DEVICE_SLACK if name.startswith("pool_") else 0)}


@scenario(workers=((0, 1),), load=HEAVY, timeout=500, families=BOTH_FAMILIES)
def twenty_thousand_connections(lab):
    """After 20,000 TLS connections every pool is back at its level, and so is the memory."""
    count = lab.scale(20_000, 1_000)
    lab.page("page", "x" * 1024)
    lab.nginx()
    lab.start({**lab.config(), "tcp": {"time-wait": "5s"}})
    before = levels(lab.sluice.counters())
    many_connections(lab, count // 10)
    resident = lab.sluice.process.resident_bytes()
    many_connections(lab, count)
    growth = lab.sluice.process.resident_bytes() - resident
    # A connection in TIME_WAIT keeps its control block, whose page was not touched before.
    allowed = (4 << 20) + 1024 * lab.sluice.counters()["connections_used"]
    print(f"growth of resident memory: {growth} bytes, allowed: {allowed}")
    expect(lab.sanitized or growth < allowed, f"resident memory grew by {growth} bytes")
    # The connections that the daemon closed first stay in TIME_WAIT for a while.
    wait_until(lambda: not above(levels(lab.sluice.counters()), before),
               lambda: f"pools back at {before}; {above(levels(lab.sluice.counters()), before)}",
               90, 0.5)
    counters = lab.sluice.counters()
    # ab opens a few more connections than it needs.
    expect_within(counters["tls_handshakes_completed"], count + count // 10,
                  count + count // 10 + 128, "tls_handshakes_completed")
    expect_equal(counters["sessions_closed"], counters["sessions_opened"], "sessions_closed")
