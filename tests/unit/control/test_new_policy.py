"""A policy that is set while calls go on is that of the calls that begin after."""

from dataclasses import replace

from callguard.control import model as m
from callguard.control.model import HangupReason, RefusalCode
from tests.rig.rules import rules
from tests.rig.switchboard import LISTED, POLICY, a_guard


async def test_a_refused_call_ends_by_the_policy_that_it_began_with() -> None:
    later = replace(POLICY, refusal=lambda _: HangupReason.NO_ANSWER)
    async with a_guard() as guard:
        await guard.dial("before", LISTED)
        guard.dispatcher.use(rules(), guard.facts, later)
        await guard.dial("after", LISTED)
        for announced in guard.line.given(m.Announce):
            guard.dispatcher.prompt_finished(announced.caller, announced.playback, heard=True)
        await guard.quiet()
        assert guard.line.given(m.HangUp) == [
            m.HangUp("before", HangupReason.REJECTED),
            m.HangUp("after", HangupReason.NO_ANSWER),
        ]
        guard.assert_nothing_is_kept()


async def test_fewer_trunks_leave_a_call_that_is_being_placed_its_own() -> None:
    async with a_guard() as guard:
        callee = f"callguard-{await guard.dial('agent')}-1"
        guard.dispatcher.use(rules(), guard.facts, replace(POLICY, trunks=POLICY.trunks[:1]))
        guard.board.end(callee, cause=34)
        await guard.quiet()
        assert [one.endpoint for one in guard.line.given(m.CreateCallee)] == [
            POLICY.trunks[0].endpoint.format(number="+62812"),
            POLICY.trunks[1].endpoint.format(number="+62812"),
        ]


def test_each_code_has_a_hangup_and_a_cause() -> None:
    assert [(code.value, code.hangup, code.cause) for code in RefusalCode] == [
        (403, HangupReason.REJECTED, 21),
        (480, HangupReason.NO_ANSWER, 19),
        (603, HangupReason.NORMAL, 16),
    ]
