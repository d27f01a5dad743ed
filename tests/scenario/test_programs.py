"""The programs that link the stack: the web server, the load client and the echo server."""

import contextlib
import os
import re
import signal
import socket
import threading

from lab.daemon import SANITIZER_FINDING, SANITIZER_OPTIONS
from lab.peers import curl, write_random
from lab.process import wait_until
from lab.scenario import BOTH_FAMILIES, HEAVY, expect, expect_equal, expect_in, scenario
from lab.topology import BACKENDS, BITS, INSIDE, IPV6, OUTSIDE, at, read_all

SITE = "http://" + at(OUTSIDE, 80)
INSIDE_AND_BESIDE = ("--inside", "--beside")
MEGABYTE = 1 << 20


def program_path(lab, name):
    return os.path.join(os.path.dirname(lab.binary), "..", "programs", name)


def answers_ping(lab):
    return lab.client.run("ping", "-c", "1", "-W", "1", OUTSIDE, check=False).returncode == 0


@contextlib.contextmanager
def program(lab, name, *arguments, device="af-packet:outside", address=f"{OUTSIDE}/{BITS}"):
    """Runs one in the proxy's place; at the end it goes in peace."""
    process = lab.proxy.start(program_path(lab, name), "--device", device, "--address", address,
                              "--cpu", "1", *arguments, name=name, env=SANITIZER_OPTIONS)
    process.wait_for(rf"{name}: ready", 30.0)
    if IPV6:  # its address is its own a little later (RFC 4862)
        wait_until(lambda: answers_ping(lab), f"{name} to have its address")
    yield process
    process.signal(signal.SIGTERM)
    status = process.wait(20.0)
    expect(not SANITIZER_FINDING.search(process.log()), process.log()[-4000:])
    expect_equal(status, 0, f"exit status of {name}; it wrote:\n{process.log()[-2000:]}\n")


def connect(lab, port=80, timeout=10.0):
    with lab.client.enter():
        return socket.create_connection((OUTSIDE, port), timeout)


def answers(connection):
    """All that comes until the server ends."""
    connection.shutdown(socket.SHUT_WR)
    return read_all(connection)


def each_way(function):
    """The scenario runs inside, then beside."""
    def both(lab):
        for way in INSIDE_AND_BESIDE:
            function(lab, way)
    both.__doc__ = function.__doc__
    both.__name__ = function.__name__
    both.__module__ = function.__module__
    return both


@scenario(families=BOTH_FAMILIES)
@each_way
def web_curl(lab, way):
    """curl gets files bit for bit, several on one connection, and the answers that it should."""
    write_random(os.path.join(lab.www, "file"), lab.scale(20, 2) * MEGABYTE)
    lab.page("index.html", "the first page")
    with program(lab, "web_server", way, "--root", lab.www):
        fetched = lab.path("fetched")
        curl(lab.client, f"{SITE}/file", "-o", fetched)
        with open(fetched, "rb") as seen, open(os.path.join(lab.www, "file"), "rb") as sent:
            expect(seen.read() == sent.read(), "the file arrived changed")
        result = curl(lab.client, SITE + "/", f"{SITE}/index.html?x=1", "-v")
        expect_equal(result.stdout, "the first page" * 2, "pages")
        expect_in("Re-using existing connection", result.stderr, "curl")
        result = curl(lab.client, f"{SITE}/none", "-w", "%{http_code}")
        expect_equal(result.stdout, "Not Found404", "a page that is not there")
        result = curl(lab.client, SITE + "/", "-I")
        expect_in("Content-Length: 14", result.stdout, "HEAD")
        result = curl(lab.client, SITE + "/", "-d", "x", "-w", "%{http_code}")
        expect_in("405", result.stdout, "POST")


BAD_REQUESTS = {
    b"nonsense\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n": 400,
    b"GET x HTTP/1.1\r\nHost: a\r\n\r\n": 400,
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n": 505,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx": 413,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n": 413,
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000: 431,
}


