"""Which contexts lead to the guard, and which go around it."""

from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.dialplan import Dialplan, read_dialplan

TRUNKS = ("PJSIP/{number}@trunk", "DAHDI/g1/{number}")


def step(context: str, application: str, data: str) -> dict[str, str]:
    return {
        "event": "ListDialplan",
        "context": context,
        "extension": "_X.",
        "application": application,
        "appdata": data,
    }


def include(context: str, included: str) -> dict[str, str]:
    return {"event": "ListDialplan", "context": context, "includecontext": included}


GUARD = (
    include("callguard-bridge", "callguard-bridge-numbers"),
    step("callguard-bridge-numbers", "Goto", "callguard-call,bridge,1"),
    step("callguard-call", "Gosub", "callguard-ask,s,1(bridge)"),
    step("callguard-ask", "Stasis", "callguard,${ARG1},${CALLGUARD_DIALLED}"),
    step("callguard-emergency-call", "Dial", "PJSIP/112@trunk"),
)


def read(*rows: dict[str, str]) -> Dialplan:
    return read_dialplan((*GUARD, *rows), "callguard", TRUNKS)


def test_a_context_that_includes_the_guard_is_guarded_through_every_include_and_jump() -> None:
    found = read(include("agents", "callguard-bridge"), include("phones", "agents"))
    assert found == Dialplan(asking=("callguard-ask",), guarded=("agents", "phones"), around=())


def test_the_guards_own_contexts_alone_guard_nothing() -> None:
    assert read().guarded == ()


def test_a_dialplan_that_asks_the_guard_by_itself_is_guarded() -> None:
    found = read(step("own", "Stasis", "callguard,screen,${EXTEN}"), step("own", "Dial", "PJSIP/1@trunk,60"))
    assert (found.guarded, found.around) == (("own",), ())
    assert read(step("sub", "GosubIf", '$["${X}" = ""]?callguard-ask,s,1(screen)')).guarded == ("sub",)


def test_another_application_is_not_the_guard() -> None:
    assert read(step("own", "Stasis", "callguard-2,bridge,${EXTEN}")).guarded == ()


def test_a_context_that_reports_inbound_calls_guards_nothing() -> None:
    report = step("callguard-inbound", "Stasis", "callguard,inbound,${number}")
    forwards = step("from-carrier", "Dial", "PJSIP/${EXTEN}@trunk")
    found = read(report, step("from-carrier", "Gosub", "callguard-inbound,s,1"), forwards)
    assert (found.guarded, found.around) == ((), ("from-carrier",))


def test_a_context_that_dials_a_trunk_without_the_guard_goes_around_it() -> None:
    assert read(step("plain", "Dial", "PJSIP/${EXTEN}@trunk,60")).around == ("plain",)
    assert read(step("plain", "Dial", "SIP/1&DAHDI/g1/${EXTEN}")).around == ("plain",)
    assert read(step("plain", "Dial", "PJSIP/${EXTEN}@trunk2")).around == ()
    assert read(step("desk", "Dial", "PJSIP/101")).around == ()


def test_the_context_that_asterisk_makes_for_a_connected_guard_guards_nothing() -> None:
    assert read(step("stasis-callguard", "Stasis", "callguard")).guarded == ()


def test_contexts_that_include_each_other_are_read_to_the_end() -> None:
    assert read(include("a", "b"), include("b", "a")).guarded == ()
    assert read(include("a", "b"), include("b", "a"), include("b", "callguard-bridge")).guarded == ("a", "b")


NAMES = st.sampled_from(["a", "b", "callguard-ask", "callguard-bridge"]) | st.text(max_size=5)
ROWS = st.dictionaries(
    st.sampled_from(["context", "includecontext", "application", "appdata", "event"]),
    NAMES | st.sampled_from(["Stasis", "Goto", "Dial", "PJSIP/x@trunk"]),
)


@given(rows=st.lists(ROWS, max_size=8))
def test_any_rows_are_read_and_a_context_is_never_both_guarded_and_around(rows: list[dict[str, str]]) -> None:
    found = read(*rows)
    assert not set(found.guarded) & set(found.around)
