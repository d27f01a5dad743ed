"""The servers behind: turns, failures, timeouts."""

import collections
import re
import socket
import ssl
import time

from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          expect_within, scenario)
from lab.topology import (ABSENT, BACKENDS, FAMILY, FAR, FAR_NETWORK, HOST_BITS, at, http_get,
                          read_all)

PORT = 8080


def config_with(lab, servers, **backend):
    return lab.config(backends={"web": {"servers": servers, **backend}})


def served_by(answer):
    return re.search(rb"X-Server: (\S+)", answer).group(1).decode()


def fetch(lab):
    with lab.tls() as connection:
        return http_get(connection)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def round_robin(lab):
    """Sessions go to the servers in turn."""
    servers = [at(address, PORT) for address in BACKENDS[:3]]
    lab.page("index.html", "x")
    lab.nginx(*servers)
    lab.start(config_with(lab, servers))
    turns = collections.Counter(served_by(fetch(lab)) for _ in range(30))
    expect_equal(set(turns), set(BACKENDS[:3]), "servers that had a turn")
    # Each worker keeps its own turn, so that two of them may be out of step.
    low, high = (10, 10) if len(lab.workers) == 1 else (7, 13)
    for server, count in turns.items():
        expect_within(count, low, high, f"turns of {server}")


@scenario(families=BOTH_FAMILIES)
def refused_then_next(lab):
    """A server that refuses is passed over within the session; the client notices nothing."""
    servers = [at(address, PORT) for address in BACKENDS[:3]]
    lab.page("index.html", "x")
    lab.nginx(servers[2])
    lab.start(config_with(lab, servers))
    for _ in range(12):
        expect_equal(served_by(fetch(lab)), BACKENDS[2], "server")
    counters = lab.settled()
    expect(counters["backend_retries"] >= 8, f"backend_retries is {counters['backend_retries']}")
    expect_equal(counters["backend_unavailable"], 0, "backend_unavailable")
    lab.sluice.process.wait_for(re.escape(servers[0]))


@scenario(families=BOTH_FAMILIES)
def none_left(lab):
    """When no server answers the session ends at once, and the log says which were tried."""
    servers = [at(address, PORT) for address in BACKENDS[:2]]
    lab.start(config_with(lab, servers))
    started = time.monotonic()
    try:
        with lab.tls() as connection:
            expect_equal(read_all(connection), b"", "bytes from nowhere")
    except (ConnectionResetError, ssl.SSLError):
        pass
    expect(time.monotonic() - started < 5, "the client had to wait for the end")
    counters = lab.settled()
    expect_equal(counters["backend_unavailable"], 1, "backend_unavailable")
    expect_equal(counters["backend_connect_failed"], 2, "backend_connect_failed")
    lab.sluice.process.wait_for(r"backend.*web|web.*backend")


@scenario(families=BOTH_FAMILIES)
def back_again(lab):
    """A server that comes back serves again, without a restart or a reload."""
    listener = None
    lab.start(config_with(lab, [at(BACKENDS[0], PORT)]))
    try:
        fetch(lab)
    except (OSError, ConnectionError):
        pass
    listener = lab.listen()
    with lab.tls() as connection:
        server, _ = listener.accept()
        server.sendall(b"back")
        server.close()
        expect_equal(read_all(connection), b"back", "answer")


@scenario(families=BOTH_FAMILIES)
def silent_then_next(lab):
    """A server that does not answer SYNs is left after the connect timeout."""
    servers = [at(BACKENDS[3], PORT), at(BACKENDS[0], PORT)]
    # Its answers are thrown away on the way out: no SYN-ACK, no RST, no ICMP.
    lab.backend.run("ip", f"-{FAMILY}", "rule", "add", "from", BACKENDS[3], "blackhole")
    lab.page("index.html", "x")
    lab.nginx(*servers)
    lab.start(config_with(lab, servers, **{"connect-timeout": "500ms"}))
    for _ in range(4):
        started = time.monotonic()
        expect_equal(served_by(fetch(lab)), BACKENDS[0], "server")
        expect(time.monotonic() - started < 5, "the next server was tried too late")
    counters = lab.settled()
    expect_within(counters["backend_retries"], 1, 4, "backend_retries")


@scenario(families=BOTH_FAMILIES)
def no_such_neighbour(lab):
    """A server that nobody answers ARP for fails as unreachable, in bounded time."""
    servers = [at(ABSENT, 8080), at(BACKENDS[0], PORT)]
    lab.page("index.html", "x")
    lab.nginx(servers[1])
    lab.start(config_with(lab, servers, **{"connect-timeout": "5s"}))
    for _ in range(2):
        expect_equal(served_by(fetch(lab)), BACKENDS[0], "server")
    expect(lab.settled()["arp_failed"] >= 1, "arp_failed did not count")
    lab.sluice.process.wait_for(re.escape(servers[0]) + ".*unreachable")


@scenario(families=BOTH_FAMILIES)
def server_through_gateway(lab):
    """A backend in another network is reached by way of a router."""
    lab.backend.add_address("lo", f"{FAR}/{HOST_BITS}")
    lab.page("index.html", "x")
    lab.nginx(at(FAR, PORT))
    lab.start({**config_with(lab, [at(FAR, PORT)]),
               "routes": [{"to": FAR_NETWORK, "via": BACKENDS[0]}]})
    expect_in(b"200 OK", fetch(lab), "answer")


@scenario(families=BOTH_FAMILIES)
def server_answers_before_client_speaks(lab):
    """A server's early bytes wait for nothing; its early end reaches the client."""
    listener = lab.listen()
    lab.start()
    with lab.tls() as connection:
        server, _ = listener.accept()
        server.sendall(b"220 ready\r\n")
        server.shutdown(socket.SHUT_WR)
        expect_equal(read_all(connection), b"220 ready\r\n", "greeting")
        server.close()
