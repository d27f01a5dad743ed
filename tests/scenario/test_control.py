"""The control socket of a running daemon, and sluicectl in front of it."""

import json
import os
import socket
import stat
import subprocess

from lab.process import run, wait_until
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, SANITIZE, expect, expect_equal,
                          expect_in, scenario)
from lab.topology import (ABSENT, BACKENDS, CLIENT, HOST_BITS, INSIDE, IPV6, OUTSIDE, at, foreign,
                          http_get, network_of)

# Bits beyond the length, and what was meant.
WIDE = ("2001:db8:1::7/32", "2001:db8::/32") if IPV6 else ("192.0.2.7/8", "192.0.0.0/8")


def with_control(lab, **changes):
    return lab.config(**{"control": {"socket": "control.sock"}, **changes})


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            break
        data += part
    return data


class Wire:
    """A connection to the control socket without sluicectl in between."""

    def __init__(self, lab, timeout=15.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(lab.sluice.control_path)
        self._lines = self.socket.makefile("rb")

    def say(self, data):
        self.socket.sendall(data)

    def hear(self):
        """The next reply, or None at the end of the stream."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def ask(self, **request):
        self.say(json.dumps(request).encode() + b"\n")
        return self.hear()

    def close(self):
        self._lines.close()
        self.socket.close()


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def status(lab):
    """status tells version, workers and ports of a daemon with traffic, as a table and as JSON."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_control(lab))
    held = lab.tls()
    expect_in(b"hello", http_get(lab.tls()), "answer")
    seen = lab.sluice.ask("status")
    expect_equal([w["cpu"] for w in seen["workers"]], list(lab.workers), "CPUs of the workers")
    expect(sum(w["sessions"] for w in seen["workers"]) >= 1, f"no session is told: {seen}")
    expect(all(0 <= w["busy"] <= 1 for w in seen["workers"]), f"busy: {seen['workers']}")
    expect_equal([p["interface"] for p in seen["ports"]], ["outside", "inside"], "interfaces")
    for port in seen["ports"]:
        expect(port["link"] == "up" and port["io_rx_packets"] > 0 and port["io_tx_packets"] > 0,
               f"port: {port}")
    expect_equal(seen["draining"], False, "draining")
    expect_equal(seen["configuration"]["last_reload"], None, "last reload")
    table = lab.sluice.ctl("status").stdout
    for word in ("version:", "uptime:", "WORKER", "INTERFACE", "outside", "inside", "up"):
        expect_in(word, table, "status")
    expect_equal(lab.sluice.ctl("version").stdout.strip(), seen["version"], "version")
    held.close()


@scenario()
def top(lab):
    """top --once: rates of the interval, not totals."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_control(lab))
    for _ in range(5):
        http_get(lab.tls())
    rows = lab.sluice.ask("top", "--once", "--interval", "0.2")
    expect_equal(len(rows), 1, "workers")
    expect_equal(rows[0]["sessions_rate"], 0.0, "rate of new sessions while nothing comes")
    table = lab.sluice.ctl("top", "--once", "--interval", "0.2").stdout
    for word in ("NEW/s", "HANDSHAKES/s", "DROPS/s"):
        expect_in(word, table, "top")


@scenario()
def policy_hits(lab):
    """Rules with their hits, which go on over a reload that moves the rule."""
    lab.nginx()
    lab.page("index.html", "hello")
    config = with_control(lab)
    config["policy"][0]["name"] = "shop"
    lab.start(config)
    for _ in range(3):
        http_get(lab.tls())
    rules = lab.sluice.ask("policy")["rules"]
    expect_equal([(r["rule"], r["hits"], r["action"], r["backend"]) for r in rules],
                 [("shop", 3, "terminate", "web")], "rules")
    expect(rules[0]["where"].startswith(lab.path("sluice.yaml") + ":"), rules[0]["where"])
    config["policy"].insert(0, {"name": "nobody", "match": {"sni": "nobody.example"},
                                "action": "reject"})
    lab.rewrite(config)
    lab.sluice.ctl("reload")
    http_get(lab.tls())
    rules = lab.sluice.ask("policy")["rules"]
    expect_equal([(r["rule"], r["hits"]) for r in rules], [("nobody", 0), ("shop", 4)],
                 "rules after the reload")
    expect_in("shop", lab.sluice.ctl("policy").stdout, "policy")


@scenario()
def certs(lab):
    """certs names each certificate with its names, its expiry and its listeners."""
    lab.start(with_control(lab))
    seen = lab.sluice.ask("certs")["certificates"]
    expect_equal([(c["certificate"], c["names"], c["listeners"]) for c in seen],
                 [("shop", ["shop.example"], ["https"])], "certificates")
    expect(seen[0]["days_left"] >= 1 and seen[0]["expires"].endswith("Z"), f"expiry: {seen}")
    expect_in("shop.example", lab.sluice.ctl("certs").stdout, "certs")


@scenario(families=BOTH_FAMILIES)
def backends(lab):
    """A server that is drained by command gets no new sessions until it is enabled again."""
    lab.nginx(at(BACKENDS[0], 8080), at(BACKENDS[1], 8080))
    lab.page("index.html", "hello")
    servers = [at(BACKENDS[0], 8080), at(BACKENDS[1], 8080)]
    lab.start(with_control(lab, backends={"web": {"servers": servers}}))

    def states():
        return {s["server"]: s["state"] for s in lab.sluice.ask("backends")["servers"]}

    def answering():
        return {line.split(b":", 1)[1].strip().decode()
                for _ in range(4) for line in http_get(lab.tls()).splitlines()
                if line.startswith(b"X-Server")}

    expect_equal(answering(), set(BACKENDS[:2]), "servers that answer")
    lab.sluice.ctl("backends", "drain", "web", servers[0])
    expect_equal(states()[servers[0]], "drained", "state")
    expect_equal(answering(), {BACKENDS[1]}, "servers that answer while one is drained")
    lab.sluice.ctl("backends", "enable", "web", servers[0])
    expect(states()[servers[0]] != "drained", f"states: {states()}")
    expect_equal(answering(), set(BACKENDS[:2]), "servers that answer after enable")
    for wrong in (("wbe", servers[0]), ("web", at(ABSENT, 1)), ("web", "nonsense")):
        result = lab.sluice.ctl("backends", "drain", *wrong, check=False)
        expect_equal(result.returncode, 1, f"exit status of drain {wrong}")
        expect(wrong[0] in result.stderr or wrong[1] in result.stderr, result.stderr)
    expect_in("STATE", lab.sluice.ctl("backends").stdout, "backends")


@scenario(families=BOTH_FAMILIES)
def classes(lab):
    """classes tells what each class has sent, the default class included."""
    lab.nginx()
    lab.page("index.html", "hello" * 1000)
    config = with_control(lab, classes={"web": {"weight": 200, "rate": "10Mbit"}})
    config["policy"][0]["class"] = "web"
    lab.start(config)
    http_get(lab.tls())
    rows = {(r["interface"], r["class"]): r for r in lab.sluice.ask("classes")["classes"]}
    expect_equal(set(rows), {(i, c) for i in ("outside", "inside") for c in ("default", "web")},
                 "rows")
    expect(rows["outside", "web"]["bytes"] > 5000, f"bytes of the class: {rows}")
    expect_equal((rows["outside", "web"]["weight"], rows["outside", "web"]["rate"]),
                 (200, 10000000), "what the file says of it")
    expect_in("web", lab.sluice.ctl("classes").stdout, "classes")


def prefix(number):
    """One of many that do not overlap."""
    return f"2001:db9:{number:x}::/48" if IPV6 else f"10.{number >> 8}.{number & 255}.0/24"


@scenario(families=BOTH_FAMILIES)
def firewall_and_sets(lab):
    """Rules of the firewall with what they counted; sets that are changed are in force at once."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_control(lab, sets={"blocked": {"prefixes": [network_of(foreign(0))]}}, firewall={
        "rules": [{"name": "no-blocked", "action": "drop", "source": "blocked"}]}))
    http_get(lab.tls())
    rules = {r["rule"]: r for r in lab.sluice.ask("firewall")["rules"]}
    expect_equal((rules["no-blocked"]["packets"], rules["no-blocked"]["action"]), (0, "drop"),
                 "the rule before")
    expect_in("changed", str(lab.sluice.ask("set", "add", "blocked", CLIENT)), "set add")
    try:
        lab.connect(timeout=1).close()
        reached = True
    except OSError:
        reached = False
    expect(not reached, "a blocked client was let in")
    rules = {r["rule"]: r for r in lab.sluice.ask("firewall")["rules"]}
    expect(rules["no-blocked"]["packets"] > 0 and rules["no-blocked"]["bytes"] > 0, f"{rules}")
    expect_equal(lab.sluice.ask("set", "list", "blocked"), [f"{CLIENT}/{HOST_BITS}", network_of(foreign(0))],
                 "the set")
    lab.sluice.ctl("set", "delete", "blocked", CLIENT)
    expect_in(b"hello", http_get(lab.tls()), "an answer after the set was changed back")
    many = "# many\n" + "".join(prefix(i) + "\n" for i in range(12000))
    expect_in("12000 prefixes added", lab.sluice.ctl("set", "add", "blocked", input=many).stdout,
              "set add from standard input")
    wide = lab.sluice.ctl("set", "add", "blocked", WIDE[0], check=False)
    expect_equal(wide.returncode, 1, "exit status with bits beyond the length")
    expect_in(f"did you mean {WIDE[1]}?", wide.stderr, "what was meant")
    expect_equal(len(lab.sluice.ask("set", "list", "blocked")), 12001, "prefixes")
    expect_equal(lab.sluice.ask("set", "list")["sets"][0]["count"], 12001, "size")
    for wrong in (("add", "blokced", INSIDE), ("add", "blocked", f"{INSIDE}/{HOST_BITS + 1}"),
                  ("list", "none")):
        expect_equal(lab.sluice.ctl("set", *wrong, check=False).returncode, 1, f"set {wrong}")


