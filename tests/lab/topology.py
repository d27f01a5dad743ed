"""The standard laboratory:

    client                      proxy                          backend
    192.0.2.100/24              192.0.2.10/24  10.0.0.1/24     10.0.0.11/24 to .14, .20
       eth0 ────────────────── outside    inside ───────────────── eth0
                                   sluice

The proxy's interfaces have no address in the kernel: they belong to the daemon. A case over IPv6 has
the same with 2001:db8:1::/64 outside and 2001:db8:2::/64 inside, and no IPv4 at all.
"""

import contextlib
import copy
import ipaddress
import os
import shutil
import socket
import ssl
import tempfile

from lab import peers
from lab.certs import Authority
from lab.daemon import Sluice, write_config
from lab.network import Namespace, join, remove_leftovers, require_root
from lab.process import wait_until

# The runner sets the family for the whole process of a case (lab/runner.py).
FAMILY = int(os.environ.get("LAB_FAMILY", "4"))
IPV6 = FAMILY == 6

_NETS = {4: ("192.0.2.", "10.0.0.", "198.51.100.", "203.0.113."),
         6: ("2001:db8:1::", "2001:db8:2::", "2001:db8:51::", "2001:db8:113::")}[FAMILY]
BITS = {4: 24, 6: 64}[FAMILY]  # of all four
HOST_BITS = {4: 32, 6: 128}[FAMILY]


def outer(host):
    """An address of the clients' network; the host's number is written as it is in either family."""
    return _NETS[0] + str(host)


def inner(host):
    """An address of the servers' network."""
    return _NETS[1] + str(host)


def distant(host):
    """An address of a network behind a router, or of nobody."""
    return _NETS[2] + str(host)


def foreign(host):
    """An address of another such network."""
    return _NETS[3] + str(host)


def network_of(address):
    """The network of BITS bits to which an address of one of the four belongs."""
    return str(ipaddress.ip_network(f"{address}/{BITS}", strict=False))


OUTSIDE = outer(10)
INSIDE = inner(1)
CLIENT = outer(100)
BACKENDS = [inner(host) for host in (11, 12, 13, 14)]
LEGACY = inner(20)
ABSENT = inner(99)  # nobody has it
OTHER_CLIENT = outer(101)
FAR = {4: "172.16.5.5", 6: "2001:db8:5::5"}[FAMILY]  # behind a gateway
FAR_NETWORK = {4: "172.16.0.0/16", 6: "2001:db8:5::/48"}[FAMILY]

# How the family's names differ: in rules of the firewall, for sockets, in what tcpdump tells.
ICMP = {4: "icmp", 6: "icmpv6"}[FAMILY]
SOCKET_FAMILY = socket.AF_INET6 if IPV6 else socket.AF_INET
IP_HEADER = {4: 20, 6: 40}[FAMILY]


