"""The internal lists in SQL: what is in force, what was, and the change log."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.database import database_id
from callguard.errors import SqlError
from callguard.lists.model import Action, Mark, NewEntry
from callguard.lists.store import ListStore

pytestmark = pytest.mark.integration

NUMBER = "+6281200000001"
OTHER = "+6281200000002"
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def remove(store: ListStore, number: str = NUMBER, **only: str) -> int:
    return len(store.remove(number, by="supervisor", why="a mistake", **only))


def test_an_entry_is_kept_with_all_its_details(store: ListStore) -> None:
    new = NewEntry(NUMBER, "tl", "vip", "bank", "asked, in 'quotes' \N{SNOWMAN}", "phone", TOMORROW)
    before = datetime.now(UTC)
    entry, added = store.add(new)
    assert added
    assert store.lookup(NUMBER).entries == (entry,)
    assert (entry.number, entry.category, entry.project) == (NUMBER, "vip", "bank")
    assert (entry.reason, entry.source, entry.added_by) == (new.reason, "phone", "tl")
    assert entry.expires_at == TOMORROW
    assert before <= entry.added_at <= datetime.now(UTC)


def test_the_same_entry_is_not_added_twice(store: ListStore) -> None:
    first, _ = store.add(NewEntry(NUMBER, "a", expires_at=TOMORROW))
    mark = store.mark()
    assert store.add(NewEntry(NUMBER, "b", expires_at=TOMORROW)) == (first, False)
    assert store.mark() == mark


def test_an_entry_that_says_anything_else_stands_beside_the_first(store: ListStore) -> None:
    store.add(NewEntry(NUMBER, "a", expires_at=TOMORROW))
    for new in (
        NewEntry(NUMBER, "a"),
        NewEntry(NUMBER, "a", project="bank"),
        NewEntry(NUMBER, "a", category="invalid-contact"),
        NewEntry(NUMBER, "a", reason="again"),
    ):
        assert store.add(new)[1]
    assert len(store.lookup(NUMBER).entries) == 5


def test_removing_keeps_the_history(store: ListStore) -> None:
    entry, _ = store.add(NewEntry(NUMBER, "tl", reason="asked"))
    assert store.remove(NUMBER, by="boss", why="a mistake") == (entry,)
    assert store.lookup(NUMBER).entries == ()
    added, removed = store.history(NUMBER)
    assert (added.action, added.who, added.why, added.word) == (Action.ADD, "tl", "asked", entry)
    assert (removed.action, removed.who, removed.why, removed.word) == (
        Action.REMOVE,
        "boss",
        "a mistake",
        entry,
    )
    assert added.position < removed.position
    assert added.at <= removed.at


def test_removing_what_is_not_there_changes_nothing(store: ListStore) -> None:
    store.add(NewEntry(OTHER, "tl"))
    mark = store.mark()
    assert remove(store) == 0
    assert store.mark() == mark


def test_a_number_may_be_listed_again_after_it_was_removed(store: ListStore) -> None:
    first, _ = store.add(NewEntry(NUMBER, "tl"))
    remove(store)
    second, added = store.add(NewEntry(NUMBER, "tl"))
    assert added
    assert second.id > first.id
    assert len(store.history(NUMBER)) == 3


@pytest.mark.parametrize(
    ("only", "left"),
    [
        ({}, set()),
        ({"project": "bank"}, {(None, "customer-request"), ("shop", "vip")}),
        ({"project": ""}, {("bank", "customer-request"), ("shop", "vip")}),
        ({"category": "vip"}, {("bank", "customer-request"), (None, "customer-request")}),
        (
            {"project": "bank", "category": "vip"},
            {("bank", "customer-request"), (None, "customer-request"), ("shop", "vip")},
        ),
    ],
)
def test_only_the_named_entries_are_removed(
    store: ListStore, only: dict[str, str], left: set[tuple[str, str]]
) -> None:
    for project, category in (("bank", "customer-request"), (None, "customer-request"), ("shop", "vip")):
        store.add(NewEntry(NUMBER, "tl", category, project))
    store.add(NewEntry(OTHER, "tl"))
    remove(store, **only)
    assert {(entry.project, entry.category) for entry in store.lookup(NUMBER).entries} == left
    assert len(store.lookup(OTHER).entries) == 1


def test_the_mark_moves_with_every_change(store: ListStore, engine: sa.Engine) -> None:
    assert store.mark() == Mark(database_id(engine), 0, 0)
    store.add(NewEntry(NUMBER, "tl"))
    first = store.mark()
    remove(store)
    second = store.mark()
    assert first.position == store.history(NUMBER)[0].position
    assert second.covers(first)
    assert not first.covers(second)


def test_an_answer_names_the_version_of_the_lists(store: ListStore) -> None:
    store.add(NewEntry(NUMBER, "tl"))
    hits = store.lookup(OTHER)
    assert (hits.entries, hits.position, hits.origin) == ((), store.mark().position, "sql")


def test_what_changed_since_a_mark_comes_in_order_and_in_parts(store: ListStore) -> None:
    start = store.mark()
    numbers = [f"+62812{index:06}" for index in range(7)]
    for number in numbers:
        store.add(NewEntry(number, "tl"))
    remove(store, numbers[0])
    mark, seen, more = start, [], True
    while more:
        delta = store.since(mark, limit=3)
        assert delta is not None
        assert delta.mark.position > mark.position
        seen += list(delta.words)
        mark, more = delta.mark, delta.more
        # As it is now, though the part ends before the removal.
        assert delta.words.get(numbers[0], ()) == ()
    assert mark == store.mark()
    assert sorted(seen) == sorted([*numbers, numbers[0]])
    last = store.since(mark)
    assert last is not None
    assert (last.mark, last.words) == (mark, {})


def test_no_way_leads_from_the_mark_of_another_database_or_of_an_undone_future(store: ListStore) -> None:
    store.add(NewEntry(NUMBER, "tl"))
    mark = store.mark()
    assert store.since(mark) is not None
    assert store.since(Mark("another", mark.position, mark.at)) is None
    assert store.since(Mark(mark.database, mark.position, mark.at + 1)) is None
    assert store.since(Mark(mark.database, mark.position + 1, mark.at)) is None


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_all_numbers_in_force_come_in_chunks_each_once(store: ListStore, limit: int) -> None:
    numbers = [f"+{prefix}2000{index}" for prefix in (1, 62, 81) for index in range(2)]
    for number in numbers:
        store.add(NewEntry(number, "tl"))
        store.add(NewEntry(number, "tl", project="bank"))
    store.add(NewEntry(NUMBER, "tl"))
    remove(store)
    found: list[str] = []
    while chunk := store.chunk(found[-1] if found else "", limit):
        assert len(chunk) <= limit
        assert all(len(entries) == 2 for entries in chunk.values())
        found += chunk
    assert sorted(found) == sorted(numbers)


def test_a_write_that_fails_leaves_no_trace(store: ListStore, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE changes RENAME TO elsewhere"))
    with pytest.raises(SqlError):
        store.add(NewEntry(NUMBER, "tl"))
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO changes"))
    assert store.lookup(NUMBER).entries == ()


_WRITER = """
import sys
from pathlib import Path
from callguard.config import SqlSettings
from callguard.database import open_engine
from callguard.lists.model import NewEntry
from callguard.lists.store import ListStore
store = ListStore(open_engine(SqlSettings(url=sys.argv[1], timeout=30), Path(sys.argv[2])))
for index in range(40):
    store.add(NewEntry(f"+62812{sys.argv[3]}{index:05}", "writer " + sys.argv[3]))
"""


def test_processes_that_write_at_once_lose_nothing_and_keep_the_order(
    store: ListStore, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, sql_settings.url, str(tmp_path), str(name)])
        for name in range(3)
    ]
    mark, seen = store.mark(), []
    # Read along while they write: a position that became visible after a larger one would be missed.
    while any(writer.poll() is None for writer in writers) or mark != store.mark():
        delta = store.since(mark, limit=5)
        assert delta is not None
        seen += [number for number, entries in delta.words.items() if entries]
        mark = delta.mark
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(seen) == sorted(f"+62812{name}{index:05}" for name in range(3) for index in range(40))