@scenario()
def reload(lab):
    """reload tells the outcome: findings and status 1 for a refused file, which changes nothing."""
    config = with_control(lab)
    lab.start(config)
    expect_in("in force", lab.sluice.ctl("reload").stdout, "reload")
    config["policy"][0]["backend"] = "wbe"
    lab.rewrite(config)
    result = lab.sluice.ctl("reload", check=False)
    expect_equal(result.returncode, 1, "exit status of a refused reload")
    expect_in("error: policy[0].backend", result.stderr, "what is said of a refused reload")
    seen = lab.sluice.ask("status")["configuration"]["last_reload"]
    expect(seen["ok"] is False and "refused" in seen["error"], f"last reload: {seen}")
    reply = Wire(lab).ask(command="reload")
    expect(reply["ok"] is False and any("wbe" in f for f in reply["findings"]), f"{reply}")


@scenario()
def log_level(lab):
    """log-level tells and sets the level; other words are refused."""
    lab.start(with_control(lab))
    expect_equal(lab.sluice.ctl("log-level").stdout.strip(), "info", "level")
    expect_equal(lab.sluice.ctl("log-level", "debug").stdout.strip(), "debug", "level")
    expect_equal(lab.sluice.ask("log-level"), {"level": "debug"}, "level")
    result = lab.sluice.ctl("log-level", "loud", check=False)
    expect_equal(result.returncode, 1, "exit status")
    expect_in("loud", result.stderr, "what is said")


