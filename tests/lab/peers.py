"""The peers that are not ours: nginx and openssl as servers, curl as client."""

import os
import shutil

from lab.process import run

_NGINX = """
daemon off;
user root;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    log_format proxied "$proxy_protocol_addr";
    access_log {access};
{demands}
    types {{ text/html html; }}
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    keepalive_timeout 10m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{servers}
}}
"""

_NGINX_SERVER = """
    server {{
        listen {address};
        {tls}
        root {root};
        add_header X-Server {label};
    }}
"""


class Nginx:
    """A web server with one or more addresses, each of which names itself in X-Server."""

    def __init__(self, namespace, directory, root, workers=1):
        self._namespace = namespace
        self._directory = directory
        self._root = root
        self._workers = workers
        self._servers = []
        self._access = "off"
        self._demands = ""
        self.process = None
        os.makedirs(directory, exist_ok=True)

    def serve(self, address, label, certificate=None):
        """Adds an address ("10.0.0.11:8080"); with (chain, key) it speaks TLS."""
        tls = ""
        if certificate:
            tls = f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
            address += " ssl"
        self._servers.append(_NGINX_SERVER.format(address=address, tls=tls, root=self._root,
                                                  label=label))
        return self

    def log_proxied(self, path):
        """Writes the client's address of each request as the PROXY header told it, a line each."""
        self._access = f"{path} proxied"
        open(path, "w", encoding="ascii").close()  # pylint: disable=consider-using-with

    def demand_certificates(self, authority):
        """Takes only clients with a certificate of that authority (a PEM file)."""
        self._demands = f"    ssl_client_certificate {authority};\n    ssl_verify_client on;\n"

    def start(self):
        config = os.path.join(self._directory, "nginx.conf")
        with open(config, "w", encoding="ascii") as out:
            out.write(_NGINX.format(directory=self._directory, workers=self._workers,
                                    access=self._access, demands=self._demands,
                                    servers="".join(self._servers)))
        # A bad file ends it here with a reason.
        self._namespace.run(nginx_path(), "-t", "-q", "-c", config, "-p", self._directory)
        self.process = self._namespace.start(nginx_path(), "-c", config, "-p", self._directory)
        return self

    def ready(self):
        """nginx listens before it writes its pid; `nginx -t` leaves the same file empty."""
        try:
            return os.path.getsize(os.path.join(self._directory, "nginx.pid")) > 0
        except FileNotFoundError:
            return False


def nginx_path():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def curl(namespace, url, *options, check=True, timeout=30):
    """Runs curl; the result's stdout is the body."""
    return namespace.run("curl", "-sS", "--max-time", timeout, *options, url,
                         check=check, timeout=timeout + 10)


def s_client(namespace, address, *options, sni=None, send="", timeout=20):
    """Runs openssl s_client to its end and returns exit status and output."""
    name = ["-servername", sni] if sni else ["-noservername"]
    return namespace.run("openssl", "s_client", "-connect", address, *name, *options,
                         check=False, timeout=timeout, input=send)


def write_random(path, size):
    """Fills a file with bytes in which no two blocks are alike: loss, repetition and reordering
    all change its digest."""
    with open(path, "wb") as out:
        while size > 0:
            out.write(os.urandom(min(size, 1 << 20)))
            size -= 1 << 20


def digest(path):
    return run("openssl", "dgst", "-sha256", "-r", path).stdout.split()[0]
