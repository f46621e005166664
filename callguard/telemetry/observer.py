"""What call control tells, as log lines and metrics."""

import structlog

from callguard.control.inbound import InboundEnd, OpenWindow, Window, WindowFate
from callguard.control.model import Outcome
from callguard.screening.model import CallFacts, Decision
from callguard.telemetry import logs
from callguard.telemetry.metrics import Metrics


class CallObserver:
    """The Observer of a guard's calls, and its InboundObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Bound once: a logger that is looked up for each line costs more than the line's own work.
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.calls").bind()
        self._check_seconds: dict[str, float] = {}

    def decided(self, decision: Decision, seconds: float) -> None:
        self._check_seconds[decision.id] = seconds

    def recorded(self, decision: Decision, seconds: float) -> None:
        """The line and the count of a decision are those of the one that is acted on."""
        check_seconds = self._check_seconds.pop(decision.id, 0.0)
        self._metrics.decided(decision, check_seconds)
        self._metrics.recorded(seconds)
        logs.decided(self._log, decision, check_seconds)

    def unrecorded(self, decision: Decision, why: str) -> None:
        self._log.critical("a decision could be recorded nowhere", decision=repr(decision), problem=why)

    def moved(self, facts: CallFacts | None, old: str, event: str, new: str) -> None:
        self._log.debug("call", channel=facts.channel if facts else None, was=old, on=event, now=new)

    def ended(self, outcome: Outcome) -> None:
        self._log.info(
            "ended",
            id=outcome.decision_id,
            outcome=str(outcome.result),
            cause=outcome.cause,
            trunk=outcome.trunk,
        )

    def inbound_ended(self, end: InboundEnd, number: str | None) -> None:
        self._metrics.inbound_ended(end.result)
        self._log.info(
            "inbound", channel=end.channel, number=number, result=str(end.result), seconds=end.seconds
        )

    def window_written(self, window: Window, fate: WindowFate) -> None:
        self._metrics.window_written(fate)
        until = window.expires_at.isoformat() if isinstance(window, OpenWindow) else None
        self._log.info(
            "callback window",
            number=window.number,
            project=window.project,
            change="close" if until is None else "open",
            until=until,
            fate=str(fate),
        )