@scenario()
def permissions(lab):
    """Owner, group and mode of the socket are those configured, and the kernel keeps to them."""
    lab.start(with_control(lab, control={"socket": "control.sock", "group": "daemon",
                                         "mode": "0660"}))
    seen = os.stat(lab.sluice.control_path)
    expect(stat.S_ISSOCK(seen.st_mode), "it is no socket")
    expect_equal(stat.S_IMODE(seen.st_mode), 0o660, "mode")
    expect_equal(seen.st_gid, int(run("getent", "group", "daemon").stdout.split(":")[2]), "group")
    os.chmod(lab.directory, 0o755)
    refused = lab.sluice.ctl("status", check=False, user="nobody", group="nogroup",
                             extra_groups=[])
    expect_equal(refused.returncode, 3, "exit status for a stranger")
    expect_in("permission denied", refused.stderr, "what a stranger is told")
    allowed = lab.sluice.ctl("version", check=False, user="nobody", group="daemon",
                             extra_groups=[])
    expect_equal(allowed.returncode, 0, f"exit status for the group ({allowed.stderr})")


@scenario()
def no_daemon(lab):
    """Without a daemon sluicectl says so, and ends with status 3."""
    lab.start(with_control(lab))
    lab.sluice.stop()
    expect(not os.path.exists(lab.sluice.control_path), "the socket was left behind")
    result = lab.sluice.ctl("status", check=False)
    expect_equal(result.returncode, 3, "exit status")
    expect_in("is sluice running", result.stderr, "what is said")


