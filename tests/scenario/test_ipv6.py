"""What is IPv6's own: both families side by side, hostile neighbours and extension headers. What is the
same for both families runs over both in the other files."""

import concurrent.futures
import signal
import socket

from lab.daemon import SANITIZER_OPTIONS, write_config
from lab.packets import ETH_IPV6, SYN, Wire, ethernet, icmp6, ipv6, neighbour, tcp
from lab.process import wait_until
from lab.scenario import ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in, scenario
from lab.topology import http_get

OUTSIDE, INSIDE, CLIENT = "2001:db8:1::10", "2001:db8:2::1", "2001:db8:1::100"
BACKEND = "2001:db8:2::11"


def dual_stack(lab, **changes):
    """Both families on both sides: the daemon's configuration with IPv6 beside IPv4."""
    lab.client.add_address("eth0", f"{CLIENT}/64")
    lab.backend.add_address("eth0", f"{BACKEND}/64")
    config = lab.config(**changes)
    config["interfaces"]["outside"]["addresses"].append(f"{OUTSIDE}/64")
    config["interfaces"]["inside"]["addresses"].append(f"{INSIDE}/64")
    config["listeners"]["https6"] = {**config["listeners"]["https"], "bind": f"[{OUTSIDE}]:443"}
    config["policy"].append({"match": {"listener": "https6"}, "action": "terminate",
                             "backend": "web6"})
    config["backends"]["web6"] = {"servers": [f"[{BACKEND}]:8080"]}
    return config


def over_ipv6(lab, port=443):
    with lab.client.enter():
        raw = socket.create_connection((OUTSIDE, port), 10, (CLIENT, 0))
    return lab.tls_context().wrap_socket(raw, server_hostname="shop.example")


