"""Records and texts of several lines. Pure.

A quoted text may have line ends in it, as people write reasons and addresses. But a stray quote holds records
together in the same way, and the people in the later ones would be lost.
"""

import re
from collections.abc import Collection, Sequence

from callguard.errors import InputError
from callguard.lists.entrynumbers import EntryNumbers

HIDING = "a record over several lines, of which one alone has another number"

_BREAK = re.compile("\r\n|\r|\n")
_BLANKS = re.compile(r"\s+")


def lines_of(cells: Sequence[str], delimiter: str) -> list[list[str]]:
    """The lines that the cells of a record were written in, each cut as a record of its own."""
    lines: list[list[str]] = [[]]
    for cell in cells:
        first, *rest = _BREAK.split(cell)
        # Only the quotes that hold the lines together kept these delimiters from being some.
        lines[-1] += first.split(delimiter) if rest else [cell]
        lines += [line.split(delimiter) for line in rest]
    return lines


def hides_number(
    lines: Sequence[Sequence[str]], places: Collection[int], numbers: EntryNumbers, own: Collection[str]
) -> bool:
    """Tell whether a line of a record has a number, in one of the places for it, that is not among the
    record's own."""
    cells = (line[place] for line in lines for place in places if 0 <= place < len(line) and line[place])
    for cell in cells:
        try:
            if numbers.read(cell.replace('="', " ").replace('"', " ")) not in own:
                return True
        except InputError:
            continue
    return False


def in_one_line(text: str) -> str:
    """A text with one plain space for white space that is more than plain spaces, such as a tab or a line
    end."""
    if text.isprintable():
        return text
    return _BLANKS.sub(lambda found: found[0] if found[0].isprintable() else " ", text)
