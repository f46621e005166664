"""Exemptions in SQL and in Redis, beside the entries of the same number."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from callguard.lists.model import Action, NewEntry, NewExemption
from callguard.lists.store import ListStore
from callguard.lists.verification import Verifier
from callguard.screening.model import Exemption, ExemptionKind
from tests.rig.lists import Lists

pytestmark = pytest.mark.integration

NUMBER, OTHER = "+6281200000001", "+6281200000002"
NOW = datetime.now(UTC)
CONSENT = NewExemption(
    number=NUMBER,
    kind=ExemptionKind.CONSENT,
    evidence="ticked the box",
    added_by="tl1",
    starts_at=NOW,
    expires_at=NOW + timedelta(days=365),
    project="bank",
    purposes=("marketing", "survey"),
    reference="form 7",
    source="web",
)
OVERRIDE = NewExemption(
    number=NUMBER,
    kind=ExemptionKind.OVERRIDE,
    evidence="the customer waits",
    added_by="tl",
    starts_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    once=True,
)


def test_an_exemption_is_kept_as_it_was_given(store: ListStore) -> None:
    exemption, added = store.add_exemption(CONSENT)
    assert added
    assert exemption == Exemption(
        id=exemption.id,
        number=NUMBER,
        kind=ExemptionKind.CONSENT,
        project="bank",
        purposes=("marketing", "survey"),
        evidence="ticked the box",
        reference="form 7",
        source="web",
        added_by="tl1",
        added_at=exemption.added_at,
        starts_at=NOW,
        expires_at=NOW + timedelta(days=365),
    )
    assert store.lookup(NUMBER).exemptions == (exemption,)
    (change,) = store.history(NUMBER)
    assert (change.action, change.who, change.why, change.word) == (
        Action.ADD, "tl1", "ticked the box", exemption,
    )  # fmt: skip


def test_the_very_same_exemption_is_not_added_twice(store: ListStore) -> None:
    exemption, _ = store.add_exemption(CONSENT)
    assert store.add_exemption(replace(CONSENT, added_by="desk")) == (exemption, False)
    for other in (
        replace(CONSENT, purposes=()),
        replace(CONSENT, starts_at=NOW + timedelta(seconds=1)),
        replace(CONSENT, reference=""),
        replace(CONSENT, kind=ExemptionKind.PURCHASE),
    ):
        assert store.add_exemption(other)[1]


def test_an_entry_is_no_exemption_and_neither_ends_with_the_other(store: ListStore) -> None:
    entry, _ = store.add(NewEntry(NUMBER, "tl1"))
    exemption, _ = store.add_exemption(CONSENT)
    hits = store.lookup(NUMBER)
    assert (hits.entries, hits.exemptions) == ((entry,), (exemption,))
    assert store.remove(NUMBER, by="tl1", why="") == (entry,)
    assert store.lookup(NUMBER).exemptions == (exemption,)
    again, _ = store.add(NewEntry(NUMBER, "tl1"))
    assert store.end_exemptions(NUMBER, by="tl1", why="withdrawn") == (exemption,)
    hits = store.lookup(NUMBER)
    assert (hits.entries, hits.exemptions) == ((again,), ())
    assert [(change.action, change.word.id) for change in store.history(NUMBER)] == [
        (Action.ADD, entry.id), (Action.ADD, exemption.id), (Action.REMOVE, entry.id),
        (Action.ADD, again.id), (Action.REMOVE, exemption.id),
    ]  # fmt: skip


def test_only_the_exemptions_of_the_kind_and_project_that_are_named_end(store: ListStore) -> None:
    ours, _ = store.add_exemption(CONSENT)
    bought, _ = store.add_exemption(replace(CONSENT, kind=ExemptionKind.PURCHASE))
    company, _ = store.add_exemption(replace(CONSENT, project=None))
    assert store.end_exemptions(NUMBER, by="x", why="", kind=ExemptionKind.PURCHASE) == (bought,)
    assert store.end_exemptions(NUMBER, by="x", why="", project="shop") == ()
    assert store.end_exemptions(NUMBER, by="x", why="", project="") == (company,)
    assert store.end_exemptions(OTHER, by="x", why="") == ()
    assert store.lookup(NUMBER).exemptions == (ours,)


def test_an_entry_with_purposes_is_another_than_one_without(store: ListStore) -> None:
    plain, _ = store.add(NewEntry(NUMBER, "tl1"))
    some, added = store.add(NewEntry(NUMBER, "tl1", purposes=("marketing",)))
    assert added
    assert store.add(NewEntry(NUMBER, "tl1", purposes=("marketing",))) == (some, False)
    assert store.lookup(NUMBER).entries == (plain, some)


@pytest.mark.parametrize("listed", [NUMBER, "+62812*", "+628120000000X"])
def test_an_opt_out_that_is_said_again_after_a_consent_is_the_latest_word(
    store: ListStore, listed: str
) -> None:
    asked = NewEntry(listed, "tl1", reason="asked by phone")
    first, _ = store.add(asked)
    assert store.add(asked) == (first, False)
    store.add_exemption(replace(CONSENT, number=OTHER[:-1] + "93"))
    assert store.add(asked) == (first, False)
    consent, _ = store.add_exemption(replace(CONSENT, starts_at=first.added_at + timedelta(microseconds=1)))
    again, added = store.add(asked)
    assert added
    assert again.added_at > consent.starts_at
    assert store.add(asked) == (again, False)
    assert store.lookup(NUMBER).entries == (first, again)


def test_an_override_for_one_call_is_used_once_and_by_whom_is_on_record(store: ListStore) -> None:
    override, _ = store.add_exemption(OVERRIDE)
    assert store.use_override(override, "decision-1")
    assert not store.use_override(override, "decision-2")
    assert store.lookup(NUMBER).exemptions == ()
    change = store.history(NUMBER)[-1]
    assert (change.action, change.who, change.why) == (Action.REMOVE, "guard", "decision-1")


def test_what_is_no_override_for_one_call_is_never_used_up(store: ListStore) -> None:
    consent, _ = store.add_exemption(CONSENT)
    window, _ = store.add_exemption(replace(OVERRIDE, once=False, expires_at=NOW + timedelta(hours=1)))
    override, _ = store.add_exemption(OVERRIDE)
    assert not store.use_override(consent, "d")
    assert not store.use_override(window, "d")
    # One that has the same id in a database that was restored from a backup.
    assert not store.use_override(replace(override, number=OTHER), "d")
    assert not store.use_override(replace(override, added_at=NOW - timedelta(days=1)), "d")
    assert store.lookup(NUMBER).exemptions == (consent, window, override)


async def test_of_many_calls_at_once_one_gets_the_override(lists: Lists) -> None:
    override, _ = lists.store.add_exemption(OVERRIDE)
    async with asyncio.timeout(30):
        got = await asyncio.gather(*(lists.guard.use_override(override, f"d{n}") for n in range(20)))
    assert got.count(True) == 1


async def test_redis_says_of_a_number_what_sql_says(lists: Lists) -> None:
    await lists.sync.rebuild()
    await lists.writer.add(NewEntry(NUMBER, "tl1", purposes=("survey",)))
    await lists.writer.add(NewEntry("+62812*", "tl1"))
    await lists.writer.add_exemption(CONSENT)
    await lists.writer.add_exemption(OVERRIDE)
    await lists.writer.add_exemption(replace(CONSENT, number=OTHER))
    for number in (NUMBER, OTHER):
        _, held = await lists.cache.lookup(number)
        assert replace(held, origin="sql") == lists.store.lookup(number)
    assert (await Verifier(lists.store, lists.cache, lists.threads).verify()).equal
    assert await lists.sync.rebuild()
    _, held = await lists.cache.lookup(NUMBER)
    assert (len(held.entries), len(held.exemptions)) == (2, 2)
    await lists.writer.end_exemptions(NUMBER, by="tl1", why="withdrawn")
    _, held = await lists.cache.lookup(NUMBER)
    assert (len(held.entries), held.exemptions) == (2, ())


async def test_an_override_that_was_used_goes_from_redis_too(lists: Lists) -> None:
    async with lists.running():
        override = (await lists.writer.add_exemption(OVERRIDE)).words[0]
        assert isinstance(override, Exemption)
        await lists.warm()
        assert (await lists.answered_by_redis(NUMBER)).exemptions == (override,)
        assert await lists.guard.use_override(override, "d")
        await lists.warm()
        assert (await lists.answered_by_redis(NUMBER)).exemptions == ()