def at(address, port):
    """An endpoint as text."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# One terminating listener before one server: scenarios change what they are about.
BASE_CONFIG = {
    "workers": [1],
    "interfaces": {
        "outside": {"device": {"kernel": "outside"}, "addresses": [f"{OUTSIDE}/{BITS}"]},
        "inside": {"device": {"kernel": "inside"}, "addresses": [f"{INSIDE}/{BITS}"]},
    },
    "certificates": {"shop": {"chain": "certs/shop.crt", "key": "certs/shop.key"}},
    "backends": {"web": {"servers": [at(BACKENDS[0], 8080)]}},
    "listeners": {
        "https": {"bind": at(OUTSIDE, 443), "tls": {"certificates": ["shop"]}},
    },
    "policy": [{"match": {"listener": "https"}, "action": "terminate", "backend": "web"}],
    "timeouts": {"drain": "2s"},
}


class Lab:
    """Namespaces, certificates, peers and the daemon of one scenario; a context manager."""

    def __init__(self, binary, sanitized=False, workers=None, run_name=None):
        require_root()
        self.run_name = run_name or str(os.getpid())
        self.binary = binary
        self.sanitized = sanitized
        self.thorough = os.environ.get("FULL") == "1"
        self.workers = workers
        self.directory = tempfile.mkdtemp(prefix="sluice-lab-")
        self.www = self.path("www")
        self.sluice = None
        self._web_servers = 0
        self._cleanup = contextlib.ExitStack()
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            remove_leftovers(self.run_name)
            os.mkdir(self.www)
            self.client, self.proxy, self.backend = (
                self.namespace(role) for role in ("client", "proxy", "backend"))
            join(self.client, "eth0", self.proxy, "outside")
            join(self.proxy, "inside", self.backend, "eth0")
            self.client.add_address("eth0", f"{CLIENT}/{BITS}")
            self.client.add_host(OUTSIDE, "shop.example", "legacy.example")
            for address in [*BACKENDS, LEGACY]:
                self.backend.add_address("eth0", f"{address}/{BITS}")
            self.authority = Authority(self.path("certs"))
            self.authority.issue("shop", "shop.example")
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind, value, traceback):
        try:
            if kind is None and self.sluice is not None:
                self.sluice.stop()
                self.sluice.verify_end()
        finally:
            self._cleanup.close()

    def on_exit(self, function):
        """Calls the function when the scenario is over, before its namespaces go."""
        self._cleanup.callback(function)

    def scale(self, full, reduced):
        """Sizes for the optimised build and for the sanitizers', which is many times slower."""
        return reduced if self.sanitized else full

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def namespace(self, role):
        namespace = Namespace(role, self.directory, self.run_name)
        self._cleanup.callback(namespace.close)
        return namespace

    def config(self, **changes):
        """The base configuration with top-level keys replaced."""
        config = copy.deepcopy(BASE_CONFIG)
        if self.workers:
            config["workers"] = list(self.workers)
        config.update(copy.deepcopy(changes))
        return config

    def start(self, config=None, wrapper=()):
        """Starts the daemon and waits until it is ready."""
        write_config(self.path("sluice.yaml"), config or self.config())
        self.sluice = Sluice(self.proxy, self.binary, self.path("sluice.yaml"))
        return self.sluice.start(wrapper)

    def rewrite(self, config):
        """Changes the running daemon's file, as an administrator would before a reload."""
        write_config(self.path("sluice.yaml"), config)

    def page(self, name, content):
        """Puts a page where nginx serves it."""
        with open(os.path.join(self.www, name), "w", encoding="utf-8") as out:
            out.write(content)

    def nginx(self, *addresses, certificate=None, workers=1):
        """A web server on the addresses of the backend's side; each names itself in X-Server."""
        self._web_servers += 1
        server = peers.Nginx(self.backend, self.path(f"nginx-{self._web_servers}"), self.www,
                             workers)
        for address in addresses or (at(BACKENDS[0], 8080),):
            server.serve(address, address.rpartition(":")[0].strip("[]"), certificate)
        server.start()
        wait_until(server.ready, "nginx to listen")
        return server

    def proxy_mac(self):
        """The address to which frames for the daemon's outside go."""
        return self.proxy.mac("outside")

    def connect(self, port=443, timeout=10.0):
        """A kernel TCP connection from the client to the daemon."""
        with self.client.enter():
            return socket.create_connection((OUTSIDE, port), timeout)

    def tls_context(self, minimum=None, maximum=None, alpn=None):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def tls(self, sni="shop.example", port=443, context=None, session=None, timeout=10.0):
        """A TLS connection from the client to the daemon, its certificate verified."""
        raw = self.connect(port, timeout)
        try:
            context = context or self.tls_context()
            return context.wrap_socket(raw, server_hostname=sni, session=session)
        except BaseException:
            raw.close()
            raise

    def listen(self, address=BACKENDS[0], port=8080):
        """A listening kernel socket on the backend's side."""
        with self.backend.enter():
            listener = socket.create_server((address, port), backlog=512,
                                            family=SOCKET_FAMILY)
        listener.settimeout(10.0)
        return listener

    def curl(self, path="/", *options, host="shop.example", port=443, **more):
        """An HTTPS request through the daemon."""
        return peers.curl(self.client, f"https://{host}:{port}{path}",
                          "--cacert", self.authority.certificate, *options, **more)

    def level(self, *gauges):
        """The present values of gauges that go back to where they were when work is done."""
        counters = self.sluice.counters()
        return {name: counters[name] for name in gauges}

    def settled(self, timeout=20.0):
        """Waits until no session is left and no buffer is held; returns the counters."""
        def idle():
            counters = self.sluice.counters()
            return counters if counters["sessions"] == 0 and counters["buffers_used"] == 0 else None
        return wait_until(idle, "sessions and buffers_used back at 0", timeout, 0.1)


def read_all(connection):
    """Reads to the end of the stream."""
    parts = []
    while True:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def http_get(connection, path="/", close=True):
    """One GET on an open connection, read to its end; returns the whole answer."""
    end = "close" if close else "keep-alive"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\n"
                       f"Connection: {end}\r\n\r\n".encode())
    return read_all(connection) if close else read_response(connection)


def read_response(connection):
    """Reads one HTTP response with a Content-Length; returns its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the connection ended within the response's header")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the connection ended within the response's body")
        body += part
    return body
