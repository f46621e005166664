"""Registry lists in SQL: what they are, their generations and blocks, on both databases."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.database import open_engine, ordered_write
from callguard.errors import InputError, SqlError
from callguard.lists import blocks
from callguard.lists.importlock import import_lock
from callguard.lists.model import Action
from callguard.lists.registries import Counts, Generation, NewRegistry, Registry, RegistryStore
from callguard.lists.tables import changes

pytestmark = pytest.mark.integration

SIZE = 10_000


@pytest.fixture
def registry_store(engine: sa.Engine) -> RegistryStore:
    return RegistryStore(engine)


def created(store: RegistryStore, name: str = "us") -> Registry:
    new = NewRegistry(name, "US", "marketing", "1", ("1212",), 31, "{}")
    return store.create(new, by="tl1")


def begun(store: RegistryStore, registry: Registry) -> int:
    return store.begin(
        registry.id,
        mode="replace",
        file="november.txt",
        digest="d1",
        data_date=date(2026, 11, 1),
        who="tl1",
        block_size=SIZE,
    ).id


def loaded(store: RegistryStore, registry: Registry, *numbers: int) -> int:
    """A generation in force with these numbers; its id."""
    generation = begun(store, registry)
    rows = [(number // SIZE, blocks.encode([number % SIZE], SIZE)) for number in sorted(numbers)]
    store.add_blocks(generation, rows)
    in_force = store.find(registry.name)
    assert in_force is not None
    counts = Counts(len(rows), len(numbers), added=len(numbers), removed=3, rejected=1)
    store.switch(generation, counts, instead_of=in_force.generation, why="")
    return generation


def contents(store: RegistryStore, content: int) -> list[int]:
    return [block for chunk in store.chunks(content) for block, _ in chunk]


def in_force(store: RegistryStore, name: str = "us") -> Generation:
    registry = store.find(name)
    assert registry is not None
    assert registry.generation is not None
    return store.generation(registry.generation)


def test_a_list_is_created_once_and_found(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    assert registry_store.find("us") == us
    assert (us.coverage, us.allowed_age_days, us.generation) == (("1212",), 31, None)
    with pytest.raises(InputError, match="there is a list us already"):
        created(registry_store)
    other = created(registry_store, "canada")
    assert registry_store.all() == (other, us)
    assert registry_store.find("none") is None


def test_a_generation_counts_only_from_its_switch_on(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    generation = begun(registry_store, us)
    registry_store.add_blocks(generation, [(5, b"\1\1\0"), (6, b"\1\2\0")])
    found = registry_store.find("us")
    assert found is not None
    assert found.generation is None
    registry_store.switch(generation, Counts(2, 2, 2, 0, 0), instead_of=None, why="first")
    now = in_force(registry_store)
    assert (now.id, now.version, now.state, now.content, now.numbers) == (
        generation, 1, "ready", generation, 2,
    )  # fmt: skip
    assert list(registry_store.chunks(generation)) == [[(5, b"\1\1\0"), (6, b"\1\2\0")]]


def test_the_one_before_is_kept_and_those_before_that_are_doomed(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    first, second, third = (loaded(registry_store, us, 12125550100 + SIZE * n) for n in range(3))
    states = {one.id: one.state for one in registry_store.history(us.id)}
    assert states == {first: "retired", second: "ready", third: "ready"}
    assert registry_store.doomed(us.id) == (first,)
    while registry_store.delete_blocks(first, limit=1):
        pass
    assert registry_store.doomed(us.id) == ()
    assert contents(registry_store, first) == []
    assert contents(registry_store, second)


def test_a_rollback_repeats_the_one_before_under_an_id_of_its_own(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    first = loaded(registry_store, us, 12125550100)
    second = loaded(registry_store, us, 12125550100, 12125560100)
    back = registry_store.begin_rollback(us.id, who="desk")
    assert (back.content, back.numbers, back.added, back.removed) == (first, 1, 3, 2)
    counts = Counts(back.blocks, back.numbers, back.added, back.removed, 0)
    registry_store.switch(back.id, counts, instead_of=second, why="")
    now = in_force(registry_store)
    assert (now.id, now.mode, now.version, now.content) == (back.id, "rollback", 3, first)
    # The first generation is retired, but its blocks are those of the one in force.
    assert registry_store.generation(first).state == "retired"
    assert registry_store.doomed(us.id) == ()
    again = registry_store.begin_rollback(us.id, who="desk")
    assert (again.content, again.added, again.removed) == (second, 2, 3)


def test_a_rollback_of_a_dead_command_dooms_no_blocks_that_are_in_use(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    loaded(registry_store, us, 12125550100)
    loaded(registry_store, us, 12125560100)
    back = registry_store.begin_rollback(us.id, who="desk")
    registry_store.fail_dead(us.id)
    assert registry_store.generation(back.id).state == "failed"
    assert registry_store.doomed(us.id) == ()


def test_there_is_no_going_back_from_the_first_generation(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    with pytest.raises(InputError, match="no generation before"):
        registry_store.begin_rollback(us.id, who="desk")
    loaded(registry_store, us, 12125550100)
    with pytest.raises(InputError, match="no generation before"):
        registry_store.begin_rollback(us.id, who="desk")
    assert len(registry_store.history(us.id)) == 1


def test_a_generation_that_was_given_up_never_comes_into_force(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    generation = begun(registry_store, us)
    registry_store.add_blocks(generation, [(5, b"\1\1\0")])
    registry_store.fail_dead(us.id)
    with pytest.raises(InputError, match="somebody else"):
        registry_store.switch(generation, Counts(1, 1, 1, 0, 0), instead_of=None, why="")
    assert registry_store.doomed(us.id) == (generation,)


def test_of_two_switches_from_the_same_generation_the_second_is_refused(
    registry_store: RegistryStore,
) -> None:
    us = created(registry_store)
    one, other = begun(registry_store, us), begun(registry_store, us)
    registry_store.switch(one, Counts(0, 0, 0, 0, 0), instead_of=None, why="")
    with pytest.raises(InputError, match="somebody else"):
        registry_store.switch(other, Counts(0, 0, 0, 0, 0), instead_of=None, why="")
    assert in_force(registry_store).id == one


def test_a_dropped_list_is_gone_its_name_is_free_and_its_history_stays(
    registry_store: RegistryStore, engine: sa.Engine
) -> None:
    us = created(registry_store)
    first = loaded(registry_store, us, 12125550100)
    registry_store.drop(us.id, by="desk")
    assert registry_store.find("us") is None
    assert registry_store.doomed(us.id) == (first,)
    with pytest.raises(InputError, match="dropped it already"):
        registry_store.drop(us.id, by="desk")
    again = created(registry_store)
    assert again.id != us.id
    assert [one.id for one in registry_store.history(us.id)] == [first]
    with engine.connect() as connection:
        logged = connection.execute(sa.select(changes.c.action, changes.c.registry)).all()
    actions = [Action.CREATE, Action.SWITCH, Action.DROP, Action.CREATE]
    assert [tuple(row) for row in logged] == [
        (action, again.id if index == 3 else us.id) for index, action in enumerate(actions)
    ]


def test_what_a_drop_that_was_killed_has_left_goes_with_the_next_import_of_any_list(
    registry_store: RegistryStore,
) -> None:
    us, uk = created(registry_store), created(registry_store, "uk")
    first = loaded(registry_store, us, 12125550100)
    dead = begun(registry_store, us)
    registry_store.add_blocks(dead, [(5, b"\1\1\0")])
    kept = loaded(registry_store, uk, 12125550100)
    registry_store.drop(us.id, by="tl1")
    assert registry_store.doomed(uk.id) == (first, dead)
    assert [one.state for one in registry_store.history(us.id)] == ["failed", "retired"]
    assert contents(registry_store, kept)


def test_chunks_give_every_block_of_a_part_once_and_in_order(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    generation = begun(registry_store, us)
    rows = [(block, b"\1" + b"\0\1" * (1 + block % 7)) for block in range(0, 300, 3)]
    registry_store.add_blocks(generation, rows)
    registry_store.add_blocks(begun(registry_store, us), rows)
    assert [row for chunk in registry_store.chunks(generation, 7) for row in chunk] == rows
    part = [row for chunk in registry_store.chunks(generation, start=9, stop=90) for row in chunk]
    assert part == [row for row in rows if 9 <= row[0] < 90]
    assert registry_store.some_blocks(generation, [297, 4, 3]) == [rows[1], rows[99]]


def test_long_blocks_are_read_few_at_a_time(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    generation = begun(registry_store, us)
    bitmap = b"\0" + bytes(125_000)
    for block in range(40):
        registry_store.add_blocks(generation, [(block, bitmap)])
    assert max(len(chunk) for chunk in registry_store.chunks(generation)) == 16


def test_a_second_importer_is_told_who_is_at_it(registry_store: RegistryStore, engine: sa.Engine) -> None:
    us = created(registry_store)
    with import_lock(engine, us.id, "us", who="tl1"):
        with (
            pytest.raises(InputError, match=r"us: another import is under way: .*tl1.*since"),
            import_lock(engine, us.id, "us", who="desk"),
        ):
            pass
        with import_lock(engine, us.id + 1, "canada", who="desk"):
            pass
    with import_lock(engine, us.id, "us", who="desk"):
        pass


def test_a_generation_begins_alone_so_that_ids_become_visible_in_their_order(
    registry_store: RegistryStore, sql_settings: SqlSettings, engine: sa.Engine, tmp_path: Path
) -> None:
    """A smaller id that came to be seen later would be swept out of Redis while it is loading."""
    us = created(registry_store)
    for number in (12125550001, 12125550002):
        loaded(registry_store, us, number)
    impatient = RegistryStore(open_engine(sql_settings.model_copy(update={"timeout": 0.1}), tmp_path))
    before = registry_store.history(us.id)
    with ordered_write(engine):
        with pytest.raises(SqlError):
            begun(impatient, us)
        with pytest.raises(SqlError):
            impatient.begin_rollback(us.id, who="desk")
    assert registry_store.history(us.id) == before
    impatient.engine.dispose()


def test_every_generation_has_a_token_of_its_own(registry_store: RegistryStore) -> None:
    us = created(registry_store)
    for number in (12125550001, 12125550002):
        loaded(registry_store, us, number)
    registry_store.begin_rollback(us.id, who="desk")
    history = registry_store.history(us.id)
    assert len({generation.token for generation in history}) == len(history) == 3
    assert [one.key for one in history] == [f"{one.id}-{one.token}" for one in history]


HOLD = """
import sys
from pathlib import Path
from callguard.config import SqlSettings
from callguard.database import open_engine
from callguard.lists.importlock import import_lock
engine = open_engine(SqlSettings(url=sys.argv[1]), Path(sys.argv[2]))
with import_lock(engine, int(sys.argv[3]), "us", who="tl1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(url: str, state: Path, registry: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLD, url, str(state), str(registry)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_lock_ends_with_a_process_that_is_killed(
    registry_store: RegistryStore, engine: sa.Engine, tmp_path: Path
) -> None:
    us = created(registry_store)
    url = "" if engine.dialect.name == "sqlite" else engine.url.render_as_string(hide_password=False)
    with holder(url.replace("+psycopg", ""), tmp_path, us.id) as process:
        with pytest.raises(InputError, match="under way"), import_lock(engine, us.id, "us", who="desk"):
            pass
        process.kill()
        process.wait()
        # PostgreSQL notices a lost client when it next reads from it.
        for _ in range(1000):
            try:
                with import_lock(engine, us.id, "us", who="desk"):
                    return
            except InputError:
                threading.Event().wait(0.01)
    pytest.fail("the lock outlived its process")


@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
def test_a_folder_that_cannot_be_written_to_is_a_clear_error(
    registry_store: RegistryStore, engine: sa.Engine, tmp_path: Path
) -> None:
    (tmp_path / "callguard.sqlite.list-7.lock").mkdir()
    with pytest.raises(SqlError, match="cannot open"), import_lock(engine, 7, "us", who="desk"):
        pass
