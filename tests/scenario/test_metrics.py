"""Metrics over HTTP: their form, their truth, and who may have them."""

import json
import re
import signal
import socket
import urllib.error
import urllib.request

from lab.process import run, wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import BACKENDS, OUTSIDE, at, http_get

LISTEN = "127.0.0.1:9464"

# Debian's module belongs to Debian's interpreter, which need not be the one that runs this.
_READER = ("/usr/bin/python3", "-c", """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([(f.name, f.type, [(s.name, s.labels, s.value) for s in f.samples])
                  for f in text_string_to_metric_families(sys.stdin.read())]))
""")

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+-]+|NaN|[+-]Inf)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def with_metrics(lab, **changes):
    return lab.config(**{"metrics": {"listen": LISTEN}, **changes})


def get(lab, path="/metrics", method="GET", data=None):
    """Status, type and text of an answer, from within the proxy's namespace."""
    request = urllib.request.Request(f"http://{LISTEN}{path}", method=method, data=data)
    with lab.proxy.enter():
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers.get("Content-Type"), answer.read().decode()


def parse_labels(text):
    labels, position = {}, 0
    while position < len(text):
        match = _LABEL.match(text, position)
        expect(match, f"labels are malformed: {text}")
        expect(match.group(1) not in labels, f"a label comes twice: {text}")
        labels[match.group(1)] = match.group(2)
        position = match.end()
    return tuple(sorted(labels.items()))


