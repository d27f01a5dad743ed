"""Pools of servers: how sessions are shared out, and what happens when servers come and go."""

import collections
import os
import re
import signal
import socket
import ssl
import struct
import threading
import time

from lab.peers import Nginx
from lab.process import LabError, wait_until
from lab.scenario import (BOTH_FAMILIES, HEAVY, ONE_AND_TWO_WORKERS, expect, expect_equal,
                          expect_in, expect_within, scenario)
from lab.topology import (BACKENDS, BITS, CLIENT, IPV6, OUTSIDE, SOCKET_FAMILY, at, http_get, outer,
                          read_all, read_response)

PORT = 8080
POOL = BACKENDS[:3]
SERVERS = [at(address, PORT) for address in POOL]
# Three failures take longer than a lost ARP reply, which is asked for again after a second.
CHECKS = {"type": "tcp", "interval": "600ms", "timeout": "600ms", "rise": 2, "fall": 3}
REQUEST = b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n"


def pool_config(lab, servers=None, **backend):
    """A terminating and a splicing listener before the pool, and a control socket."""
    return lab.config(
        control={"socket": "control.sock"},
        backends={"web": {"servers": servers or SERVERS, **backend}},
        listeners={"https": {"bind": at(OUTSIDE, 443), "tls": {"certificates": ["shop"]}},
                   "plain": {"bind": at(OUTSIDE, 80)}},
        policy=[{"match": {"listener": "https"}, "action": "terminate", "backend": "web"},
                {"match": {"listener": "plain"}, "action": "splice", "backend": "web"}])


def served_by(answer):
    match = re.search(rb"X-Server: (\S+)", answer)
    if match is None:
        raise ConnectionError(f"no answer of a server: {answer[:100]!r}")
    return match.group(1).decode()


def fetch(lab, source=CLIENT):
    """One request on a connection of its own; returns the server's address."""
    with lab.client.enter():
        connection = socket.create_connection((OUTSIDE, 80), 10.0, (source, 0))
    with connection:
        return served_by(http_get(connection))


def turns(lab, count):
    return collections.Counter(fetch(lab) for _ in range(count))


def start_pool(lab):
    """A web server of its own for each address, so that each can be killed."""
    lab.page("index.html", "x")
    return {server: lab.nginx(server) for server in SERVERS}


