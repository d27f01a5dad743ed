"""TLS to the servers: verified, refused, broken off."""

import hashlib
import os
import re
import socket
import ssl
import threading

from lab.peers import write_random
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import BACKENDS, OUTSIDE, at, http_get, read_all

PORT = 8443
RELOADED = "is in force"


def config_with(lab, servers, listeners=None, **tls):
    """Terminated sessions to servers of TLS, whose name is server.example."""
    tls = {"ca": "certs/ca.crt", "server-name": "server.example", **tls}
    changes = {"backends": {"web": {"servers": servers, "tls": tls}}}
    if listeners:
        changes.update(listeners)
    return lab.config(**changes)


def start(lab, *names, servers=(at(BACKENDS[0], PORT),), days=30, **tls):
    """nginx with TLS behind the daemon, its certificate for `names`."""
    certificate = lab.authority.issue("server", *(names or ("server.example",)), days=days)
    lab.page("index.html", "behind TLS\n")
    lab.nginx(*servers, certificate=certificate)
    lab.start(config_with(lab, list(servers), **tls))


def refused(lab):
    """The client's connection is reset without an answer."""
    try:
        with lab.tls() as connection:
            expect_equal(read_all(connection), b"", "bytes from nowhere")
    except (ConnectionResetError, ssl.SSLError):
        pass


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def page_over_two_legs(lab):
    """curl to the daemon, the daemon to nginx, both verified; a second session is resumed."""
    start(lab)
    for _ in range(2):
        expect_in("behind TLS", lab.curl("/index.html").stdout, "answer")
    counters = lab.settled()
    expect_equal(counters["tls_backend_handshakes_completed"], 2, "handshakes with the server")
    expect_equal(counters["backend_handshake_failed"], 0, "backend_handshake_failed")
    if len(lab.workers) == 1:
        expect_equal(counters["tls_backend_handshakes_resumed"], 1, "resumed")


