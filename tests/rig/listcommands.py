"""What tests of `callguard list` share: a file of changes, numbers, and what a command said."""

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]
Write = Callable[..., Path]

ONE, TWO, THREE = "+12125550101", "+12125550102", "+13055550103"

CHANGES = """
kind = "delimited"
international = true
number = 2
[action]
column = 1
add = ["A"]
remove = ["D"]
"""
"""The mapping of a file that says what it adds and removes: A,+1... and D,+1..."""


def done(result: Result) -> str:
    """What a command said that did what it should, and warned of nothing."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(result: Result, *words: str) -> None:
    """The input was refused, in these words."""
    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.stderr