def dead(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def kill(nginx):
    """SIGKILL to the master and its workers: no request is finished. Returns when they are dead:
    until then the kernel still completes connections to them, which are then on them."""
    master = nginx.process.pid
    with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as children:
        pids = [master, *map(int, children.read().split())]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    nginx.process.wait()
    wait_until(lambda: all(map(dead, pids)), "the web server to be dead", 10.0, 0.001)


class Visitors:
    """Threads that make one request after the other, each on a new connection."""

    def __init__(self, lab, count):
        self._lab = lab
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.done = 0
        self.failed = []      # (begun, ended, what)
        self._threads = [threading.Thread(target=self._visit, args=(n % 2 == 0,))
                         for n in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _request(self, secure):
        if not secure:
            fetch(self._lab)
            return
        with self._lab.tls() as connection:
            served_by(http_get(connection))

    def _visit(self, secure):
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                self._request(secure)
            except (OSError, ssl.SSLError) as error:
                with self._lock:
                    self.failed.append((begun, time.monotonic(), repr(error)))
            with self._lock:
                self.done += 1

    def more(self, count):
        """Waits until so many more requests have come to their end."""
        goal = self.done + count
        wait_until(lambda: self.done >= goal, f"{count} more requests", 60.0, 0.02)


def hold(lab, count):
    """Connections that have had one answer and stay open, by the server that they are on."""
    held = collections.defaultdict(list)
    for _ in range(count):
        connection = lab.connect(80)
        connection.sendall(REQUEST)
        head = b""
        while b"\r\n\r\nx" not in head:
            part = connection.recv(4096)
            if not part:
                raise LabError("a connection ended within its first answer")
            head += part
        held[served_by(head)].append(connection)
    return held


def still_serves(connection):
    try:
        connection.sendall(REQUEST)
        read_response(connection)
        return True
    except OSError:
        return False


@scenario(workers=ONE_AND_TWO_WORKERS, load=HEAVY, timeout=120.0, families=BOTH_FAMILIES)
def killed_in_turn(lab):
    """Every server is killed and restarted under load: only connections that were on it fail."""
    pool = start_pool(lab)
    lab.start(pool_config(lab, **{"health-check": CHECKS}))
    log = lab.sluice.process
    with Visitors(lab, 4) as visitors:
        for address, (server, nginx) in zip(POOL, pool.items()):
            mark = log.log_mark()
            held = hold(lab, 12)
            visitors.more(lab.scale(40, 8))
            before = time.monotonic()
            kill(nginx)
            after = time.monotonic()
            log.wait_for(rf"web: {re.escape(server)} is down: .*; 2 of 3 servers left", since=mark)
            visitors.more(lab.scale(40, 8))
            for other, connections in held.items():
                expect_equal([still_serves(c) for c in connections],
                             [other != address] * len(connections), f"connections to {other}")
                for connection in connections:
                    connection.close()
            seen = turns(lab, 12)
            expect(address not in seen, f"{address} is down, but has its turns: {seen}")
            for begun, ended, what in visitors.failed:
                expect(begun <= after and ended >= before,
                       f"a request of {begun - after:+.4f} s to {ended - after:+.4f} s, not under "
                       f"way when {server} was killed, failed: {what}")
            expect(len(visitors.failed) <= 4, f"more failed than were under way: {visitors.failed}")
            visitors.failed.clear()
            nginx.start()
            log.wait_for(rf"web: {re.escape(server)} is up again; 3 of 3 servers in use",
                         since=mark)
            wait_until(lambda: fetch(lab) == address, f"{address} to serve again", 10.0, 0.02)
    expect_equal(visitors.failed, [], "requests that failed after the last restart")
    counters = lab.settled()
    expect_equal(counters["servers_went_down"], 3, "servers_went_down")
    expect_equal(counters["servers_came_up"], 3, "servers_came_up")
    expect_equal(counters["backend_unavailable"], 0, "backend_unavailable")


@scenario(families=BOTH_FAMILIES)
def weights(lab):
    """Turns are in the proportion of the weights, exactly."""
    lab.page("index.html", "x")
    lab.nginx(*SERVERS)
    lab.start(pool_config(lab, [{"address": server, "weight": weight}
                                for server, weight in zip(SERVERS, (5, 2, 1))]))
    for _ in range(2):
        expect_equal(turns(lab, 16), dict(zip(POOL, (10, 4, 2))), "turns")


@scenario(families=BOTH_FAMILIES)
def least_connections(lab):
    """Whoever has the fewest connections is next, whatever the order in which they ended."""
    lab.page("index.html", "x")
    lab.nginx(*SERVERS)
    lab.start(pool_config(lab, balance="least-connections"))
    held = hold(lab, 9)
    expect_equal({address: len(held[address]) for address in POOL}, dict.fromkeys(POOL, 3),
                 "connections held")
    for connection in held.pop(POOL[1]):
        connection.close()
    name = f"web.{SERVERS[1]}.server_connections"
    wait_until(lambda: lab.sluice.counters()[name] == 0, "the proxy to notice", 10.0, 0.05)
    again = hold(lab, 3)
    expect_equal({address: len(c) for address, c in again.items()}, {POOL[1]: 3}, "new ones")
    for connection in sum([*held.values(), *again.values()], []):
        connection.close()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def source_hash(lab):
    """A client's server is always the same; when one goes, only its own clients move."""
    sources = [outer(n) for n in range(110, 134)]
    for address in sources:
        lab.client.add_address("eth0", f"{address}/{BITS}")
    pool = start_pool(lab)
    lab.start(pool_config(lab, balance="source-hash", **{"health-check": CHECKS}))
    log = lab.sluice.process
    before = {source: fetch(lab, source) for source in sources}
    expect_equal(set(before.values()), set(POOL), "servers of 24 clients")
    for _ in range(2):
        expect_equal({source: fetch(lab, source) for source in sources}, before, "second visit")
    kill(pool[SERVERS[1]])
    log.wait_for(rf"web: {re.escape(SERVERS[1])} is down")
    meanwhile = {source: fetch(lab, source) for source in sources}
    expect_equal({s for s in sources if meanwhile[s] != before[s]},
                 {s for s in sources if before[s] == POOL[1]}, "clients that moved")
    pool[SERVERS[1]].start()
    log.wait_for(rf"web: {re.escape(SERVERS[1])} is up again")
    expect_equal({source: fetch(lab, source) for source in sources}, before, "at the end")


@scenario(families=BOTH_FAMILIES)
def drained(lab):
    """A drained server keeps what it has and gets nothing new, over a reload; enable ends it."""
    lab.page("index.html", "x")
    lab.nginx(*SERVERS)
    config = pool_config(lab)
    lab.start(config)
    held = hold(lab, 3)
    lab.sluice.ctl("backends", "drain", "web", SERVERS[0])
    lab.sluice.process.wait_for(rf"web: {re.escape(SERVERS[0])} is drained by command; 2 of 3")
    expect_equal(set(turns(lab, 9)), set(POOL[1:]), "servers of new sessions")
    expect(still_serves(held[POOL[0]][0]), "the session on the drained server ended")
    lab.rewrite({**config, "timeouts": {"drain": "1s"}})
    lab.sluice.reload(r"is in force")
    expect_equal(set(turns(lab, 9)), set(POOL[1:]), "servers after a reload")
    expect(still_serves(held[POOL[0]][0]), "a reload ended the session on the drained server")
    lab.sluice.ctl("backends", "enable", "web", SERVERS[0])
    expect_equal(set(turns(lab, 9)), set(POOL), "servers once it is enabled")
    for connection in sum(held.values(), []):
        connection.close()


class Resetting:
    """Accepts connections and resets them, until it is told to behave."""

    def __init__(self, lab, address):
        self._listener = lab.listen(address)
        self._listener.settimeout(None)
        self.accepted = 0
        self.behaves = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            self.accepted += 1
            with connection:
                connection.recv(4096)
                if self.behaves:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Server: mended\r\n"
                                       b"Content-Length: 0\r\nConnection: close\r\n\r\n")
                else:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))