@scenario(families=BOTH_FAMILIES)
def transfer_both_ways(lab):
    """Megabytes up and down, TLS on both legs, arrive unchanged, and the ends are orderly."""
    size = lab.scale(16 << 20, 2 << 20)
    write_random(os.path.join(lab.www, "big"), size)
    start(lab)
    with open(os.path.join(lab.www, "big"), "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    connection = lab.tls()
    connection.suppress_ragged_eofs = False
    body = http_get(connection, "/big").partition(b"\r\n\r\n")[2]
    expect_equal(hashlib.sha256(body).hexdigest(), wanted, "digest of the body")
    connection.unwrap().close()
    expect(lab.settled()["bytes_from_backends"] > size, "too few bytes came")


@scenario(families=BOTH_FAMILIES)
def plain_client(lab):
    """A listener without TLS in front of a server with it."""
    start(lab)
    config = config_with(lab, [at(BACKENDS[0], PORT)],
                         {"listeners": {"plain": {"bind": at(OUTSIDE, 80)}},
                          "policy": [{"match": {"listener": "plain"}, "action": "splice",
                                      "backend": "web"}]})
    lab.rewrite(config)
    lab.sluice.reload(RELOADED)
    with lab.connect(80) as connection:
        expect_in(b"behind TLS", http_get(connection, "/index.html"), "answer")
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def wrong_name(lab):
    """A certificate for another name is refused; the log says what was expected and what came."""
    start(lab, "other.example")
    refused(lab)
    lab.sluice.process.wait_for(r"no server answers: .*TLS handshake: .*other\.example.*"
                                r"server\.example")
    counters = lab.settled()
    expect_equal(counters["backend_handshake_failed"], 1, "backend_handshake_failed")
    expect_equal(counters["bytes_from_clients"], 0, "bytes passed to the wrong server")


@scenario(families=BOTH_FAMILIES)
def unknown_authority(lab):
    """The system's authorities do not know ours."""
    start(lab, ca="/etc/ssl/certs/ca-certificates.crt")
    refused(lab)
    lab.sluice.process.wait_for(r"no server answers: .*TLS handshake: ")
    expect_equal(lab.settled()["backend_handshake_failed"], 1, "backend_handshake_failed")


@scenario(families=BOTH_FAMILIES)
def expired(lab):
    """A server whose certificate has expired is passed over for one whose has not."""
    good, bad = (at(address, PORT) for address in BACKENDS[:2])
    start(lab, servers=(good,))
    lab.nginx(bad, certificate=lab.authority.issue("old", "server.example", days=-1))
    lab.rewrite(config_with(lab, [bad, good]))
    lab.sluice.reload(RELOADED)
    for _ in range(4):
        expect_in("behind TLS", lab.curl("/index.html").stdout, "answer")
    lab.sluice.process.wait_for(re.escape(bad) + r": TLS handshake: .*expired.*next server")
    expect(lab.settled()["backend_retries"] > 0, "no retry")


@scenario(families=BOTH_FAMILIES)
def verification_off(lab):
    """`verify: false` takes any certificate."""
    start(lab, "other.example", verify=False)
    expect_in("behind TLS", lab.curl("/index.html").stdout, "answer")


@scenario(families=BOTH_FAMILIES)
def server_without_tls(lab):
    """A plain server where TLS is expected: the log says what it sent."""
    lab.page("index.html", "plain\n")
    lab.nginx(at(BACKENDS[0], PORT))
    lab.start(config_with(lab, [at(BACKENDS[0], PORT)]))
    refused(lab)
    lab.sluice.process.wait_for(r"no server answers: .*TLS handshake: ")
    lab.settled()


def close_each(listener):
    """Closes every connection as soon as its first byte has come, until the listener is closed."""
    try:
        while True:
            accepted, _ = listener.accept()
            accepted.recv(1)
            accepted.close()
    except OSError:
        pass


@scenario(families=BOTH_FAMILIES)
def server_dies_in_handshake(lab):
    """One server closes within its handshake, one stays silent: the third serves each client,
    whichever of them had its turn."""
    closing, silent, good = (at(address, PORT) for address in BACKENDS[:3])
    start(lab, servers=(good,))
    config = config_with(lab, [closing, silent, good])
    config["timeouts"]["handshake"] = "1s"
    closer, sleeper = lab.listen(BACKENDS[0], PORT), lab.listen(BACKENDS[1], PORT)
    thread = threading.Thread(target=close_each, args=(closer,), daemon=True)
    thread.start()
    lab.rewrite(config)
    lab.sluice.reload(RELOADED)
    with sleeper, closer:
        for _ in range(3):
            expect_in("behind TLS", lab.curl("/index.html").stdout, "answer")
        lab.sluice.process.wait_for(re.escape(closing) + ": TLS handshake: ")
        lab.sluice.process.wait_for(re.escape(silent) + ": TLS handshake: not finished in time")
        counters = lab.settled()
        closer.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    expect(counters["backend_handshake_failed"] >= 2, "too few handshakes failed")
    expect(counters["backend_timeout_handshake"] >= 1, "no handshake ran out of time")


@scenario(families=BOTH_FAMILIES)
def cut_answer(lab):
    """A server that ends its stream without close_notify resets the client."""
    certificate = lab.authority.issue("server", "server.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = lab.listen(BACKENDS[0], PORT)
    lab.start(config_with(lab, [at(BACKENDS[0], PORT)]))
    client = lab.tls()
    client.suppress_ragged_eofs = False
    accepted, _ = listener.accept()
    server = context.wrap_socket(accepted, server_side=True)
    server.sendall(b"half an answ")
    expect_equal(client.recv(100), b"half an answ", "what came first")
    os.close(server.detach())  # without close_notify
    try:
        expect(client.recv(100) != b"", "a cut answer looks complete")
    except (ConnectionResetError, ssl.SSLError):
        pass
    lab.sluice.process.wait_for("server closed without close_notify")
    listener.close()
    lab.settled()