@scenario()
def stale_socket(lab):
    """What a killed daemon left behind is replaced; a socket that is answered is not."""
    lab.start(with_control(lab))
    lab.sluice.process.signal(9)
    lab.sluice.process.wait(10)
    expect(os.path.exists(lab.sluice.control_path), "nothing was left behind")
    lab.start(with_control(lab))
    lab.sluice.ctl("version")
    second = lab.proxy.run(lab.binary, "-c", lab.path("sluice.yaml"), check=False)
    expect_equal(second.returncode, 1, "exit status of a second daemon")
    expect_in("another process answers there", second.stderr, "what the second daemon says")
    expect_in("sluice.yaml:", second.stderr, "where it says it")
    lab.sluice.ctl("version")


@scenario()
def impossible_socket(lab):
    """A socket in a directory that does not exist is refused at its place in the file."""
    lab.start(with_control(lab))
    lab.sluice.stop()
    lab.rewrite(with_control(lab, control={"socket": "missing/control.sock"}))
    result = lab.proxy.run(lab.binary, "-c", lab.path("sluice.yaml"), check=False)
    expect_equal(result.returncode, 1, "exit status")
    expect_in("control.socket: ", result.stderr, "message")
    expect_in("its directory does not exist", result.stderr, "message")


NONSENSE = [
    b"\n", b"hello\n", b"[]\n", b"{}\n", b"\x00\xff\xfe\x01\n", b"{\"command\": 5}\n",
    b"{\"command\": \"no such command\"}\n", b"{\"command\": \"status\", \"more\": 1}\n",
    b"{\"command\": \"log-level\", \"level\": 7}\n", b"{\"command\": \"drain-server\"}\n",
    b"{\"command\": \"set-add\", \"set\": \"x\", \"prefixes\": [1]}\n",
    b"{\"command\": \"session\", \"id\": {}}\n", b"[" * 100000 + b"\n",
]


