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


def is_ipv6(address):
    return ":" in address


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if is_ipv6(address) else socket.AF_INET, address)


def ipv4(source, destination, payload, protocol=6, *, version=4, header_words=None, length=None,
         fragment=0, identification=1, ttl=64, options=b"", bad_checksum=False):
    """An IPv4 packet (RFC 791); length and header_words may lie."""
    words = 5 + len(options) // 4
    total = words * 4 + len(payload)
    header = bytearray(struct.pack(
        "!BBHHHBBH4s4s", version << 4 | (words if header_words is None else header_words), 0,
        total if length is None else length, identification, fragment, ttl, protocol, 0,
        packed(source), packed(destination)) + options)
    struct.pack_into("!H", header, 10, checksum(bytes(header)) ^ (0x5555 if bad_checksum else 0))
    return bytes(header) + payload


def ipv6(source, destination, payload, following=6, *, version=6, length=None, hop_limit=64,
         extension=b""):
    """An IPv6 packet (RFC 8200); `following` is the header right behind the first, which
    `extension` begins with where there is one. The length may lie."""
    rest = extension + payload
    return struct.pack("!IHBB", version << 28, len(rest) if length is None else length, following,
                       hop_limit) + packed(source) + packed(destination) + rest


def ip(source, destination, payload, protocol=6):
    """A packet of the family of its addresses."""
    return (ipv6 if is_ipv6(source) else ipv4)(source, destination, payload, protocol)


def ip_fragment(source, destination, payload, protocol, *, offset, more, identification=1):
    """A part of a packet, from `offset` 8 byte units on (RFC 791, RFC 8200 section 4.5)."""
    if not is_ipv6(source):
        return ipv4(source, destination, payload, protocol, identification=identification,
                    fragment=(0x2000 if more else 0) | offset)
    return ipv6(source, destination, payload, 44, extension=struct.pack(
        "!BBHI", protocol, 0, offset << 3 | more, identification))


