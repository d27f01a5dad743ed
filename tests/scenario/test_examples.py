"""Every configuration in etc/ runs as it is written, on devices of the lab's names, and does once each
thing that it promises."""

import os
import re
import shutil
import socket
import ssl
import time

from lab import peers
from lab.certs import Authority, fingerprint
from lab.process import run, wait_until
from lab.scenario import expect, expect_equal, expect_in, scenario
from lab.topology import BACKENDS, CLIENT, LEGACY, OUTSIDE, http_get, read_all

ETC = os.path.join(os.path.dirname(__file__), "..", "..", "etc")
SECOND_CLIENT = "192.0.2.66"


def start_example(lab, name, **replace):
    """Starts the daemon on an example: only devices and the paths outside its folder are replaced."""
    with open(os.path.join(ETC, name), encoding="utf-8") as source:
        text = source.read()
    shutil.copytree(os.path.join(ETC, "sets"), lab.path("sets"), dirs_exist_ok=True)
    for old, new in {"eth1": "outside", "eth2": "inside", "/run/sluice/": lab.path("") + "/",
                     "/var/log/sluice/": lab.path("") + "/", **replace}.items():
        text = text.replace(old, new)
    workers = f"workers: {list(lab.workers)}\n" if lab.workers else ""
    return lab.start(workers + text)


def served_by(lab, host):
    """Which server answered a request for a host."""
    return re.search(r"X-Server: (\S+)", lab.curl("/index.html", "-i", host=host).stdout).group(1)


def spliced_certificate(lab, name, port=443):
    """The fingerprint of the certificate that a client asking for a name is shown."""
    output = peers.s_client(lab.client, f"{OUTSIDE}:{port}", sni=name).stdout
    pem = re.search(r"-----BEGIN CERT.*?END CERTIFICATE-----\n", output, re.DOTALL)
    if pem is None:
        return None
    path = lab.path("seen.pem")
    with open(path, "w", encoding="ascii") as out:
        out.write(pem.group(0))
    return fingerprint(path)


def ctl(lab, *arguments):
    """What sluicectl prints."""
    return lab.sluice.ctl(*arguments).stdout


def every_example_is_driven():
    return {name for name in os.listdir(ETC) if name.endswith(".yaml")}


@scenario()
def nothing_is_left_out(_lab):
    """There is a scenario here for each example."""
    driven = {function.replace("_", "-") + ".yaml" for function, value in globals().items()
              if hasattr(value, "scenario")}
    expect_equal(every_example_is_driven() - driven, set(), "examples without a scenario")


@scenario()
def sluice(lab):
    """etc/sluice.yaml: HTTPS is terminated and balanced over two servers; a dead one is skipped."""
    lab.page("index.html", "x")
    lab.nginx(*(f"{address}:8080" for address in BACKENDS[:2]))
    start_example(lab, "sluice.yaml")
    seen = {served_by(lab, "shop.example") for _ in range(4)}
    expect_equal(seen, set(BACKENDS[:2]), "servers that answered")
    lab.backend.run("ip", "address", "del", f"{BACKENDS[1]}/24", "dev", "eth0")
    expect_equal({served_by(lab, "shop.example") for _ in range(2)}, {BACKENDS[0]},
                 "servers that answered after one went away")


@scenario()
def dual_stack(lab):
    """etc/dual-stack.yaml: clients of either family reach servers of both."""
    lab.page("index.html", "x")
    lab.client.add_address("eth0", "2001:db8:1::100/64")
    lab.backend.add_address("eth0", "2001:db8:2::11/64")
    lab.nginx(f"{BACKENDS[0]}:8080", "[2001:db8:2::11]:8080")
    start_example(lab, "dual-stack.yaml")
    for to in (OUTSIDE, "[2001:db8:1::10]"):
        seen = {re.search(r"X-Server: (\S+)", lab.curl(
            "/index.html", "-i", "--resolve", f"shop.example:443:{to}").stdout).group(1)
            for _ in range(4)}
        expect_equal(seen, {BACKENDS[0], "2001:db8:2::11"}, f"servers that answered by {to}")


@scenario()
def demo(lab):
    """etc/demo.yaml: one name is terminated, one is passed on with its own certificate."""
    lab.page("index.html", "x")
    lab.nginx()
    own = Authority(lab.path("own")).issue("legacy", "legacy.example")
    lab.nginx(f"{LEGACY}:443", certificate=own)
    start_example(lab, "demo.yaml")
    expect_equal(served_by(lab, "shop.example"), BACKENDS[0], "server of the terminated name")
    expect_equal(spliced_certificate(lab, "shop.example"),
                 fingerprint(lab.path("certs/shop.crt")), "certificate of the terminated name")
    expect_equal(spliced_certificate(lab, "legacy.example"), fingerprint(own[0]),
                 "certificate of the spliced name")


