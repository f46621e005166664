"""Reads a made file whole, for the tests of this folder."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from callguard.lists.formats.builtin import FORMATS
from callguard.lists.formats.layout import Layout
from callguard.lists.formats.reading import Rejected, open_numbers


@dataclass(frozen=True)
class Whole:
    """All that a file gave."""

    added: list[int]
    removed: list[int]
    rejected: list[Rejected]
    lines: int
    done: int
    size: int
    digest: str
    data_date: date | None

    @property
    def reasons(self) -> dict[int, str]:
        return {one.line: one.why for one in self.rejected}


def read(path: Path, layout: Layout | str, region: str = "US") -> Whole:
    """Everything in the file at `path`."""
    added: list[int] = []
    removed: list[int] = []
    rejected: list[Rejected] = []
    lines = done = 0
    known = FORMATS[layout] if isinstance(layout, str) else layout
    with open_numbers(path, known, region=region) as file:
        for parsed in file:
            added += parsed.added.tolist()
            removed += parsed.removed.tolist()
            rejected += parsed.rejected
            lines += parsed.lines
            assert parsed.done >= done
            done = parsed.done
        return Whole(added, removed, rejected, lines, done, file.size, file.digest, file.data_date)


def read_bytes(folder: Path, content: bytes, layout: Layout | str, region: str = "US") -> Whole:
    """Everything in a file of this content."""
    path = folder / "list.txt"
    path.write_bytes(content)
    return read(path, layout, region)
