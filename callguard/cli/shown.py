"""Entries, exemptions and their changes as text, tables and JSON."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from callguard.cli.tables import table
from callguard.lists.model import Change, Word
from callguard.screening.model import Entry, Exemption


def word_line(word: Word) -> str:
    """An entry or exemption on one line."""
    told = f"{word.category if isinstance(word, Entry) else word.kind}, {binds(word)}"
    if word.purposes:
        told += f", {', '.join(word.purposes)}"
    if isinstance(word, Exemption) and word.starts_at > word.added_at:
        told += f", from {local(word.starts_at)}"
    if word.expires_at is not None:
        told += f", until {local(word.expires_at)}"
    if isinstance(word, Exemption) and word.once:
        told += ", for one call"
    about = word.reason if isinstance(word, Entry) else word.evidence
    return f"{told}, {about}" if about else told


def binds(word: Word) -> str:
    """Whose calls it is about."""
    return "the whole company" if word.project is None else f"project {word.project}"


def local(at: datetime) -> str:
    """An instant by this computer's clock."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def expired(word: Word) -> bool:
    """Tell whether it is no longer in force."""
    return word.expires_at is not None and word.expires_at <= datetime.now(UTC)


def word_row(word: Word) -> dict[str, Any]:
    """An entry or exemption for JSON."""
    row: dict[str, Any] = {"id": word.id, "number": word.number}
    if isinstance(word, Entry):
        row |= {"category": word.category, "project": word.project, "purposes": list(word.purposes)}
        row |= {"reason": word.reason}
    else:
        row |= {"kind": str(word.kind), "project": word.project, "purposes": list(word.purposes)}
        row |= {"evidence": word.evidence, "reference": word.reference}
    row |= {"source": word.source, "added_by": word.added_by, "added_at": word.added_at.isoformat()}
    if isinstance(word, Exemption):
        row |= {"starts_at": word.starts_at.isoformat(), "once": word.once}
    return row | {
        "expires_at": word.expires_at.isoformat() if word.expires_at else None,
        "expired": expired(word),
    }


def change_row(change: Change) -> dict[str, Any]:
    """A change for JSON: with `entry` or with `exemption`."""
    return {
        "position": change.position,
        "at": change.at.isoformat(),
        "who": change.who,
        "why": change.why,
        "action": str(change.action),
        "entry" if isinstance(change.word, Entry) else "exemption": word_row(change.word),
    }


def print_words(
    number: str, entries: Sequence[Entry], exemptions: Sequence[Exemption], history: Sequence[Change]
) -> None:
    """Show tables of what is in force, and of every change."""
    if not history and not entries and not exemptions:
        _print(f"{number}: on no internal list, and never was")
        return
    if entries:
        _table(
            f"{number}: entries",
            ("id", "number", "category", "binds", "purposes", "expires", "reason", "source"),
            (_entry_cells(entry) for entry in entries),
        )
    else:
        _print(f"{number}: on no internal list now")
    print_exemptions(number, exemptions)
    print_history(history)


def print_exemptions(number: str, exemptions: Sequence[Exemption]) -> None:
    """Show a table of exemptions, if there are any."""
    headings = ("id", "kind", "covers", "purposes", "starts", "expires", "evidence", "reference", "by")
    if exemptions:
        _table(f"{number}: exemptions", headings, map(_exemption_cells, exemptions))


def print_history(history: Sequence[Change]) -> None:
    """Show a table of changes, if there are any."""
    if history:
        _table("history", ("position", "at", "who", "did", "what", "why"), map(_change_cells, history))


def _entry_cells(entry: Entry) -> list[str]:
    cells = [str(entry.id), entry.number, entry.category, binds(entry), _purposes(entry)]
    return [*cells, _expiry(entry), entry.reason, entry.source]


def _exemption_cells(exemption: Exemption) -> list[str]:
    cells = [str(exemption.id), str(exemption.kind), binds(exemption), _purposes(exemption)]
    cells += [local(exemption.starts_at), _expiry(exemption)]
    return [*cells, exemption.evidence, exemption.reference, exemption.added_by]


def _change_cells(change: Change) -> list[str]:
    word = change.word
    if isinstance(word, Entry):
        what = f"entry {word.id}: {word.category}, {binds(word)}"
    else:
        what = f"exemption {word.id}: {word.kind}, {binds(word)}"
    return [str(change.position), local(change.at), change.who, str(change.action), what, change.why]


def _purposes(word: Word) -> str:
    return ", ".join(word.purposes) or "as the rules say"


def _expiry(word: Word) -> str:
    told = "never" if word.expires_at is None else local(word.expires_at)
    if isinstance(word, Exemption) and word.once:
        told += ", or the first call"
    return f"{told} (expired)" if expired(word) else told


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    narrow = ("id", "kind", "number", "did")
    # For a file or a pager: a line a row, however wide.
    click.echo(table(headings, rows, title=title, narrow=narrow, width=10_000), nl=False)


def _print(line: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - likewise

    Console().print(line, markup=False, highlight=False)
