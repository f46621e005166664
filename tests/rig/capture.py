"""When SIP messages cross the loopback interface, by the kernel's own clock."""

import re
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Self

_ALL_PROTOCOLS = 0x0003
_OUTGOING = 4
"""Loopback shows each packet twice, going out and coming in."""
_TIMESTAMPS = 35
"""SO_TIMESTAMPNS, which Python does not name."""
_TIMESPEC = struct.Struct("@qq")
_ETHERNET = 14


@dataclass(frozen=True)
class Invite:
    """A first INVITE of a dialog."""

    at: float
    """Seconds since 1970."""
    source: str
    target: str
    """Address."""
    user: str
    """The number in its URI."""


class Capture:
    """Every INVITE on loopback between start and stop. Needs root."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        self._socket.bind(("lo", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024 * 1024)
        self._socket.settimeout(0.2)
        self._stopped = threading.Event()
        self._packets: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._listen, name="capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                packet, ancillary, _, address = self._socket.recvmsg(4096, 64)
            except TimeoutError:
                continue
            if address[2] == _OUTGOING and b"INVITE sip:" in packet[:60]:
                seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2][: _TIMESPEC.size])
                self._packets.append((seconds + nanoseconds / 1e9, packet))

    def invites(self) -> list[Invite]:
        """In the order of their times. To be read after the capture has ended."""
        found = []
        for at, packet in self._packets:
            user = re.search(rb"INVITE sip:([^@ ]*)@", packet)
            source, target = packet[_ETHERNET + 12 : _ETHERNET + 16], packet[_ETHERNET + 16 : _ETHERNET + 20]
            if user:
                found.append(
                    Invite(at, socket.inet_ntoa(source), socket.inet_ntoa(target), user[1].decode("latin-1"))
                )
        return found