def serving(lab):
    with over_ipv6(lab) as connection:
        expect_in(b"X-Server", http_get(connection), "answer over IPv6")


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, lab):
        self.path = lab.path("notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(30)
        self._socket.bind(self.path)
        lab.on_exit(self._socket.close)

    def wait_ready(self, lab):
        """What the log says when it is told that the daemon is ready."""
        while b"READY=1" not in self._socket.recv(4096).splitlines():
            pass
        return lab.sluice.process.log()


@scenario(workers=ONE_AND_TWO_WORKERS)
def ready_once_tried_out(lab):
    """The log and the service manager are told when no address is tentative any more, not before."""
    lab.page("index.html", "a page\n")
    config = dual_stack(lab)
    lab.nginx(f"[{BACKEND}]:8080")
    manager = Manager(lab)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        told = pool.submit(manager.wait_ready, lab)
        lab.start(config, wrapper=("env", f"NOTIFY_SOCKET={manager.path}"))
    before, ready, _ = told.result().partition("sluice: ready")
    expect(ready, "the service manager was told before the log")
    for name, address in (("outside", OUTSIDE), ("inside", INSIDE)):
        expect_in(f"{name}: {address} is ours", before, "the log before ready")
    serving(lab)


@scenario()
def duplicate_address(lab):
    """An address that another station has is an error, and holds up nothing else."""
    lab.page("index.html", "a page\n")
    lab.nginx("10.0.0.11:8080")
    config = dual_stack(lab)
    lab.client.add_address("eth0", f"{OUTSIDE}/64")
    lab.start(config)
    lab.sluice.process.wait_for(rf"error nd: outside: our address {OUTSIDE} is also used by .*not used")
    expect_in(f"inside: {INSIDE} is ours", lab.sluice.process.log(), "log")
    with lab.tls() as connection:
        expect_in(b"X-Server: 10.0.0.11", http_get(connection), "answer over IPv4")


@scenario()
def stop_before_ready(lab):
    """SIGTERM while addresses are tried out ends the daemon in order."""
    write_config(lab.path("sluice.yaml"), dual_stack(lab))
    process = lab.proxy.start(lab.binary, "-c", lab.path("sluice.yaml"), name="sluice",
                              env=SANITIZER_OPTIONS)
    process.wait_for("listener https6")
    process.signal(signal.SIGTERM)
    expect_equal(process.wait(10), 0, "exit status")
    expect_in("drained", process.log(), "log")
    expect("sluice: ready" not in process.log().partition("draining")[2], "ready while draining")


@scenario(workers=ONE_AND_TWO_WORKERS)
def both_families(lab):
    """Clients and servers of either family, and across: the families of the two sides are apart."""
    lab.page("index.html", "a page\n")
    config = dual_stack(lab)
    config["backends"]["web6"]["servers"].append("10.0.0.12:8080")
    lab.nginx("10.0.0.11:8080", "10.0.0.12:8080", f"[{BACKEND}]:8080")
    lab.start(config)
    servers = set()
    for _ in range(8):
        with over_ipv6(lab) as connection:
            answer = http_get(connection)
            servers.update(server for server in (BACKEND, "10.0.0.12")
                           if f"X-Server: {server}".encode() in answer)
    expect_equal(servers, {BACKEND, "10.0.0.12"}, "servers that had a turn")
    with lab.tls() as connection:
        expect_in(b"X-Server: 10.0.0.11", http_get(connection), "answer over IPv4")
    lab.client.run("ping", "-6", "-c", "2", "-i", "0.2", "-W", "5", OUTSIDE)
    lab.settled()


@scenario(workers=ONE_AND_TWO_WORKERS)
def hostile_neighbours(lab):
    """Discovery that is forged, malformed or from afar changes nothing, and is counted."""
    lab.page("index.html", "a page\n")
    config = dual_stack(lab)
    lab.nginx(f"[{BACKEND}]:8080")
    lab.start(config)
    serving(lab)
    wire = Wire(lab.client, "eth0")
    here = lab.proxy_mac()
    group, forged = "ff02::1:ff00:10", "02:00:00:00:00:66"

    def send(source, destination, message, hop_limit=255, extension=b""):
        packet = ipv6(source, destination, icmp6(source, destination, message),
                      0 if extension else 58, hop_limit=hop_limit, extension=extension)
        wire.send(ethernet(here, wire.mac, ETH_IPV6, packet))

    before = lab.sluice.counters()
    question = neighbour(135, OUTSIDE, forged)
    bad = [
        (CLIENT, OUTSIDE, question, 254),                         # through a router
        (CLIENT, OUTSIDE, question[:20], 255),                    # cut
        (CLIENT, OUTSIDE, question[:25] + b"\0" + question[26:], 255),   # option of length 0
        (CLIENT, OUTSIDE, question[:25] + b"\x20" + question[26:], 255),  # beyond the end
        ("::", group, question, 255),                             # no address, yet one for Ethernet
        (CLIENT, "ff02::1", neighbour(136, CLIENT, forged, 0x40), 255),  # an answer to everybody
        ("2001:db8:1::1", "ff02::1", b"\x86\0\0\0" + bytes(12), 255),    # a router from afar
    ]
    for source, destination, message, hop_limit in bad:
        send(source, destination, message, hop_limit)
    send(CLIENT, OUTSIDE, question, 255, b"\x3a\0\1\4\0\0\0\0")   # behind an extension header
    wait_until(lambda: lab.sluice.counters()["drop_nd_invalid"] - before["drop_nd_invalid"]
               >= len(bad) + 1, "the bad messages to be counted")
    for _ in range(3):  # unasked for, without override: our entry stays as it is
        send(CLIENT, OUTSIDE, neighbour(136, CLIENT, forged, 0x00))
    for number in range(3000):  # a flood of strangers: the table stays bounded
        source = f"2001:db8:1::1:{number:x}"
        send(source, OUTSIDE, neighbour(135, OUTSIDE, forged))
    serving(lab)
    expect(lab.sluice.counters()["neighbours"] <= 2048, "the neighbour table has no bound")


@scenario()
def hostile_extension_headers(lab):
    """Chains of extension headers: what is forbidden is dropped, and told where RFC 8200 wants it."""
    lab.page("index.html", "a page\n")
    config = dual_stack(lab)
    lab.nginx(f"[{BACKEND}]:8080")
    lab.start(config)
    serving(lab)
    wire = Wire(lab.client, "eth0")
    segment = tcp(CLIENT, OUTSIDE, 40000, 443, SYN)
    pad = b"\1\4\0\0\0\0"
    cases = {
        "drop_ip_extension": [(60, 6 * (b"\x3c\0" + pad))],
        "drop_ip_header": [(43, b"\6\0\0\1\0\0\0\0")],                       # routing type 0
        "drop_ip_option": [(60, b"\6\0\x5e\4abcd"), (60, b"\6\0\x9e\4abcd"),   # told, the second
                           (60, b"\6\0\x1e\5abcd")],
        "drop_ip_fragment": [(44, b"\6\0\0\1\0\0\0\7")],
        "drop_ip_protocol": [(253, b"")],
    }
    before = lab.sluice.counters()
    for first, extension in [case for group in cases.values() for case in group]:
        wire.send(ethernet(lab.proxy_mac(), wire.mac, ETH_IPV6,
                           ipv6(CLIENT, OUTSIDE, segment, first, extension=extension)))
    for name, group in cases.items():
        if name == "drop_ip_fragment":
            continue  # put together or refused, as the configuration says
        wait_until(lambda n=name, g=group: lab.sluice.counters()[n] - before[n] >= len(g),
                   f"{name} to count")
    wait_until(lambda: lab.sluice.counters()["icmp_errors_sent"]
               - before["icmp_errors_sent"] >= 3, "parameter problems to be sent")
    serving(lab)
    lab.settled()
