"""Many entries at once: the same as one by one, in whole transactions, in the order of their numbers."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.database import from_microseconds, microseconds
from callguard.errors import SqlError
from callguard.lists.bulk import add_rows, count_new, kept_entries, kept_exemptions
from callguard.lists.entryfiles.checked import Row
from callguard.lists.entryfiles.export import Kept, kept_values
from callguard.lists.model import NewEntry, NewExemption
from callguard.lists.store import ListStore
from callguard.lists.tables import changes, entries
from callguard.screening.model import ExemptionKind

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)
LATER = microseconds(NOW + timedelta(days=400))

EXEMPTIONS = st.builds(
    Row,
    number=st.just("+6281200000001"),
    category=st.just(""),
    project=st.sampled_from([None, "bank"]),
    reason=st.sampled_from(["said yes", "\\."]),
    source=st.just(""),
    added_by=st.just("tl"),
    added_at=st.none(),
    expires_at=st.sampled_from([None, LATER]),
    purposes=st.sampled_from(["", "marketing"]),
    exemption=st.sampled_from(["consent", "purchase", "override"]),
    starts_at=st.sampled_from([0, 1]),
    reference=st.sampled_from(["", "form 7"]),
    once=st.just(False),
).map(
    lambda row: (
        row._replace(once=True, expires_at=(row.starts_at or 0) + 1) if row.exemption == "override" else row
    )
)
ROWS = st.lists(
    st.builds(
        Row,
        number=st.sampled_from(["+6281200000001", "+6281200000002", "+62812*", "+1201XXXXXXX"]),
        category=st.sampled_from(["customer-request", "vip"]),
        project=st.sampled_from([None, "bank", "\\N", "a,b"]),
        reason=st.sampled_from(["", "a 'reason'", "\\.", "\\", "NULL"]),
        source=st.sampled_from(["", "phone"]),
        added_by=st.just("tl"),
        added_at=st.none(),
        expires_at=st.sampled_from([None, LATER, LATER + 1]),
        purposes=st.sampled_from(["", "marketing", "marketing survey"]),
        exemption=st.none(),
        starts_at=st.none(),
        reference=st.just(""),
        once=st.just(False),
    )
    | EXEMPTIONS,
    max_size=12,
)


def row(number: str, **more: object) -> Row:
    return Row(number, "vip", None, "asked", "", "tl", None, None)._replace(**more)  # type: ignore[arg-type]


def new(row: Row) -> NewEntry | NewExemption:
    expires_at = None if row.expires_at is None else from_microseconds(row.expires_at)
    purposes = tuple(row.purposes.split())
    if row.exemption is None:
        said = (row.number, row.added_by, row.category, row.project, row.reason, row.source)
        return NewEntry(*said, expires_at, purposes)
    return NewExemption(
        number=row.number,
        kind=ExemptionKind(row.exemption),
        evidence=row.reason,
        added_by=row.added_by,
        starts_at=from_microseconds(row.starts_at or 0),
        expires_at=expires_at,
        project=row.project,
        purposes=purposes,
        reference=row.reference,
        source=row.source,
        once=row.once,
    )


def added(store: ListStore, row: Row) -> None:
    one = new(row)
    if isinstance(one, NewEntry):
        store.add(one)
    else:
        store.add_exemption(one)


def said(kept: Iterable[Kept]) -> list[tuple[object, ...]]:
    return [kept_values(one)[:6] + kept_values(one)[7:8] + kept_values(one)[9:] for one in kept]


def emptied(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(changes.delete())
        connection.execute(entries.delete())


def in_force(engine: sa.Engine) -> list[tuple[object, ...]]:
    return said([*kept_entries(engine, now=NOW), *kept_exemptions(engine, now=NOW)])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ROWS, rows=ROWS)
def test_rows_at_once_are_the_same_as_one_by_one(
    engine: sa.Engine, store: ListStore, before: list[Row], rows: list[Row]
) -> None:
    results = []
    for at_once in (True, False):
        emptied(engine)
        there = add_rows(engine, before, who="tl", why="before", now=NOW)
        new = count_new(engine, rows)
        if at_once:
            assert add_rows(engine, rows, who="tl", why="after", now=NOW) == new
        else:
            for one in rows:
                added(store, one)
        with engine.connect() as connection:
            assert len(connection.execute(sa.select(changes)).all()) == there + new
        results.append(in_force(engine))
    assert results[0] == results[1]


def test_the_change_log_has_each_new_entry_once_in_their_order(engine: sa.Engine, store: ListStore) -> None:
    store.add(NewEntry("+6281200000009", "tl"))
    rows = [row("+6281200000003"), row("+6281200000001"), row("+6281200000003")]
    assert add_rows(engine, rows, who="tl1", why="imported", now=NOW) == 2
    with engine.connect() as connection:
        logged = connection.execute(sa.select(changes).order_by(changes.c.position)).all()
    assert [(one.number, one.who, one.why) for one in logged] == [
        ("+6281200000009", "tl", ""),
        ("+6281200000003", "tl1", "imported"),
        ("+6281200000001", "tl1", "imported"),
    ]


def test_an_instant_of_another_database_is_kept_and_ours_is_the_moment_of_the_import(
    engine: sa.Engine, store: ListStore
) -> None:
    add_rows(engine, [row("+6281200000001", added_at=1), row("+6281200000002")], who="x", why="", now=NOW)
    first, second = (kept.word for kept in kept_entries(engine, now=NOW))
    assert (microseconds(first.added_at), second.added_at) == (1, NOW)
    (change,) = store.history("+6281200000001")
    assert change.at == NOW


def test_an_imported_opt_out_that_is_later_than_a_consent_is_the_latest_word(
    engine: sa.Engine, store: ListStore
) -> None:
    number, february = "+6281200000001", NOW - timedelta(days=20)
    january, march = microseconds(NOW - timedelta(days=30)), microseconds(NOW - timedelta(days=10))

    def imported(*rows: Row) -> int:
        new = count_new(engine, rows)
        assert add_rows(engine, rows, who="tl", why="imported", now=NOW) == new
        return new

    assert imported(row(number, added_at=january)) == 1
    assert imported(row(number, added_at=march)) == 0
    store.add_exemption(
        NewExemption(
            number=number,
            kind=ExemptionKind.CONSENT,
            evidence="form",
            added_by="tl1",
            starts_at=february,
        )
    )
    assert imported(row(number)) == 0
    assert imported(row(number, added_at=january)) == 0
    assert imported(row(number, added_at=january), row(number, added_at=march)) == 1
    assert imported(row(number, added_at=january), row(number, added_at=march)) == 0
    assert [microseconds(entry.added_at) for entry in store.lookup(number).entries] == [january, march]


def test_a_batch_that_fails_changes_nothing(engine: sa.Engine, store: ListStore) -> None:
    mark = store.mark()
    incomplete = row("+6281200000002")._replace(category=None)  # type: ignore[arg-type]
    with pytest.raises(SqlError):
        add_rows(engine, [row("+6281200000001"), incomplete], who="x", why="", now=NOW)
    assert store.mark() == mark
    assert in_force(engine) == []


def test_removed_entries_do_not_count_as_there(engine: sa.Engine, store: ListStore) -> None:
    add_rows(engine, [row("+6281200000001")], who="x", why="", now=NOW)
    store.remove("+6281200000001", by="x", why="")
    assert add_rows(engine, [row("+6281200000001")], who="x", why="", now=NOW) == 1
    assert len(list(kept_entries(engine, now=NOW))) == 1
    assert len(list(kept_entries(engine, now=NOW, everything=True))) == 2


def test_an_expired_entry_is_exported_only_with_history(engine: sa.Engine) -> None:
    add_rows(engine, [row("+6281200000001", expires_at=microseconds(NOW) + 1)], who="x", why="", now=NOW)
    later = NOW + timedelta(microseconds=1)
    assert len(list(kept_entries(engine, now=NOW))) == 1
    assert len(list(kept_entries(engine, now=later))) == 0
    assert len(list(kept_entries(engine, now=later, everything=True))) == 1
