"""An ear and a mouth for RTP: is there sound, how many packets, which DTMF digits (RFC 4733)."""

import contextlib
import math
import socket
import struct
import threading
import time
from dataclasses import dataclass

PCMU = 0
TELEPHONE_EVENT = 101
DIGITS = "0123456789*#ABCD"
FRAME_SECONDS = 0.02
_SAMPLES = 160
_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")


def _linear(code: int) -> int:
    """A mu-law byte as a linear sample (ITU-T G.711)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


def _mu_law(sample: int) -> int:
    """A linear sample as the nearest mu-law byte."""
    return min(range(256), key=lambda code: abs(_linear(code) - sample))


_LOUDNESS = tuple(_linear(code) ** 2 for code in range(256))
_TONE = bytes(_mu_law(round(8000 * math.sin(2 * math.pi * 400 * n / 8000))) for n in range(_SAMPLES))
"""A frame of 400 Hz, which is whole periods."""
AUDIBLE = 300.0
"""Root mean square above which a frame is not silence; full scale is 32124."""


@dataclass(frozen=True)
class Heard:
    """What was received so far."""

    packets: int
    audible: int
    """Frames that are not silence."""
    digits: str
    """DTMF digits, each once, when it has ended."""


class Ear:
    """A UDP port that SDP may point to. It listens from the beginning; it can speak, too."""

    def __init__(self, host: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.port = int(self._socket.getsockname()[1])
        self._lock = threading.Lock()
        self._heard = Heard(0, 0, "")
        self._last_event: int | None = None
        self._sequence = 0
        self._timestamp = 0
        self._thread = threading.Thread(target=self._listen, name=f"ear {host}:{self.port}", daemon=True)
        self._thread.start()

    @property
    def heard(self) -> Heard:
        with self._lock:
            return self._heard

    def forget(self) -> None:
        """Begin anew, for another call."""
        with self._lock:
            self._heard = Heard(0, 0, "")

    def close(self) -> None:
        """Stop listening."""
        # The shutdown wakes the thread; a UDP socket without a peer complains, and does it all the same.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _listen(self) -> None:
        while packet := self._socket.recv(2048):
            if len(packet) <= _HEADER.size:
                continue
            kind = packet[1] & 0x7F
            timestamp = _HEADER.unpack_from(packet)[3]
            with self._lock:
                self._heard = self._take(kind, timestamp, packet[_HEADER.size :])

    def _take(self, kind: int, timestamp: int, payload: bytes) -> Heard:
        was = self._heard
        if kind == PCMU:
            mean = sum(_LOUDNESS[byte] for byte in payload) / len(payload)
            return Heard(was.packets + 1, was.audible + (mean > AUDIBLE**2), was.digits)
        if kind == TELEPHONE_EVENT and len(payload) >= _EVENT.size:
            event, flags, _ = _EVENT.unpack_from(payload)
            ended = bool(flags & 0x80)
            # The end of an event is sent three times, with one timestamp.
            if ended and timestamp != self._last_event and event < len(DIGITS):
                self._last_event = timestamp
                return Heard(was.packets + 1, was.audible, was.digits + DIGITS[event])
        return Heard(was.packets + 1, was.audible, was.digits)

    def speak(self, to: tuple[str, int], seconds: float) -> None:
        """Send a tone, in real time."""
        for _ in range(round(seconds / FRAME_SECONDS)):
            self._send(to, PCMU, self._timestamp, _TONE)
            self._timestamp += _SAMPLES
            time.sleep(FRAME_SECONDS)

    def press(self, to: tuple[str, int], digits: str) -> None:
        """Send DTMF digits as telephone events of 100 ms, in real time."""
        for digit in digits:
            event = DIGITS.index(digit)
            for frame in range(1, 6):
                payload = _EVENT.pack(event, 10, frame * _SAMPLES)
                self._send(to, TELEPHONE_EVENT, self._timestamp, payload, marker=frame == 1)
                time.sleep(FRAME_SECONDS)
            for _ in range(3):
                self._send(to, TELEPHONE_EVENT, self._timestamp, _EVENT.pack(event, 0x80 | 10, 5 * _SAMPLES))
            self._timestamp += 5 * _SAMPLES
            self.speak(to, 0.1)

    def _send(
        self, to: tuple[str, int], kind: int, timestamp: int, payload: bytes, *, marker: bool = False
    ) -> None:
        header = _HEADER.pack(0x80, (marker << 7) | kind, self._sequence & 0xFFFF, timestamp, 0x0CA11)
        self._sequence += 1
        self._socket.sendto(header + payload, to)