def fails(lab):
    try:
        fetch(lab)
        return False
    except OSError:
        return True


@scenario(families=BOTH_FAMILIES)
def ejected(lab):
    """A server that resets connections is left out, then tried by one session at a time."""
    lab.page("index.html", "x")
    lab.nginx(SERVERS[0])
    bad = Resetting(lab, POOL[1])
    lab.start(pool_config(lab, SERVERS[:2], ejection={"failures": 3, "time": "2s"}))
    log = lab.sluice.process
    expect_equal(sum(fails(lab) for _ in range(6)), 3, "requests that failed")
    log.wait_for(rf"web: {re.escape(SERVERS[1])} is left out for 2 s: connection reset by peer "
                 r"\(3 connections in a row failed\)")
    expect_equal(turns(lab, 10), {POOL[0]: 10}, "turns while it is left out")
    mark = log.log_mark()
    wait_until(lambda: fails(lab), "its trial", 10.0, 0.05)
    log.wait_for(r"is left out for 2 s more: connection reset", since=mark)
    expect_equal(bad.accepted, 4, "connections that it was given")
    bad.behaves = True
    wait_until(lambda: fetch(lab) == "mended", "its second trial", 10.0, 0.05)
    log.wait_for(rf"web: {re.escape(SERVERS[1])} answers and is used again", since=mark)
    expect_equal(turns(lab, 10), {POOL[0]: 5, "mended": 5}, "turns at the end")
    expect_equal(lab.settled()["servers_ejected"], 1, "servers_ejected")


@scenario(families=BOTH_FAMILIES)
def all_down(lab):
    """Without a server sessions end at once, and one line says that none is left."""
    lab.start(pool_config(lab, SERVERS[:2], **{"health-check": CHECKS}))
    log = lab.sluice.process
    log.wait_for(r"error +backend: web: no server is left; its sessions are refused")
    connects = lab.sluice.counters()["backend_connects"]
    for _ in range(3):
        expect(fails(lab), "there was an answer from nowhere")
    log.wait_for(rf"web: no server can be used: {re.escape(SERVERS[0])}: down; "
                 rf"{re.escape(SERVERS[1])}: down")
    expect_equal(lab.sluice.counters()["backend_connects"], connects, "connections attempted")
    lab.page("index.html", "x")
    lab.nginx(SERVERS[1])
    log.wait_for(rf"web: {re.escape(SERVERS[1])} is up again; 1 of 2 servers in use")
    expect_equal(turns(lab, 4), {POOL[1]: 4}, "turns")


@scenario(families=BOTH_FAMILIES)
def checks_over_reloads(lab):
    """Reloads in quick succession neither stop checks nor multiply them; without them all count."""
    nginx = start_pool(lab)[SERVERS[2]]
    config = pool_config(lab, **{"health-check": CHECKS})
    lab.start(config)
    log = lab.sluice.process
    kill(nginx)
    before, begun = lab.sluice.counters(), time.monotonic()
    while time.monotonic() - begun < 3:
        lab.sluice.reload(r"is in force")
    made = lab.sluice.counters()["health_checks"] - before["health_checks"]
    expected = 3 * (time.monotonic() - begun) / 0.6
    expect_within(made, expected / 3, expected * 1.5 + 3, "checks made")
    log.wait_for(rf"web: {re.escape(SERVERS[2])} is down")
    unchecked = pool_config(lab)
    lab.rewrite(unchecked)
    lab.sluice.reload(r"is in force")
    expect_in(f"server web {SERVERS[2]} unchecked", states(lab), "states")
    lab.rewrite(config)
    lab.sluice.reload(r"is in force")
    log.wait_for(rf"web: {re.escape(SERVERS[2])} is down", since=log.log_mark())


