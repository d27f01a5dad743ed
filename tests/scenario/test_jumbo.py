"""Jumbo frames: packets of up to 9,000 bytes, and where they do not go."""

import os
import random
import re

from lab.process import run
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          scenario)
from lab.topology import BACKENDS, INSIDE, IP_HEADER, OUTSIDE, at

MTU = 9000


def jumbo(lab, kind, mtu=MTU):
    for namespace, device in ((lab.client, "eth0"), (lab.proxy, "outside"),
                              (lab.proxy, "inside"), (lab.backend, "eth0")):
        namespace.run("ip", "link", "set", device, "mtu", str(mtu))
    os.mkdir(lab.path("captures"))
    config = lab.config(backends={"web": {"servers": [at(BACKENDS[0], 8081)]}},
                        control={"socket": "control.sock", "captures": "captures"},
                        limits={"buffer-memory": "8MiB"})
    for name, interface in config["interfaces"].items():
        interface["device"] = {kind: name}
        interface["mtu"] = mtu
    return config


def transfer(lab, server):
    """Bytes both ways through a terminated connection; returns the capture's lines."""
    data = random.Random(9).randbytes(500_000)
    lab.sluice.ctl("capture", "start", "--snaplen", "128", "jumbo.pcapng")
    with lab.tls() as connection:
        taken, _ = server.accept()
        for source, sink in ((connection, taken), (taken, connection)):
            source.settimeout(20)
            sink.settimeout(20)
            for at in range(0, len(data), 50_000):
                source.sendall(data[at:at + 50_000])
                part = b""
                while len(part) < 50_000:
                    part += sink.recv(65536)
                expect(part == data[at:at + 50_000], "other bytes came out")
        taken.close()
    lab.sluice.ctl("capture", "stop")
    return run("tcpdump", "-nn", "-e", "-v", "-r",
               lab.path("captures", "jumbo.pcapng")).stdout


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def af_packet(lab):
    """Segments that fill the packets in both directions, on both sides."""
    server = lab.listen(port=8081)
    lab.start(jumbo(lab, "af-packet"))
    told = transfer(lab, server)
    expect_equal(set(re.findall(r"mss (\d+)", told)), {str(MTU - IP_HEADER - 20)}, "MSS of all SYNs")
    for sender in (OUTSIDE, INSIDE):
        lengths = [int(length) for length in
                   re.findall(rf"{re.escape(sender)}\.\d+ > .*length (\d+)", told)]
        expect(max(lengths) > 8000, f"{sender} sent {max(lengths)} bytes a segment at most")
    lab.client.run("ping", "-c", "1", "-M", "do", "-s", str(MTU - IP_HEADER - 8), "-W", "5", OUTSIDE)
    lab.settled()


@scenario(families=BOTH_FAMILIES)
def af_xdp_limit(lab):
    """3,434 bytes pass through AF_XDP; with more the device is used through AF_PACKET, and the log
    says why."""
    server = lab.listen(port=8081)
    lab.start(jumbo(lab, "kernel", 3434))
    expect_in("through net_af_xdp", lab.sluice.process.log(), "log")
    transfer(lab, server)
    lab.sluice.stop()
    os.remove(lab.path("captures", "jumbo.pcapng"))
    os.rmdir(lab.path("captures"))
    lab.start(jumbo(lab, "kernel", 3435))
    log = lab.sluice.process.log()
    expect_in("its MTU of 3435 is more than AF_XDP carries (3434)", log, "log")
    expect_in("through net_af_packet", log, "log")
    transfer(lab, server)
