"""Flows that pass untouched: by the server name, and without TLS."""

import os
import socket
import threading

from lab.certs import fingerprint
from lab.peers import s_client
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.streams import PiecewiseTls, in_records
from lab.topology import (BACKENDS, BITS, CLIENT, HOST_BITS, LEGACY, OTHER_CLIENT, OUTSIDE, at,
                          http_get, read_all)


def config_with_splice(lab):
    """shop.example is terminated, legacy.example spliced to a backend that speaks TLS itself."""
    config = lab.config()
    config["backends"]["legacy"] = {"servers": [at(LEGACY, 443)]}
    config["policy"].insert(0, {"match": {"sni": "legacy.example"}, "action": "splice",
                                "backend": "legacy"})
    return config


def start_both(lab):
    lab.page("index.html", "spliced or not\n")
    lab.nginx()
    certificate = lab.authority.issue("legacy", "legacy.example")
    lab.nginx(at(LEGACY, 443), certificate=certificate)
    lab.start(config_with_splice(lab))
    return certificate


def peer_certificate(lab, sni):
    result = s_client(lab.client, at(OUTSIDE, 443), "-CAfile", lab.authority.certificate,
                      "-verify_return_error", sni=sni)
    expect_in("Verify return code: 0", result.stdout, f"handshake with {sni}")
    path = lab.path(f"seen-{sni}.pem")
    with open(path, "w", encoding="ascii") as out:
        start = result.stdout.index("-----BEGIN CERTIFICATE")
        out.write(result.stdout[start:result.stdout.index("-----END", start)]
                  + "-----END CERTIFICATE-----\n")
    return fingerprint(path)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def by_server_name(lab):
    """The client of a spliced name sees the backend's own certificate; the other names, ours."""
    certificate = start_both(lab)
    expect_equal(peer_certificate(lab, "legacy.example"), fingerprint(certificate[0]),
                 "certificate for legacy.example")
    expect_equal(peer_certificate(lab, "shop.example"), fingerprint(lab.path("certs/shop.crt")),
                 "certificate for shop.example")
    expect_in("spliced or not", lab.curl("/index.html", host="legacy.example").stdout, "page")
    expect_in("spliced or not", lab.curl("/index.html", host="shop.example").stdout, "page")
    counters = lab.settled()
    expect_equal(counters["sessions_spliced"], 2, "sessions_spliced")
    expect_equal(counters["sessions_terminated"], 2, "sessions_terminated")


def fetch_in_pieces(lab, sni, cut):
    """A handshake whose ClientHello arrives as `cut` leaves it, then a request."""
    with lab.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = PiecewiseTls(lab.tls_context(), connection, sni)
        for piece in cut(tls.client_hello()):
            connection.sendall(piece)
        tls.handshake()
        tls.send(b"GET /index.html HTTP/1.0\r\n\r\n")
        return tls.receive_all()


@scenario(families=BOTH_FAMILIES)
def hello_in_pieces(lab):
    """A ClientHello cut into bytes, or into many records, is understood as if it came whole."""
    start_both(lab)
    cuts = (lambda hello: [hello[i:i + 1] for i in range(len(hello))],
            lambda hello: [in_records(hello, 64)],
            lambda hello: [hello[:5], hello[5:]])
    for cut in cuts:
        for sni in ("legacy.example", "shop.example"):
            expect_in(b"spliced or not", fetch_in_pieces(lab, sni, cut), f"page from {sni}")
    lab.settled()