@scenario()
def nonsense(lab):
    """Whatever comes, there is an error for it and the daemon serves on."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_control(lab))
    wire = Wire(lab)
    for text in NONSENSE:
        wire.say(text)
        reply = wire.hear()
        expect(reply["ok"] is False and reply["error"], f"{text[:60]!r}: {reply}")
    wire.say(b"{\"command\": \"status\"")
    wire.socket.shutdown(socket.SHUT_WR)
    expect_in("without a newline", wire.hear()["error"], "a truncated request")
    expect_equal(wire.hear(), None, "after a truncated request")
    wire = Wire(lab)
    try:
        wire.say(b"x" * (2 << 20))
    except (BrokenPipeError, ConnectionResetError):
        pass
    expect_in("larger than 1 MiB", wire.hear()["error"], "a request without end")
    expect_in(b"hello", http_get(lab.tls()), "an answer after all that")
    expect_equal(lab.sluice.ask("version").keys(), {"version"}, "version")


@scenario(builds=(SANITIZE,))
def noise(lab):
    """Ten thousand pieces of broken requests: no finding of a sanitizer, no growth of clients."""
    lab.start(with_control(lab))
    whole = b'{"command":"status"}\n{"command":"policy"}\n'
    for cut in range(400):
        wire = Wire(lab)
        wire.say(whole[:cut % len(whole)] + bytes([cut % 256]) + b"\n")
        wire.hear()
        wire.close()
    lab.sluice.ctl("status")


@scenario()
def hundred_clients(lab):
    """A hundred clients at once are all answered, though there are fewer places."""
    lab.start(with_control(lab))
    wires = [Wire(lab) for _ in range(100)]
    for wire in wires[36:]:
        wire.say(b"{\"command\": \"status\"}\n")
    for wire in wires[36:]:
        expect_equal(wire.hear()["ok"], True, "reply")
    for wire in wires:
        wire.close()
    tools = [subprocess.Popen([os.path.join(os.path.dirname(lab.binary), "..", "ctl", "sluicectl"),
                               "--socket", lab.sluice.control_path, "version"],
                              stdout=subprocess.DEVNULL) for _ in range(100)]
    expect_equal({tool.wait(30) for tool in tools}, {0}, "exit statuses of a hundred sluicectl")


@scenario()
def deaf_client(lab):
    """A client that takes no replies holds up neither others nor traffic."""
    lab.nginx()
    lab.page("index.html", "hello")
    lab.start(with_control(lab))
    deaf = Wire(lab)
    deaf.socket.settimeout(0.5)
    try:
        while True:
            deaf.say(b"{\"command\": \"counters\"}\n" * 1000)
    except TimeoutError:
        pass
    expect_in(b"hello", http_get(lab.tls()), "an answer")
    expect_equal(Wire(lab).ask(command="version")["ok"], True, "another client's reply")
    deaf.close()


@scenario()
def called_wrongly(lab):
    """Wrong commands and options end with status 2, before a daemon is asked."""
    lab.start(with_control(lab))
    for arguments in ((), ("nonsense",), ("status", "more"), ("status", "--once"),
                      ("--nonsense",), ("sessions", "--limit", "0"), ("set",), ("set", "add"),
                      ("backends", "drain", "web"), ("top", "--interval", "x")):
        result = lab.sluice.ctl(*arguments, check=False)
        expect_equal(result.returncode, 2, f"exit status of sluicectl {' '.join(arguments)}")
        expect_in("sluicectl", result.stderr, "what is said")
    for command in ("", "status", "top", "sessions", "backends", "certs", "policy", "firewall",
                    "set", "classes", "reload", "log-level", "version"):
        told = lab.sluice.ctl(*command.split(), "--help").stdout
        expect_in("usage: sluicectl", told, f"help of {command}")


@scenario()
def while_draining(lab):
    """The socket is served while the daemon drains; a reload is refused then."""
    listener = lab.listen()
    lab.start(with_control(lab, timeouts={"drain": "30s"}))
    held = lab.tls()
    server, _ = listener.accept()
    lab.sluice.process.signal(15)
    wait_until(lambda: lab.sluice.ask("status")["draining"], "the daemon to drain")
    result = lab.sluice.ctl("reload", check=False)
    expect_equal(result.returncode, 1, "exit status of a reload while draining")
    expect_in("draining", result.stderr, "what is said")
    server.close()
    held.close()
    expect_equal(lab.sluice.process.wait(20), 0, "exit status")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def sessions(lab):
    """Sessions one line each, filtered and limited; one in full with both TCP sides and TLS."""
    listener = lab.listen()
    lab.start(with_control(lab))
    clients = [lab.tls() for _ in range(5)]
    servers = [listener.accept()[0] for _ in clients]
    for client, server in zip(clients, servers):
        client.sendall(b"q" * 100)
        expect_equal(len(read_exactly(server, 100)), 100, "the request")
        server.sendall(b"a" * 1000)
        expect_equal(len(read_exactly(client, 1000)), 1000, "the answer")
    rows = lab.sluice.ask("sessions")
    expect_equal(len(rows), 5, f"sessions: {rows}")
    expect_equal(len({row["id"] for row in rows}), 5, "different numbers")
    ports = {at(CLIENT, client.getsockname()[1]) for client in clients}
    expect_equal({row["client"] for row in rows}, ports, "clients")
    for row in rows:
        expect_equal((row["listener"], row["state"], row["action"], row["server_name"],
                      row["backend"], row["server"], row["from_client"], row["from_backend"]),
                     ("https", "relay", "terminate", "shop.example", "web",
                      at(BACKENDS[0], 8080), 100, 1000), "a session")
    for option, some in (("--listener=https", 5), ("--listener=other", 0), ("--backend=web", 5),
                         ("--backend=none", 0), (f"--client={network_of(CLIENT)}", 5),
                         (f"--client={CLIENT}", 5), (f"--client={network_of(INSIDE)}", 0)):
        expect_equal(len(lab.sluice.ask("sessions", option)), some, f"sessions {option}")
    limited = lab.sluice.ctl("sessions", "--limit", "2")
    expect_equal(len(limited.stdout.splitlines()), 3, "lines of a limited list")
    expect_in("more than the 2", limited.stderr, "what is said of the rest")
    one = lab.sluice.ask("sessions", rows[0]["id"])
    for side, used_tls in (("client_side", True), ("backend_side", False)):
        tcp = one[side]
        expect(tcp["state"] == "ESTABLISHED" and tcp["mss"] >= 536 and tcp["cwnd"] > 0 and
               tcp["srtt"] > 0 and tcp["send_window"] > 0 and tcp["retransmissions"] == 0,
               f"{side}: {tcp}")
        expect_equal(tcp["tls"] is not None, used_tls, f"TLS of {side}")
    tls = one["client_side"]["tls"]
    expect_equal((tls["version"], tls["certificate"], tls["resumed"]), ("TLSv1.3", "shop", False),
                 "TLS facts")
    expect(0 < one["hello"] <= one["handshake"] <= one["connect"] <= one["first_byte"],
           f"milestones: {one}")
    told = lab.sluice.ctl("sessions", rows[0]["id"]).stdout
    for word in ("smoothed RTT", "cwnd", "retransmissions", "TLSv1.3"):
        expect_in(word, told, "one session")
    for wrong in ("0.99999", "77.1", "x", "1"):
        expect_equal(lab.sluice.ctl("sessions", wrong, check=False).returncode, 1,
                     f"exit status of sessions {wrong}")
    for connection in clients + servers:
        connection.close()


@scenario(families=BOTH_FAMILIES)
def many_sessions(lab):
    """More sessions than a page holds: each is told once."""
    listener = lab.listen()
    count = lab.scale(400, 150)
    lab.start(with_control(lab, listeners={"tcp": {"bind": at(OUTSIDE, 5432)}},
                           policy=[{"match": {"listener": "tcp"}, "action": "splice",
                                    "backend": "web"}]))
    clients, servers = [], []
    for _ in range(count):
        clients.append(lab.connect(5432))
        servers.append(listener.accept()[0])
    rows = lab.sluice.ask("sessions")
    expect_equal((len(rows), len({row["id"] for row in rows})), (count, count), "sessions")
    for connection in clients + servers:
        connection.close()
