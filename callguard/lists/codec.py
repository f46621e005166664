"""How the lists are written into the fields of one Redis hash. Pure.

The hash (its key is the setting redis.key) has:

    head                    [layout, database id, position, microseconds, tag]   the version of all lists
    catalogue               [tag, shapes, registries]   what there is to look a number up in
    n:<digits>              [word, ...]   one field for each number with entries or exemptions; without +
    n:<pattern>             the same for a pattern, such as n:6221* or n:1201XXXXXXX
    b:<key>:<block>         the numbers of one block of a registry list's generation, as blocks.py writes them
    g:<key>                 how many blocks the generation has; there only once all of them are
    t:<key>:<random>        how many batches of it a loader has sent, while it loads (loading.py)

as JSON (but for the blocks). A word is an entry, [id, category, project, reason, source, added by, added at,
expires at, purposes], or an exemption, [id, kind, project, evidence, source, added by, added at, expires at,
purposes, starts at, reference, once]: told apart by their lengths. Instants are microseconds since 1970, null
is none, purposes have a space between them. One HMGET reads the head and all that may
speak of a number in one instant, so that they belong together. The catalogue is read only when the head's tag
is another than that of the catalogue that the reader knows. A number with no field is not on an internal
list, one with no block not on that registry list, provided that the head is to be trusted; a field that
cannot be decoded never means that.

One hash, because it vanishes whole (eviction, FLUSHALL) or not at all, and because one command costs less
than several. A generation's key is its id and its token, such as 40-1f00c0de, and is never used twice: a
database that was restored from a backup gives an id again, and another database has the same ids, but none
has the same random token. So what stands under a key is that generation's and no other's, and the blocks of
the next one can be put beside those of the one in force, which ends when the catalogue and the head change,
in one step. A change to the meaning of a field raises LAYOUT: older fields are then rebuilt.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from types import NoneType
from typing import Any

import orjson

from callguard.database import from_microseconds, microseconds
from callguard.lists.model import Catalogue, Mark, RegistryList, Word
from callguard.screening.model import Entry, Exemption, ExemptionKind
from callguard.screening.patterns import Shape, patterns_for, shape_from, shape_text

LAYOUT = 3
HEAD = "head"
CATALOGUE = "catalogue"

_ENTRY_TYPES: tuple[tuple[type, ...], ...] = (
    (int,),
    (str,),
    (str, NoneType),
    (str,),
    (str,),
    (str,),
    (int,),
    (int, NoneType),
    (str,),
)
_EXEMPTION_TYPES: tuple[tuple[type, ...], ...] = (*_ENTRY_TYPES, (int,), (str,), (bool,))
_KINDS = {str(kind): kind for kind in ExemptionKind}


class Undecodable(ValueError):
    """A field that is not as callguard of this layout writes it."""


def number_field(number: str) -> str:
    """The field of an E.164 number, or of a pattern."""
    return f"n:{number.removeprefix('+')}"


def block_field(key: str, block: int) -> str:
    """The field of a block of the generation that has this key."""
    return f"b:{key}:{block}"


def blocks_prefix(key: str) -> str:
    """What the fields of all blocks of a generation begin with; the block's number follows."""
    return f"b:{key}:"


def loaded_field(key: str) -> str:
    """The field that says that all blocks of a generation are there."""
    return f"g:{key}"


def counter_field(key: str, loader: str) -> str:
    """The field in which one loader of a generation counts its batches."""
    return f"t:{key}:{loader}"


@dataclass(frozen=True, slots=True)
class Head:
    """What the field `head` says."""

    mark: Mark
    tag: str
    """The tag of the catalogue that belongs to it."""


def encode_head(mark: Mark, catalogue: Catalogue) -> bytes:
    return orjson.dumps([LAYOUT, mark.database, mark.position, mark.at, tag_of(catalogue)])


def decode_head(raw: bytes) -> Head:
    """Read a head. Raises Undecodable if it is not one, or is of another layout."""
    match _loads(raw):
        case [int(layout), str(database), int(position), int(at), str(tag)] if layout == LAYOUT:
            return Head(Mark(database, position, at), tag)
        case _:
            raise Undecodable("not a head of this layout")


def tag_of(catalogue: Catalogue) -> str:
    """The name of a catalogue's content: equal catalogues, and only they, have the same."""
    return hashlib.sha256(orjson.dumps(_rows(catalogue))).hexdigest()[:16]


def encode_catalogue(catalogue: Catalogue) -> bytes:
    return orjson.dumps([tag_of(catalogue), *_rows(catalogue)])


