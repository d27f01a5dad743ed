"""Frames made by hand and sent through a packet socket, for what no kernel would send."""

import contextlib
import socket
import struct
import threading

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF


def ethernet(destination, source, kind, payload):
    return mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind) + payload


def ipv4(source, destination, payload, protocol=6, *, version=4, header_words=None, length=None,
         fragment=0, identification=1, ttl=64, options=b"", bad_checksum=False):
    """An IPv4 packet (RFC 791); length and header_words may lie."""
    words = 5 + len(options) // 4
    total = words * 4 + len(payload)
    header = bytearray(struct.pack(
        "!BBHHHBBH4s4s", version << 4 | (words if header_words is None else header_words), 0,
        total if length is None else length, identification, fragment, ttl, protocol, 0,
        socket.inet_aton(source), socket.inet_aton(destination)) + options)
    struct.pack_into("!H", header, 10, checksum(bytes(header)) ^ (0x5555 if bad_checksum else 0))
    return bytes(header) + payload


def tcp(source, destination, source_port, port, flags, *, sequence=1000, acknowledgement=0,
        window=65535, options=b"", payload=b"", data_words=None, bad_checksum=False):
    """A TCP segment (RFC 9293); data_words may lie."""
    words = 5 + len(options) // 4
    segment = bytearray(struct.pack(
        "!HHIIBBHHH", source_port, port, sequence, acknowledgement,
        (words if data_words is None else data_words) << 4, flags, window, 0, 0)
        + options + payload)
    pseudo = (socket.inet_aton(source) + socket.inet_aton(destination)
              + struct.pack("!BBH", 0, 6, len(segment)))
    struct.pack_into("!H", segment, 16,
                     checksum(pseudo + bytes(segment)) ^ (0x5555 if bad_checksum else 0))
    return bytes(segment)


def icmp(kind, code, payload, bad_checksum=False):
    message = bytearray(struct.pack("!BBH", kind, code, 0) + payload)
    struct.pack_into("!H", message, 2, checksum(bytes(message)) ^ (0x5555 if bad_checksum else 0))
    return bytes(message)


def _address6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def ipv6(source, destination, payload, following, *, hop_limit=64, extension=b""):
    """An IPv6 packet (RFC 8200); `following` is the header right behind the first, which
    `extension` begins with where there is one."""
    return struct.pack("!IHBB", 6 << 28, len(extension) + len(payload), following, hop_limit) \
        + _address6(source) + _address6(destination) + extension + payload


def _sum6(source, destination, protocol, data):
    return checksum(_address6(source) + _address6(destination)
                    + struct.pack("!II", len(data), protocol) + data)


def icmp6(source, destination, message):
    """The message, with its checksum in bytes 2 and 3."""
    message = bytearray(message)
    message[2:4] = b"\0\0"
    struct.pack_into("!H", message, 2, _sum6(source, destination, 58, bytes(message)))
    return bytes(message)


def tcp6(source, destination, source_port, port, flags, *, sequence=1000):
    segment = bytearray(struct.pack("!HHIIBBHHH", source_port, port, sequence, 0, 0x50, flags,
                                    65535, 0, 0))
    struct.pack_into("!H", segment, 16, _sum6(source, destination, 6, bytes(segment)))
    return bytes(segment)


def neighbour(kind, target, mac, flags=0):
    """A neighbour solicitation (135) or advertisement (136) without its checksum (RFC 4861)."""
    return struct.pack("!BBHI", kind, 0, 0, flags << 24) + _address6(target) \
        + bytes([1 if kind == 135 else 2, 1]) + mac_bytes(mac)


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_IPV4, 6, 4, operation, mac_bytes(sender_mac),
                       socket.inet_aton(sender), mac_bytes(target_mac), socket.inet_aton(target))


class Wire:
    """A packet socket on a device of a namespace."""

    def __init__(self, namespace, device):
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((device, 0))
        self.mac = namespace.mac(device)

    def send(self, frame):
        self.socket.send(frame)

    def send_ipv4(self, destination_mac, packet):
        self.send(ethernet(destination_mac, self.mac, ETH_IPV4, packet))

    def wait_for(self, wanted, timeout=10.0):
        """The next frame that is wanted; what came before is dropped."""
        self.socket.settimeout(timeout)
        while True:
            frame = self.socket.recv(65536)
            if wanted(frame):
                return frame

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def stations(namespace, device, prefix):
    """Answers ARP for every address that begins with the prefix, as hosts that say nothing else."""
    wire = Wire(namespace, device)
    wire.socket.settimeout(0.1)
    stop = threading.Event()

    def answer():
        while not stop.is_set():
            try:
                frame = wire.socket.recv(2048)
            except socket.timeout:
                continue
            if frame[12:14] != b"\x08\x06" or frame[20:22] != b"\0\x01":
                continue
            target = socket.inet_ntoa(frame[38:42])
            if target.startswith(prefix):
                asker = ":".join(f"{byte:02x}" for byte in frame[22:28])
                reply = arp(2, wire.mac, target, asker, socket.inet_ntoa(frame[28:32]))
                wire.send(ethernet(asker, wire.mac, ETH_ARP, reply))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        wire.close()
