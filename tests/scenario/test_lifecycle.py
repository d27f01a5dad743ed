"""The life of the process: drain, stop, reload, counters."""

import os
import re
import signal
import ssl
import threading

from lab.certs import fingerprint
from lab.process import LabError
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import BACKENDS, BITS, IPV6, OUTSIDE, at, http_get, inner, read_all


def refused(lab, port=443):
    try:
        lab.connect(port, timeout=3).close()
        return False
    except ConnectionRefusedError:
        return True


class Download:
    """A running transfer, held half-way by its server."""

    def __init__(self, lab, listener):
        self.content = os.urandom(4 << 20)
        self.client = lab.tls(timeout=30)
        self.server, _ = listener.accept()
        self.server.sendall(self.content[:1 << 16])
        self.received = self.client.recv(1 << 14)

    def finish(self):
        """Sends the rest; True when the client got all of it in order."""
        sender = threading.Thread(target=self._send_rest)
        sender.start()
        self.received += read_all(self.client)
        sender.join()
        self.client.close()
        return self.received == self.content

    def _send_rest(self):
        self.server.sendall(self.content[1 << 16:])
        self.server.close()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def drain(lab):
    """SIGTERM refuses new connections, lets a running transfer finish, then ends with status 0."""
    listener = lab.listen()
    lab.start(lab.config(timeouts={"drain": "30s"}))
    transfer = Download(lab, listener)
    mark = lab.sluice.process.log_mark()
    lab.sluice.process.signal(signal.SIGTERM)
    lab.sluice.process.wait_for(r"drain", since=mark)
    expect(refused(lab), "a new connection was taken while draining")
    expect(transfer.finish(), "the transfer was cut by the drain")
    expect_equal(lab.sluice.process.wait(10), 0, "exit status")


@scenario(families=BOTH_FAMILIES)
def drain_limit(lab):
    """Sessions that do not end in the drain time are cut, and the process ends."""
    listener = lab.listen()
    lab.start(lab.config(timeouts={"drain": "1s"}))
    transfer = Download(lab, listener)
    lab.sluice.process.signal(signal.SIGTERM)
    expect_equal(lab.sluice.process.wait(15), 0, "exit status")
    try:
        rest = read_all(transfer.client)
        expect(len(rest) < len(transfer.content), "the cut session delivered everything")
    except OSError:
        pass


@scenario(families=BOTH_FAMILIES)
def second_sigterm(lab):
    """A second SIGTERM stops at once."""
    listener = lab.listen()
    lab.start(lab.config(timeouts={"drain": "1h"}))
    Download(lab, listener)
    mark = lab.sluice.process.log_mark()
    lab.sluice.process.signal(signal.SIGTERM)
    lab.sluice.process.wait_for(r"drain", since=mark)
    expect(lab.sluice.process.running(), "the process did not wait for its session")
    lab.sluice.process.signal(signal.SIGTERM)
    lab.sluice.process.wait(10)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def reload_certificate(lab):
    """After SIGHUP new connections see the new certificate; a running transfer is not cut."""
    listener = lab.listen()
    lab.start()
    transfer = Download(lab, listener)
    before = fingerprint(lab.path("certs/shop.crt"))
    lab.authority.issue("shop", "shop.example")
    expect(fingerprint(lab.path("certs/shop.crt")) != before, "the same certificate was made twice")
    lab.sluice.reload(r"reload: .*in force")
    with lab.tls() as connection:
        seen = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
        with open(lab.path("certs/shop.crt"), encoding="ascii") as chain:
            expect(chain.read().startswith(seen), "the certificate is not the new one")
        listener.accept()[0].close()
    expect(transfer.finish(), "the transfer was cut by the reload")
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def reload_listeners_and_backends(lab):
    """A reload opens and closes listeners and moves new sessions to other servers."""
    servers = [at(address, 8080) for address in BACKENDS[:2]]
    lab.page("index.html", "x")
    lab.nginx(*servers)
    lab.start()
    expect(refused(lab, 8443), "a port without listener took a connection")
    config = lab.config(backends={"web": {"servers": servers[1:]}})
    config["listeners"]["https"]["bind"] = at(OUTSIDE, 8443)
    lab.rewrite(config)
    lab.sluice.reload(r"reload: .*in force")
    with lab.tls(port=8443) as connection:
        expect_in(f"X-Server: {BACKENDS[1]}".encode(), http_get(connection), "answer")
    expect(refused(lab, 443), "a listener that is gone from the file took a connection")
    for _ in range(5):
        lab.sluice.reload(r"reload: .*in force")
    with lab.tls(port=8443) as connection:
        expect_in(b"200 OK", http_get(connection), "answer after more reloads")
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def bad_reload(lab):
    """A file with mistakes is refused with its reasons; the old configuration serves on."""
    lab.page("index.html", "x")
    lab.nginx()
    lab.start()
    good = lab.config()

    def refuse(config, pattern):
        lab.rewrite(config)
        mark = lab.sluice.process.log_mark()
        lab.sluice.reload(r"reload: refused")
        text = lab.sluice.process.log(mark)
        expect(re.search(pattern, text), f"the log does not say /{pattern}/:\n{text}")
        expect_in("former configuration stays", text, "log")
        expect_in("200 OK", lab.curl("/index.html", "-i").stdout, "answer after a refused reload")

    refuse("listeners: [", r"sluice\.yaml:\d+:\d+: error")
    broken = lab.config()
    broken["policy"][0]["backend"] = "wbe"
    refuse(broken, r"sluice\.yaml:\d+:\d+: error: .*wbe.*web")
    lab.authority.issue("shop", "shop.example", days=-1)
    refuse(good, r"expired")
    other = lab.authority.issue("other", "shop.example")
    mixed = lab.config(certificates={"shop": {"chain": other[0], "key": "certs/shop.key"}})
    refuse(mixed, r"key")
    lab.authority.issue("shop", "shop.example")
    moved = lab.config()
    moved["interfaces"]["inside"]["addresses"] = [f"{inner(2)}/{BITS}"]
    refuse(moved, r"restart")
    lab.rewrite(good)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def counters(lab):
    """SIGUSR1 prints every worker's counters: packets, states, handshakes, bytes."""
    lab.page("index.html", "x" * 100_000)
    lab.nginx()
    lab.start()
    before = lab.sluice.counters()
    expect_equal(sorted(before.workers), list(range(len(lab.workers))), "workers in the report")
    lab.curl("/index.html")
    after = lab.settled()
    changed = after.since(before)
    answers = "nd_advertisements_sent" if IPV6 else "arp_replies_sent"
    for name in (answers, "rx_packets", "tx_packets", "tcp_accepted", "tcp_connected",
                 "tls_handshakes_completed", "sessions_terminated"):
        expect(changed.get(name, 0) >= 1, f"{name} did not count")
    for name in ("bytes_from_backends", "tls_bytes_encrypted", "tcp_bytes_sent"):
        expect(changed.get(name, 0) >= 100_000, f"{name} counted {changed.get(name, 0)} bytes")


@scenario()
def cannot_start(lab):
    """A device that is not there ends the start with a reason and status 1."""
    config = lab.config()
    config["interfaces"]["outside"]["device"] = {"kernel": "nowhere0"}
    try:
        lab.start(config)
        expect(False, "the daemon started on a device that is not there")
    except LabError:
        pass
    expect_equal(lab.sluice.process.wait(10), 1, "exit status")
    expect_in("nowhere0", lab.sluice.process.log(), "log")
    lab.sluice = None
