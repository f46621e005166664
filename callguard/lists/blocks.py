"""The codec of registry lists: which numbers of a list fall into one block, as a few bytes. Pure.

A number is the integer of its E.164 digits. A list has one block size; block b holds the numbers from
b * size to (b + 1) * size - 1, and is stored only if there are any. Its first byte says how the rest is to be
read:

    0   bitmap: a bit for each offset, the first one the highest bit of the first byte, as Redis GETBIT counts
    1   the offsets in rising order, two bytes each, little-endian     (sizes up to 65,536)
    2   the offsets in rising order, three bytes each, little-endian   (larger sizes)

The shorter of bitmap and offsets is taken; where they are equally long (625 offsets of two bytes in a block
of 10,000), the bitmap. Without the type byte such a block could be read in two ways.

Dense lists take blocks of 10,000, sparse ones larger blocks, of which each costs Redis and SQL some hundred
bytes of its own. This module reads and writes one block; packing.py does millions at a time, the same way.
"""

from collections.abc import Sequence
from itertools import pairwise

SIZES = (10_000, 65_536, 1_000_000)
"""The block sizes in use."""
LARGEST_NUMBER = 10**15 - 1
"""E.164 has at most 15 digits."""

BITMAP, OFFSETS_16, OFFSETS_24 = 0, 1, 2


class BadBlock(ValueError):
    """Bytes that are not a block of the size."""


def number_of(e164: str) -> int:
    """The integer of an E.164 number with or without its plus sign."""
    return int(e164.removeprefix("+"))


def bitmap_length(size: int) -> int:
    """Bytes of a bitmap, without the type byte."""
    return -(-size // 8)


def offset_width(size: int) -> int:
    """Bytes of one offset in a block of the size."""
    return 2 if size <= 1 << 16 else 3


def encode(offsets: Sequence[int], size: int) -> bytes:
    """The block that holds these offsets: rising, each once, at least one, all below the size.

    Raises ValueError for others.
    """
    rising = all(one < other for one, other in pairwise(offsets))
    if not offsets or not rising or not (offsets[0] >= 0 and offsets[-1] < size):
        raise ValueError(f"offsets of a block rise, from 0 to {size - 1}")
    width = offset_width(size)
    if len(offsets) * width < bitmap_length(size):
        kind = OFFSETS_16 if width == 2 else OFFSETS_24
        return bytes([kind]) + b"".join(offset.to_bytes(width, "little") for offset in offsets)
    bitmap = bytearray(bitmap_length(size))
    for offset in offsets:
        bitmap[offset >> 3] |= 0x80 >> (offset & 7)
    return bytes([BITMAP]) + bytes(bitmap)


def contains(block: bytes, offset: int, size: int) -> bool:
    """Tell whether a block holds an offset (0 <= offset < size). Raises BadBlock for what is none."""
    # The most frequent kind comes first, for a call is checked against several lists.
    if len(block) == 1 + (size + 7) // 8 and block[0] == BITMAP:
        return bool(block[1 + (offset >> 3)] & 0x80 >> (offset & 7))
    kind_of(block, size)
    width = offset_width(size)
    low, high = 0, (len(block) - 1) // width
    while low < high:
        middle = (low + high) // 2
        start = 1 + middle * width
        found = int.from_bytes(block[start : start + width], "little")
        if found == offset:
            return True
        if found < offset:
            low = middle + 1
        else:
            high = middle
    return False


def decode(block: bytes, size: int) -> list[int]:
    """The offsets that a block holds, rising. Raises BadBlock for what is no such block, or out of order."""
    kind = kind_of(block, size)
    if kind == BITMAP:
        offsets = [
            8 * index + bit
            for index, byte in enumerate(block[1:])
            if byte
            for bit in range(8)
            if byte & 0x80 >> bit
        ]
    else:
        width = offset_width(size)
        offsets = [int.from_bytes(block[at : at + width], "little") for at in range(1, len(block), width)]
    rising = all(one < other for one, other in pairwise(offsets))
    if not offsets or not rising or offsets[-1] >= size:
        raise BadBlock("its offsets are not in order, or not in the block")
    return offsets


def kind_of(block: bytes, size: int) -> int:
    """The type byte of a block whose length is right for it. Raises BadBlock if it is not."""
    if not block:
        raise BadBlock("empty")
    kind, length, width = block[0], len(block) - 1, offset_width(size)
    if kind == BITMAP and length == bitmap_length(size):
        return kind
    if kind == (OFFSETS_16 if width == 2 else OFFSETS_24) and length and length % width == 0:
        return kind
    raise BadBlock(f"type {kind} with {length} bytes is no block of {size}")
