"""The bytes of a registry's file: plain, gzip or zip, told apart by what it holds, not by its name.

Bad archives and bombs end in InputError, which names the file and, in a zip, the member.
"""

import codecs
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from isal import igzip, isal_zlib

from callguard.errors import InputError
from callguard.lists.unchanged import Unchanged

PIECE = 4 << 20
"""Bytes at a time."""
_COMPRESSED_PIECE = 1 << 20

LARGEST_CONTENT = 64 << 30
"""Bytes of a file, unpacked."""
LARGEST_RATIO = 1000
"""Times the packed size that the unpacked may be; deflate's limit is 1032, which only a bomb comes near."""
_RATIO_MATTERS = 10 << 20
"""Bytes that may be unpacked whatever the ratio: a file of one number, repeated, packs well."""
_MOST_MEMBERS = 0xFFFE

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OTHERS = (
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"Rar!", "RAR"),
    (b"\x1f\x9d", "compress"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet"),
    (b"%PDF", "PDF"),
)
_READABLE = "text, or text in .gz or .zip"

_UNPACKING = cast(type[Exception], isal_zlib.error)
_BROKEN = (OSError, EOFError, BadZipFile, zlib.error, _UNPACKING, ValueError, NotImplementedError)

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_END_OF_ZIP = struct.Struct("<4s6xH10x")


@dataclass(frozen=True, slots=True)
class Content:
    """One text in a file: the file itself, or a member of an archive."""

    member: str
    """Its name in the archive; else empty."""
    pieces: Iterator[bytes]
    encoding: str
    """Of the pieces: UTF-8, or another that has ASCII's bytes for ASCII."""