@scenario()
def splice_by_sni(lab):
    """etc/splice-by-sni.yaml: names choose servers; unknown names and banned sources are rejected."""
    own = Authority(lab.path("own"))
    targets = {"shop.example": BACKENDS[0], "mail.example": LEGACY, "a.tenants.example": "10.0.0.30"}
    lab.backend.add_address("eth0", "10.0.0.30/24")
    for name, address in targets.items():
        lab.nginx(f"{address}:443", certificate=own.issue(address, name))
    start_example(lab, "splice-by-sni.yaml",
                  **{"[10.0.0.11:443, 10.0.0.12:443]": "[10.0.0.11:443]",
                     "[10.0.0.30:443, 10.0.0.31:443]": "[10.0.0.30:443]"})
    for name, address in targets.items():
        expect_equal(spliced_certificate(lab, name), fingerprint(lab.path("own", f"{address}.crt")),
                     f"certificate of {name}")
    for name in ("tenants.example", "a.b.tenants.example", "other.example"):
        expect_equal(spliced_certificate(lab, name), None, f"certificate of {name}")
    lab.client.run("ip", "address", "add", "198.51.100.7/32", "dev", "lo")
    expect_equal(lab.sluice.counters()["sessions_spliced"], 3, "sessions_spliced")


@scenario()
def tcp(lab):
    """etc/tcp.yaml: databases for one network only, behind a router; mail for everybody."""
    lab.backend.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    lab.backend.add_address("eth0", "10.0.0.254/24")
    lab.backend.add_address("eth0", "10.0.0.25/24")
    lab.backend.run("ip", "address", "add", "10.1.0.5/32", "dev", "lo")
    database, mail = lab.listen("10.1.0.5", 5432), lab.listen("10.0.0.25", 25)
    start_example(lab, "tcp.yaml", **{"[10.1.0.5:5432, 10.1.0.6:5432]": "[10.1.0.5:5432]"})
    for port, server, greeting in ((5432, database, b"N"), (25, mail, b"220 mail.example\r\n")):
        with lab.connect(port) as client:
            taken, _ = server.accept()
            taken.sendall(greeting)  # the server speaks first
            taken.close()
            expect_equal(read_all(client), greeting, f"greeting on port {port}")


def banned_by(lab, source):
    """True when a connection from another address than the client's usual one ends unanswered."""
    with lab.client.enter():
        try:
            with socket.create_connection((OUTSIDE, 443), 3, (source, 0)) as connection:
                connection.settimeout(3)
                return connection.recv(1) == b""
        except OSError:
            return True


def check_firewall(lab):
    """The filter of etc/edge.yaml."""
    lab.client.run("ping", "-c", "1", "-W", "2", OUTSIDE)
    lab.client.add_address("eth0", f"{SECOND_CLIENT}/24")
    expect_in("1 prefix added", ctl(lab, "set", "add", "blocked", SECOND_CLIENT), "set add")
    expect(banned_by(lab, SECOND_CLIENT), "an address of the set is served")
    expect(served_by(lab, "shop.example") in BACKENDS[:2], "the others are not served")
    ctl(lab, "set", "delete", "blocked", SECOND_CLIENT)
    with lab.client.enter():
        try:
            socket.create_connection((OUTSIDE, 8081), 3).close()
            expect(False, "a port that no rule accepts took a connection")
        except ConnectionRefusedError:
            pass
    lab.sluice.process.wait_for(r"firewall: .*others")
    rules = ctl(lab, "firewall")
    for name in ("blocked", "ping", "new-https", "https", "others"):
        hits = re.search(rf"\b{name}\b.*?(\d+)", rules)
        expect(hits, f"no rule {name} in:\n{rules}")


def check_operations(lab):
    """Metrics, control socket and session log of etc/edge.yaml."""
    metrics = lab.proxy.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    expect(re.search(r"^sluice_sessions_opened_total\S* [1-9]", metrics, re.MULTILINE),
           f"no sessions in the metrics:\n{metrics[:2000]}")
    expect_in("shop", ctl(lab, "policy"), "sluicectl policy")

    def logged():
        with open(lab.path("sessions.log"), encoding="utf-8") as log:
            return [line for line in log if "files.example" in line]
    expect_in("TLSv1.3", wait_until(logged, "a line in the session log")[0], "the session log")


@scenario(timeout=120)
def edge(lab):
    """etc/edge.yaml: two sites, filter, limits, classes, checked servers, punted SSH, operations."""
    lab.authority.issue("files", "files.example")
    lab.client.add_host(OUTSIDE, "files.example")
    lab.page("index.html", "x")
    lab.nginx(f"{BACKENDS[2]}:8080")
    received = proxied_servers(lab, BACKENDS[:2])
    start_example(lab, "edge.yaml")
    expect_equal(served_by(lab, "files.example"), BACKENDS[2], "server of the second site")
    check_firewall(lab)
    expect(all(client == CLIENT for client in received()), "clients that the servers were told")
    check_punt(lab)
    check_health(lab)
    check_operations(lab)


