"""What a spreadsheet puts around a number is taken off it, and nothing else."""

import pytest

from callguard.lists.spreadsheet import as_meant


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("'0812", "0812"),
        (' ="0812" ', "0812"),
        ('=" 0812"', "0812"),
        ('\'="0812"', "0812"),
        ("6281234567.0", "6281234567"),
        ("+6281234567.00", "+6281234567"),
        ('="6281234567.0"', "6281234567"),
        ("'6281234567.0", "6281234567"),
        ('=""', ""),
        ("'", ""),
    ],
)
def test_the_number_is_what_was_meant(cell: str, meant: str) -> None:
    assert as_meant(cell) == meant


@pytest.mark.parametrize(
    "cell", ["021.00", "0812.3456.00", "6281234567.000", "6281234567.5", '="0812', '0812"', "''0812", "=0812"]
)
def test_what_may_be_part_of_a_number_stays(cell: str) -> None:
    assert as_meant(cell) == cell.removeprefix("'")


def test_a_calling_code_may_be_short() -> None:
    assert as_meant("62.0", fewest_digits=1) == "62"
