"""Archives are read by what they hold; a broken or hostile one is refused, and named."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from callguard.errors import InputError
from callguard.lists.formats import source
from tests.unit.lists.formats.reading import read, read_bytes

NUMBERS = b"2015551234\n2025551234\n"
ADDED = [12015551234, 12025551234]
MANY = "".join(f"201{number * 7919 % 10_000_000:07}\n" for number in range(40_000)).encode()


def zipped(*members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        NUMBERS,
        gzip.compress(NUMBERS),
        gzip.compress(NUMBERS[:15]) + gzip.compress(NUMBERS[15:]),
        zipped(("list.txt", NUMBERS)),
        zipped(("list.txt", NUMBERS), how=zipfile.ZIP_STORED),
        zipped(("a/", b""), ("a/1.txt", NUMBERS[:11]), ("empty.txt", b""), ("2", NUMBERS[11:])),
        zipped(
            ("__MACOSX/._l", b"\x00\x05"), ("a/.DS_Store", b"\x00"), ("ReadMe.txt", b"Hi"), ("l", NUMBERS)
        ),
    ],
)
def test_files_and_archives_give_their_numbers_whatever_their_name(tmp_path: Path, content: bytes) -> None:
    found = read_bytes(tmp_path, content, "lines")
    assert (found.added, found.rejected) == (ADDED, [])
    assert (found.done, found.size) == (len(content), len(content))
    assert found.digest == hashlib.sha256(content).hexdigest()


def test_a_large_archive_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIECE", 10_000)
    monkeypatch.setattr(source, "_COMPRESSED_PIECE", 1000)
    wanted = read_bytes(tmp_path, MANY, "lines").added
    assert len(wanted) == 40_000
    assert read_bytes(tmp_path, zipped(("list.txt", MANY)), "lines").added == wanted
    assert read_bytes(tmp_path, gzip.compress(MANY), "lines").added == wanted


def test_a_zip_with_sizes_after_the_data_is_read(tmp_path: Path) -> None:
    class Stream(io.RawIOBase):
        """Cannot seek back, so that zipfile writes sizes after the data."""

        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("list.txt", NUMBERS)
    assert read_bytes(tmp_path, bytes(stream.data), "lines").added == ADDED


def test_a_rejected_line_of_an_archive_names_the_member_and_its_own_line(tmp_path: Path) -> None:
    content = zipped(("1.txt", NUMBERS), ("2\x1b.txt", b"2035551234\nbad\n"))
    (rejected,) = read_bytes(tmp_path, content, "lines").rejected
    assert (rejected.file, rejected.line, rejected.text) == ("2\ufffd.txt", 2, "bad")


def test_the_oldest_member_dates_an_archive(tmp_path: Path) -> None:
    content = zipped(("416-20261101.csv", NUMBERS), ("905-20261025.csv", NUMBERS))
    assert read_bytes(tmp_path, content, "lines").data_date == date(2026, 10, 25)


def encrypted() -> bytes:
    """The flag alone: what follows it does not matter."""
    content = bytearray(zipped(("list.txt", NUMBERS)))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    return bytes(content)


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("list.txt"), io.BytesIO())
    return content.getvalue()


def wrong_checksum() -> bytes:
    content = bytearray(zipped(("list.txt", NUMBERS), how=zipfile.ZIP_STORED))
    content[content.index(b"2015551234")] = ord("3")
    return bytes(content)


def overlapping() -> bytes:
    """Two entries of the directory for the same data, large enough to exceed the file."""
    content = zipped(("a", os.urandom(3000)))
    directory = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[directory:end]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(entry), directory, 0)
    return content[:directory] + entry * 2 + tail


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(MANY)[:-9], "cannot be read to its end"),
        (gzip.compress(MANY)[:-8] + b"\x00" * 8, "cannot be read to its end"),
        (gzip.compress(NUMBERS) + b"rubbish", "cannot be read to its end"),
        (zipped(("list.txt", MANY))[:-30], "cannot be read to its end"),
        (wrong_checksum(), "its checksum is wrong"),
        (encrypted(), "encrypted"),
        (overlapping(), "overlap"),
        (zipped(("list.txt", NUMBERS), how=zipfile.ZIP_BZIP2), "cannot be read .method 12."),
        (zipped(("inner.zip", zipped(("list.txt", NUMBERS)))), "an archive in an archive"),
        (zipped(("inner.gz", gzip.compress(NUMBERS))), "an archive in an archive"),
        (gzip.compress(gzip.compress(NUMBERS)), "an archive in an archive"),
        (gzip.compress(tarred()), "an archive in an archive"),
        (tarred(), "a tar archive: cannot be read"),
        (bz2.compress(NUMBERS), "bzip2: cannot be read"),
        (lzma.compress(NUMBERS), "xz: cannot be read"),
        (zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")), "a spreadsheet"),
        (zipped(("readme.txt", b"Hi")), "the archive holds no list"),
        (zipped(), "the archive holds no list"),
        (gzip.compress(b""), "the file is empty"),
        (zipped(("list.txt", b"")), "the file is empty"),
        (b"\x00\x01\x02" * 100, "NUL bytes"),
    ],
)
def test_a_broken_or_unknown_file_is_refused_by_name(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as refused:
        read_bytes(tmp_path, content, "lines")
    assert str(refused.value.where).startswith(str(tmp_path / "list.txt"))


@pytest.mark.parametrize("packed", [gzip.compress, lambda data: zipped(("list.txt", data))])
def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, packed: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LARGEST_RATIO", 100)  # else it would take some 400 MB
    with pytest.raises(InputError, match="a bomb"):
        read_bytes(tmp_path, packed(b"\n" * (16 << 20)), "lines")


def test_one_number_over_and_over_is_no_bomb(tmp_path: Path) -> None:
    assert len(read_bytes(tmp_path, gzip.compress(NUMBERS * 300_000), "lines").added) == 600_000


def test_more_than_the_largest_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST_CONTENT", 1000)
    with pytest.raises(InputError, match="too large"):
        read_bytes(tmp_path, gzip.compress(MANY), "lines")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, what in ((pipe, "not a file"), (tmp_path, "not a file"), (tmp_path / "gone", "No such file")):
        with pytest.raises(InputError, match=what):
            read(path, "lines")