def decode_catalogue(raw: bytes) -> Catalogue:
    """Read a catalogue. Raises Undecodable if it is not one, or was changed after it was written."""
    try:
        tag, shapes, registries = _loads(raw)
        catalogue = Catalogue(
            registries=tuple(_registry(*row) for row in registries),
            shapes=tuple(shape_from(text) for text in shapes),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise Undecodable(f"not a catalogue: {error}") from error
    if tag != tag_of(catalogue):
        raise Undecodable("a catalogue that does not have its own tag")
    return catalogue


def _rows(catalogue: Catalogue) -> list[Any]:
    shapes = [shape_text(shape) for shape in catalogue.shapes]
    return [shapes, [list(astuple(registry)) for registry in catalogue.registries]]


def _registry(*values: Any) -> RegistryList:
    registry = RegistryList(*values)
    data_date = registry.data_date
    return replace(
        registry,
        coverage=tuple(registry.coverage),
        data_date=None if data_date is None else date.fromisoformat(str(data_date)),
    )


def word_fields(number: str, shapes: Sequence[Shape]) -> list[str]:
    """The fields of the words that may speak of an E.164 number: its own, and those of its patterns."""
    fields = [number_field(number)]
    if shapes:
        fields += map(number_field, patterns_for(number, shapes))
    return fields


def encode_words(words: Sequence[Word]) -> bytes:
    """Write the entries and exemptions of one number; at least one."""
    return orjson.dumps(
        [_entry_row(word) if isinstance(word, Entry) else _exemption_row(word) for word in words]
    )


def decode_words(number: str, raw: bytes) -> tuple[Word, ...]:
    """Read the field of an E.164 number or a pattern. Raises Undecodable unless all is as it should be."""
    rows = _loads(raw)
    if not isinstance(rows, list) or not rows:
        raise Undecodable("not a list of words")
    return tuple(_word(number, row) for row in rows)


def _entry_row(entry: Entry) -> list[Any]:
    return [
        entry.id,
        entry.category,
        entry.project,
        entry.reason,
        entry.source,
        entry.added_by,
        microseconds(entry.added_at),
        None if entry.expires_at is None else microseconds(entry.expires_at),
        " ".join(entry.purposes),
    ]


def _exemption_row(exemption: Exemption) -> list[Any]:
    return [
        exemption.id,
        str(exemption.kind),
        exemption.project,
        exemption.evidence,
        exemption.source,
        exemption.added_by,
        microseconds(exemption.added_at),
        None if exemption.expires_at is None else microseconds(exemption.expires_at),
        " ".join(exemption.purposes),
        microseconds(exemption.starts_at),
        exemption.reference,
        exemption.once,
    ]


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"not JSON: {error}") from error


def _word(number: str, row: Any) -> Word:
    if not isinstance(row, list):
        raise Undecodable("not a word")
    if len(row) == len(_ENTRY_TYPES):
        return _entry(number, row)
    if len(row) == len(_EXEMPTION_TYPES):
        return _exemption(number, row)
    raise Undecodable("neither an entry nor an exemption")


def _entry(number: str, row: list[Any]) -> Entry:
    _check_types(row, _ENTRY_TYPES)
    identity, category, project, reason, source, added_by, added_at, expires_at, purposes = row
    return Entry(
        id=identity,
        number=number,
        category=category,
        project=project,
        reason=reason,
        source=source,
        added_by=added_by,
        added_at=_instant(added_at),
        expires_at=None if expires_at is None else _instant(expires_at),
        purposes=tuple(purposes.split()),
    )


def _exemption(number: str, row: list[Any]) -> Exemption:
    _check_types(row, _EXEMPTION_TYPES)
    identity, kind, project, evidence, source, added_by, added_at, expires_at, purposes, *rest = row
    starts_at, reference, once = rest
    if kind not in _KINDS:
        raise Undecodable("no kind of exemption")
    return Exemption(
        id=identity,
        number=number,
        kind=_KINDS[kind],
        project=project,
        purposes=tuple(purposes.split()),
        evidence=evidence,
        reference=reference,
        source=source,
        added_by=added_by,
        added_at=_instant(added_at),
        starts_at=_instant(starts_at),
        expires_at=None if expires_at is None else _instant(expires_at),
        once=once,
    )


def _check_types(row: list[Any], types: tuple[tuple[type, ...], ...]) -> None:
    if not all(type(value) in allowed for value, allowed in zip(row, types, strict=True)):
        raise Undecodable("a value of a word has the wrong type")


def _instant(count: int) -> datetime:
    try:
        return from_microseconds(count)
    except OverflowError as error:
        raise Undecodable("an instant beyond the calendar") from error
