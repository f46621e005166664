"""What the registry lists say about a number, from the blocks that were read. Pure."""

from collections.abc import Iterable

from callguard.lists import blocks
from callguard.lists.model import Catalogue, RegistryList
from callguard.screening.model import RegistryHit


def registry_hits(
    number: str, catalogue: Catalogue, found: Iterable[bytes | None]
) -> tuple[RegistryHit, ...]:
    """A hit for every registry list of the country of an E.164 number, in the catalogue's order.

    `found` are the number's blocks, None for one that is not stored, in the order of codec.fields_of: one for
    each of those lists that has a generation. Raises blocks.BadBlock.
    """
    read = iter(found)
    return tuple(
        _hit(number, registry, next(read) if registry.generation else None)
        for registry in catalogue.registries
        if registry.concerns(number)
    )


def registry_hit(number: str, registry: RegistryList, *, listed: bool) -> RegistryHit:
    """What a registry list says about an E.164 number of its country, that it has or has not listed."""
    return RegistryHit(
        list=registry.name,
        kind=registry.kind,
        jurisdiction=registry.jurisdiction,
        version=registry.version,
        listed=listed,
        covered=registry.covers(number),
        data_date=registry.data_date,
        allowed_age_days=registry.allowed_age_days,
    )


def _hit(number: str, registry: RegistryList, block: bytes | None) -> RegistryHit:
    listed = block is not None and blocks.contains(
        block, blocks.number_of(number) % registry.block_size, registry.block_size
    )
    return registry_hit(number, registry, listed=listed)
