"""Interfaces whose frames are changed on their way: a TAP beside another device.

The kernel's own VLAN interfaces do what VlanDevice does, but not every kernel has them.
"""

import fcntl
import os
import random
import select
import socket
import struct
import threading

from lab.packets import checksum

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002
_PACKET_AUXDATA = 8
_SOL_PACKET = 263
_VLAN_VALID = 0x10
_OUTGOING = 4
_FRAGMENT_HEADER, _ICMPV6 = 44, 58


class Relay:
    """A TAP of a namespace whose frames go out of another device, with that one's address.

    Subclasses say what becomes of a frame in either direction."""

    def __init__(self, namespace, parent, name, mtu=1500):
        self.name = name
        with namespace.enter():
            self._tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self._tap, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP_NO_PI))
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._wire.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self._wire.bind((parent, 0))
        self._wire.setblocking(False)
        namespace.run("ip", "link", "set", name, "address", namespace.mac(parent),
                      "mtu", str(mtu))
        namespace.link(name, "up")
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def outgoing(self, frame):
        """The frames to send instead of one of the TAP's."""
        return [frame]

    def incoming(self, frame, vlan):
        """What the TAP gets of a frame that came with this VLAN (None: untagged), or None."""
        return frame if vlan is None else None

    def _to_wire(self):
        for frame in self.outgoing(os.read(self._tap, 65536)):
            self._wire.send(frame)

    def _from_wire(self):
        frame, ancillary, _, address = self._wire.recvmsg(65536, 256)
        if address[2] == _OUTGOING:
            return
        vlan = None
        for level, kind, data in ancillary:
            if level != _SOL_PACKET or kind != _PACKET_AUXDATA:
                continue
            if struct.unpack_from("=I", data)[0] & _VLAN_VALID:
                vlan = struct.unpack_from("=H", data, 16)[0] & 0xFFF
        frame = self.incoming(frame, vlan)
        if frame is not None:
            os.write(self._tap, frame)

    def _relay(self):
        while True:
            ready, _, _ = select.select([self._tap, self._wire, self._ended], [], [])
            if self._ended in ready:
                return
            for source, take in ((self._tap, self._to_wire), (self._wire, self._from_wire)):
                if source in ready:
                    try:
                        take()
                    except OSError:  # nothing there any more, or a device that goes
                        pass

    def close(self):
        os.write(self._end, b"x")
        self._thread.join()
        self._wire.close()
        for descriptor in (self._tap, self._ended, self._end):
            os.close(descriptor)


class VlanDevice(Relay):
    """An interface of one VLAN on a device of a namespace, with the device's address."""

    def __init__(self, namespace, parent, vlan, mtu=1500):
        self.vlan = vlan
        super().__init__(namespace, parent, f"{parent}.{vlan}", mtu)

    def outgoing(self, frame):
        return [frame[:12] + struct.pack("!HH", 0x8100, self.vlan) + frame[12:]]

    def incoming(self, frame, vlan):
        return frame if vlan == self.vlan else None


def _cut(data, size):
    """Parts of at most `size` bytes, each with its offset and whether more follow."""
    return [(at, data[at:at + size], at + size < len(data)) for at in range(0, len(data), size)]


def _fragments_ipv4(frame, size):
    length = struct.unpack_from("!H", frame, 16)[0]
    header = bytearray(frame[14:34])
    identification = random.randrange(65536)
    for at, piece, more in _cut(frame[34:14 + length], size):
        struct.pack_into("!HHH", header, 2, 20 + len(piece), identification,
                         at // 8 | (0x2000 if more else 0))
        struct.pack_into("!H", header, 10, 0)
        struct.pack_into("!H", header, 10, checksum(bytes(header)))
        yield frame[:14] + bytes(header) + piece


def _fragments_ipv6(frame, size):
    """None of discovery, which must not come in fragments (RFC 6980)."""
    if frame[20] == _ICMPV6:
        yield frame
        return
    length = struct.unpack_from("!H", frame, 18)[0]
    header = bytearray(frame[14:54])
    following, header[6] = header[6], _FRAGMENT_HEADER
    identification = random.randrange(1 << 32)
    for at, piece, more in _cut(frame[54:54 + length], size):
        struct.pack_into("!H", header, 4, 8 + len(piece))
        yield frame[:14] + bytes(header) + struct.pack("!BBHI", following, 0, at | more,
                                                       identification) + piece


class FragmentingDevice(Relay):
    """An interface that cuts the IP packets it sends in fragments, and turns their order round."""

    def __init__(self, namespace, parent, name, size=400):
        self.size = size
        super().__init__(namespace, parent, name)

    def outgoing(self, frame):
        cut = {b"\x08\x00": _fragments_ipv4, b"\x86\xdd": _fragments_ipv6}.get(frame[12:14])
        return list(cut(frame, self.size))[::-1] if cut else [frame]
