"""What Sluice does not serve goes to the kernel behind a TAP, and the kernel's answers go out."""

import signal
import socket
import threading

from lab import packets
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import (BACKENDS, BITS, CLIENT, HOST_BITS, IP_HEADER, IPV6, OUTSIDE,
                          SOCKET_FAMILY, at, outer)

TAP = "sluice0"
KERNEL = outer(50)  # an address of the kernel's alone, on the same port


def start(lab, firewall=None, **changes):
    lab.page("index.html", "through the proxy\n")
    lab.nginx()
    config = lab.config(**changes)
    config["interfaces"]["outside"]["punt"] = {"tap": TAP}
    if firewall:
        config["firewall"] = firewall
    lab.start(config)
    # The kernel has an address of its own there, and the daemon's as well.
    lab.proxy.add_address(TAP, f"{KERNEL}/{BITS}")
    lab.proxy.add_address(TAP, f"{OUTSIDE}/{HOST_BITS}")
    lab.proxy.link(TAP, "up")


def echo_server(lab, kind, address, port):
    """Answers every datagram, or every connection's bytes, with the same bytes."""
    with lab.proxy.enter():
        server = socket.socket(SOCKET_FAMILY, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
    server.settimeout(30)

    def serve():
        try:
            while kind == socket.SOCK_DGRAM:
                data, peer = server.recvfrom(65536)
                server.sendto(data, peer)
            server.listen()
            while True:
                connection, _ = server.accept()
                with connection:
                    while data := connection.recv(65536):
                        connection.sendall(data)
        except OSError:
            return

    if kind == socket.SOCK_STREAM:
        server.listen()
    threading.Thread(target=serve, daemon=True).start()
    return server


def tcp_echo(lab, address, port, size):
    data = bytes(i * 7 % 251 for i in range(size))
    seen = b""
    with lab.client.enter():
        connection = socket.create_connection((address, port), 10)
    with connection:
        sender = threading.Thread(target=lambda: (connection.sendall(data),
                                                  connection.shutdown(socket.SHUT_WR)))
        sender.start()
        while part := connection.recv(65536):
            seen += part
        sender.join()
    expect(seen == data, f"{len(seen)} of {size} bytes came back from {address}, or not the same")


def udp_echo(lab, address, port, size):
    with lab.client.enter():
        client = socket.socket(SOCKET_FAMILY, socket.SOCK_DGRAM)
    with client:
        client.settimeout(10)
        client.sendto(b"u" * size, (address, port))
        expect_equal(len(client.recv(65536)), size, f"datagram echoed by {address}")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def kernel_services(lab):
    """TCP, UDP (fragments, too) and ping on the kernel's address and on ours, beside TLS."""
    start(lab)
    for address in (KERNEL, OUTSIDE):
        echo_server(lab, socket.SOCK_STREAM, address, 22)
        echo_server(lab, socket.SOCK_DGRAM, address, 5000)
    for address in (KERNEL, OUTSIDE):
        for _ in range(4):  # flows of either worker
            tcp_echo(lab, address, 22, 300_000)
        udp_echo(lab, address, 5000, 1000)
        udp_echo(lab, address, 5000, 5000)
        lab.client.run("ping", "-c", "2", "-i", "0.2", "-W", "5", address)
        expect_in("through the proxy", lab.curl("/index.html").stdout, "page")
    lab.proxy.run("ping", "-c", "2", "-i", "0.2", "-W", "5", "-I", TAP, CLIENT)
    counters = lab.sluice.counters()
    expect(counters["punted"] > 100 and counters["injected"] > 100, f"punted: {counters['punted']}")
    expect_equal(counters["tcp_resets_sent"], 0, "resets sent")
    with lab.client.enter():  # no listener anywhere: now the kernel refuses
        try:
            socket.create_connection((OUTSIDE, 2222), 10).close()
            expect(False, "port 2222 is open")
        except ConnectionRefusedError:
            pass


@scenario(families=BOTH_FAMILIES)
def behind_the_firewall(lab):
    """What the rules drop or reject never reaches the kernel; what they accept does."""
    start(lab, firewall={"rules": [
        {"name": "no-telnet", "protocol": "tcp", "port": 23, "action": "drop"},
        {"name": "no-dns", "protocol": "udp", "port": 5353, "action": "reject"},
    ]})
    with lab.proxy.enter():
        seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        seen.bind((TAP, 0))
    seen.settimeout(10)
    with lab.client.enter(), socket.socket(SOCKET_FAMILY, socket.SOCK_DGRAM) as udp:
        try:
            socket.create_connection((KERNEL, 23), 2).close()
            expect(False, "a port that is dropped took a connection")
        except TimeoutError:
            pass
        udp.settimeout(10)
        udp.connect((KERNEL, 5353))
        udp.send(b"rejected")
        try:
            udp.recv(100)
            expect(False, "a port that is rejected answered")
        except OSError as error:
            expect(not isinstance(error, TimeoutError), "the rejection was not told")
        udp.connect((KERNEL, 5354))
        udp.send(b"accepted")
    frames = []
    while not frames or b"accepted" not in frames[-1]:
        frames.append(seen.recv(2048))
    seen.close()
    expect(not any(b"rejected" in frame for frame in frames), "the kernel saw a rejected datagram")
    port = 14 + IP_HEADER + 2
    to_telnet = [frame for frame in frames
                 if frame[20 if IPV6 else 23] == 6 and frame[port:port + 2] == b"\0\x17"]
    expect_equal(to_telnet, [], "segments to the dropped port that the kernel saw")


@scenario(families=BOTH_FAMILIES)
def drain(lab):
    """While it drains, a listener's port refuses and is not handed to the kernel; others are."""
    server = lab.listen(port=9000)
    start(lab, backends={"web": {"servers": [at(BACKENDS[0], 9000)]}}, timeouts={"drain": "30s"})
    lab.proxy.run("ip", "address", "del", f"{OUTSIDE}/{HOST_BITS}", "dev", TAP)  # it would refuse for us
    echo_server(lab, socket.SOCK_STREAM, KERNEL, 22)
    with lab.tls() as held:
        taken, _ = server.accept()
        mark = lab.sluice.process.log_mark()
        lab.sluice.process.signal(signal.SIGTERM)
        lab.sluice.process.wait_for(r"drain", since=mark)
        try:
            lab.connect(timeout=3).close()
            expect(False, "a new connection was taken while draining")
        except ConnectionRefusedError:
            pass
        tcp_echo(lab, KERNEL, 22, 1000)
        taken.sendall(b"to the end")
        taken.close()
        expect_equal(held.recv(100), b"to the end", "what the held connection got")
    expect_equal(lab.sluice.process.wait(20), 0, "exit status")


def vrrp(mac):
    """A router's advertisement to its group (RFC 9568)."""
    message = b"\x31\x01\x64\x01" + b"\0" * 16
    if IPV6:
        return packets.ethernet("33:33:00:00:00:12", mac, packets.ETH_IPV6, packets.ipv6(
            CLIENT, "ff02::12", message, 112, hop_limit=255))
    return packets.ethernet("01:00:5e:00:00:12", mac, packets.ETH_IPV4, packets.ipv4(
        CLIENT, "224.0.0.18", message, 112, ttl=255))


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def one_copy(lab):
    """The kernel sees multicast and other protocols once, and the client one answer about an address."""
    start(lab)
    with lab.proxy.enter():
        seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        seen.bind((TAP, 0))
    seen.settimeout(10)
    wire = packets.Wire(lab.client, "eth0")
    frames = [vrrp(wire.mac), packets.ethernet("01:80:c2:00:00:0e", wire.mac, 0x88CC,
                                               b"\x02\x07\x04" + b"\x11" * 50)]
    for frame in frames:
        wire.send(frame)
    got = []
    while len(got) < 2:
        frame = seen.recv(2048)
        if any(frame.startswith(f) for f in frames):
            got.append(frame)
    expect(got[0] != got[1], "one frame came twice")
    wire.socket.settimeout(1.0)
    wire.send(packets.who_has(wire.mac, CLIENT, OUTSIDE))
    answers = 0
    try:
        while True:
            frame = wire.socket.recv(2048)
            answers += packets.is_answer(frame, OUTSIDE)
    except socket.timeout:
        pass
    wire.close()
    seen.close()
    expect_equal(answers, 1, "answers to one question for the address")