def proxied_servers(lab, addresses):
    """Web servers that want a PROXY header; returns a function: the addresses that they were told."""
    log = lab.path("proxied.log")
    server = peers.Nginx(lab.backend, lab.path("nginx-proxied"), lab.www)
    server.log_proxied(log)
    for address in addresses:
        server.serve(f"{address}:8080 proxy_protocol", address)
    server.start()
    wait_until(server.ready, "nginx to listen")

    def clients():
        with open(log, encoding="utf-8") as lines:
            return lines.read().split()
    return clients


def check_punt(lab):
    """SSH for the kernel on Sluice's own address."""
    lab.proxy.run("ip", "link", "set", "sluice0", "up")
    lab.proxy.add_address("sluice0", f"{OUTSIDE}/24")
    with lab.proxy.enter():
        server = socket.create_server((OUTSIDE, 22))
    server.settimeout(10)
    with lab.connect(22) as client:
        taken, _ = server.accept()
        taken.sendall(b"SSH-2.0-kernel\r\n")
        taken.close()
        expect_equal(read_all(client), b"SSH-2.0-kernel\r\n", "what the kernel's server said")
    server.close()
    expect(served_by(lab, "shop.example"), "HTTPS beside it")


def check_health(lab):
    """A server that goes away is taken out by its checks; the other one serves."""
    mark = lab.sluice.process.log_mark()
    lab.backend.run("ip", "address", "del", f"{BACKENDS[1]}/24", "dev", "eth0")
    lab.sluice.process.wait_for(r"10\.0\.0\.12:8080 is down", 20, mark)
    started = time.monotonic()
    expect_equal({served_by(lab, "shop.example") for _ in range(3)}, {BACKENDS[0]},
                 "servers that answered")
    expect(time.monotonic() - started < 30, "requests waited for a server that is down")


@scenario()
def behind_balancer(lab):
    """etc/behind-balancer.yaml: the header's address decides, is passed on, and is demanded."""
    received = proxied_servers(lab, BACKENDS[:2])
    start_example(lab, "behind-balancer.yaml")

    def fetch(source, name="shop.example", version=None):
        raw = lab.connect()
        raw.sendall(f"PROXY TCP4 {source} {OUTSIDE} 50000 443\r\n".encode())
        context = lab.tls_context(maximum=version)
        with context.wrap_socket(raw, server_hostname=name) as connection:
            answer = http_get(connection, "/index.html")
        return re.search(rb"X-Server: (\S+)", answer).group(1)

    lab.page("index.html", "x")
    for source in ("203.0.113.5", "203.0.113.6", "203.0.113.7"):
        expect_equal(len({fetch(source) for _ in range(3)}), 1, f"servers for {source}")
    expect_equal(set(received()), {"203.0.113.5", "203.0.113.6", "203.0.113.7"},
                 "clients that the servers were told")
    for source, name, version in (("198.51.100.9", "shop.example", None),
                                  ("203.0.113.5", "legacy.example", ssl.TLSVersion.TLSv1_2)):
        try:
            fetch(source, name, version)
            expect(False, f"{source} with {name} was served")
        except OSError:
            pass
    try:
        lab.tls().close()
        expect(False, "a connection without header was served")
    except OSError:
        pass


@scenario()
def mutual_tls(lab):
    """etc/mutual-tls.yaml: clients must prove themselves, servers are verified and see our proof."""
    servers = Authority(lab.path("servers"), "Authority of the servers")
    clients = Authority(lab.path("clients"), "Authority of the clients")
    lab.authority.issue("api", "shop.example")
    shutil.copy(servers.certificate, lab.path("certs/servers-ca.crt"))
    shutil.copy(clients.certificate, lab.path("certs/clients-ca.crt"))
    for path in clients.issue("proxy", "proxy.internal", use="clientAuth"):
        shutil.copy(path, lab.path("certs"))
    chain, key = clients.issue("alice", "alice", use="clientAuth")
    with open(os.open(lab.path("ticket.secret"), os.O_CREAT | os.O_WRONLY, 0o600), "wb") as out:
        out.write(os.urandom(80))
    lab.page("index.html", "for those who are known\n")
    server = peers.Nginx(lab.backend, lab.path("nginx-tls"), lab.www)
    server.demand_certificates(clients.certificate)
    for address in BACKENDS[:2]:
        server.serve(f"{address}:8443", address, servers.issue(address, "api.internal"))
    server.start()
    wait_until(server.ready, "nginx to listen")
    start_example(lab, "mutual-tls.yaml")

    proof = ["--cert", chain, "--key", key]
    expect_equal(lab.curl("/index.html", *proof).stdout, "for those who are known\n", "the page")
    mark = lab.sluice.process.log_mark()
    refused = lab.curl("/index.html", check=False)
    expect(refused.returncode != 0, "a client without certificate was served")
    lab.sluice.process.wait_for(r"the client showed no certificate", since=mark)
    old = lab.curl("/index.html", *proof, "--tls-max", "1.2", check=False)
    expect(old.returncode != 0, "TLS 1.2 was spoken with profile modern")
    chain, key = servers.issue("mallory", "mallory", use="clientAuth")
    stranger = lab.curl("/index.html", "--cert", chain, "--key", key, check=False)
    expect(stranger.returncode != 0, "a client of another authority was served")
