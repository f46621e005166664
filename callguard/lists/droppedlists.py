"""The registry lists that were given up: SQL keeps what they were, and who dropped them when. Blocks."""

from dataclasses import dataclass

import sqlalchemy as sa

from callguard.database import snapshot
from callguard.lists.model import Action
from callguard.lists.registries import Registry, registry_of
from callguard.lists.tables import changes, registries


@dataclass(frozen=True, slots=True)
class DroppedList:
    """A registry list that is no longer asked; its `dropped_at` says since when."""

    registry: Registry
    dropped_by: str


def dropped_lists(engine: sa.Engine, name: str | None = None) -> tuple[DroppedList, ...]:
    """Every list that was dropped, or those that had this name, the one dropped last at the end.

    Raises SqlError.
    """
    dropping = (changes.c.registry == registries.c.id) & (changes.c.action == Action.DROP)
    statement = (
        sa.select(registries, changes.c.who.label("dropped_by"))
        .join(changes, dropping)
        .where(registries.c.dropped_at.is_not(None))
        .order_by(changes.c.position)
    )
    if name is not None:
        statement = statement.where(registries.c.name == name)
    with snapshot(engine) as connection:
        return tuple(DroppedList(registry_of(row), row.dropped_by) for row in connection.execute(statement))