@scenario(families=BOTH_FAMILIES)
@each_way
def web_requests(lab, way):
    """Pipelined requests in any cut, bad ones answered, half-closed and killed clients."""
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with program(lab, "web_server", way, "--body", "100"):
        with connect(lab) as connection:
            connection.sendall(get * 50)
            expect_equal(answers(connection).count(b"200 OK"), 50, "pipelined answers")
        with connect(lab) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in get:
                connection.sendall(bytes([byte]))
            expect_in(b"200 OK", answers(connection), "a request byte by byte")
        with connect(lab) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            expect_in(b"Connection: close", read_all(connection), "HTTP/1.0")
        for request, status in BAD_REQUESTS.items():
            with connect(lab) as connection:
                connection.sendall(request)
                expect(read_all(connection).startswith(b"HTTP/1.1 %d " % status),
                       f"{request[:60]!r} is not answered by {status}")
        for _ in range(20):
            connection = connect(lab)
            connection.sendall(get * 20)
            # A RST, with answers under way.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        with connect(lab) as connection:
            connection.sendall(get)
            expect_in(b"200 OK", answers(connection), "after clients that were killed")


@scenario(load=HEAVY, families=BOTH_FAMILIES)
@each_way
def web_ab(lab, way):
    """ab with 64 connections, kept alive and new ones."""
    count = lab.scale(10_000, 1_000)
    with program(lab, "web_server", way):
        for options in (("-k",), ()):
            result = lab.client.run("ab", "-q", "-n", count, "-c", "64", *options,
                                    SITE + "/", timeout=50)
            expect_in(f"Complete requests:      {count}", result.stdout, "ab")
            expect_in("Failed requests:        0", result.stdout, "ab")
            expect("Non-2xx" not in result.stdout, result.stdout)


@scenario(families=BOTH_FAMILIES)
@each_way
def web_full(lab, way):
    """More clients than there are streams: those that have theirs go on, and as they leave the
    rest has its turn or is refused."""
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with program(lab, "web_server", way, "--connections", "20"):
        held = []
        for _ in range(40):
            with contextlib.suppress(OSError):
                held.append(connect(lab, timeout=0.2))
        expect(len(held) >= 10, f"only {len(held)} connections stand")
        held[0].sendall(get)
        expect_in(b"200 OK", held[0].recv(1000), "the first one's answer")
        for connection in held:
            connection.close()

        def served():
            with contextlib.suppress(OSError), connect(lab, timeout=1.0) as connection:
                connection.sendall(get)
                return b"200 OK" in answers(connection)
            return False
        wait_until(served, "an answer after the others have left", 20.0, 0.1)


def load(lab, *arguments, check=True):
    return lab.proxy.run(program_path(lab, "load_client"), "--device", "af-packet:inside",
                         "--address", f"{INSIDE}/{BITS}", "--cpu", "1", "--to", at(BACKENDS[0], 8080),
                         *arguments, check=check, timeout=60, env={**os.environ, **SANITIZER_OPTIONS})


@scenario(load=HEAVY, families=BOTH_FAMILIES)
@each_way
def load_nginx(lab, way):
    """The load client against nginx: all answers right, kept alive and new connections; a wrong
    body, a page that is not there and a server that is killed are failures."""
    lab.page("page", "x" * 5000)
    lab.page("other", "x" * 4999 + "y")
    server = lab.nginx()
    expected = ("--expect", os.path.join(lab.www, "page"))
    count = lab.scale(5000, 500)
    for options in ((), ("--close",)):
        result = load(lab, way, "--path", "/page", "--requests", count, "--parallel", "32",
                      *expected, *options)
        expect_in(f"requests  {count}, failed 0", result.stdout, "load_client")
        expect(re.search(r"latency   p50 [\d.]+ us, .* max [\d.]+ us", result.stdout),
               result.stdout)
    for path, fault in (("/other", "another body"), ("/none", "a status other than 200")):
        result = load(lab, way, "--path", path, "--requests", "10", *expected, check=False)
        expect_equal(result.returncode, 1, "status after wrong answers")
        expect_in("requests  0, failed 10", result.stdout, path)
        expect_in(fault, result.stdout, path)
    server.process.stop()
    result = load(lab, way, "--requests", "10", check=False)
    expect_in("Connection refused", result.stdout, "load_client without a server")


class EchoClient(threading.Thread):
    """Sends so many bytes, ends its direction, and compares what comes back."""

    def __init__(self, lab, size):
        super().__init__()
        self._connection = connect(lab, 7, 30.0)
        self._size = size
        self._block = os.urandom(65536 + os.urandom(1)[0])
        self.fault = "it never ended"

    def _send(self):
        left = self._size
        while left > 0:
            part = self._block[:left]
            self._connection.sendall(part)
            left -= len(part)
        self._connection.shutdown(socket.SHUT_WR)

    def _compare(self):
        seen = 0
        buffer = bytearray(262144)
        # Twice, so that each window of a block's length is one piece.
        twice = memoryview(self._block * 6)
        while count := self._connection.recv_into(buffer):
            start = seen % len(self._block)
            if memoryview(buffer)[:count] != twice[start:start + count]:
                return f"other bytes than were sent, after {seen}"
            seen += count
        return None if seen == self._size else f"an end after {seen} of {self._size} bytes"

    def run(self):
        sender = threading.Thread(target=self._send)
        sender.start()
        try:
            self.fault = self._compare()
        except OSError as error:
            self.fault = repr(error)
        sender.join()
        self._connection.close()


