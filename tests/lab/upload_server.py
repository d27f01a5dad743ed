#!/usr/bin/env python3
"""An HTTP server that answers each PUT with the SHA-256 of the body: upload_server.py ADDRESS PORT.

Each connection has a process of its own, so that many at a time use all the processors.
"""

import hashlib
import http.server
import socket
import socketserver
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads the body as it comes; never holds more than a block of it."""
    protocol_version = "HTTP/1.1"

    def do_PUT(self):  # pylint: disable=invalid-name
        digest = hashlib.sha256()
        left = int(self.headers["Content-Length"])
        while left > 0:
            block = self.rfile.read1(min(left, 1 << 18))
            if not block:
                return
            digest.update(block)
            left -= len(block)
        answer = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments):
        pass


class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
    """One process for each connection."""
    max_children = 256
    request_queue_size = 256
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET


if __name__ == "__main__":
    server = Server((sys.argv[1], int(sys.argv[2])), Handler)
    print("listening", flush=True)
    server.serve_forever()
