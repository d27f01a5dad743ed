"""Reloads under load: nobody notices, nothing grows."""

import hashlib
import threading
import time

from lab.process import LabError
from lab.scenario import (BOTH_FAMILIES, HEAVY, ONE_AND_TWO_WORKERS, expect, expect_equal,
                          scenario)
from lab.topology import BACKENDS, at, http_get

RELOADS = 200
WARM = 40           # after these, memory that is kept for reuse has been allocated
GROWTH = 4 << 20    # bytes; leaked configurations with their sets would be a multiple of it
CONNECTION = 1024   # bytes touched for the first time by each that is open or in TIME_WAIT at once
CHUNK = bytes(range(256)) * 64


class Load:
    """Clients that fetch a page over and over, each on a new connection."""

    def __init__(self, lab, count):
        self._lab = lab
        self._stop = threading.Event()
        self.fetched = 0
        self.failures = []
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                with self._lab.tls(timeout=20) as connection:
                    answer = http_get(connection, "/index.html")
                if not answer.endswith(b"the page\n"):
                    self.failures.append(f"answer {answer[-200:]!r}")
                self.fetched += 1
            except OSError as error:
                self.failures.append(repr(error))

    def finish(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Download:
    """A transfer that goes on for as long as it is let, and is then compared byte for byte."""

    def __init__(self, lab, listener):
        self._stop = threading.Event()
        self._sent, self._received = hashlib.sha256(), hashlib.sha256()
        self.bytes = 0
        self.error = None
        self._client = lab.tls(sni="long.example", timeout=30)
        self._server, _ = listener.accept()
        self._server.settimeout(30)
        self._threads = [threading.Thread(target=self._send),
                         threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        try:
            while not self._stop.is_set():
                self._server.sendall(CHUNK)
                self._sent.update(CHUNK)
                time.sleep(0.005)  # so that it lasts: a stream, not a benchmark
        except OSError as error:
            self.error = error
        self._server.close()

    def _receive(self):
        try:
            while data := self._client.recv(65536):
                self._received.update(data)
                self.bytes += len(data)
        except OSError as error:
            self.error = error

    def finish(self):
        """Ends it in order; True when everything came as it was sent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._client.close()
        if self.error:
            raise LabError(f"the download broke: {self.error!r}")
        return self._sent.digest() == self._received.digest()


def configurations(lab):
    """Two that differ in everything a reload may change."""
    servers = [at(address, 8080) for address in BACKENDS[:2]]
    for number in range(2):
        with open(lab.path(f"set{number}.txt"), "w", encoding="ascii") as out:
            out.writelines(f"198.{18 + number}.{i // 256}.{i % 256}\n" for i in range(20_000))
        config = lab.config(
            backends={"web": {"servers": servers[number:] + servers[:number],
                              "balance": ("round-robin", "least-connections")[number],
                              "health-check": {"type": "tcp", "interval": "1s"}},
                      "long": {"servers": [at(BACKENDS[2], 9000)]}},
            certificates={"shop": {"chain": "certs/shop.crt", "key": "certs/shop.key"},
                          "long": {"chain": "certs/long.crt", "key": "certs/long.key"}},
            classes={("gold", "silver")[number]: {"priority": number}},
            sets={"listed": {"file": f"set{number}.txt"}},
            firewall={"rules": [{"name": "listed", "source": "listed", "action": "drop"},
                                {"name": f"rule{number}", "protocol": "tcp", "port": 443,
                                 "action": "accept"}]},
            policy=[{"name": "long", "match": {"sni": "long.example"}, "action": "terminate",
                     "backend": "long", "class": ("gold", "silver")[number]},
                    {"name": f"web{number}", "match": {"listener": "https"},
                     "action": "terminate", "backend": "web"}])
        config["listeners"]["https"]["tls"]["certificates"] = ["shop", "long"]
        yield config


@scenario(workers=ONE_AND_TWO_WORKERS, load=HEAVY, timeout=180, families=BOTH_FAMILIES)
def two_hundred(lab):
    """200 reloads under new connections and long downloads: not one failure, no growth."""
    reloads = lab.scale(RELOADS, RELOADS // 4)
    lab.authority.issue("long", "long.example")
    lab.page("index.html", "the page\n")
    lab.nginx(*(at(address, 8080) for address in BACKENDS[:2]))
    listener = lab.listen(BACKENDS[2], 9000)
    first, second = configurations(lab)
    lab.start(first)
    downloads = [Download(lab, listener) for _ in range(2)]
    load = Load(lab, 2)
    warm = None
    for number in range(reloads):
        lab.rewrite((second, first)[number % 2])
        lab.sluice.reload(r"reload: .*in force")
        if number == min(WARM, reloads // 2):
            warm = lab.sluice.process.resident_bytes()
    grown = lab.sluice.process.resident_bytes() - warm
    allowed = GROWTH + CONNECTION * lab.sluice.counters()["connections_used"]
    load.finish()
    for download in downloads:
        expect(download.finish(), "a download came out different")
        expect(download.bytes > 0, "a download did not move")
    expect_equal(load.failures, [], "failures of new connections")
    expect(load.fetched >= reloads // 4, f"only {load.fetched} pages were fetched meanwhile")
    if not lab.sanitized:
        expect(grown < allowed, f"{grown} bytes more after {reloads - WARM} reloads")
    lab.settled()
