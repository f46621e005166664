"""Entries that stand for many numbers: `+6221*` for all that begin so, `+1201XXXXXXX` for those of a length.

An X stands for one digit, and stands at the end only; a * for any digits, or none. Pure.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_NUMBER = 15
"""Digits of an E.164 number."""
SHORTEST_PREFIX = 2
"""Digits before the wildcard: one would be a seventh of the world."""

_PATTERN = re.compile(r"\+(?P<prefix>[1-9][0-9]*)(?P<wild>\*|X+)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """What patterns have in common that are looked up in the same way."""

    prefix: int
    """Digits before the wildcard."""
    wild: int
    """Digits that the wildcard stands for: so many X; 0 for a *, which takes any number of digits."""

    def pattern_for(self, e164: str) -> str | None:
        """The one pattern of this shape that the number matches; None if there can be none."""
        digits = len(e164) - 1
        if self.wild:
            return e164[: self.prefix + 1] + "X" * self.wild if digits == self.prefix + self.wild else None
        return e164[: self.prefix + 1] + "*" if digits >= self.prefix else None


def shape_of(text: str) -> Shape | None:
    """The shape of a pattern; None for text that is none, such as a plain number."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    prefix, wild = len(match["prefix"]), 0 if match["wild"] == "*" else len(match["wild"])
    return Shape(prefix, wild) if SHORTEST_PREFIX <= prefix <= LONGEST_NUMBER - max(1, wild) else None


def matches(entry_number: str, e164: str) -> bool:
    """Tell whether an entry's number, plain or a pattern, stands for a number."""
    if entry_number == e164:
        return True
    shape = shape_of(entry_number)
    return shape is not None and shape.pattern_for(e164) == entry_number


def patterns_for(e164: str, shapes: Iterable[Shape]) -> Iterator[str]:
    """Every pattern of these shapes that the number matches."""
    for shape in shapes:
        if pattern := shape.pattern_for(e164):
            yield pattern


def shape_text(shape: Shape) -> str:
    """A shape in a few characters, as the lists keep it: `4*`, or `4X7`."""
    return f"{shape.prefix}X{shape.wild}" if shape.wild else f"{shape.prefix}*"


def shape_from(text: str) -> Shape:
    """The shape that shape_text wrote. Raises ValueError for other text."""
    prefix, _, wild = text.removesuffix("*").partition("X")
    shape = Shape(int(prefix), int(wild or 0))
    if shape_text(shape) != text:
        raise ValueError(f"not a shape: {text[:20]!a}")
    return shape
