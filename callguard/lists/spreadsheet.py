"""What a spreadsheet puts around a number to keep it, or makes of it, when it exports a table. Pure.

An apostrophe before it or ="..." around it keep its zeros; .0 or .00 behind it come of a number that was
taken for a decimal one.
"""

import re

FEWEST_DIGITS = 7
"""Before .0 or .00, for a telephone number: 021.00 may be the beginning of one."""

_AS_FORMULA = re.compile(r'="([^"]*)"')
_AS_DECIMAL = re.compile(r"(\+?[0-9]+)\.00?", re.ASCII)


def as_meant(cell: str, *, fewest_digits: int = FEWEST_DIGITS) -> str:
    """The text of a cell without these, and without blanks around it."""
    text = cell.strip().removeprefix("'").strip()
    if formula := _AS_FORMULA.fullmatch(text):
        text = formula[1].strip()
    decimal = _AS_DECIMAL.fullmatch(text)
    return decimal[1] if decimal and len(decimal[1].removeprefix("+")) >= fewest_digits else text
