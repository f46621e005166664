"""Tables for a person to read: they line up, and wrap within their columns."""

from collections.abc import Iterable, Mapping, Sequence

from callguard.cli import one_line

WIDTH = 100
"""Columns of a table that goes to a file or a pager; a terminal's own width on a terminal."""


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    styles: Mapping[str, str] | None = None,
    narrow: Iterable[str] = (),
    width: int = WIDTH,
) -> str:
    """The table as text, with its line end. `styles`: what a cell of just this text is printed in, such as
    red. The columns named in `narrow` do not wrap; the others share what is left of the terminal, or of
    `width` where there is none."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only tables need it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=width)
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    unwrapped = set(narrow)
    for heading in headings:
        made.add_column(heading, no_wrap=heading in unwrapped, overflow="fold")
    for row in rows:
        cells = (one_line(cell) for cell in row)
        made.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in cells))
    with console.capture() as captured:
        console.print(made)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
