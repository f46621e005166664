"""What becomes of an inbound call, and what it means for calling back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.control.inbound import (
    PROLONG,
    SOURCE,
    Answered,
    CallbackRules,
    CloseWindow,
    Happened,
    InboundCall,
    InboundEnd,
    InboundResult,
    OpenWindow,
    Plan,
    advance,
    meaning,
    plan,
)
from callguard.screening.model import Entry, Exemption, ExemptionKind, Hits

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NUMBER = "+6281234567890"
CALL = InboundCall("in", AT)
WATCHED = replace(CALL, watched=True)
HOUR = timedelta(hours=1)


def end_of(*happened: Happened, seconds: float = 12) -> InboundEnd | InboundCall:
    call: InboundCall | InboundEnd = CALL
    for one in happened:
        assert isinstance(call, InboundCall)
        call = advance(call, one, AT + timedelta(seconds=seconds))
    return call


@pytest.mark.parametrize(
    ("last", "result"),
    [
        (Happened.ANSWERED, InboundResult.ANSWERED),
        (Happened.HUNG_UP, InboundResult.ABANDONED),
        (Happened.GONE, InboundResult.MISSED),
        (Happened.LOST, InboundResult.UNSEEN),
    ],
)
def test_a_watched_call_ends_by_an_answer_or_without_one(last: Happened, result: InboundResult) -> None:
    assert end_of(Happened.WATCHED, Happened.LEFT, last) == InboundEnd("in", result, 12)


def test_a_call_that_went_on_before_it_was_watched_may_have_been_answered_unseen() -> None:
    assert end_of(Happened.LEFT) == InboundEnd("in", InboundResult.UNSEEN, 12)


def test_a_caller_who_hangs_up_at_once_has_abandoned_the_call() -> None:
    assert end_of(Happened.HUNG_UP, seconds=-0.2) == InboundEnd("in", InboundResult.ABANDONED, 0)


@given(st.lists(st.sampled_from(Happened)))
def test_only_a_call_seen_from_its_start_to_its_end_without_an_answer_opens_a_window(
    happened: list[Happened],
) -> None:
    call: InboundCall | InboundEnd = CALL
    seen: list[Happened] = []
    for one in happened:
        if isinstance(call, InboundEnd):
            break
        seen.append(one)
        call = advance(call, one, AT)
    if isinstance(call, InboundCall):
        return
    window = meaning(call, NUMBER, None, CallbackRules(), AT)
    if isinstance(window, OpenWindow):
        assert not {Happened.ANSWERED, Happened.LOST} & set(seen)
        unwatched = seen[: seen.index(Happened.WATCHED)] if Happened.WATCHED in seen else seen
        assert Happened.LEFT not in unwatched
        assert seen[-1] in {Happened.HUNG_UP, Happened.GONE}


# --- what it means ------------------------------------------------------------------------------------------


def end(result: InboundResult) -> InboundEnd:
    return InboundEnd("1795296370.167", result, 31)


def test_an_abandoned_call_opens_a_window_with_its_evidence() -> None:
    window = meaning(end(InboundResult.ABANDONED), NUMBER, "bank", CallbackRules(), AT)
    assert window == OpenWindow(
        NUMBER,
        "bank",
        "inbound call, abandoned after 31 s",
        "1795296370.167",
        AT,
        AT + timedelta(hours=72),
    )


def test_a_call_that_nobody_answered_opens_one_too() -> None:
    window = meaning(end(InboundResult.MISSED), NUMBER, None, CallbackRules(), AT)
    assert isinstance(window, OpenWindow)
    assert (window.evidence, window.project) == ("inbound call, not answered in 31 s", None)


def test_a_call_of_which_anything_was_missed_changes_nothing() -> None:
    for answered in Answered:
        rules = CallbackRules(answered=answered)
        assert meaning(end(InboundResult.UNSEEN), NUMBER, None, rules, AT) is None


def test_an_answered_call_closes_keeps_or_opens_as_set() -> None:
    answered = end(InboundResult.ANSWERED)
    assert meaning(answered, NUMBER, "bank", CallbackRules(), AT) == CloseWindow(
        NUMBER, "bank", "inbound call 1795296370.167 answered"
    )
    assert meaning(answered, NUMBER, "bank", CallbackRules(answered=Answered.KEEP), AT) is None
    opened = meaning(answered, NUMBER, "bank", CallbackRules(answered=Answered.OPEN), AT)
    assert isinstance(opened, OpenWindow)
    assert opened.evidence == "inbound call, answered"


def test_no_window_is_opened_where_the_setting_is_0_hours_but_standing_ones_are_closed() -> None:
    none = CallbackRules(window=timedelta(0), answered=Answered.OPEN)
    for result in InboundResult:
        assert meaning(end(result), NUMBER, None, none, AT) is None
    closing = CallbackRules(window=timedelta(0))
    assert isinstance(meaning(end(InboundResult.ANSWERED), NUMBER, None, closing, AT), CloseWindow)


# --- what is written ----------------------------------------------------------------------------------------

WINDOW = OpenWindow(NUMBER, "bank", "inbound call, abandoned after 3 s", "in", AT, AT + 72 * HOUR)
CLOSE = CloseWindow(NUMBER, "bank", "answered")
STANDING = Exemption(
    id=7,
    number=NUMBER,
    kind=ExemptionKind.CALLBACK,
    project="bank",
    purposes=(),
    evidence="inbound call, abandoned after 9 s",
    reference="earlier",
    source=SOURCE,
    added_by="callguard",
    added_at=AT - HOUR,
    starts_at=AT - HOUR,
    expires_at=AT + 71 * HOUR,
)


def hits(*exemptions: Exemption, entries: tuple[Entry, ...] = ()) -> Hits:
    return Hits(entries, 1, "sql", exemptions=exemptions)


def opt_out(at: datetime) -> Entry:
    return Entry(1, NUMBER, "customer-request", None, "", "phone", "sari", at, None)


def test_the_first_call_opens_a_window() -> None:
    assert plan(WINDOW, hits()) == Plan(add=True, end=())


def test_a_second_call_prolongs_the_window_so_that_there_is_one() -> None:
    assert plan(WINDOW, hits(STANDING)) == Plan(add=True, end=(7,))


def test_calls_in_quick_succession_write_nothing_more() -> None:
    recent = replace(STANDING, expires_at=WINDOW.expires_at - PROLONG + timedelta(seconds=1))
    assert plan(WINDOW, hits(recent)) == Plan(add=False, end=())


def test_an_opt_out_since_the_last_call_makes_the_next_one_open_a_window_that_is_later() -> None:
    recent = replace(STANDING, expires_at=WINDOW.expires_at)
    since = hits(recent, entries=(opt_out(recent.starts_at),))
    assert plan(WINDOW, since) == Plan(add=True, end=(7,))
    before = hits(recent, entries=(opt_out(recent.starts_at - HOUR),))
    assert plan(WINDOW, before) == Plan(add=False, end=())


@pytest.mark.parametrize(
    "other",
    [
        replace(STANDING, project="shop"),
        replace(STANDING, project=None),
        replace(STANDING, source="ticket system"),
        replace(STANDING, kind=ExemptionKind.CONSENT),
    ],
    ids=["another project's", "the company's", "a ticket's", "a consent"],
)
def test_what_no_inbound_call_of_this_project_opened_is_not_touched(other: Exemption) -> None:
    assert plan(WINDOW, hits(other)) == Plan(add=True, end=())
    assert plan(CLOSE, hits(other)) == Plan(add=False, end=())


def test_an_answered_call_closes_all_that_earlier_ones_opened() -> None:
    assert plan(CLOSE, hits(STANDING, replace(STANDING, id=9))) == Plan(add=False, end=(7, 9))
