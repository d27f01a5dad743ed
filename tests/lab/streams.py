"""TLS records in the client's own hands: for what a socket wrapped by `ssl` cannot do."""

import ssl


class PiecewiseTls:
    """A TLS client whose flights the caller may cut, hold back or end one way."""

    def __init__(self, context, connection, sni):
        self._connection = connection
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._in, self._out, server_hostname=sni)

    def client_hello(self):
        """The first flight, for the caller to send."""
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    def _pump(self, operation):
        while True:
            try:
                result = operation()
                self.send_pending()
                return result
            except ssl.SSLWantReadError:
                self.send_pending()
                data = self._connection.recv(65536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()

    def send_pending(self):
        data = self._out.read()
        if data:
            self._connection.sendall(data)

    def handshake(self):
        self._pump(self.object.do_handshake)

    def send(self, data):
        self._pump(lambda: self.object.write(data))

    def receive(self):
        """Some bytes; b"" after the server's close_notify."""
        try:
            return self._pump(lambda: self.object.read(65536))
        except ssl.SSLZeroReturnError:
            return b""

    def receive_all(self):
        parts = []
        while part := self.receive():
            parts.append(part)
        return b"".join(parts)

    def close_notify(self):
        """Ends the client's direction only (RFC 8446, 6.1)."""
        try:
            self.object.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.send_pending()


def in_records(hello, size):
    """The same handshake message in several records of at most `size` bytes (RFC 8446, 5.1)."""
    body = hello[5:]
    return b"".join(hello[:3] + len(part).to_bytes(2, "big") + part
                    for part in (body[i:i + size] for i in range(0, len(body), size)))
