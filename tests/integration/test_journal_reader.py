"""The journal is read newest first, by any of its filters, a page at a time, and never searched whole."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.config import SqlSettings
from callguard.database import migrate, open_engine
from callguard.journal import reader as reader_module
from callguard.journal.reader import JournalReader, Logged, Query
from callguard.journal.rows import decision_row, outcome_row
from callguard.journal.store import JournalStore
from callguard.screening.model import Decision, Reason, Verdict
from tests.rig.decisions import START, a_decision, an_outcome

pytestmark = pytest.mark.integration

VERDICTS = {Reason.NOT_LISTED: Verdict.ALLOW, Reason.OPT_OUT: Verdict.REFUSE, Reason.REGISTRY: Verdict.REFUSE}


def some_decisions() -> list[Decision]:
    """240 decisions, oldest first, a second apart, of every mixture of what can be asked for."""
    reasons = list(VERDICTS)
    return [
        a_decision(
            VERDICTS[reasons[number % 3]],
            at=START + timedelta(seconds=number),
            number=None if number % 7 == 0 else f"+62812345678{number % 5}0",
            agent=f"agent{number % 2}",
            project=("bank", "shop", None)[number % 4 % 3],
            reason=reasons[number % 3],
            reference=f"{number % 60:07}",
        )
        for number in range(240)
    ]


def store(engine: sa.Engine, decisions: list[Decision]) -> None:
    journal = JournalStore(engine)
    journal.add_decisions(lambda: [decision_row(decision) for decision in decisions])
    journal.add_outcomes([outcome_row(an_outcome(decision)) for decision in decisions[::2]])
    journal.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sa.Engine, list[Logged]]]:
    """A journal, and what is in it, newest first."""
    engine = open_engine(SqlSettings(), tmp_path_factory.mktemp("journal"))
    migrate(engine)
    decisions = some_decisions()
    store(engine, decisions)
    logged = [
        Logged(decision, an_outcome(decision) if number % 2 == 0 else None)
        for number, decision in enumerate(decisions)
    ]
    yield engine, logged[::-1]
    engine.dispose()


def wants(query: Query, decision: Decision) -> bool:
    """What a query means, said without SQL."""
    facts = decision.facts
    return (
        (query.since is None or facts.at >= query.since)
        and (query.until is None or facts.at < query.until)
        and (not query.refused or decision.verdict is Verdict.REFUSE)
        and (query.agent is None or facts.agent == query.agent)
        and (query.project is None or facts.project == query.project)
        and (query.number is None or facts.number.e164 == query.number)
        and (query.reason is None or decision.reason is query.reason)
        and (query.reference is None or decision.reference == query.reference)
    )


around = st.none() | st.integers(-2_000_000, 242_000_000).map(
    lambda count: START + timedelta(microseconds=count)
)
queries = st.builds(
    Query,
    since=around,
    until=around,
    refused=st.booleans(),
    agent=st.sampled_from([None, None, "agent0", "agent1", "nobody"]),
    project=st.sampled_from([None, None, "bank", "shop", ""]),
    number=st.sampled_from([None, None, "+6281234567810", "+1"]),
    reason=st.sampled_from([None, None, *VERDICTS]),
    reference=st.sampled_from([None, None, None, "0000012"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, page=st.integers(1, 90), limit=st.none() | st.integers(1, 300))
def test_a_query_gives_what_it_wants_newest_first_whatever_the_page(
    filled: tuple[sa.Engine, list[Logged]],
    monkeypatch: pytest.MonkeyPatch,
    query: Query,
    page: int,
    limit: int | None,
) -> None:
    engine, logged = filled
    with monkeypatch.context() as patch:
        patch.setattr(reader_module, "PAGE", page)
        found = list(JournalReader(engine).newest_first(query, limit))
    assert found == [one for one in logged if wants(query, one.decision)][:limit]


def test_both_databases_give_the_same(engine: sa.Engine) -> None:
    decisions = some_decisions()
    store(engine, decisions)
    reader = JournalReader(engine)
    for query in (
        Query(),
        Query(refused=True, project="bank"),
        Query(since=START + timedelta(seconds=3), until=START + timedelta(seconds=9)),
        Query(reason=Reason.REGISTRY, agent="agent0"),
    ):
        found = [logged.decision for logged in reader.newest_first(query)]
        assert found == [decision for decision in decisions[::-1] if wants(query, decision)]


@pytest.mark.parametrize("at", [datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)])
def test_times_far_from_ours_are_no_error(filled: tuple[sa.Engine, list[Logged]], at: datetime) -> None:
    engine, logged = filled
    early = at < START
    assert len(JournalReader(engine).page(Query(since=at))) == (len(logged) if early else 0)
    assert len(JournalReader(engine).page(Query(until=at))) == (0 if early else len(logged))


def test_decisions_of_the_meantime_do_not_repeat_or_hide_any(engine: sa.Engine) -> None:
    decisions = some_decisions()
    store(engine, decisions[:100])
    reader = JournalReader(engine)
    first = reader.page(Query(), size=40)
    store(engine, decisions[100:])
    second = reader.page(Query(), before=first[-1].decision.id, size=100)
    assert [logged.decision for logged in first + second] == decisions[:100][::-1]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(), "sqlite_autoindex_decisions_1"),
        (Query(number="+6281234567890"), "ix_decisions_number"),
        (Query(project="bank"), "ix_decisions_project"),
        (Query(agent="agent1"), "ix_decisions_agent"),
        (Query(reason=Reason.OPT_OUT), "ix_decisions_reason"),
        (Query(reference="0001234"), "ix_decisions_reference"),
        (Query(refused=True), "ix_decisions_refused "),
        (Query(refused=True, project="bank"), "ix_decisions_refused_project"),
        (Query(refused=True, agent="agent1"), "ix_decisions_refused_agent"),
        (Query(number="+6281234567890", refused=True), "ix_decisions_number"),
    ],
)
def test_a_page_is_read_from_an_index_in_its_order(
    filled: tuple[sa.Engine, list[Logged]], query: Query, index: str
) -> None:
    engine, _logged = filled
    plans: list[str] = []

    def explain(
        connection: sa.Connection, _cursor: object, statement: str, values: Any, *_more: object
    ) -> None:
        if statement.startswith("SELECT"):
            driver: sa.PoolProxiedConnection = connection.connection
            cursor = driver.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.append(" / ".join(str(row[3]) for row in cursor.fetchall()))

    sa.event.listen(engine, "before_cursor_execute", explain)
    try:
        JournalReader(engine).page(query, before="01zzzzzzzzzzzzzzzzzzzzzzzz")
    finally:
        sa.event.remove(engine, "before_cursor_execute", explain)
    (plan,) = plans
    assert index in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN decisions" not in plan or index in plan.split("/")[0]
