"""PROXY protocol: from trusted clients and to servers."""

import re
import socket
import struct

from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import (BACKENDS, CLIENT, FAMILY, HOST_BITS, IPV6, OUTSIDE, SOCKET_FAMILY, at,
                          foreign, outer)

RELOADED = "is in force"
TCP = f"TCP{FAMILY}"
SOURCE, REJECTED = foreign(9), foreign(66)
V1 = f"PROXY {TCP} {SOURCE} {OUTSIDE} 1234 443\r\n".encode()
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = b"".join(socket.inet_pton(SOCKET_FAMILY, a) for a in (SOURCE, OUTSIDE)) \
    + struct.pack("!HH", 1234, 443)
V2 = SIGNATURE + struct.pack("!BBH", 0x21, 0x21 if IPV6 else 0x11, len(ADDRESSES)) + ADDRESSES
V2_LOCAL = SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)


def start(lab, trusted=f"{CLIENT}/{HOST_BITS}", **backend):
    """A listener that splices, one that terminates; both trust `trusted`."""
    listener = lab.listen()
    config = lab.config()
    config["backends"]["web"].update(backend)
    config["listeners"]["tcp"] = {"bind": at(OUTSIDE, 5432)}
    for each in config["listeners"].values():
        each["proxy-protocol"] = {"from": [trusted]}
    config["policy"] = [{"match": {"source": [f"{REJECTED}/{HOST_BITS}"]}, "action": "reject"},
                        {"match": {"listener": "tcp"}, "action": "splice", "backend": "web"},
                        *config["policy"]]
    lab.start(config)
    return listener


def echo_once(listener, connection):
    """Passes a line each way; returns what the server got in front of it."""
    connection.sendall(b"request\n")
    server, _ = listener.accept()
    with server:
        server.settimeout(10)
        got = b""
        while not got.endswith(b"request\n"):
            part = server.recv(1000)
            expect(part, f"the server's stream ended after {got!r}")
            got += part
        server.sendall(b"response\n")
        expect_equal(connection.recv(100), b"response\n", "response")
    return got.removesuffix(b"request\n")


def reset(connection):
    """The connection ends without a byte."""
    connection.settimeout(15)
    try:
        expect_equal(connection.recv(100), b"", "bytes")
    except ConnectionResetError:
        pass


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def header_in_pieces(lab):
    """Versions 1 and 2, whole and divided at any byte: taken out, and nothing else."""
    listener = start(lab)
    count = 0
    for header in (V1, V2):
        for cut in (0, 1, 5, 11, 12, 15, 16, 20, len(header) - 1):
            with lab.connect(5432) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(header[:cut])
                connection.sendall(header[cut:])
                expect_equal(echo_once(listener, connection), b"", "bytes before the payload")
            count += 1
    expect_equal(lab.settled()["proxy_header_accepted"], count, "proxy_header_accepted")
    listener.close()


@scenario(families=BOTH_FAMILIES)
def header_before_tls(lab):
    """The header stands before the ClientHello, and its source decides."""
    listener = start(lab, **{"proxy-protocol": "v1"})
    raw = lab.connect()
    raw.sendall(V1)
    with lab.tls_context().wrap_socket(raw, server_hostname="shop.example") as connection:
        expect_equal(echo_once(listener, connection), V1, "header to the server")
    with lab.connect(5432) as connection:
        connection.sendall(V1.replace(SOURCE.encode(), REJECTED.encode()))
        reset(connection)
    expect_equal(lab.settled()["sessions_rejected"], 1, "sessions_rejected")
    listener.close()


@scenario(families=BOTH_FAMILIES)
def header_of_its_own(lab):
    """LOCAL and UNKNOWN: the connection's own addresses hold."""
    listener = start(lab, **{"proxy-protocol": "v1"})
    for header in (V2_LOCAL, b"PROXY UNKNOWN\r\n"):
        with lab.connect(5432) as connection:
            port = connection.getsockname()[1]
            connection.sendall(header)
            expect_equal(echo_once(listener, connection),
                         f"PROXY {TCP} {CLIENT} {OUTSIDE} {port} 5432\r\n".encode(),
                         "header to the server")
    lab.settled()
    listener.close()


@scenario(families=BOTH_FAMILIES)
def header_to_nginx(lab):
    """nginx understands the headers of both versions that it is sent."""
    lab.page("index.html", "x")
    lab.nginx(at(BACKENDS[0], 8080) + " proxy_protocol")
    config = lab.config()
    config["backends"]["web"]["proxy-protocol"] = "v1"
    lab.start(config)
    expect_in("200 OK", lab.curl("/index.html", "-i").stdout, "answer with v1")
    config["backends"]["web"]["proxy-protocol"] = "v2"
    lab.rewrite(config)
    lab.sluice.reload(RELOADED)
    expect_in("200 OK", lab.curl("/index.html", "-i").stdout, "answer with v2")
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def missing_and_malformed(lab):
    """Each mistake is a reset, a line that says what is wrong, and a count."""
    listener = start(lab)
    for sent, line in ((b"GET / HTTP/1.1\r\n\r\n", r"no PROXY header"),
                       (f"PROXY {TCP} {foreign(99999)} {OUTSIDE} 1 2\r\n".encode(),
                        r"malformed PROXY header: "),
                       (f"PROXY {TCP} nonsense\r\n".encode(), r"malformed PROXY header: "),
                       (SIGNATURE + b"\x11\x11\0\x0c" + bytes(12), r"malformed PROXY header: ")):
        mark = lab.sluice.process.log_mark()
        with lab.connect(5432) as connection:
            connection.sendall(sent)
            reset(connection)
        lab.sluice.process.wait_for(re.escape(at(CLIENT, "")) + r"\d+ -> tcp: " + line, since=mark)
    counters = lab.settled()
    expect_equal(counters["proxy_header_missing"], 1, "proxy_header_missing")
    expect_equal(counters["proxy_header_malformed"], 3, "proxy_header_malformed")
    expect_equal(counters["backend_connects"], 0, "backend_connects")
    listener.close()


@scenario(families=BOTH_FAMILIES)
def too_slow(lab):
    """Half a header is waited for as long as a ClientHello."""
    listener = start(lab)
    config = lab.config()
    config["timeouts"]["client-hello"] = "1s"
    config["listeners"]["https"]["proxy-protocol"] = {"from": [f"{CLIENT}/{HOST_BITS}"]}
    lab.rewrite(config)
    lab.sluice.reload(RELOADED)
    with lab.connect() as connection:
        connection.sendall(V2[:14])
        reset(connection)
    lab.sluice.process.wait_for(r"no whole PROXY header within 1 s: 14 bytes came")
    expect_equal(lab.settled()["proxy_header_timeout"], 1, "proxy_header_timeout")
    listener.close()


@scenario(families=BOTH_FAMILIES)
def untrusted(lab):
    """Of others a header is payload: nobody can pose as somebody else."""
    listener = start(lab, trusted=f"{outer(200)}/{HOST_BITS}", **{"proxy-protocol": "v1"})
    with lab.connect(5432) as connection:
        port = connection.getsockname()[1]
        connection.sendall(V1)
        expect_equal(echo_once(listener, connection),
                     f"PROXY {TCP} {CLIENT} {OUTSIDE} {port} 5432\r\n".encode() + V1,
                     "what the server got")
    with lab.connect() as connection:
        connection.sendall(V1)
        reset(connection)
    lab.sluice.process.wait_for("PROXY protocol header on a TLS port")
    expect_equal(lab.settled()["proxy_header_accepted"], 0, "proxy_header_accepted")
    listener.close()