@scenario(load=HEAVY, timeout=300, families=BOTH_FAMILIES)
def echo_many(lab):
    """100 kernel clients at once, each with 2 MB both ways (FULL=1: 64 MB; the sanitizers' build:
    256 KB), all bytes compared; half-closed, so that the end comes back, too."""
    size = 64 * MEGABYTE if lab.thorough else lab.scale(2 * MEGABYTE, MEGABYTE // 4)
    with program(lab, "echo_server", "--threads", "100"):
        clients = [EchoClient(lab, size) for _ in range(100)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        expect_equal([c.fault for c in clients if c.fault], [], "faults")


@scenario(families=BOTH_FAMILIES)
def echo_killed(lab):
    """Clients that vanish, that reset, and that wait for a thread: the others are served."""
    with program(lab, "echo_server", "--threads", "2", "--idle", "1"):
        for _ in range(10):
            connection = connect(lab, 7)
            connection.sendall(b"x" * 100_000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        idle = [connect(lab, 7) for _ in range(4)] # two threads: they wait, until idle ends
        with connect(lab, 7, 20.0) as connection:
            connection.sendall(b"hello")
            expect_equal(answers(connection), b"hello", "echo after idle clients")
        for connection in idle:
            connection.close()


BAD_ARGUMENTS = {
    (): "which --device?",
    ("--device", "eth0"): "--device eth0: expected kernel:",
    ("--device", "af-packet:"): "expected kernel:",
    ("--device", "af-packet:outside"): "which --address",
    ("--device", "af-packet:none", "--address", "192.0.2.1/24"): 'no interface "none"',
    ("--address", "192.0.2.300/24"): "--address 192.0.2.300/24: expected",
    ("--cpu", "zero"): "--cpu zero: expected CPUs",
    ("--cpu", "0,"): "--cpu 0,: expected CPUs",
    ("--mtu", "9001"): "--mtu 9001: expected a number from 576 to 9000",
    ("--route", "10.0.0.0/8"): "--route 10.0.0.0/8: expected PREFIX,VIA",
    ("--connections", "-1"): "--connections -1: expected a number",
    ("--nonsense",): "--nonsense",
    ("word",): '"word" is no option',
}
WHERE = ("--device", "af-packet:outside", "--address", f"{OUTSIDE}/24")
BAD_OF_PROGRAM = {
    "web_server": {("--listen", "0"): "--listen 0: expected", ("--root", "/none"): "--root /none",
                   ("--inside", "--spin", "5"): "for --beside", ("--body", "x"): "--body x",
                   ("--listen", "10.9.9.9:80"): "10.9.9.9:80", ("--cpu", "1000"): "CPU 1000",
                   ("--app-cpu", "0,1"): "--app-cpu names 2 CPUs, there are 1"},
    "load_client": {(): "--to which server?", ("--to", "x"): "--to x: expected ADDRESS:PORT",
                    ("--to", "10.0.0.1:1", "--path", "x"): "--path x",
                    ("--to", "10.0.0.1:1", "--expect", "/none"): "--expect /none"},
    "echo_server": {("--threads", "0"): "--threads 0", ("--idle", "x"): "--idle x",
                    ("--inside",): "--inside"},
}


@scenario()
def bad_arguments(lab):
    """Each is refused with a line that says what is wrong; --help tells all."""
    for name, own in BAD_OF_PROGRAM.items():
        needed = ("--to", "10.0.0.1:1") if name == "load_client" else ()
        cases = {**{(*needed, *given): wanted for given, wanted in BAD_ARGUMENTS.items()},
                 **{(*WHERE, *given): wanted for given, wanted in own.items()}}
        for given, wanted in cases.items():
            result = lab.proxy.run(program_path(lab, name), *given, check=False,
                                   env={**os.environ, **SANITIZER_OPTIONS})
            expect(result.returncode in (1, 2), f"{name} {given}: status {result.returncode}")
            expect_in(wanted, result.stderr, f"{name} {given}")
        text = lab.proxy.run(program_path(lab, name), "--help").stdout
        expect_in("--device KIND:NAME", text, f"{name} --help")
