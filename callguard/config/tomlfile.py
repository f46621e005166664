"""Reading a TOML file that a person wrote: bounded, and every failure with the file and the line."""

import re
import tomllib
from pathlib import Path
from typing import Any

from callguard.errors import ConfigurationError

LARGEST_FILE = 1_000_000
"""Bytes; a larger file is not a file of settings or rules."""
DEEPEST = 20
"""Tables and lists in one another: none of ours has half as many, and what reads them later recurses."""


def read_toml(file: Path) -> dict[str, Any]:
    """The file's content. Blocks. Raises ConfigurationError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"cannot be read: {why}", where=str(file), allowed="a readable file"
        ) from error
    if len(content) > LARGEST_FILE:
        raise ConfigurationError("is too large", where=str(file), allowed=f"{LARGEST_FILE} bytes")
    try:
        tree = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("is not UTF-8", where=f"{file}:{line}") from error
    except (ValueError, RecursionError) as error:
        what = str(error) or "nested too deeply"
        line_found = re.search(r" \(at line (\d+), column \d+\)", what)
        where = f"{file}:{line_found[1]}" if line_found else str(file)
        raise ConfigurationError(f"is not TOML: {what}", where=where) from error
    if _is_deeper(tree, DEEPEST):
        raise ConfigurationError("is nested too deeply", where=str(file), allowed=f"{DEEPEST} levels")
    return tree


def _is_deeper(tree: dict[str, Any], levels: int) -> bool:
    """Tell whether a tree has more levels than so many. Without recursion: a dotted key makes thousands."""
    level: list[Any] = [tree]
    for _ in range(levels):
        inner = [values for one in level for values in (one.values() if isinstance(one, dict) else one)]
        level = [one for one in inner if isinstance(one, dict | list)]
    return bool(level)