def echo_server(listener, connections):
    """Answers each byte with itself, and the end with the end."""
    def serve(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept():
        for _ in range(connections):
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def plain_config(lab):
    config = lab.config()
    config["backends"]["database"] = {"servers": [at(BACKENDS[1], 5432)]}
    config["listeners"]["database"] = {"bind": at(OUTSIDE, 5432)}
    config["policy"].append({"match": {"listener": "database"}, "action": "splice",
                             "backend": "database"})
    return config


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def plain(lab):
    """Bytes that are no TLS pass both ways at once, and the server may speak first."""
    listener = lab.listen(BACKENDS[1], 5432)
    lab.start(plain_config(lab))
    with lab.connect(5432) as connection:
        server, _ = listener.accept()
        server.sendall(b"server speaks first")
        expect_equal(connection.recv(100), b"server speaks first", "greeting")
        server.close()
    echo_server(listener, 8)
    sent = os.urandom(4 << 20)
    for _ in range(8):
        with lab.connect(5432) as connection:
            sender = threading.Thread(
                target=lambda c=connection: (c.sendall(sent), c.shutdown(socket.SHUT_WR)))
            sender.start()
            expect(read_all(connection) == sent, "the echo differs from what was sent")
            sender.join()
    counters = lab.settled()
    expect_equal(counters["sessions_spliced"], 9, "sessions_spliced")
    expect_equal(counters["bytes_from_clients"], 8 * len(sent), "bytes_from_clients")


def is_reset(lab, port, source=CLIENT):
    """True when a connection from this address ends with RST, at once or after its first byte."""
    try:
        with lab.client.enter():
            connection = socket.create_connection((OUTSIDE, port), 10, (source, 0))
        with connection:
            connection.sendall(b"x")
            return connection.recv(100) is None
    except (ConnectionResetError, BrokenPipeError):
        return True


@scenario(families=BOTH_FAMILIES)
def reject(lab):
    """A rule that rejects answers TLS with an alert and anything else with RST; so does no rule."""
    config = plain_config(lab)
    config["listeners"]["closed"] = {"bind": at(OUTSIDE, 5433)}
    config["policy"].insert(0, {"match": {"sni": ["forbidden.example", "*.forbidden.example"]},
                                "action": "reject"})
    config["policy"].insert(0, {"match": {"listener": "database", "source": [f"{OTHER_CLIENT}/{HOST_BITS}"]},
                                "action": "reject"})
    lab.client.add_address("eth0", f"{OTHER_CLIENT}/{BITS}")
    lab.page("index.html", "x")
    lab.nginx()
    listener = lab.listen(BACKENDS[1], 5432)
    echo_server(listener, 1)
    lab.start(config)
    for sni in ("forbidden.example", "www.forbidden.example"):
        refused = s_client(lab.client, at(OUTSIDE, 443), sni=sni)
        expect_in("alert access denied", refused.stdout + refused.stderr, f"answer to {sni}")
    expect(is_reset(lab, 5432, OTHER_CLIENT), "a rejected source was not reset")
    expect(is_reset(lab, 5433), "a listener without a rule did not reset the connection")
    with lab.connect(5432) as connection:
        connection.sendall(b"welcome")
        expect_equal(connection.recv(100), b"welcome", "echo for another source")
    with lab.tls() as connection:
        expect_in(b"200 OK", http_get(connection), "answer to a name that is not rejected")
    expect_equal(lab.settled()["sessions_rejected"], 4, "sessions_rejected")


def send_with_urgent(connection, total):
    """Sends `total` bytes of which some are urgent; returns them all in the order of sending."""
    sent = b""
    while len(sent) < total:
        part = os.urandom(700)
        connection.sendall(part)
        connection.send(b"!", socket.MSG_OOB)
        sent += part + b"!"
    connection.shutdown(socket.SHUT_WR)
    return sent


@scenario(families=BOTH_FAMILIES)
def urgent(lab):
    """Urgent bytes are bytes like all others: what comes out is what went in, none of it urgent."""
    listener = lab.listen(BACKENDS[1], 5432)
    lab.start(plain_config(lab))
    with lab.connect(5432) as connection:
        server, _ = listener.accept()
        server.settimeout(10.0)
        for sender, receiver in ((connection, server), (server, connection)):
            received = []
            reader = threading.Thread(target=lambda s=receiver, r=received: r.append(read_all(s)))
            reader.start()
            sent = send_with_urgent(sender, 200000)
            reader.join()
            expect(received[0] == sent, f"{len(received[0])} bytes came of {len(sent)}, or others")
        server.close()
    expect(lab.sluice.counters()["tcp_urgent"] > 0, "nothing urgent was sent")
    lab.settled()
