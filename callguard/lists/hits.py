"""What the registry lists say about a number, from the blocks that were read. Pure."""

from collections.abc import Iterable

from callguard.lists import blocks, codec
from callguard.lists.model import Catalogue, RegistryList
from callguard.screening.model import RegistryHit


class Questions:
    """A catalogue made ready to be asked about many numbers: what is alike for all is worked out once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._lists = [
            (
                registry,
                registry.calling_code,
                registry.block_size if registry.generation else 0,
                codec.blocks_prefix(registry.key),
                _by_length(registry.coverage),
                # Not listed and not covered, listed, covered, both.
                [
                    _answer(registry, listed=listed, covered=covered)
                    for covered in (False, True)
                    for listed in (False, True)
                ],
            )
            for registry in catalogue.registries
        ]

    def fields(self, number: str) -> list[str]:
        """The fields of everything that may speak of an E.164 number: its own, those of its patterns, and its
        blocks in the registry lists that concern it and have a generation, in the catalogue's order."""
        fields = codec.word_fields(number, self.catalogue.shapes)
        digits = int(number[1:])
        for _, code, size, prefix, _, _ in self._lists:
            if size and number.startswith(code, 1):
                fields.append(f"{prefix}{digits // size}")
        return fields

    def contents(self, number: str) -> list[tuple[int, int]]:
        """The same blocks as SQL knows them: content and block."""
        digits = int(number[1:])
        return [
            (registry.content, digits // size)
            for registry, code, size, *_ in self._lists
            if size and number.startswith(code, 1)
        ]

    def hits(self, number: str, found: Iterable[bytes | None]) -> tuple[RegistryHit, ...]:
        """A hit for every registry list of the country of an E.164 number, in the catalogue's order.

        `found` are the number's blocks, None for one that is not stored, in the order of `fields`.
        Raises blocks.BadBlock.
        """
        read = iter(found)
        digits = int(number[1:])
        hits = []
        for _, code, size, _, coverage, answers in self._lists:
            if not number.startswith(code, 1):
                continue
            listed = covered = False
            if size:
                block = next(read)
                listed = block is not None and blocks.contains(block, digits % size, size)
                covered = not coverage or any(number[1 : 1 + n] in these for n, these in coverage)
            hits.append(answers[2 * covered + listed])
        return tuple(hits)


def _by_length(prefixes: Iterable[str]) -> list[tuple[int, frozenset[str]]]:
    """Prefixes by how long they are: a country may have hundreds, of few lengths."""
    found: dict[int, set[str]] = {}
    for prefix in prefixes:
        found.setdefault(len(prefix), set()).add(prefix)
    return [(length, frozenset(these)) for length, these in sorted(found.items())]


def registry_hit(number: str, registry: RegistryList, *, listed: bool) -> RegistryHit:
    """What a registry list says about an E.164 number of its country, that it has or has not listed."""
    return _answer(registry, listed=listed, covered=registry.covers(number))


def _answer(registry: RegistryList, *, listed: bool, covered: bool) -> RegistryHit:
    return RegistryHit(
        list=registry.name,
        kind=registry.kind,
        jurisdiction=registry.jurisdiction,
        version=registry.version,
        listed=listed,
        covered=covered,
        data_date=registry.data_date,
        allowed_age_days=registry.allowed_age_days,
    )
