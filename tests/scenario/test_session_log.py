"""The session log: a line for each session, with the facts of both sides, whatever the file does."""

import json
import os
import re
import shlex
import signal

from lab.process import wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import BACKENDS, CLIENT, OUTSIDE, at, http_get


def with_log(lab, file="sessions.log", form="json", **changes):
    return lab.config(**{"session-log": {"file": file, "format": form},
                         "control": {"socket": "control.sock"}, **changes})


def lines(lab, count, name="sessions.log"):
    """The lines of the log, as soon as there are so many."""
    def enough():
        try:
            with open(lab.path(name), encoding="utf-8") as log:
                found = log.read().splitlines()
        except FileNotFoundError:
            return None
        return found if len(found) >= count else None
    found = wait_until(enough, f"{count} lines in {name}")
    expect_equal(len(found), count, "lines")
    return found


def exchange(lab, listener, request, answer):
    """One session with so many bytes each way; returns the client's port."""
    with lab.tls() as client:
        server, _ = listener.accept()
        port = client.getsockname()[1]
        client.sendall(b"q" * request)
        got = 0
        while got < request:
            got += len(server.recv(65536))
        server.sendall(b"a" * answer)
        server.close()
        while client.recv(65536):
            pass
    return port


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def json_facts(lab):
    """JSON: sizes, times, TCP and TLS facts of a session are the right ones."""
    listener = lab.listen()
    lab.start(with_log(lab))
    ports = {exchange(lab, listener, 1234, 56789) for _ in range(3)}
    sessions = [json.loads(line) for line in lines(lab, 3)]
    expect_equal({s["client"] for s in sessions}, {at(CLIENT, p) for p in ports}, "clients")
    for s in sessions:
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", s["time"]), s["time"])
        expect_equal((s["listener"], s["action"], s["server_name"], s["backend"], s["server"],
                      s["from_client"], s["from_backend"]),
                     ("https", "terminate", "shop.example", "web", at(BACKENDS[0], 8080), 1234,
                      56789), "facts")
        client, server = s["client_side"], s["backend_side"]
        expect_equal(client["local"], at(OUTSIDE, 443), "our address")
        expect_equal(client["tls"]["version"], "TLSv1.3", "TLS version")
        expect_equal((client["tls"]["certificate"], server["tls"]), ("shop", None), "TLS facts")
        expect(server["bytes_received"] == 56789 and client["bytes_received"] > 1234,
               f"bytes of the connections: {s}")
        expect(0 < s["hello"] <= s["handshake"] <= s["connect"] <= s["first_byte"] <= s["age"],
               f"times: {s}")
        expect(client["srtt"] > 0 and client["mss"] > 500 and s["reason"], f"TCP facts: {s}")


@scenario(families=BOTH_FAMILIES)
def text_facts(lab):
    """Text: the same facts as KEY=VALUE; rejected sessions have their line, too."""
    listener = lab.listen()
    config = with_log(lab, form="text")
    config["policy"].insert(0, {"name": "no-legacy", "match": {"sni": "legacy.example"},
                                "action": "reject"})
    lab.start(config)
    port = exchange(lab, listener, 10, 2000)
    line = lines(lab, 1)[0]
    facts = dict(word.split("=", 1) for word in shlex.split(line))
    for key, value in (("client", at(CLIENT, port)), ("listener", "https"),
                       ("server_name", "shop.example"), ("from_client", "10"),
                       ("from_backend", "2000"), ("client_tls_version", "TLSv1.3"),
                       ("server_remote", at(BACKENDS[0], 8080))):
        expect_equal(facts.get(key), value, f"{key} in {line}")
    try:
        lab.tls("legacy.example")
    except OSError:
        pass
    line = lines(lab, 2)[1]
    expect_in("action=reject", line, "the line of a rejected session")
    expect_in("rule=no-legacy", line, "the line of a rejected session")


@scenario()
def rotated(lab):
    """A file that is moved away, as logrotate does, is followed by a new one without a reload."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_log(lab))
    http_get(lab.tls())
    lines(lab, 1)
    os.rename(lab.path("sessions.log"), lab.path("sessions.log.1"))
    wait_until(lambda: os.path.exists(lab.path("sessions.log")), "the file in its place again")
    http_get(lab.tls())
    lines(lab, 1)
    lines(lab, 1, "sessions.log.1")


@scenario(families=BOTH_FAMILIES)
def reopened(lab):
    """A reload begins the file anew after it was rotated, and may change file and form."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_log(lab))
    http_get(lab.tls())
    lines(lab, 1)
    os.rename(lab.path("sessions.log"), lab.path("sessions.log.1"))
    lab.sluice.ctl("reload")
    http_get(lab.tls())
    lines(lab, 1)
    lines(lab, 1, "sessions.log.1")
    lab.rewrite(with_log(lab, file="other.log", form="text"))
    lab.sluice.ctl("reload")
    http_get(lab.tls())
    expect_in("client=" + at(CLIENT, ""), lines(lab, 1, "other.log")[0], "the line in text form")
    expect_equal(os.stat(lab.path("other.log")).st_mode & 0o7777 & ~0o640, 0, "mode")


@scenario()
def impossible_file(lab):
    """A file that cannot be opened refuses start and reload, at its place in the configuration."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_log(lab))
    lab.rewrite(with_log(lab, file="missing/sessions.log"))
    result = lab.sluice.ctl("reload", check=False)
    expect_equal(result.returncode, 1, "exit status of the reload")
    expect(re.search(r"sluice\.yaml:\d+:\d+: error: session-log\.file: .*directory", result.stderr),
           result.stderr)
    http_get(lab.tls())
    lines(lab, 1)
    lab.sluice.stop()
    second = lab.proxy.run(lab.binary, "-c", lab.path("sluice.yaml"), check=False)
    expect_equal(second.returncode, 1, "exit status of a start")
    expect_in("session-log.file", second.stderr, "message")


@scenario(timeout=120)
def nobody_reads(lab):
    """A FIFO that nobody reads, and a full disk: sessions go on, lost lines are told of."""
    lab.nginx()
    lab.page("index.html", "hello")
    os.mkfifo(lab.path("fifo"))
    held = os.open(lab.path("fifo"), os.O_RDWR | os.O_NONBLOCK)
    config = with_log(lab, file="fifo", form="text")
    lab.start(config)
    for _ in range(lab.scale(200, 120)):  # a pipe holds some eighty lines
        expect_in(b"hello", http_get(lab.tls()), "an answer while nobody reads the log")
    # The writer waits with a line in hand; the daemon ends in time all the same.
    lab.rewrite({**config, "session-log": {"file": "/dev/full", "format": "text"}})
    lab.sluice.ctl("reload")
    expect_in(b"hello", http_get(lab.tls()), "an answer while the disk is full")
    lab.sluice.process.wait_for("lines were lost: No space left on device", 20)
    lab.sluice.process.signal(signal.SIGTERM)
    expect_equal(lab.sluice.process.wait(20), 0, "exit status")
    os.close(held)


@scenario(families=BOTH_FAMILIES)
def to_standard_error(lab):
    """"stderr": lines among those of the log, whole."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_log(lab, file="stderr", form="text"))
    http_get(lab.tls())
    lab.sluice.process.wait_for(r"(?m)^time=\S+ id=0\.\d+ client=" + re.escape(at(CLIENT, ""))
                                + r"\d+ .*\n", 10)
