"""Put the generation that was in force before back in force. Blocks."""

from contextlib import suppress
from dataclasses import replace

from callguard.errors import SqlError
from callguard.lists.livecopy import LiveCopy
from callguard.lists.registries import Counts, Generation, Registry, RegistryStore


def roll_back(store: RegistryStore, registry: Registry, live: LiveCopy, *, who: str) -> Generation:
    """Make and switch to a generation that repeats the one before, which it returns.

    The caller alone imports into the list (importlock). Raises InputError if there is none before, SqlError;
    then nothing is changed.
    """
    store.fail_dead(registry.id)
    try:
        back = store.begin_rollback(registry.id, who=who)
        live.begin(back.key)
        for rows in store.chunks(back.content):
            live.put(rows)
        live.complete()
        counts = Counts(back.blocks, back.numbers, back.added, back.removed, 0)
        version = store.switch(back.id, counts, instead_of=registry.generation, why="rollback")
    except BaseException:
        live.abandon()
        with suppress(SqlError):
            store.fail_dead(registry.id)
        raise
    return replace(back, version=version)