class Source:
    """A file opened for reading. Its methods raise InputError for what cannot be read."""

    def __init__(self, path: Path, encoding: str = "utf-8") -> None:
        self._path = path
        self._encoding = encoding
        self._unpacked = 0
        self._taken = 0
        self._beside = 0
        try:
            if not path.is_file():  # before it is opened: a pipe would make us wait for its writer
                path.stat()
                raise InputError("not a file", where=str(path), allowed="a file: it is read twice")
            self._file: BinaryIO = path.open("rb")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"cannot be read: {why}", where=str(path), allowed="a readable file") from error
        self._unchanged = Unchanged(self._file.fileno(), str(path))
        self.size: int = os.fstat(self._file.fileno()).st_size

    @property
    def done(self) -> int:
        """Bytes of the file read so far."""
        return min(self._taken + self._beside, self.size)

    def read_at(self, place: int, into: bytearray) -> int:
        """Fill a buffer with bytes of the file as it lies on the disk, as far as there are; how many. By any
        thread."""
        return os.preadv(self._file.fileno(), [into], place)

    def check_unchanged(self) -> None:
        """Raises InputError if somebody wrote to the file since it was opened."""
        self._unchanged.check()

    def close(self) -> None:
        self._file.close()

    def members(self) -> tuple[str, ...]:
        """The names of the members that a zip archive holds numbers in; empty for other files."""
        return tuple(member.filename for member in self._members()) if self._head() in _ZIP else ()

    def contents(self) -> Iterator[Content]:
        """Each text of the file, in order. One's pieces must be read before the next is asked for."""
        head = self._head()
        if not head:
            raise InputError("the file is empty", where=str(self._path))
        if head in _ZIP:
            yield from self._zip()
        elif head.startswith(_GZIP):
            yield self._text("", self._gzip(), packed=True)
        else:
            yield self._text("", self._plain(), packed=False)

    def place(self, member: str) -> str:
        """The name of the file, or of a member in it, for messages."""
        return f"{self._path}: {printable(member)}" if member else str(self._path)

    def _head(self) -> bytes:
        self._file.seek(0)
        return self._file.read(4)

    # --- unpacking ----------------------------------------------------------------------------------------

    def _plain(self) -> Iterator[bytes]:
        self._file.seek(0)
        with self._errors(""):
            while piece := self._file.read(PIECE):
                self._taken += len(piece)
                yield self._counted(piece, "")

    def _gzip(self) -> Iterator[bytes]:
        self._file.seek(0)
        with self._errors(""), igzip.IGzipFile(fileobj=self._file) as unpacked:  # type: ignore[no-untyped-call]
            while piece := unpacked.read(PIECE):
                self._taken = self._file.tell()
                yield self._counted(piece, "")
            self._taken = self.size

    def _zip(self) -> Iterator[Content]:
        members = self._members()
        self._beside = self.size - sum(member.compress_size for member in members)
        if self._beside < 0:
            raise InputError("members that overlap: a zip bomb", where=str(self._path), allowed=_READABLE)
        for member in members:
            yield self._text(member.filename, self._member(member), packed=True)

    def _members(self) -> list[ZipInfo]:
        with self._errors(""):
            self._check_count()
            with ZipFile(self._file) as archive:
                members = archive.infolist()
        if any(member.filename == "[Content_Types].xml" for member in members):
            raise InputError("a spreadsheet", where=str(self._path), allowed="the sheet, saved as CSV")
        wanted = [member for member in members if not _is_beside(member)]
        if not wanted:
            raise InputError("the archive holds no list", where=str(self._path), allowed="a text file in it")
        return wanted

    def _check_count(self) -> None:
        """Refuse a directory that would take hundreds of megabytes in memory, before it is read."""
        self._file.seek(max(0, self.size - 0xFFFF - _END_OF_ZIP.size))
        end = self._file.read()
        place = end.rfind(b"PK\x05\x06")
        if 0 <= place <= len(end) - _END_OF_ZIP.size:
            count = _END_OF_ZIP.unpack_from(end, place)[1]
            if count > _MOST_MEMBERS:
                raise BadZipFile(f"more than {_MOST_MEMBERS} members")

    def _member(self, member: ZipInfo) -> Iterator[bytes]:
        """The bytes of a member. zipfile finds it; ISA-L unpacks it, at several times zlib's speed."""
        name = member.filename
        if member.flag_bits & 0x1:
            raise InputError("encrypted", where=self.place(name), allowed="an archive without a password")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            how = f"compressed in a way that cannot be read (method {member.compress_type})"
            raise InputError(how, where=self.place(name), allowed="deflate or none")
        checksum = size = 0
        with self._errors(name):
            packed = member.compress_type == ZIP_DEFLATED
            for piece in self._inflated(member) if packed else self._raw(member, PIECE):
                checksum = isal_zlib.crc32(piece, checksum)
                size += len(piece)
                yield self._counted(piece, name)
            if size != member.file_size or checksum != member.CRC:
                raise BadZipFile("its checksum is wrong")

    def _raw(self, member: ZipInfo, most: int) -> Iterator[bytes]:
        self._file.seek(member.header_offset)
        signature, name, extra = _LOCAL_HEADER.unpack(self._exactly(_LOCAL_HEADER.size))
        if signature != _ZIP[0]:
            raise BadZipFile("a member is not where the directory has it")
        self._file.seek(name + extra, 1)
        left = member.compress_size
        while left:
            piece = self._exactly(min(most, left))
            left -= len(piece)
            self._taken += len(piece)
            yield piece

    def _inflated(self, member: ZipInfo) -> Iterator[bytes]:
        unpacker = isal_zlib.decompressobj(-zlib.MAX_WBITS)
        for raw in self._raw(member, _COMPRESSED_PIECE):
            packed = raw
            while packed and not unpacker.eof:
                if piece := unpacker.decompress(packed, PIECE):
                    yield piece
                packed = unpacker.unconsumed_tail
        while not unpacker.eof and (piece := unpacker.decompress(b"", PIECE)):
            yield piece
        if not unpacker.eof:
            raise EOFError("it ends before its end")

    def _exactly(self, count: int) -> bytes:
        found = self._file.read(count)
        if len(found) != count:
            raise EOFError("it ends before its end")
        return found

    def _counted(self, piece: bytes, member: str) -> bytes:
        self._unpacked += len(piece)
        if self._unpacked > LARGEST_CONTENT:
            raise InputError("too large", where=self.place(member), allowed=f"{LARGEST_CONTENT} bytes")
        if self._unpacked > _RATIO_MATTERS + LARGEST_RATIO * self._taken:
            what = f"more than {LARGEST_RATIO} times its packed size: a bomb"
            raise InputError(what, where=self.place(member), allowed="a file of numbers")
        return piece

    # --- text ---------------------------------------------------------------------------------------------

    def _text(self, member: str, pieces: Iterator[bytes], *, packed: bool) -> Content:
        first = next(pieces, b"")
        self._check_text(member, first, packed=packed)
        wide = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(first[:2])
        if wide is None and self._encoding.startswith("utf-16"):
            wide = self._encoding
        if wide is not None:
            marked = first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            narrow = self._narrow(member, chain([first[2:] if marked else first], pieces), wide)
            return Content(member, narrow, "utf-8")
        if first.startswith(codecs.BOM_UTF8):
            return Content(member, chain([first[3:]], pieces), "utf-8")
        if first[:4096].count(0) * 4 > len(first[:4096]):
            what = "NUL bytes: binary, or UTF-16 without its mark"
            raise InputError(
                what, where=f"{self.place(member)}:1", allowed="UTF-8, or the mapping's encoding"
            )
        return Content(member, chain([first], pieces), self._encoding)

    def _check_text(self, member: str, first: bytes, *, packed: bool) -> None:
        archive = first.startswith(_GZIP) or first[:4] in _ZIP or first[257:262] == b"ustar"
        if packed and archive:
            raise InputError("an archive in an archive", where=self.place(member), allowed=_READABLE)
        named = [name for magic, name in _OTHERS if first.startswith(magic)]
        if archive or named:
            what = f"{(named or ['a tar archive'])[0]}: cannot be read"
            raise InputError(what, where=self.place(member), allowed=_READABLE)

    def _narrow(self, member: str, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        """UTF-16 as UTF-8."""
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for piece in pieces:
                yield decoder.decode(piece).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise InputError("not UTF-16 throughout", where=self.place(member), allowed="UTF-8") from error

    @contextmanager
    def _errors(self, member: str) -> Iterator[None]:
        """Turns what unpackers raise into InputError."""
        try:
            yield
        except _BROKEN as error:
            what = f"cannot be read to its end: {printable(str(error)) or type(error).__name__}"
            raise InputError(what, where=self.place(member), allowed="a whole, undamaged file") from error


def printable(text: str, longest: int = 80) -> str:
    """Text from a file, fit for a screen and a report."""
    start = text[:longest]
    return "".join(char if char.isprintable() else "\ufffd" for char in start)


def _is_beside(member: ZipInfo) -> bool:
    """Tell whether a member is none of the registry's numbers: a folder, a system's own file, a note."""
    name = member.filename.rpartition("/")[2]
    system = member.filename.startswith("__MACOSX/") or name.startswith(".")
    return member.is_dir() or system or name.lower().startswith("readme")
