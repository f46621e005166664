"""The numbers in the XML files of the registries of the US and Canada.

    <list type="full" level="all" val=""><ac val="416"><ph val="1234567"/>...</ac></list>

Canada's published example is not well-formed (<list .../> and then its content), some US files leave <ac> out
and have the area code in the list's val, and numbers below 1,000,000 lack their zeros. So this is no parser
of XML: it knows these three tags, reads them as a stream, and rejects whatever else there is. There are no
entities, and a DOCTYPE ends it. A text that ends within a list or an area code was cut off, and is refused.
"""

import re
from bisect import bisect_right
from datetime import date

import numpy as np

from callguard.errors import InputError
from callguard.lists.formats.cutting import LONGEST_LINE, TooLong
from callguard.lists.formats.dates import date_in
from callguard.lists.formats.rows import Found
from callguard.lists.formats.written import Rejects, WrittenNumbers

_LOCAL_DIGITS = 7

# No possessive repeats of groups: CPython before 3.11.5 moves on after a repeat that failed (gh-106052).
_NUMBERS = re.compile(
    rb"""(?:\s*+<ph\s+val\s*=\s*(?:'[0-9]{1,7}'|"[0-9]{1,7}")\s*(?:/>|>\s*</ph\s*>)){1,2000}""",
    re.IGNORECASE,
)
_DIGITS = re.compile(rb"[0-9]+")
_TAG = re.compile(
    rb"""<(/?)(list|ac|ph)((?:\s++[\w:.-]++\s*+=\s*+(?:'[^'<>]*+'|"[^"<>]*+"))*)\s*+/?>""", re.IGNORECASE
)
_ATTRIBUTE = re.compile(rb"""([\w:.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")""")
_SPACE = re.compile(rb"\s*")
_DECLARATION = re.compile(rb"<\?[^<>]*\?>")


class XmlParser:
    """Reads the parts of one XML text, one after the other."""

    def __init__(self, written: WrittenNumbers) -> None:
        self._written = written
        self._list_area = b""
        self._area = b""
        self._rest = b""
        self._begun = False
        self._open: set[bytes] = set()
        """The tags list and ac that wait for their end; <list ... /> does not."""
        self._half_tag = False
        self.data_date: date | None = None

    def parse(self, data: bytes) -> Found:
        """The numbers of the next part. Raises TooLong, or InputError without its place."""
        lines = data.count(b"\n")
        before = self._rest.count(b"\n")
        data, self._rest = self._rest + data, b""
        rejects = Rejects()
        texts: list[bytes] = []
        runs: list[tuple[int, int]] = []
        at = 0
        while (at := _end(_SPACE, data, at)) < len(data):
            if self._area and (found := _NUMBERS.match(data, at)):
                runs.append((len(texts), at))
                area = self._area
                texts += [area + digits.rjust(_LOCAL_DIGITS, b"0") for digits in _DIGITS.findall(found[0])]
            elif found := _TAG.match(data, at):
                runs.append((len(texts), at))
                why = self._tag(found, texts)
                if why:
                    rejects.add(data.count(b"\n", 0, at) + 1 - before, _text(found[0]), why)
            elif data.startswith(b"<!--", at):
                end = data.find(b"-->", at + 4)
                if end < 0:
                    self._rest = data[at:]
                    break
                at = end + 3
                continue
            elif found := _DECLARATION.match(data, at):
                pass
            else:
                end = data.find(b"<", at + 1)
                unknown = data[at : end if end > 0 else len(data)]
                self._half_tag = end < 0 and unknown.startswith(b"<")
                if unknown[:9].upper().startswith((b"<!DOCTYPE", b"<!ENTITY")):
                    raise InputError("a DOCTYPE", allowed="the tags list, ac and ph")
                rejects.add(data.count(b"\n", 0, at) + 1 - before, _text(unknown), "not a list, ac or ph")
                at += len(unknown)
                continue
            at = found.end()
        if len(self._rest) > LONGEST_LINE:
            raise TooLong

        def rejected(index: int, why: str) -> None:
            place = runs[bisect_right(runs, index, key=lambda run: run[0]) - 1][1]
            rejects.add(data.count(b"\n", 0, place) + 1 - before, _text(texts[index]), why)

        numbers = self._written.many([_text(text) for text in texts], rejected)
        rejects.lines.sort(key=lambda reject: reject.line)
        return Found(numbers[numbers != 0], np.zeros(0, np.uint64), rejects, lines)

    def finish(self) -> Found:
        """The end of the last line. Raises InputError if the text ends before its list does."""
        if self._rest:
            raise InputError("a comment that has no end", allowed="a whole file")
        if not self._begun:
            raise InputError("there is no list in it", allowed="a whole file")
        if self._open or self._half_tag:
            what = "a list that has no end" if self._open else "a tag that has no end"
            raise InputError(f"{what}: the file was cut off", allowed="a whole file")
        return Found(np.zeros(0, np.uint64), np.zeros(0, np.uint64), Rejects(), 1)

    def _tag(self, found: re.Match[bytes], texts: list[bytes]) -> str:
        """Take a tag into account, and its number to the texts; what is wrong with it, or nothing."""
        closing, name, attributes = found[1], found[2].lower(), found[3]
        if closing:
            self._open = set() if name == b"list" else self._open - {name}
            self._list_area = b"" if name == b"list" else self._list_area
            self._area = self._area if name == b"ph" else self._list_area
            return ""
        values = {one[1].lower(): one[2] or one[3] or b"" for one in _ATTRIBUTE.finditer(attributes)}
        value = values.get(b"val", b"").strip()
        if name != b"ph" and not found[0].endswith(b"/>"):
            self._open.add(name)
        if name == b"list":
            self._begin_list(values.get(b"type", b"full"), values.get(b"date", b""))
            self._list_area = self._area = value if _is_area(value) else b""
        elif name == b"ac":
            self._area = value if _is_area(value) else b""
            return "" if self._area else "not an area code"
        elif not value.isdigit():
            return "not a number"
        elif len(value) > _LOCAL_DIGITS:
            texts.append(value)
        elif self._area:
            texts.append(self._area + value.rjust(_LOCAL_DIGITS, b"0"))
        else:
            return "a number without an area code"
        return ""

    def _begin_list(self, kind: bytes, dated: bytes) -> None:
        if kind.lower() != b"full":
            raise InputError(f"a list of type {_text(kind)!a}", allowed="full lists")
        self._begun = True
        self.data_date = date_in(_text(dated)) or self.data_date


def _is_area(value: bytes) -> bool:
    return value.isdigit() and len(value) == 3


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at


def _text(found: bytes) -> str:
    return found[:LONGEST_LINE].decode("utf-8", "replace")
