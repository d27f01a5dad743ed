"""VLAN interfaces: a TAP whose frames are sent on another device with a tag, and the other way.

The kernel's own VLAN interfaces do the same, but not every kernel has them.
"""

import fcntl
import os
import select
import socket
import struct
import threading

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002
_PACKET_AUXDATA = 8
_SOL_PACKET = 263
_VLAN_VALID = 0x10
_OUTGOING = 4


class VlanDevice:
    """An interface of one VLAN on a device of a namespace, with the device's address and MTU."""

    def __init__(self, namespace, parent, vlan, mtu=1500):
        self.name = f"{parent}.{vlan}"
        self.vlan = vlan
        with namespace.enter():
            self._tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self._tap, _TUNSETIFF, struct.pack("16sH", self.name.encode(),
                                                           _IFF_TAP_NO_PI))
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._wire.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self._wire.bind((parent, 0))
        self._wire.setblocking(False)
        namespace.run("ip", "link", "set", self.name, "address", namespace.mac(parent),
                      "mtu", str(mtu))
        namespace.link(self.name, "up")
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def _to_wire(self):
        frame = os.read(self._tap, 65536)
        tag = struct.pack("!HH", 0x8100, self.vlan)
        self._wire.send(frame[:12] + tag + frame[12:])

    def _from_wire(self):
        frame, ancillary, _, address = self._wire.recvmsg(65536, 256)
        if address[2] == _OUTGOING:
            return
        for level, kind, data in ancillary:
            if level != _SOL_PACKET or kind != _PACKET_AUXDATA:
                continue
            status, tci = struct.unpack_from("=I", data)[0], struct.unpack_from("=H", data, 16)[0]
            if status & _VLAN_VALID and tci & 0xFFF == self.vlan:
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