def states(lab):
    mark = lab.sluice.process.log_mark()
    lab.sluice.counters()
    return "\n".join(re.findall(r"^.*server web .*$", lab.sluice.process.log(mark), re.MULTILINE))


@scenario(families=BOTH_FAMILIES)
def address_behind_the_proxy(lab):
    """nginx takes the client's address and port from headers of both versions, checks and all."""
    lab.page("index.html", "x")
    nginx = Nginx(lab.backend, lab.path("nginx-proxied"), lab.www)
    nginx.serve(f"{SERVERS[0]} proxy_protocol", "$proxy_protocol_addr:$proxy_protocol_port")
    nginx.start()
    wait_until(nginx.ready, "nginx to listen")
    for version in ("v1", "v2"):
        config = pool_config(lab, SERVERS[:1],
                             **{"proxy-protocol": version, "health-check": CHECKS})
        if lab.sluice is None:
            lab.start(config)
        else:
            lab.rewrite(config)
            lab.sluice.reload(r"is in force")
        with lab.connect(80) as spliced, lab.tls() as terminated:
            for connection in (spliced, terminated):
                address, port = connection.getsockname()[:2]
                expect_equal(served_by(http_get(connection)), f"{address}:{port}", "client")
        wait_until(lambda: f"server web {SERVERS[0]} up" in states(lab), "a check to succeed")
    expect("broken header" not in nginx.process.log(), f"nginx: {nginx.process.log()}")


# ---- the PROXY protocol's TLVs, read by a server that is not ours ----

def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError(f"the stream ended within {count} bytes: {data!r}")
        data += part
    return data


def tlvs(data):
    """The values of TLVs, by type."""
    found = {}
    while data:
        kind, length = struct.unpack("!BH", data[:3])
        expect(length <= len(data) - 3, "a TLV passes the end")
        found[kind] = data[3:3 + length]
        data = data[3 + length:]
    return found


def read_header(connection):
    """A PROXY header of version 2: command, source, destination, TLVs."""
    head = read_exactly(connection, 16)
    expect_equal(head[:12], b"\r\n\r\n\0\r\nQUIT\n", "signature")
    command, family, length = struct.unpack("!BBH", head[12:])
    body = read_exactly(connection, length)
    if command == 0x20:
        return command, None, None, {}
    expect_equal(family, 0x21 if IPV6 else 0x11, "family and transport")
    form = "!16s16sHH" if IPV6 else "!4s4sHH"
    addresses = struct.calcsize(form)
    source, destination, source_port, destination_port = struct.unpack(form, body[:addresses])
    return (command, (socket.inet_ntop(SOCKET_FAMILY, source), source_port),
            (socket.inet_ntop(SOCKET_FAMILY, destination), destination_port), tlvs(body[addresses:]))


@scenario(families=BOTH_FAMILIES)
def header_with_tlvs(lab):
    """Version 2 tells addresses, name, ALPN and TLS of a terminated session; checks are LOCAL."""
    listener = lab.listen()
    config = pool_config(lab, SERVERS[:1], **{"proxy-protocol": "v2", "health-check": {
        **CHECKS, "interval": "1s"}})
    config["listeners"]["https"]["tls"]["alpn"] = ["http/1.1"]
    lab.start(config)
    seen = collections.Counter()
    with lab.tls(context=lab.tls_context(alpn=["http/1.1"])) as connection:
        connection.sendall(b"hello")
        while True:
            server, _ = listener.accept()
            command, source, destination, values = read_header(server)
            seen[command] += 1
            if command == 0x21:
                break
            expect_equal(read_all(server), b"", "bytes behind the header of a check")
        expect_equal(source, connection.getsockname()[:2], "source")
        expect_equal(destination, (OUTSIDE, 443), "destination")
        expect_equal(values[0x01], b"http/1.1", "ALPN")
        expect_equal(values[0x02], b"shop.example", "authority")
        client, verify = struct.unpack("!BI", values[0x20][:5])
        expect_equal((client, verify != 0), (0x01, True), "TLS, and no certificate verified")
        inner = tlvs(values[0x20][5:])
        expect_equal(inner[0x21].decode(), connection.version(), "TLS version")
        expect_equal(inner[0x23].decode(), connection.cipher()[0], "cipher")
        expect_equal(read_exactly(server, 5), b"hello", "payload behind the header")
    server.close()
    while seen[0x20] == 0:
        server, _ = listener.accept()
        seen[read_header(server)[0]] += 1
