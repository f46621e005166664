"""Cuts a stream of bytes where a line, a quoted row or a tag ends, so that each part can be read alone."""

from collections.abc import Iterator
from enum import Enum

LONGEST_LINE = 64 << 10
"""Bytes of a line, a row or a tag."""


class Ends(Enum):
    """What ends a part."""

    LINE = "line"
    ROW = "row"
    """A line whose end is not within quotes."""
    TAG = "tag"


class TooLong(Exception):
    """A line, row or tag goes on and on."""


def cut(pieces: Iterator[bytes], ends: Ends) -> Iterator[bytes]:
    """The same bytes in parts, each of which ends as told; the last one ends where the stream does.

    Raises TooLong where more than LONGEST_LINE bytes have no end.
    """
    rest = b""
    for piece in pieces:
        data = piece
        if ends is Ends.ROW and (b'"' in rest or b'"' in piece):
            data, rest = rest + piece, b""  # quotes count from where the last row ended
        end = _end(data, ends)
        if end:
            # The one copy of all the bytes that is made here.
            yield b"".join((rest, memoryview(data)[:end]))
            rest = data[end:]
        else:
            rest += data
        if len(rest) > LONGEST_LINE:
            raise TooLong
    if rest:
        yield rest


def _end(data: bytes, ends: Ends) -> int:
    """Where the last whole line, row or tag ends; 0 if none does."""
    if ends is Ends.TAG:
        return data.rfind(b">") + 1
    end = _line_end(data, len(data))
    if ends is Ends.LINE or b'"' not in data:
        return end
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2 and len(data) - end <= LONGEST_LINE:
        before = _line_end(data, end - 1)
        quotes -= data.count(b'"', before, end)
        end = before
    return 0 if quotes % 2 else end


def _line_end(data: bytes, before: int) -> int:
    """Where the last whole line ends. A carriage return at the very end may be half of a line end."""
    newline = data.rfind(b"\n", 0, before) + 1
    return max(newline, data.rfind(b"\r", newline, before - 1) + 1 if before else 0)
