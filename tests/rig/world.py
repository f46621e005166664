"""One call in a world where answers come in any order, or never, and anybody may hang up at any moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from callguard.control import model as m
from callguard.control.lifecycle import advance, begin
from callguard.control.model import Command, Event, Result, Timer, Trunk
from callguard.control.states import CallPolicy, Done, State
from callguard.numbers import Number, NumberKind
from callguard.screening.model import CallFacts, Decision, Mode, Reason, Screened, Verdict

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CALLER = "agent-leg"
ID = "d1"
BRIDGE = "callguard-d1"
CALLEE = "callguard-d1-1"
SECOND_CALLEE = "callguard-d1-2"

POLICY = CallPolicy(
    trunks=(
        Trunk("first", "PJSIP/{number}@first", "e164", 30.0),
        Trunk("second", "PJSIP/{number}@second", "e164", 30.0, caller_id="+622150001"),
    ),
    endpoint=lambda trunk, facts: trunk.endpoint.format(number=facts.number.e164),
    media=lambda decision: (f"sound:{decision.facts.language}/{decision.reason}",),
    variables=lambda decision: {"CALLGUARD_VERDICT": decision.verdict.value},
)
ONE_TRUNK = replace(POLICY, trunks=POLICY.trunks[:1])


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def decision(
    verdict: Verdict = Verdict.ALLOW, mode: Mode = Mode.BRIDGE, reason: Reason | None = None
) -> Decision:
    facts = CallFacts(
        START,
        "0812",
        Number(NumberKind.SUBSCRIBER, "+62812"),
        mode,
        language="id",
        guard="callguard",
        channel=CALLER,
    )
    reason = reason or (Reason.NOT_LISTED if verdict is Verdict.ALLOW else Reason.OPT_OUT)
    return Decision(ID, "1234567", facts, Screened(verdict, reason, (), "rules"), 1, "redis")


def refused_for_the_journal(decided: Decision) -> Decision:
    screened = replace(decided.screened, verdict=Verdict.REFUSE, reason=Reason.GUARD_UNAVAILABLE)
    return replace(decided, screened=screened)


class World:
    """An Asterisk and a journal that may answer in any order, fail, and lose callers at any moment."""

    def __init__(self, policy: CallPolicy, decided: Decision, data: st.DataObject) -> None:
        self.policy = policy
        self.data = data
        self.state: State = begin(ID, "callguard", CALLER)
        self.now = 0.0
        self.pending: list[tuple[Event, ...]] = [(m.Decided(decided),)]
        """Alternatives for each answer that is due; the first is how it goes when all is well."""
        self.channels = {CALLER}
        self.bridges: set[str] = set()
        self.dialled: set[str] = set()
        self.known_gone: set[str] = set()
        self.timers: set[Timer] = set()
        self.records: list[Decision] = []
        self.durable: list[Decision] = []
        self.outcomes: list[m.Outcome] = []
        self.replacements = 0

    def resumed(self, state: State, commands: tuple[Command, ...], decided: Decision) -> None:
        """Go on from a state that was found after a restart; `channels` and `bridges` are there already."""
        self.pending = []
        self.durable = [decided]
        self.state = state
        if state.call.caller_gone:
            self.known_gone.add(state.call.caller)
        self._carry_out(commands)

    def deliver(self, event: Event) -> None:
        self.now += 1
        self._happen(event)
        self.state, commands = advance(self.state, event, self.policy)
        self._carry_out(commands)

    def _carry_out(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            self._check(command)
            self._obey(command)

    def _happen(self, event: Event) -> None:
        """Bring the world to what the event says."""
        match event:
            case m.Recorded(decision=durable):
                self.durable.append(durable)
            case m.BridgeCreated(bridge) | m.CommandFailed(command=m.CreateBridge(bridge), gone=False):
                self.bridges.add(bridge)
            case m.CalleeReady(callee) | m.CommandFailed(command=m.CreateCallee(callee), gone=False):
                # The answer to a request may be lost although the request was not: the worst case.
                self.channels.add(callee)
                self.known_gone.discard(callee)
            case m.CalleeGone(channel) | m.CallerGone(channel):
                self.channels.discard(channel)
                self.known_gone.add(channel)
            case m.CallerLeft(channel):
                if not isinstance(self.state, Done) and not getattr(self.state, "released", False):
                    self.known_gone.add(channel)
            case m.CallerReplaced(_, by) | m.CalleeReplaced(_, by):
                self.channels.add(by)
            case m.TimerExpired(timer):
                self.timers.discard(timer)
            case _:
                pass

    def _check(self, command: Command) -> None:
        for name in ("caller", "callee", "channel"):
            channel = getattr(command, name, None)
            assert channel not in self.known_gone, f"{command} to a channel that is known to be gone"
        if isinstance(command, m.Dial):
            assert self.durable, "dialled without a record"
            assert self.durable[-1].verdict is Verdict.ALLOW, "dialled without an allow"
        if isinstance(command, m.Release):
            assert self.durable
            assert self.durable[-1].verdict is Verdict.ALLOW
        if isinstance(command, m.Announce):
            assert self.durable
            assert self.durable[-1].verdict is Verdict.REFUSE

    def _obey(self, command: Command) -> None:
        lost = m.CommandFailed(command, gone=False, why="no answer")
        none = m.CommandFailed(command, gone=True, why="gone")
        now = at(self.now)
        match command:
            case m.Record(decided):
                self.records.append(decided)
                without = decided
                if decided.verdict is Verdict.ALLOW:
                    without = refused_for_the_journal(decided)
                self.pending.append((m.Recorded(decided), m.Recorded(without)))
            case m.Finish(outcome):
                self.outcomes.append(outcome)
            case m.StartTimer(timer):
                self.timers.add(timer)
            case m.CancelTimer(timer):
                self.timers.discard(timer)
            case m.CreateBridge(bridge):
                self.pending.append((m.BridgeCreated(bridge), none, lost))
            case m.CreateCallee(callee):
                self.pending.append((m.CalleeReady(callee), none, lost))
            case m.Join(callee=callee):
                self.pending.append((m.Joined(callee), none, lost))
            case m.Dial(callee):
                self.dialled.add(callee)
                self.pending.append(
                    (
                        m.CalleeRinging(callee, now),
                        m.CalleeProgressed(callee, now),
                        m.CalleeAnswered(callee, now),
                        m.CalleeGone(callee, now, cause=34),
                        m.CalleeGone(callee, now, cause=17),
                        none,
                        lost,
                    )
                )
            case m.Announce(playback=playback):
                self.pending.append(
                    (
                        m.PromptFinished(playback, heard=True),
                        m.PromptFinished(playback, heard=False),
                        none,
                        lost,
                    )
                )
            case m.Release(caller):
                self.pending.append((m.CallerLeft(caller, now), none, lost))
            case m.HangUp(channel):
                gone: Event = m.CalleeGone(channel, now, cause=16)
                if channel == self.state.call.caller:
                    gone = m.CallerGone(channel, now, cause=16)
                # A stray that cannot be hung up is left to the regular look at Asterisk.
                call = self.state.call
                stray = isinstance(self.state, Done) or channel not in (call.caller, call.callee)
                self.pending.append((gone,) if stray else (gone, lost))
            case m.DeleteBridge(bridge):
                self.bridges.discard(bridge)
                self.pending.append((lost,))
            case _:
                pass

    def step(self) -> None:
        """Let one thing happen that may happen now."""
        now = at(self.now)
        choices: list[Event] = [event for answers in self.pending for event in answers]
        choices += [m.TimerExpired(timer, now) for timer in sorted(self.timers)]
        caller = self.state.call.caller
        callee = self.state.call.callee
        if caller in self.channels:
            choices += [m.CallerGone(caller, now, 16, hung_up=True), m.CallerLeft(caller, now)]
        if callee in self.channels:
            choices += [m.CalleeGone(callee, now, 16), m.CalleeRinging(callee, now)]
            if callee in self.dialled:
                choices.append(m.CalleeAnswered(callee, now))
        alive = caller in self.channels and caller not in self.known_gone
        if alive and not isinstance(self.state, Done) and self.replacements < 2:
            choices += [m.CallerReplaced(caller, f"local-{self.replacements}")]
        choices += [
            m.CallerGone("another", now),
            m.CalleeGone("another", now),
            m.DialEnded(caller, Result.BUSY),
        ]
        event = self.data.draw(st.sampled_from(choices))
        if isinstance(event, m.CallerReplaced):
            self.replacements += 1
        self.pending = [answers for answers in self.pending if event not in answers]
        self.deliver(event)

    def wind_down(self) -> None:
        """From now on all goes well; whoever is still there hangs up; every timer runs out."""
        for _ in range(100):
            if self.pending:
                answers = self.pending.pop(0)
                if not isinstance(answers[0], m.CommandFailed):
                    self.deliver(answers[0])
            elif isinstance(self.state, Done):
                return
            elif self.timers:
                self.deliver(m.TimerExpired(min(self.timers), at(self.now)))
            else:
                self.deliver(m.CallerGone(self.state.call.caller, at(self.now), 16, hung_up=True))
        raise AssertionError(f"the call never ends: {self.state}")
