"""The numbers of a list as its file has them, to E.164: clean ones by the million, others one by one.

The invariant: a number gets the form that NumberReader.read_e164 gives it in its region. Only what a
spreadsheet puts around a number is taken off before (see spreadsheet).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event

import numpy as np
import phonenumbers

from callguard.errors import InputError
from callguard.lists.formats.clean import CleanRule
from callguard.lists.formats.layout import Kind, Layout
from callguard.lists.formats.lines import read_lines
from callguard.lists.formats.shapes import Shape, shape_of
from callguard.lists.formats.source import printable
from callguard.lists.packing import Numbers
from callguard.lists.spreadsheet import as_meant
from callguard.numbers import NumberKind, NumberReader

MOST_REJECTED = 100_000
"""In one part of a file: of eight megabytes, it is one line in seven."""

_SEPARATORS = b" \t-()"
"""Those of numbers.py that come in lines by the million."""
_PATTERN = re.compile(r"\+?[0-9]*[Xx*][Xx*0-9]*", re.ASCII)


class Unread(Exception):
    """A text is no number of the list; the message says why."""


class Stopped(Exception):
    """Nobody waits for the rest any more."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is rejected."""

    line: int
    """From 1 in its part of the file."""
    text: str
    why: str


class Rejects:
    """The rejected lines of one part of a file."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, line: int, text: str, why: str) -> None:
        """Raises InputError, with the line as its place, if there are so many that the layout is wrong."""
        if len(self.lines) >= MOST_REJECTED:
            what = f"{MOST_REJECTED} lines here cannot be read, the last one because: {why}"
            raise InputError(what, where=str(line), allowed="a file of the list's layout")
        self.lines.append(Line(line, printable(text), why))


class WrittenNumbers:
    """Reads the numbers of one list's files. May be used by several threads.

    `region` is the list's; numbers of a country with another calling code are refused. `stop` ends long work
    with Stopped. Raises InputError if the layout's region has another calling code than the list's.
    """

    def __init__(self, layout: Layout, region: str, stop: Event) -> None:
        self._layout = layout
        self._region = region
        self._stop = stop
        self._reader = NumberReader(region=layout.region or region)
        self.rule = CleanRule(layout.region or region)
        code = phonenumbers.country_code_for_region(region)
        self._plus_code = f"+{code}"
        if code != self.rule.calling_code:
            raise InputError(
                f"layout {layout.name} has numbers of {layout.region}, the list those of {region}",
                where="layout",
                allowed="a layout of the list's own country",
            )

    def one(self, text: str) -> int:
        """The E.164 digits of one number. Raises Unread."""
        if self._stop.is_set():
            raise Stopped
        text = as_meant(text)
        if _PATTERN.fullmatch(text):
            raise Unread("a pattern, not a number: patterns belong on the internal list")
        if self._layout.international and "+" not in text:
            text = "+" + text
        number = self._reader.read(text)
        if number.kind == NumberKind.EMERGENCY:
            raise Unread("an emergency number")
        if number.e164 is None:
            raise Unread(number.why)
        if not number.e164.startswith(self._plus_code):
            raise Unread(f"a number of {_country(number.e164)}, not of {self._region}")
        return int(number.e164[1:])

    def many(self, texts: list[str], rejected: Callable[[int, str], None]) -> Numbers:
        """The E.164 digits of numbers; 0 for those that are rejected, with index and reason."""
        joined = "\n".join(texts)
        if joined.count("\n") >= len(texts):  # a line end within quotes
            joined = "\n".join(text.replace("\n", "?") for text in texts)
        if not texts:
            return np.zeros(0, np.uint64)
        data = joined.encode()
        found = read_lines(data, self.text_shape, self.rule)
        self.rest(found.numbers, ((index, texts[index]) for index, _ in found.left(data)), rejected)
        return found.numbers

    def rest(
        self,
        numbers: Numbers,
        texts: Iterable[tuple[int, str]],
        rejected: Callable[[int, str], None],
    ) -> None:
        """Read the texts one by one, each into its place in `numbers`."""
        for index, text in texts:
            try:
                numbers[index] = self.one(text)
            except Unread as error:
                rejected(index, str(error))

    # --- lines that are nothing but a number --------------------------------------------------------------

    def text_shape(self, text: bytes) -> Shape | None:
        """The shape of a number's text, with separators: these NumberReader leaves out, too."""
        bare = text.strip(_SEPARATORS)
        plus = bare.startswith(b"+")
        digits = bare[1:] if plus else bare
        if not digits.translate(None, _SEPARATORS).isdigit():
            return None
        return shape_of(text, plus=plus or self._layout.international)

    def line_shape(self, line: bytes) -> Shape | None:
        """The shape of a line that has only the columns of the number, in order, and no quotes."""
        layout = self._layout
        text = line.removesuffix(b"\r")
        if layout.kind == Kind.DELIMITED:
            cells = text.split(layout.delimiter.encode())
            allowed = {len(layout.number), 1} if layout.alone else {len(layout.number)}
            if len(cells) not in allowed or not all(cell.strip(_SEPARATORS) for cell in cells):
                return None
            text = b"".join(cells)
        elif layout.kind == Kind.FIXED and len(text) > layout.width:
            return None
        whole = self.text_shape(text)
        return whole and shape_of(line, plus=whole.plus)


def _country(e164: str) -> str:
    number = phonenumbers.parse(e164)
    region: str | None = phonenumbers.region_code_for_number(number)
    return region or f"calling code {number.country_code}"
