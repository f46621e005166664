"""Which imports into a registry list are refused. Pure; every check raises InputError.

What is looked at before the file is read, after it was read, and once the new generation is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from callguard.errors import InputError
from callguard.lists.registries import Generation

FEW_LINES = 20
"""Of so few lines, a header alone is more than the share that may be rejected."""


class Mode(StrEnum):
    """What becomes of the numbers of a file."""

    REPLACE = "replace"
    """They are the list from now on."""
    APPEND = "append"
    REMOVE = "remove"
    CHANGE = "change"
    """Each line says whether its number is added or removed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an import may do without being asked about it. Raises InputError for what is no percentage."""

    shrink_percent: float
    """By how much of its numbers a list may become smaller."""
    rejected_percent: float = 1.0
    """How much of a file may be of no use; not looked at in files of up to FEW_LINES lines."""
    allow_empty: bool = False
    allow_out_of_order: bool = False

    def __post_init__(self) -> None:
        for option, percent in (("--shrink", self.shrink_percent), ("--rejects", self.rejected_percent)):
            # Of nan every comparison is false: there would be no limit.
            if not 0 <= percent <= 100:
                raise InputError(f"{percent} is no percentage", where=option, allowed="0 to 100")


def check_mode(mode: Mode, before: Generation | None, *, has_action: bool) -> None:
    """Refuse a mode that the list, or the layout of its files, is not made for.

    `has_action`: the layout tells additions from removals.
    """
    if before is None and mode in {Mode.REMOVE, Mode.CHANGE}:
        raise InputError(
            "nothing was imported into this list yet",
            where="mode",
            allowed="a full file first: --mode replace",
        )
    if mode is Mode.REMOVE and has_action:
        # What its lines add would be removed.
        raise InputError(
            "the layout says itself what is added and what is removed",
            where="mode",
            allowed="change, or --format with a layout that does not",
        )
    if mode is Mode.CHANGE and not has_action:
        raise InputError(
            "the list's layout has no column that tells additions from removals",
            where="mode",
            allowed="replace, append or remove, or --mapping with the layout of this file",
        )


def check_date(told: date | None, today: date, *, where: str = "date") -> None:
    """Refuse data of a day to come; tomorrow may be today elsewhere."""
    if told is not None and told > today + timedelta(days=1):
        raise InputError(f"{told} is in the future", where=where, allowed="--date with the day of the data")


def check_order(
    mode: Mode,
    *,
    digest: str,
    data_date: date | None,
    before: Generation | None,
    history: Sequence[Generation],
    limits: Limits,
) -> None:
    """Refuse a file that was applied in this mode already, and one that is older than what is in force, or
    changes that may be, as nobody said of which day they are.

    A full file may be imported again with another date: so a wrong or forgotten one is mended.
    """
    if before is None:
        return
    made_of = list(lineage(before, history))
    looked_at = made_of[:1] if mode is Mode.REPLACE else made_of
    for generation in looked_at:
        same = generation.digest == digest and generation.mode == mode
        if mode is Mode.REPLACE:
            again = data_date in {None, generation.data_date} and not limits.allow_out_of_order
        else:
            again = generation == made_of[0] or not limits.allow_out_of_order
        if same and again:
            raise InputError(
                f"already applied: generation {generation.version} was made from this very file",
                where="file",
                allowed="a file that was not imported yet, or a full one with another --date",
            )
    if mode is not Mode.REPLACE and before.data_date and data_date is None:
        raise InputError(
            f"the list is of {before.data_date}, and of which day these changes are is not known",
            where="date",
            allowed="--date with the day of the data",
        )
    older = before.data_date and data_date and data_date < before.data_date
    if older and not limits.allow_out_of_order:
        raise InputError(
            f"its data are of {data_date}, those of the list of {before.data_date}",
            where="file",
            allowed="files in the order of their dates, or --out-of-order",
        )


def doubts(
    mode: Mode,
    *,
    file: str,
    data_date: date | None,
    before: Generation | None,
    history: Sequence[Generation],
) -> tuple[str, ...]:
    """What a person should know of an import that is not refused: sentences without a full stop.

    `file` is its name, `data_date` the day that it was said to be of. Only changes give rise to doubts: a
    full file says all by itself.
    """
    if mode is Mode.REPLACE:
        return ()
    if data_date is None and (before is None or before.data_date is None):
        return ("it is not known whether these changes came in their order: neither has a date",)
    if data_date is None or before is None:
        return ()
    # A digest is of the file as it is, so that the same changes have another one when packed. To refuse them
    # would be wrong: a registry may give several files of a day, such as one for each area.
    return tuple(
        f"generation {one.version} was made from {one.file}, of the same day: if that is this file, packed in"
        " another way, its changes were applied already"
        for one in lineage(before, history)
        if (one.mode, one.data_date, _bare(one.file)) == (mode, data_date, _bare(file))
    )


def _bare(name: str) -> str:
    """A file's name, whatever it is packed in: changes of changes.txt, changes.zip and changes.txt.gz."""
    return name.partition(".")[0].lower()


