"""The proxies that are compared, each tuned as its own documentation advises.

All have one thread, no access log, TCP mode (TLS in, TCP out), a large backlog, and the same TLS:
versions 1.2 and 1.3, AES-128-GCM first, X25519 first, resumption by stateless tickets, one for each
TLS 1.3 handshake. The peers get that number from a configuration of OpenSSL's, since only nginx has
a directive for it: OpenSSL's default of two would make their handshakes dearer.
"""

from bench.results import OURS
from lab.peers import nginx_path
from lab.process import LabError, wait_until
from lab.topology import BACKENDS, OUTSIDE, at

PROXY_CPU = 0
TLS_PORT, PLAIN_PORT = 443, 80
BACKEND = BACKENDS[0]
BACKEND_PORT = 8080
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"

_OPENSSL = """
openssl_conf = settings
[settings]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
NumTickets = 1
"""

_HAPROXY = """
global
    nbthread 1
    maxconn 7500
    no numa-cpu-mapping
    stats socket {directory}/haproxy.sock
    ssl-default-bind-options ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3
    ssl-default-bind-ciphers {ciphers}
    ssl-default-bind-ciphersuites {suites}
    ssl-default-bind-curves X25519:P-256
defaults
    mode tcp
    backlog 65535
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend https
    bind {outside}:{tls_port} ssl crt {directory}/shop.pem
    default_backend web
frontend plain
    bind {outside}:{plain_port}
    option splice-auto
    default_backend web
backend web
    server web {backend}:{backend_port}
"""

_NGINX = """
load_module modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/stream.pid;
error_log stderr error;
events {{ worker_connections 20000; multi_accept on; }}
stream {{
    access_log off;
    ssl_certificate {directory}/shop.pem;
    ssl_certificate_key {directory}/shop.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {ciphers};
    ssl_conf_command Ciphersuites {suites};
    ssl_ecdh_curve X25519:prime256v1;
    ssl_session_tickets on;
    server {{ listen {outside}:{tls_port} ssl backlog=65535; proxy_pass {backend}:{backend_port}; }}
    server {{ listen {outside}:{plain_port} backlog=65535; proxy_pass {backend}:{backend_port}; }}
}}
"""

_HITCH = """
frontend = {{ host = "{outside}" port = "{tls_port}" }}
backend = "[{backend}]:{backend_port}"
pem-file = "{directory}/shop.pem"
workers = 1
backlog = 65535
user = "root"
daemon = off
log-level = 0
syslog = off
tls-protos = TLSv1.2 TLSv1.3
ciphers = "{ciphers}"
ciphersuites = "{suites}"
ecdh-curve = "X25519:prime256v1"
prefer-server-ciphers = on
ocsp-dir = ""
"""


class Proxy:
    """A proxy on the kernel's TCP. `splices`: it can also pass plain connections on."""
    name = ""
    splices = True
    template = ""

    def command(self, config):
        """What to start, on a configuration file."""
        raise NotImplementedError

    def file(self, lab, name, text):
        """Writes a file into the laboratory's directory; returns its path."""
        with open(lab.path(name), "w", encoding="ascii") as out:
            out.write(text)
        return lab.path(name)

    def start(self, lab):
        """Starts it on the proxy's CPU; returns the process when it listens."""
        lab.kernel_addresses(True)
        self.file(lab, "shop.pem", "".join(open(lab.path("certs", f"shop.{part}"), encoding="ascii")
                                           .read() for part in ("crt", "key")))
        config = self.file(lab, f"{self.name}.conf", self.template.format(
            directory=lab.directory, outside=OUTSIDE, tls_port=TLS_PORT, plain_port=PLAIN_PORT,
            backend=BACKEND, backend_port=BACKEND_PORT, ciphers=CIPHERS, suites=SUITES))
        process = lab.proxy.start(
            "taskset", "-c", PROXY_CPU, *self.command(config), name=self.name,
            env={"OPENSSL_CONF": self.file(lab, "openssl.cnf", _OPENSSL)})
        wanted = {TLS_PORT, PLAIN_PORT} if self.splices else {TLS_PORT}
        wait_until(lambda: self._listens(lab, process, wanted), f"{self.name} to listen")
        return process

    @staticmethod
    def _listens(lab, process, ports):
        if not process.running():
            raise LabError(f"{process.name} did not start:\n{process.log()[-3000:]}")
        lines = lab.proxy.run("ss", "-Hltn").stdout.splitlines()
        return ports <= {int(line.split()[3].rpartition(":")[2]) for line in lines}


class HAProxy(Proxy):
    name, template = "haproxy", _HAPROXY

    def command(self, config):
        return ["haproxy", "-db", "-f", config]


class Nginx(Proxy):
    name, template = "nginx", _NGINX

    def command(self, config):
        return [nginx_path(), "-c", config, "-p", "/usr/share/nginx"]


class Hitch(Proxy):
    """Terminates TLS and does nothing else."""
    name, template, splices = "hitch", _HITCH, False

    def command(self, config):
        return ["hitch", f"--config={config}"]


class Sluice(Proxy):
    """One worker on the proxy's CPU; its main thread is charged too."""
    name = OURS

    def start(self, lab):
        lab.kernel_addresses(False)
        return lab.start(lab.config(
            workers=[PROXY_CPU],
            listeners={"https": {"bind": at(OUTSIDE, TLS_PORT), "tls": {"certificates": ["shop"]}},
                       "plain": {"bind": at(OUTSIDE, PLAIN_PORT)}},
            policy=[{"match": {"listener": "https"}, "action": "terminate", "backend": "web"},
                    {"match": {"listener": "plain"}, "action": "splice", "backend": "web"}],
        )).process


PROXIES = {proxy.name: proxy for proxy in (Sluice(), HAProxy(), Nginx(), Hitch())}
