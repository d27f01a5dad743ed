"""The proxies that are compared, each with its defaults where a row does not say otherwise."""

import os

from bench.wirelab import PROXY_CPU
from lab.process import wait_until
from lab.topology import BACKENDS, INSIDE, OUTSIDE

# One thread, TCP mode: TLS in, TCP out, as Sluice does it.
_HAPROXY = """
global
    nbthread 1
    maxconn 4096
    stats socket {directory}/haproxy.sock
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend https
    bind {outside}:443 ssl crt {directory}/haproxy.pem
    default_backend web
backend web
    server web {server}:8080
"""


class HAProxy:
    """HAProxy on the kernel's TCP."""
    name = "haproxy"

    @staticmethod
    def start(lab):
        """Starts it on the proxy's CPU; returns the process."""
        lab.proxy.add_address("outside", f"{OUTSIDE}/24")
        lab.proxy.add_address("inside", f"{INSIDE}/24")
        with open(lab.path("haproxy.pem"), "w", encoding="ascii") as pem:
            for part in ("certs/shop.crt", "certs/shop.key"):
                with open(lab.path(part), encoding="ascii") as source:
                    pem.write(source.read())
        with open(lab.path("haproxy.cfg"), "w", encoding="ascii") as config:
            config.write(_HAPROXY.format(directory=lab.directory, outside=OUTSIDE,
                                         server=BACKENDS[0]))
        process = lab.proxy.start("taskset", "-c", PROXY_CPU, "haproxy", "-db", "-f",
                                  lab.path("haproxy.cfg"), name="haproxy")
        wait_until(lambda: os.path.exists(lab.path("haproxy.sock")), "HAProxy to listen")
        return process


class Sluice:
    """Sluice with one worker on the proxy's CPU; its main thread is charged too."""
    name = "sluice"

    @staticmethod
    def start(lab):
        """Starts it; returns the process."""
        return lab.start(lab.config(workers=[PROXY_CPU])).process


PROXIES = (HAProxy, Sluice)
