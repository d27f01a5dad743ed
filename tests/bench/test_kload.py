"""The wire lab's client against a server that answers as it should, or not."""

import contextlib
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, TESTS)

# pylint: disable=wrong-import-position
from lab.certs import Authority

KLOAD = os.environ.get("KLOAD", os.path.join(os.path.dirname(TESTS), "build", "release", "tests",
                                             "bench", "kload"))
BODY = bytes(range(256)) * 300


class Handler(http.server.BaseHTTPRequestHandler):
    """/good is what is expected; the others are wrong, each in a way of its own."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):  # pylint: disable=invalid-name
        body = {"/other": BODY[:-1] + b"x", "/short": BODY[:-1]}.get(self.path, BODY)
        self.send_response(404 if self.path == "/absent" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write({"/cut": body[:-7], "/more": body + b"more"}.get(self.path, body))
        if self.path in ("/cut", "/gone"):
            self.close_connection = True

    def do_PUT(self):  # pylint: disable=invalid-name
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Handshakes in the connection's thread; quiet about clients that go."""
    daemon_threads = True
    request_queue_size = 64
    context = None

    def finish_request(self, request, client_address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        if self.context:
            with contextlib.suppress(OSError):
                request.unwrap().close()

    def handle_error(self, request, client_address):
        pass


class KloadTest(unittest.TestCase):
    """Each case is one run of the client."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(directory.cleanup)
        cls.directory = directory.name
        authority = Authority(os.path.join(cls.directory, "certs"))
        cls.ca = authority.certificate
        cls.certificate = authority.issue("shop", "shop.example")
        with open(os.path.join(cls.directory, "body"), "wb") as out:
            out.write(BODY)
        cls.plain = cls.serve(None)
        cls.encrypted = cls.serve(cls.context())

    @classmethod
    def context(cls, tickets=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cls.certificate)
        if not tickets:
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
        return context

    @classmethod
    def serve(cls, context):
        server = Server(("127.0.0.1", 0), Handler)
        server.context = context
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        return f"127.0.0.1:{server.server_port}"

    def run_client(self, to, *options, path="/good"):
        body = os.path.join(self.directory, "body")
        return subprocess.run(
            [KLOAD, "--to", to, "--path", path, "--expect", body, "--ca", self.ca,
             "--name", "shop.example", *map(str, options)],
            input="go\n", capture_output=True, text=True, timeout=30, check=False)

    def succeeds(self, to, *options):
        result = self.run_client(to, *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.startswith("ready\n"))
        return json.loads(result.stdout.partition("\n")[2])

    def fails(self, reason, to, *options, path="/good"):
        result = self.run_client(to, *options, path=path)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(reason, result.stderr)

    def test_kept(self):
        report = self.succeeds(self.plain, "--parallel", 3, "--requests", 20)
        self.assertEqual(report["requests"], 20)
        self.assertGreater(report["bytes"], 20 * len(BODY))
        self.assertGreaterEqual(report["latency_us"]["p99"], report["latency_us"]["p50"])

    def test_new_connections(self):
        report = self.succeeds(self.plain, "--parallel", 3, "--requests", 20, "--close")
        self.assertEqual(report["requests"], 20)

    def test_full_handshakes(self):
        for version in ("1.2", "1.3"):
            report = self.succeeds(self.encrypted, "--tls", version, "--parallel", 3,
                                   "--requests", 9, "--close")
            self.assertEqual((report["handshakes"], report["resumed"]), (9, 0))

    def test_resumption(self):
        for version in ("1.2", "1.3"):
            report = self.succeeds(self.encrypted, "--tls", version, "--parallel", 3,
                                   "--requests", 9, "--close", "--resume")
            self.assertEqual((report["handshakes"], report["resumed"]), (9, 9))

    def test_resumption_is_required(self):
        self.fails("a full one", self.serve(self.context(tickets=False)), "--tls", "1.3",
                   "--requests", 3, "--close", "--resume")

    def test_upload(self):
        body = os.path.join(self.directory, "body")
        for options in ((), ("--tls", "1.3")):
            report = self.succeeds(self.encrypted if options else self.plain, "--put", body,
                                   "--requests", 3, *options)
            self.assertEqual(report["requests"], 3)

    def test_open_loop(self):
        report = self.succeeds(self.plain, "--rate", 100, "--seconds", 1, "--parallel", 4)
        self.assertEqual(report["requests"], 100)

    def test_hold(self):
        report = self.succeeds(self.encrypted, "--tls", "1.3", "--parallel", 8, "--requests", 0)
        self.assertEqual(report["requests"], 0)

    def test_failures(self):
        for path, reason in (("/other", "another body"), ("/short", "an answer of"),
                             ("/absent", "status 404"), ("/more", "nobody asked for"),
                             ("/cut", "closed by the server"), ("/gone", "closed by the server")):
            with self.subTest(path):
                self.fails(reason, self.plain, "--requests", 3, path=path)

    def test_wrong_name(self):
        self.fails("verify failed", self.encrypted, "--tls", "1.3", "--name", "other.example",
                   "--requests", 1)

    def test_nobody_listens(self):
        self.fails("refused", "127.0.0.1:1", "--requests", 1)


if __name__ == "__main__":
    unittest.main()
