#!/usr/bin/env python3
"""Checks the ports of stack/io on real interfaces, with io_reflector as the station behind them.

    tests/scenario/test_io_ports.py [--reflector PATH] [PATTERN...]

Needs root. Each check lays out, and removes, its own pair of namespaces:

    sluice-io-PID-peer                    sluice-io-PID-port
      kernel, 10.90.0.2 -- peer0 === port0 -- io_reflector, 10.90.0.1
      2001:db8:90::2                          2001:db8:90::1

Over both families the peer sends ICMP echo of several sizes and 300 TCP SYNs; the station answers with
echo replies and RSTs, and its workers check that each got the flows that are its own. Exit status 0 or
1, or 77 without root.
"""

import argparse
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
REFLECTOR = os.path.join(TOP, "build", "release", "tests", "unit", "io", "io_reflector")
PORT = {4: "10.90.0.1", 6: "2001:db8:90::1"}
PEER = {4: "10.90.0.2/24", 6: "2001:db8:90::2/64"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
CONNECTS = 300  # over each family
SKIPPED = 77  # to ctest


class Failure(Exception):
    """A check that did not hold."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


# ---- the peer, in its namespace ----

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def exchange(raw, family, sequence, data):
    """Sends one echo request; returns the reply as an ICMP message."""
    request, answer = {4: (8, 0), 6: (128, 129)}[family]
    header = struct.pack("!BBHHH", request, 0, 0, 1, sequence)
    if family == 4:  # the kernel computes those of ICMPv6, and verifies them
        header = struct.pack("!BBHHH", request, 0, checksum(header + data), 1, sequence)
    raw.sendto(header + data, (PORT[family], 0))
    while True:
        reply = raw.recv(65536)[20 if family == 4 else 0:]
        if reply[0] == answer and reply[6:8] == header[6:8]:
            return reply


def echo(family, size, count):
    """Sends echo requests one after another; every reply must be bit for bit the request's data."""
    protocol = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}[family]
    with socket.socket(FAMILY[family], socket.SOCK_RAW, protocol) as raw:
        raw.settimeout(5)
        for sequence in range(count):
            data = bytes((sequence + i) & 255 for i in range(size))
            reply = exchange(raw, family, sequence, data)
            expect(reply[8:] == data, f"reply {sequence} differs")
            expect(family == 6 or checksum(reply) == 0, f"reply {sequence} has a wrong checksum")


def connect(family, count):
    for port in range(1000, 1000 + count):
        with socket.socket(FAMILY[family]) as stream:
            stream.settimeout(5)
            error = stream.connect_ex((PORT[family], port))
            expect(error == 111, f"connect to port {port}: {os.strerror(error)}, not refused")


def peer(arguments):
    """The process that plays the peer: "echo FAMILY SIZE COUNT" or "connect FAMILY COUNT"."""
    {"echo": echo, "connect": connect}[arguments[0]](*map(int, arguments[1:]))


# ---- the laboratory ----

class Lab:
    """Two namespaces and a veth pair between them."""

    def __init__(self, reflector):
        self.reflector = reflector
        self.peer = f"sluice-io-{os.getpid()}-peer"
        self.port = f"sluice-io-{os.getpid()}-port"

    def __enter__(self):
        run("ip", "netns", "add", self.peer)
        run("ip", "netns", "add", self.port)
        return self

    def __exit__(self, *_):
        run("ip", "netns", "del", self.peer, check=False)
        run("ip", "netns", "del", self.port, check=False)

    def veth(self, queues=1, mtu=1500, port_up=False):
        size = ["mtu", str(mtu), "numrxqueues", str(queues), "numtxqueues", str(queues)]
        run("ip", "link", "add", "peer0", "netns", self.peer, *size, "type", "veth",
            "peer", "name", "port0", "netns", self.port, *size)
        # A veth does not compute checksums that it may leave to its other end.
        self.in_peer("ethtool", "-K", "peer0", "tx", "off", "tso", "off", "gso", "off")
        self.add_addresses(self.peer, "peer0")
        run("ip", "-n", self.peer, "link", "set", "peer0", "up")
        if port_up:
            run("ip", "-n", self.port, "link", "set", "port0", "up")

    def add_addresses(self, namespace, device):
        """Those of the peer."""
        for family, address in PEER.items():
            run("ip", "-n", namespace, "addr", "add", address, "dev", device,
                *(["nodad"] if family == 6 else []))

    def in_peer(self, *command):
        return run("ip", "netns", "exec", self.peer, *command)

    def in_port(self, *command):
        return run("ip", "netns", "exec", self.port, *command)

    def ask(self, namespace, *arguments):
        """Plays the peer in a namespace."""
        run("ip", "netns", "exec", namespace, sys.executable, os.path.realpath(__file__), "--peer",
            *map(str, arguments))

    def start(self, kind, device, workers, *options, prefix=()):
        return Station([*prefix, self.reflector, kind, device, str(workers), *PORT.values(),
                        "sleep=50", *options], self.port)

    @contextlib.contextmanager
    def station(self, *arguments, **keywords):
        station = self.start(*arguments, **keywords)
        try:
            station.wait_ready()
            yield station
        finally:
            station.stop()

    def traffic(self, namespace=None, sizes=(0, 1, 64, 1000, 1472)):
        """The sizes are of data in echo requests over IPv4; packets over IPv6 are as long."""
        namespace = namespace or self.peer
        for family in FAMILY:
            for size in sizes:
                self.ask(namespace, "echo", family, size if family == 4 else max(size - 20, 0), 10)
            self.ask(namespace, "connect", family, CONNECTS)


