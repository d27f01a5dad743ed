"""How a session lives and ends: half-closes, resets, slow readers, timeouts, idleness."""

import os
import socket
import ssl
import struct
import threading

from lab.process import wait_until
from lab.scenario import (ALONE, BOTH_FAMILIES, ONE_AND_TWO_WORKERS, RELEASE, expect, expect_equal,
                          expect_in, scenario)
from lab.streams import PiecewiseTls
from lab.topology import BACKENDS, OUTSIDE, at, http_get, read_all


def with_plain_listener(lab, **timeouts):
    config = lab.config()
    config["backends"]["plain"] = {"servers": [at(BACKENDS[1], 5432)]}
    config["listeners"]["plain"] = {"bind": at(OUTSIDE, 5432)}
    config["policy"].append({"match": {"listener": "plain"}, "action": "splice",
                             "backend": "plain"})
    config["timeouts"].update(timeouts)
    return config


def reset(connection):
    """Ends a kernel connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def ends_with_reset(connection):
    """Reads to the end; True when the end is a RST."""
    try:
        while connection.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def client_half_closes(lab):
    """A client that has said everything still gets its answer: plain and over TLS."""
    plain, web = lab.listen(BACKENDS[1], 5432), lab.listen()
    lab.start(with_plain_listener(lab))
    answer = os.urandom(200_000)
    with lab.connect(5432) as connection:
        connection.sendall(b"question")
        connection.shutdown(socket.SHUT_WR)
        server, _ = plain.accept()
        expect_equal(read_all(server), b"question", "what the server read up to the client's end")
        server.sendall(answer)
        server.close()
        expect(read_all(connection) == answer, "the answer after the half-close differs (plain)")
    with lab.connect() as connection:
        tls = PiecewiseTls(lab.tls_context(), connection, "shop.example")
        tls.handshake()
        tls.send(b"question")
        tls.close_notify()
        connection.shutdown(socket.SHUT_WR)
        server, _ = web.accept()
        expect_equal(read_all(server), b"question", "what the server read up to the client's end")
        server.sendall(answer)
        server.close()
        expect(tls.receive_all() == answer, "the answer after the half-close differs (TLS)")
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def server_half_closes(lab):
    """A server that has said everything still reads what the client sends."""
    plain, web = lab.listen(BACKENDS[1], 5432), lab.listen()
    lab.start(with_plain_listener(lab))
    upload = os.urandom(200_000)
    with lab.connect(5432) as connection:
        server, _ = plain.accept()
        server.sendall(b"bye")
        server.shutdown(socket.SHUT_WR)
        expect_equal(read_all(connection), b"bye", "what the client read up to the server's end")
        connection.sendall(upload)
        connection.shutdown(socket.SHUT_WR)
        expect(read_all(server) == upload, "the upload after the half-close differs (plain)")
        server.close()
    with lab.connect() as connection:
        tls = PiecewiseTls(lab.tls_context(), connection, "shop.example")
        tls.handshake()
        server, _ = web.accept()
        server.sendall(b"bye")
        server.shutdown(socket.SHUT_WR)
        expect_equal(tls.receive_all(), b"bye", "what the client read up to the server's end")
        sender = threading.Thread(target=lambda: (tls.send(upload), tls.close_notify()))
        sender.start()
        received = read_all(server)
        sender.join()
        expect(received == upload, "the upload after the half-close differs (TLS)")
        server.close()
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def client_resets(lab):
    """A client that resets in mid-transfer takes its server connection down, nothing else."""
    listener = lab.listen()
    lab.start()
    other = lab.tls()
    other_server, _ = listener.accept()
    for _ in range(20):
        connection = lab.tls()
        server, _ = listener.accept()
        connection.sendall(b"x")
        server.settimeout(10)
        expect_equal(server.recv(1), b"x", "byte")
        stop = threading.Thread(target=lambda s=server: fill(s))
        stop.start()
        connection.recv(1000)
        reset(connection)
        stop.join(10)
        expect(not stop.is_alive(), "the server's connection outlived the client's")
        server.close()
    other.sendall(b"still here")
    expect_equal(other_server.recv(100), b"still here", "bytes of an unconcerned session")
    wait_until(lambda: lab.sluice.counters()["client_resets"] == 20, "20 client_resets")
    other.close()
    other_server.close()
    lab.settled()


def fill(connection):
    """Sends until the connection breaks."""
    try:
        while True:
            connection.sendall(bytes(65536))
    except OSError:
        pass


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def server_resets(lab):
    """A server's RST reaches the client as one: a cut transfer never looks complete."""
    plain, web = lab.listen(BACKENDS[1], 5432), lab.listen()
    lab.start(with_plain_listener(lab))
    for _ in range(10):
        with lab.connect(5432) as connection:
            server, _ = plain.accept()
            server.sendall(b"half of it")
            expect_equal(connection.recv(100), b"half of it", "bytes before the reset")
            reset(server)
            expect(ends_with_reset(connection), "the plain client saw an orderly end")
        with lab.tls() as connection:
            connection.suppress_ragged_eofs = False
            server, _ = web.accept()
            server.sendall(b"half of it")
            expect_equal(connection.recv(100), b"half of it", "bytes before the reset")
            reset(server)
            try:
                connection.recv(100)
                expect(False, "the TLS client saw close_notify after a reset")
            except (ConnectionResetError, ssl.SSLEOFError):
                pass
    expect_equal(lab.settled()["backend_resets"], 20, "backend_resets")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def slow_reader(lab):
    """A client that stops reading stops its server, in bounded memory; the others go on."""
    listener = lab.listen()
    lab.start()
    slow = lab.tls(timeout=30)
    server, _ = listener.accept()
    block, sent = os.urandom(1 << 20), 0
    server.settimeout(2)
    try:
        while sent < 64 << 20:
            sent += server.send(block[sent % len(block):])
    except socket.timeout:
        pass
    expect(sent < 32 << 20, f"{sent} bytes were taken from a server whose client does not read")
    level = lab.level("buffers_used", "buffers_max")
    expect(level["buffers_used"] < level["buffers_max"] / 4, f"one slow reader holds {level}")
    for _ in range(5):
        with lab.tls() as quick:
            quick_server, _ = listener.accept()
            quick_server.sendall(b"quick")
            quick_server.close()
            expect_equal(read_all(quick), b"quick", "bytes of another session")
    server.shutdown(socket.SHUT_WR)
    received = read_all(slow)
    whole = (block * (sent // len(block) + 1))[:sent]
    expect(received == whole, f"the slow reader got {len(received)} bytes of {sent}, or others")
    slow.close()
    server.close()
    lab.settled()


def read_exactly(connection, size):
    data = bytearray()
    while len(data) < size and (part := connection.recv(min(65536, size - len(data)))):
        data += part
    return bytes(data)


@scenario(families=BOTH_FAMILIES)
def slow_server(lab):
    """A server that stops reading stops its client; nothing is lost when it goes on."""
    listener = lab.listen()
    lab.start()
    client = lab.tls(timeout=2)
    server, _ = listener.accept()
    server.settimeout(30)
    block, sent = os.urandom(1 << 20), 0

    def next_part():
        return block[sent % len(block):][:16384]

    try:
        while sent < 64 << 20:
            sent += client.send(next_part())
    except socket.timeout:
        pass
    expect(sent < 32 << 20, f"{sent} bytes were taken from a client whose server does not read")
    received = []
    whole = sent + len(next_part())
    reader = threading.Thread(target=lambda: received.append(read_exactly(server, whole)))
    reader.start()
    client.settimeout(30)
    # The same bytes as in the call that ran out of time: their record has begun.
    while sent < whole:
        sent += client.send(next_part())
    reader.join(30)
    expect(received and received[0] == (block * (whole // len(block) + 1))[:whole],
           "the server did not get what the client sent")
    client.close()
    server.close()
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def idle_timeout(lab):
    """A session without a byte either way ends after the idle timeout, an active one does not."""
    listener = lab.listen()
    lab.start(with_plain_listener(lab, idle="1s"))
    idle, active = lab.tls(), lab.tls()
    servers = [listener.accept()[0] for _ in range(2)]
    expect_equal(len(servers), 2, "server connections")

    def keep_talking():
        active.sendall(b"still alive")
        counters = lab.sluice.counters()
        return counters["timeout_idle"] == 1 and counters["sessions"] == 1

    wait_until(keep_talking, "the idle session to be ended, and only that", 15, 0.2)
    idle.settimeout(5)
    try:
        expect_equal(idle.recv(1), b"", "bytes on the idle session")
    except (ConnectionResetError, ssl.SSLError):
        pass
    active.close()
    idle.close()


@scenario(families=BOTH_FAMILIES)
def silent_clients(lab):
    """Clients that never finish a ClientHello, or a handshake, are ended by their timeouts."""
    lab.start(with_plain_listener(lab, **{"client-hello": "1s", "handshake": "1s"}))
    mute, half = lab.connect(), lab.connect()
    half.sendall(PiecewiseTls(lab.tls_context(), half, "shop.example").client_hello()[:40])
    stopped = lab.connect()
    stopped.sendall(PiecewiseTls(lab.tls_context(), stopped, "shop.example").client_hello())

    def ended():
        counters = lab.sluice.counters()
        return (counters["timeout_hello"], counters["timeout_handshake"]) == (2, 1)

    wait_until(ended, "both timeouts to have ended the clients", 15, 0.2)
    for connection in (mute, half, stopped):
        connection.settimeout(5)
        ends_with_reset(connection)
        connection.close()
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def idle_connections_hold_no_buffers(lab):
    """Established sessions that rest own no payload buffer and no mbuf."""
    listener = lab.listen()
    lab.start(with_plain_listener(lab))
    gauges = ("buffers_used", "data_pool_used")
    before = lab.level(*gauges)
    pairs = []
    for _ in range(200):
        client = lab.tls()
        server, _ = listener.accept()
        client.sendall(b"ping")
        expect_equal(server.recv(4), b"ping", "request")
        server.sendall(b"pong")
        expect_equal(client.recv(4), b"pong", "answer")
        pairs.append((client, server))
    expect_equal(lab.sluice.counters()["connections_established"], 400, "connections_established")

    def at_rest():
        level = lab.level(*gauges)
        return level["buffers_used"] == 0 and level["data_pool_used"] <= before["data_pool_used"]

    wait_until(at_rest, f"the buffers of 200 resting sessions to go back to {before}", 10, 0.1)
    for pair in pairs:
        for connection in pair:
            connection.close()
    lab.settled()


@scenario(builds=(RELEASE,), workers=ONE_AND_TWO_WORKERS, load=ALONE, families=BOTH_FAMILIES)
def rest_costs_little(lab):
    """At rest, with idle sessions open, each worker uses under 5 % of a core."""
    listener = lab.listen()
    lab.start()
    pairs = [(lab.tls(), listener.accept()[0]) for _ in range(50)]
    share = lab.sluice.process.cpu_share(5.0)
    print(f"CPU at rest: {100 * share:.1f} % of a core")
    expect(share < 0.05 * len(lab.workers), f"at rest it uses {100 * share:.1f} % of a core")
    for pair in pairs:
        for connection in pair:
            connection.close()


@scenario(families=BOTH_FAMILIES)
def one_session_each(lab):
    """Sessions are counted once at both ends of their life, whatever ended them."""
    lab.page("index.html", "x")
    lab.nginx()
    lab.start()
    for _ in range(10):
        with lab.tls() as connection:
            expect_in(b"200 OK", http_get(connection), "answer")
    for _ in range(10):
        reset(lab.connect())
    counters = lab.settled()
    expect_equal(counters["sessions_closed"], counters["sessions_opened"], "sessions_closed")