def lineage(generation: Generation, history: Sequence[Generation]) -> Iterator[Generation]:
    """The generations whose files together made this one: itself first, the last one that replaced all before
    it last."""
    by_id = {one.id: one for one in history}
    by_version = {one.version: one for one in history if one.version}
    current: Generation | None = generation
    while current is not None:
        if current.mode == "rollback":
            # It has the digest of what it repeats.
            current = by_id.get(current.content)
            continue
        yield current
        if current.mode == Mode.REPLACE:
            return
        current = by_version.get(current.version - 1)


def new_date(mode: Mode, data_date: date | None, before: Generation | None) -> date | None:
    """The day of a new generation's data: that of its file. A file that changes the list does not make it
    older, nor of no known day."""
    if mode is Mode.REPLACE or before is None or before.data_date is None:
        return data_date
    return before.data_date if data_date is None else max(data_date, before.data_date)


def check_rejected(*, rejected: int, of: int, reasons: Sequence[str], limits: Limits) -> None:
    """Refuse a file of which too much cannot be used: it is of another layout, or damaged.

    `of`: its lines, or its numbers, if they are more; `reasons`: of the first lines that were rejected.
    """
    if of > FEW_LINES and rejected * 100 > limits.rejected_percent * of:
        raise InputError(
            f"{rejected:,} of {of:,} lines were rejected, {rejected * 100 / of:.1f} %: {'; '.join(reasons)}",
            where="file",
            allowed=f"up to {limits.rejected_percent:g} %, or --rejects PERCENT if the rest is to be used",
        )


def check_areas(*, outside: int, of: int) -> None:
    """Refuse a file of numbers that all are `outside` what the list covers: it is another list's, or the
    coverage is wrong, and would call every number of the file's areas not covered."""
    if outside and outside >= of:
        raise InputError(
            f"all its {of:,} numbers are of areas that the list does not cover",
            where="file",
            allowed="a file of the list's areas, or another coverage: callguard list set NAME --covers",
        )


def check_size(*, before: int, numbers: int, limits: Limits) -> None:
    """Refuse a new generation that is empty, or much smaller than the one before: a file that was cut off, or
    read with the wrong layout, looks like that."""
    if not numbers and not limits.allow_empty:
        raise InputError("the list would be empty", where="file", allowed="--allow-empty, if it is to be")
    lost = before - numbers
    if lost > 0 and lost * 100 > limits.shrink_percent * before:
        raise InputError(
            f"the list would shrink from {before:,} to {numbers:,} numbers, by {lost * 100 / before:.1f} %",
            where="file",
            allowed=f"up to {limits.shrink_percent:g} %, or --shrink PERCENT if it is meant to",
        )