class Station:
    """A running io_reflector; after stop() its report is in `workers` and `port`."""

    def __init__(self, command, namespace):
        self.process = subprocess.Popen(["ip", "netns", "exec", namespace, *command],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.workers, self.port, self.log = [], {}, ""

    def wait_ready(self):
        line = self.process.stdout.readline()
        if not line.startswith("ready"):
            self.finish()
            raise Failure(f"the station does not start: {self.log}")

    def finish(self):
        output, self.log = self.process.communicate(timeout=20)
        for line in output.splitlines():
            words = dict(re.findall(r"(\w+)=(\S+)", line))
            if line.startswith("worker="):
                self.workers.append({key: int(value) for key, value in words.items()})
            elif line.startswith("driver="):
                self.port = words

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.finish()

    def total(self, key):
        return sum(worker[key] for worker in self.workers)

    def check(self, driver, queues, tcp=2 * CONNECTS, busy_workers=None):
        expect(self.process.returncode == 0, f"exit status {self.process.returncode}: {self.log}")
        expect(self.port["driver"] == driver, f"driver {self.port['driver']}, not {driver}")
        expect(int(self.port["queues"]) == queues, f"{self.port['queues']} queues, not {queues}")
        expect(self.total("tcp") == tcp, f"{self.total('tcp')} segments of {tcp}")
        for what in ("astray", "unsent", "io_rx_missed", "io_rx_errors", "io_rx_no_mbuf",
                     "io_tx_errors", "io_handoff_dropped"):
            expect(self.total(what) == 0, f"{what} is {self.total(what)}")
        for worker in self.workers[:busy_workers]:
            expect(worker["tcp"] > 0, f"worker {worker['worker']} got nothing")

    def check_neighbours_everywhere(self):
        for protocol in ("arp", "nd"):
            counts = {worker[protocol] for worker in self.workers}
            expect(len(counts) == 1 and counts != {0}, f"{protocol} by worker: {counts}")

    def expect_log(self, pattern):
        expect(re.search(pattern, self.log), f"the log lacks {pattern!r}:\n{self.log}")


# ---- the checks ----

def check_xdp(lab):
    lab.veth()
    with lab.station("kernel", "port0", 1) as station:
        lab.traffic()
    station.check("net_af_xdp", 1)
    station.expect_log("port0 was down; brought up")


def check_xdp_three_workers_one_queue(lab):
    lab.veth()
    with lab.station("kernel", "port0", 3) as station:
        lab.traffic()
    station.check("net_af_xdp", 1)
    station.check_neighbours_everywhere()


def check_xdp_two_queues(lab):
    lab.veth(queues=2)
    for workers in (2, 3):
        with lab.station("kernel", "port0", workers) as station:
            run("ip", "-n", lab.peer, "neigh", "flush", "dev", "peer0")
            lab.traffic()
        station.check("net_af_xdp", 2)
        station.check_neighbours_everywhere()
        # The veth spreads flows its own way: each owner received, and handed over.
        for worker in station.workers[:2]:
            expect(worker["io_handoff_sent"] > 0, f"queue {worker['worker']} received nothing")


def check_xdp_mtu_3000(lab):
    lab.veth(mtu=3000)
    with lab.station("kernel", "port0", 1) as station:
        lab.traffic(sizes=(1472, 2972))
    station.check("net_af_xdp", 1)


def check_mtu_is_set(lab):
    lab.veth()
    with lab.station("kernel", "port0", 1, "mtu=1400") as station:
        expect("mtu 1400" in run("ip", "-n", lab.port, "link", "show", "port0"), "MTU not set")
        lab.traffic(sizes=(1372,))
    station.check("net_af_xdp", 1)


def check_more_channels_than_workers(lab):
    """A veth does not let go of channels that its peer sends on: the fallback must serve."""
    lab.veth(queues=4)
    with lab.station("kernel", "port0", 1) as station:
        lab.traffic()
    station.check("net_af_packet", 1)
    station.expect_log("no AF_XDP on port0, using the slower AF_PACKET: .*rx queues")
    expect(re.search(r"Current.*RX:\s+4\n", lab.in_port("ethtool", "-l", "port0"), re.DOTALL),
           "the channels were not put back")


def check_surplus_channels_are_reduced(lab):
    lab.veth(queues=4)
    lab.in_peer("ethtool", "-L", "peer0", "tx", "1")
    with lab.station("kernel", "port0", 2) as station:
        lab.traffic()
    station.check("net_af_xdp", 2)
    station.expect_log("reduced from 4 receive channels to 2")
    expect(re.search(r"Current.*RX:\s+4\n", lab.in_port("ethtool", "-l", "port0"), re.DOTALL),
           "the channels were not put back")


def check_af_packet(lab):
    lab.veth(port_up=True)
    lab.in_port("ethtool", "-K", "port0", "gro", "on")
    with lab.station("af-packet", "port0", 1) as station:
        expect("generic-receive-offload: off" in lab.in_port("ethtool", "-k", "port0"), "GRO is on")
        lab.traffic()
    station.check("net_af_packet", 1)
    expect("generic-receive-offload: on" in lab.in_port("ethtool", "-k", "port0"),
           "GRO was not put back")


def check_af_packet_three_workers(lab):
    lab.veth()
    with lab.station("af-packet", "port0", 3) as station:
        lab.traffic()
    station.check("net_af_packet", 3)
    station.check_neighbours_everywhere()


def check_jumbo_frames_fall_back(lab):
    lab.veth(mtu=9000)
    with lab.station("kernel", "port0", 2) as station:
        lab.traffic(sizes=(0, 1472, 8972))
    station.check("net_af_packet", 2)
    station.expect_log("no AF_XDP on port0, .* its MTU of 9000 is more than AF_XDP carries")


def check_refused_xdp_falls_back(lab):
    lab.veth()
    without_bpf = ("setpriv", "--bounding-set", "-bpf,-sys_admin", "--inh-caps", "-bpf,-sys_admin")
    with lab.station("kernel", "port0", 1, prefix=without_bpf) as station:
        lab.traffic()
    station.check("net_af_packet", 1)
    station.expect_log("no AF_XDP on port0, .*Operation not permitted.*CAP_BPF")
    expect(station.log.count(" warn ") == 1, f"more than one warning:\n{station.log}")


def check_tap(lab):
    for workers in (1, 3):
        with lab.station("tap", "tap0", workers) as station:
            lab.add_addresses(lab.port, "tap0")
            lab.traffic(namespace=lab.port)
        station.check("net_tap", 1)
        station.check_neighbours_everywhere()
        # Header checksums and chains are the device's work here, TCP checksums are not.
        expect(int(station.port["offloads"]) == 0x01 | 0x08,
               f"offloads {station.port['offloads']}")


def check_restart_after_kill(lab):
    lab.veth()
    with lab.station("kernel", "port0", 1) as station:
        for family in FAMILY:
            lab.ask(lab.peer, "echo", family, 64, 1)
        station.stop(signal.SIGKILL)
    with lab.station("kernel", "port0", 2) as station:
        lab.traffic()
    station.check("net_af_xdp", 1)
    expect("xdp" not in run("ip", "-n", lab.port, "link", "show", "port0"),
           "the XDP program was left behind")


def check_second_instance_is_refused(lab):
    lab.veth()
    with lab.station("kernel", "port0", 1) as first:
        second = lab.start("kernel", "port0", 1)
        second.process.wait(timeout=20)
        second.finish()
        expect(second.process.returncode == 1, "the second instance started")
        second.expect_log(r"interface test \(port0\): another program receives on it")
        lab.traffic()
    first.check("net_af_xdp", 1)


def check_kernel_addresses_are_told(lab):
    lab.veth(port_up=True)
    run("ip", "-n", lab.port, "addr", "add", "10.91.0.7/24", "dev", "port0")
    for kind, words in (("kernel", "cannot be reached meanwhile: 10.91.0.7"),
                        ("af-packet", r"answers too \(.*\): 10.91.0.7")):
        with lab.station(kind, "port0", 1) as station:
            pass
        station.expect_log("warn .*port0: .*" + words)


def check_idle_link(lab):
    """The driver says that the link is up; the port must say what the interface says."""
    lab.veth()
    run("ip", "-n", lab.peer, "link", "set", "peer0", "down")
    with lab.station("kernel", "port0", 1) as station:
        pass
    expect(station.port["link"] == "0", "the link is said to be up")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reflector", default=REFLECTOR)
    parser.add_argument("pattern", nargs="*")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root")
        return SKIPPED
    # What libxdp leaks at a process's end, in a build with sanitizers.
    suppressions = os.path.join(TOP, "tests", "lab", "lsan.supp")
    os.environ.setdefault("LSAN_OPTIONS", f"suppressions={suppressions}:print_suppressions=0")
    failed = 0
    for name, check in list(globals().items()):
        if not name.startswith("check_") or not all(p in name for p in arguments.pattern):
            continue
        started = time.monotonic()
        try:
            with Lab(os.path.abspath(arguments.reflector)) as lab:
                check(lab)
            print(f"ok      {name[6:]} ({time.monotonic() - started:.1f} s)", flush=True)
        except (Failure, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED  {name[6:]}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        try:
            peer(sys.argv[2:])
        except (Failure, OSError) as problem:
            sys.exit(str(problem))
    else:
        sys.exit(main())
