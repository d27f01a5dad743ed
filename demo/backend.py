#!/usr/bin/env python3
"""A web server whose page says how it was reached: backend.py ADDRESS PORT [CHAIN KEY]."""

import http.server
import ssl
import sys


class Page(http.server.BaseHTTPRequestHandler):
    """One page for every path."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        address, port = self.server.server_address[:2]
        tls = getattr(self.connection, "version", lambda: None)()
        how = f"{tls}, terminated by me" if tls else "plain HTTP, no TLS on this side"
        page = (f"Hello from the server at {address}:{port}.\n"
                f"I was asked for {self.path} on host {self.headers['Host']}\n"
                f"by {self.client_address[0]} over {how}.\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_arguments):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Page)
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening", flush=True)
    server.serve_forever()