def parse(text):
    """{(name, labels): value}; fails on whatever a strict reader of the format would refuse."""
    expect(text.endswith("\n"), "the last line has no end")
    helped, types, closed, samples, current = set(), {}, set(), {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            expect(name not in helped, f"HELP comes twice: {line}")
            expect(len(line.split(" ", 3)[3]) > 3, f"no help: {line}")
            helped.add(name)
            closed.add(current)
            current = name
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            expect(name == current and name not in types, f"TYPE is out of place: {line}")
            expect(kind in ("counter", "gauge"), f"type: {line}")
            expect((kind == "counter") == name.endswith("_total"), f"name and type: {line}")
            types[name] = kind
            continue
        match = _SAMPLE.fullmatch(line)
        expect(match, f"no sample: {line}")
        name = match.group(1)
        expect(name == current and name not in closed, f"sample outside of its family: {line}")
        expect(name.startswith("sluice_"), f"prefix: {line}")
        key = (name, parse_labels(match.group(2) or ""))
        expect(key not in samples, f"a sample comes twice: {line}")
        samples[key] = float(match.group(3))
    expect_equal(helped, set(types), "metrics with HELP and those with TYPE")
    return samples, types


def total(samples, name, **labels):
    found = [value for (n, l), value in samples.items()
             if n == name and all(dict(l).get(k) == v for k, v in labels.items())]
    expect(found, f"there is no {name} with {labels}")
    return sum(found)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def form_and_truth(lab):
    """The format is strict, values move as traffic does, and counters never go back by a reload."""
    lab.nginx()
    lab.page("index.html", "hello")
    config = with_metrics(lab)
    config["policy"][0]["name"] = "shop"
    lab.start(config)
    status, kind, text = get(lab)
    expect_equal(status, 200, "status")
    expect(kind.startswith("text/plain; version=0.0.4"), f"type: {kind}")
    before, types = parse(text)
    expect_equal(total(before, "sluice_sessions_opened_total"), 0, "sessions at first")
    for worker in range(len(lab.workers)):
        total(before, "sluice_worker_rounds_total", worker=str(worker))
    for _ in range(3):
        http_get(lab.tls())
    after, _ = parse(get(lab)[2])
    expect_equal(total(after, "sluice_sessions_opened_total"), 3, "sessions")
    expect_equal(total(after, "sluice_tls_handshakes_completed_total"), 3, "handshakes")
    expect_equal(total(after, "sluice_rule_hits_total", rule="shop"), 3, "hits")
    expect_equal(total(after, "sluice_server_sessions_opened_total", backend="web",
                       server=at(BACKENDS[0], 8080)), 3, "sessions of the server")
    expect(total(after, "sluice_io_rx_packets_total", interface="outside") > 0, "packets")
    expect_equal(total(after, "sluice_port_up"), 2, "ports that are up")
    expect_equal(total(after, "sluice_configuration_last_reload_ok"), 1, "last reload")
    lab.sluice.reload("is in force")
    http_get(lab.tls())
    last, _ = parse(get(lab)[2])
    expect_equal(total(last, "sluice_rule_hits_total"), 4, "hits after a reload")
    for readings in ((before, after), (after, last)):
        for key, value in readings[0].items():
            if types[key[0]] == "counter":
                expect(readings[1].get(key, -1) >= value, f"{key} went back from {value}")


@scenario()
def reader_of_prometheus(lab):
    """The parser of Prometheus' Python client reads the same."""
    lab.start(with_metrics(lab))
    text = get(lab)[2]
    ours, types = parse(text)
    families = json.loads(run(*_READER, input=text).stdout)
    theirs = {(name, tuple(sorted(labels.items()))): value
              for _, _, samples in families for name, labels, value in samples}
    expect_equal(theirs, ours, "samples")
    for name, kind, _ in families:
        name += "_total" if kind == "counter" else ""
        expect_equal(types.get(name), kind, f"type of {name}")


@scenario()
def only_what_there_is(lab):
    """Other paths and methods are refused; a body is no harm."""
    lab.start(with_metrics(lab))
    expect_equal(get(lab, "/")[0], 404, "status of /")
    expect_equal(get(lab, "/metrics/")[0], 404, "status of /metrics/")
    expect_equal(get(lab, method="DELETE")[0], 405, "status of DELETE")
    expect_equal(get(lab, method="POST", data=b"x" * 100000)[0], 405, "status of POST")
    expect_equal(get(lab, "/healthz")[::2], (200, "ok\n"), "health")
    expect_equal(get(lab, method="HEAD")[::2], (200, ""), "HEAD")
    with lab.proxy.enter():
        for nonsense in (b"\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET /metrics HTTP/9.9\r\n\r\n",
                         b"GET " + b"/" * 100000 + b" HTTP/1.1\r\n\r\n"):
            raw = socket.create_connection(("127.0.0.1", 9464), 15)
            try:
                raw.sendall(nonsense)
                raw.recv(1000 if nonsense.startswith(b"GET") else 0)
            except (ConnectionResetError, BrokenPipeError):
                pass
            raw.close()
    expect_equal(get(lab)[0], 200, "status after nonsense")


@scenario(families=BOTH_FAMILIES)
def loopback_only(lab):
    """The metrics are the kernel's loopback's: nothing of it is reachable from outside."""
    lab.start(with_metrics(lab))
    try:
        lab.connect(9464, timeout=3).close()
        reached = True
    except OSError:
        reached = False
    expect(not reached, f"{OUTSIDE}:9464 answers")
    expect_equal(get(lab)[0], 200, "status on loopback")


@scenario()
def slow_readers(lab):
    """Connections that send or take nothing hold up neither scrapes nor traffic."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_metrics(lab))
    with lab.proxy.enter():
        held = [socket.create_connection(("127.0.0.1", 9464), 5) for _ in range(20)]
    for connection in held[10:]:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    expect_in("sluice_uptime_seconds", get(lab)[2], "metrics")
    expect_in(b"hello", http_get(lab.tls()), "an answer")
    for connection in held:
        connection.close()


@scenario()
def health_while_draining(lab):
    """/healthz is 503 while the daemon drains, and metrics are served on."""
    listener = lab.listen()
    lab.start(with_metrics(lab, timeouts={"drain": "30s"}))
    held = lab.tls()
    server, _ = listener.accept()
    lab.sluice.process.signal(signal.SIGTERM)
    wait_until(lambda: get(lab, "/healthz")[0] == 503, "health to tell of the drain")
    expect_equal(total(parse(get(lab)[2])[0], "sluice_draining"), 1, "draining")
    server.close()
    held.close()
    expect_equal(lab.sluice.process.wait(20), 0, "exit status")


@scenario()
def port_in_use(lab):
    """An address that cannot be listened on is refused at its place in the file."""
    lab.start(with_metrics(lab))
    second = lab.proxy.run(lab.binary, "-c", lab.path("sluice.yaml"), check=False)
    expect_equal(second.returncode, 1, "exit status")
    expect(re.search(r"sluice\.yaml:\d+:\d+: metrics\.listen: cannot listen on 127\.0\.0\.1:9464",
                     second.stderr), second.stderr)
