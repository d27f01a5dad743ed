"""What clients may send to a TLS port by mistake or by malice."""

import os
import re
import socket
import ssl

from lab.peers import s_client
from lab.process import LabError
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.streams import PiecewiseTls
from lab.topology import CLIENT, OUTSIDE, SOCKET_FAMILY, at, http_get, read_all

ADDRESS = at(OUTSIDE, 443)


def end_of(connection):
    """Reads to the end, orderly or not; returns what came before it."""
    parts = b""
    try:
        while data := connection.recv(65536):
            parts += data
    except ConnectionResetError:
        pass
    except socket.timeout:
        raise LabError("the daemon kept the connection open") from None
    return parts


def send_and_end(lab, data):
    with lab.connect() as connection:
        connection.sendall(data)
        return end_of(connection)


def serving(lab):
    """The daemon still serves others."""
    with lab.tls() as connection:
        expect_in(b"200 OK", http_get(connection), "answer to another client")


def start(lab, config=None):
    lab.page("index.html", "x")
    lab.nginx()
    lab.start(config)


def is_alert(data, number):
    return data[:1] == b"\x15" and data[-1:] == bytes([number])


@scenario(families=BOTH_FAMILIES)
def plain_http(lab):
    """HTTP on the TLS port is called by its name in the log."""
    start(lab)
    mark = lab.sluice.process.log_mark()
    send_and_end(lab, b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    lab.sluice.process.wait_for(re.escape(CLIENT) + ".*HTTP", since=mark)
    expect_equal(lab.settled()["hello_not_tls"], 1, "hello_not_tls")
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def garbage(lab):
    """Bytes that are no TLS end the connection; each is counted and logged, none passes on."""
    start(lab)
    samples = (b"\x00" * 100, b"\xff" * 100, os.urandom(1000).replace(b"\x16", b"\x17"),
               b"SSH-2.0-OpenSSH_9.2\r\n", b"\x80\x2e\x01\x00\x02" + bytes(41))
    mark = lab.sluice.process.log_mark()
    for sample in samples:
        send_and_end(lab, sample)
    counters = lab.settled()
    expect_equal(counters["hello_not_tls"] + counters["hello_malformed"], len(samples),
                 "hello_not_tls and hello_malformed")
    lab.sluice.process.wait_for(re.escape(CLIENT), since=mark)
    expect_equal(counters["backend_connects"], 0, "backend_connects")
    serving(lab)


def hello_of(lab, sni="shop.example"):
    return PiecewiseTls(lab.tls_context(), None, sni).client_hello()


@scenario(families=BOTH_FAMILIES)
def broken_hello(lab):
    """A ClientHello whose lengths lie is refused, wherever the lie is."""
    start(lab)
    hello = hello_of(lab)
    refused = 0
    # Each byte from the handshake header to the extensions' first headers, made too large.
    for position in (*range(5, 9), 43, 77, *range(110, min(len(hello), 160), 7)):
        broken = bytearray(hello)
        broken[position] = 0xFF
        with lab.connect() as connection:
            connection.sendall(broken)
            connection.shutdown(socket.SHUT_WR)
            refused += end_of(connection)[:1] != b"\x16"
    expect(refused >= 4, f"only {refused} broken ClientHellos were refused")
    lab.settled()
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def oversized_hello(lab):
    """A ClientHello beyond the limit is refused before it is collected."""
    start(lab)
    body = b"\x01\xff\xff\xff" + bytes(16380)
    record = b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body
    mark = lab.sluice.process.log_mark()
    with lab.connect() as connection:
        try:
            for _ in range(64):
                connection.sendall(record)
        except (ConnectionResetError, BrokenPipeError):
            pass
        end_of(connection)
    lab.sluice.process.wait_for(re.escape(CLIENT) + ".*ClientHello", since=mark)
    expect_equal(lab.settled()["hello_too_large"], 1, "hello_too_large")
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def old_versions(lab):
    """TLS 1.1 and older get protocol_version; the log says what was offered and what is needed."""
    start(lab)
    mark = lab.sluice.process.log_mark()
    for option in ("-tls1_1", "-tls1"):
        result = s_client(lab.client, ADDRESS, option, "-cipher", "ALL:@SECLEVEL=0",
                          sni="shop.example")
        expect_in("alert protocol version", result.stdout + result.stderr, f"answer to {option}")
    lab.sluice.process.wait_for(r"TLS ?v?1\.1.*(TLS ?v?)?1\.2", since=mark)
    expect_equal(lab.settled()["hello_refused"], 2, "hello_refused")
    config = lab.config()
    config["listeners"]["https"]["tls"]["min-version"] = "1.3"
    lab.rewrite(config)
    lab.sluice.reload(r"reload: .*in force")
    result = s_client(lab.client, ADDRESS, "-tls1_2", sni="shop.example")
    expect_in("alert protocol version", result.stdout + result.stderr, "answer to TLS 1.2")
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def no_common_cipher(lab):
    """A client without a usable cipher gets handshake_failure and a log line with the reason."""
    start(lab)
    mark = lab.sluice.process.log_mark()
    result = s_client(lab.client, ADDRESS, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0",
                      sni="shop.example")
    expect_in("alert handshake failure", result.stdout + result.stderr, "answer")
    lab.sluice.process.wait_for(re.escape(CLIENT) + ".*cipher", since=mark)
    expect_equal(lab.settled()["sessions"], 0, "sessions")
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def hello_cut_short(lab):
    """A client that leaves in the middle of its ClientHello leaves nothing behind."""
    start(lab)
    hello = hello_of(lab)
    for length in (1, 4, 5, 6, 9, 50, len(hello) - 1):
        with lab.connect() as connection:
            connection.sendall(hello[:length])
            connection.shutdown(socket.SHUT_WR)
            end_of(connection)
    lab.settled()
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def tampered_record(lab):
    """A record that was changed on the way ends the session with bad_record_mac."""
    listener = lab.listen()
    lab.start()
    with lab.connect() as connection:
        tls = PiecewiseTls(lab.tls_context(), connection, "shop.example")
        tls.handshake()
        server, _ = listener.accept()
        tls.send(b"untouched")
        expect_equal(server.recv(100), b"untouched", "bytes before")
        connection.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        try:
            tls.receive_all()
            expect(False, "the connection ended in order")
        except (ssl.SSLError, ConnectionResetError) as error:
            expect("BAD_RECORD_MAC" in str(error) or isinstance(error, ConnectionResetError),
                   f"the client saw {error}")
        try:
            expect_equal(read_all(server), b"", "bytes after")
        except ConnectionResetError:
            pass
        server.close()
    expect_equal(lab.settled()["tls_record_errors"], 1, "tls_record_errors")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def half_open_handshakes(lab):
    """A crowd that stops after TCP or after the ClientHello is bounded, and goes in time."""
    config = lab.config(limits={"connections": 2048})
    config["timeouts"].update({"client-hello": "3s", "handshake": "3s"})
    start(lab, config)
    hello = hello_of(lab)
    before = lab.sluice.process.resident_bytes()
    crowd = []
    for number in range(400):
        connection = lab.connect()
        if number % 2:
            connection.sendall(hello)
        crowd.append(connection)
    serving(lab)
    growth = lab.sluice.process.resident_bytes() - before
    print(f"growth of resident memory for 400 half-open handshakes: {growth}")
    expect(lab.sanitized or growth < 64 << 20, f"resident memory grew by {growth} bytes")
    counters = lab.settled()
    expect_equal(counters["timeout_hello"], 200, "timeout_hello")
    # More of them than may be unfinished at a time: the oldest gave way before their timeout.
    expect_equal(counters["timeout_handshake"] + counters["handshakes_evicted"], 200,
                 "handshakes ended by the timeout or for newer ones")
    expect(counters["handshakes_evicted"] > 0, "all 200 handshakes were kept")
    for connection in crowd:
        connection.close()
    serving(lab)


@scenario(families=BOTH_FAMILIES)
def connections_beyond_the_limit(lab):
    """When the connection pool is empty, new work is refused and old work goes on."""
    listener = lab.listen()
    lab.start(lab.config(limits={"connections": 64}))
    first = lab.tls()
    server, _ = listener.accept()
    crowd = []
    with lab.client.enter():
        for _ in range(200):
            connection = socket.socket(SOCKET_FAMILY)
            connection.setblocking(False)
            connection.connect_ex((OUTSIDE, 443))
            crowd.append(connection)
    first.sendall(b"still here")
    expect_equal(server.recv(100), b"still here", "bytes of an earlier session")
    counters = lab.sluice.counters()
    expect(counters["connections_used"] <= counters["connections_max"], "the pool was exceeded")
    for connection in crowd:
        connection.close()
    lab_serves_again(lab, listener)
    first.close()
    server.close()


def lab_serves_again(lab, listener):
    with lab.tls(timeout=30) as connection:
        server, _ = listener.accept()
        server.sendall(b"again")
        server.close()
        expect_equal(read_all(connection), b"again", "bytes after the crowd left")