def transport_checksum(source, destination, protocol, data):
    """Over the pseudo-header of the addresses' family (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    rest = struct.pack("!II", len(data), protocol) if is_ipv6(source) \
        else struct.pack("!HH", protocol, len(data))
    return checksum(packed(source) + packed(destination) + rest + data)


def tcp(source, destination, source_port, port, flags, *, sequence=1000, acknowledgement=0,
        window=65535, options=b"", payload=b"", data_words=None, bad_checksum=False):
    """A TCP segment (RFC 9293); data_words may lie."""
    words = 5 + len(options) // 4
    segment = bytearray(struct.pack(
        "!HHIIBBHHH", source_port, port, sequence, acknowledgement,
        (words if data_words is None else data_words) << 4, flags, window, 0, 0)
        + options + payload)
    struct.pack_into("!H", segment, 16, transport_checksum(source, destination, 6, bytes(segment))
                     ^ (0x5555 if bad_checksum else 0))
    return bytes(segment)


def icmp(kind, code, payload, bad_checksum=False):
    message = bytearray(struct.pack("!BBH", kind, code, 0) + payload)
    struct.pack_into("!H", message, 2, checksum(bytes(message)) ^ (0x5555 if bad_checksum else 0))
    return bytes(message)


def icmp6(source, destination, message, bad_checksum=False):
    """The message, with its checksum in bytes 2 and 3."""
    message = bytearray(message)
    message[2:4] = b"\0\0"
    struct.pack_into("!H", message, 2, transport_checksum(source, destination, 58, bytes(message))
                     ^ (0x5555 if bad_checksum else 0))
    return bytes(message)


def neighbour(kind, target, mac, flags=0):
    """A neighbour solicitation (135) or advertisement (136) without its checksum (RFC 4861)."""
    return struct.pack("!BBHI", kind, 0, 0, flags << 24) + packed(target) \
        + bytes([1 if kind == 135 else 2, 1]) + mac_bytes(mac)


def solicited_node(address):
    """The group of those who may have an address, and its Ethernet address (RFC 4291, RFC 2464)."""
    tail = packed(address)[13:]
    group = socket.inet_ntop(socket.AF_INET6, packed("ff02::1:ff00:0")[:13] + tail)
    return group, "33:33:ff:" + ":".join(f"{byte:02x}" for byte in tail)


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_IPV4, 6, 4, operation, mac_bytes(sender_mac),
                       socket.inet_aton(sender), mac_bytes(target_mac), socket.inet_aton(target))


def who_has(mac, asker, address):
    """The frame in which a host asks for the Ethernet address of another one."""
    if not is_ipv6(address):
        return ethernet("ff:ff:ff:ff:ff:ff", mac, ETH_ARP,
                        arp(1, mac, asker, "00:00:00:00:00:00", address))
    group, group_mac = solicited_node(address)
    message = icmp6(asker, group, neighbour(135, address, mac))
    return ethernet(group_mac, mac, ETH_IPV6, ipv6(asker, group, message, 58, hop_limit=255))


def is_answer(frame, address):
    """Whether a frame says whose an address is, because somebody has asked: announcements of a new
    address, which go on for a while, have no solicited flag (RFC 4861, 4.4)."""
    if is_ipv6(address):
        return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136 \
            and frame[58] & 0x40 != 0 and frame[62:78] == packed(address)
    return frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02" \
        and frame[28:32] == packed(address)


class Wire:
    """A packet socket on a device of a namespace."""

    def __init__(self, namespace, device):
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((device, 0))
        self.mac = namespace.mac(device)

    def send(self, frame):
        self.socket.send(frame)

    def send_ip(self, destination_mac, packet, kind=None):
        """A packet in a frame of the kind that its version says, or of another."""
        if kind is None:
            kind = ETH_IPV6 if packet[0] >> 4 == 6 else ETH_IPV4
        self.send(ethernet(destination_mac, self.mac, kind, packet))

    def wait_for(self, wanted, timeout=10.0):
        """The next frame that is wanted; what came before is dropped."""
        self.socket.settimeout(timeout)
        while True:
            frame = self.socket.recv(65536)
            if wanted(frame):
                return frame

    def close(self):
        self.socket.close()


def _mac_text(data):
    return ":".join(f"{byte:02x}" for byte in data)


def _arp_answer(frame, mac, address):
    """The reply to an ARP request for the address, or None."""
    if frame[12:14] != b"\x08\x06" or frame[20:22] != b"\0\x01" \
            or frame[38:42] != packed(address):
        return None
    asker = _mac_text(frame[22:28])
    return ethernet(asker, mac, ETH_ARP,
                    arp(2, mac, address, asker, socket.inet_ntoa(frame[28:32])))


def _neighbour_answer(frame, mac, address):
    """The advertisement for a solicitation of the address, or None."""
    if frame[12:14] != b"\x86\xdd" or frame[20] != 58 or frame[54] != 135 \
            or frame[62:78] != packed(address):
        return None
    asker = socket.inet_ntop(socket.AF_INET6, frame[22:38])
    message = icmp6(address, asker, neighbour(136, address, mac, 0x60))
    return ethernet(_mac_text(frame[6:12]), mac, ETH_IPV6,
                    ipv6(address, asker, message, 58, hop_limit=255))


@contextlib.contextmanager
def station(namespace, device, address):
    """Answers ARP or neighbour discovery for an address, as a host that says nothing else."""
    wire = Wire(namespace, device)
    wire.socket.settimeout(0.1)
    stop = threading.Event()
    answer_to = _neighbour_answer if is_ipv6(address) else _arp_answer

    def answer():
        while not stop.is_set():
            try:
                frame = wire.socket.recv(2048)
            except socket.timeout:
                continue
            reply = answer_to(frame, wire.mac, address)
            if reply:
                wire.send(reply)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        wire.close()
