"""What Prometheus is told of a guard. Every name and label value is known beforehand, but for the reasons'
own words: nothing that a caller can choose becomes a label, so the number of series is bounded."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from callguard.screening.model import Decision, Mode, Reason, Verdict

CacheState = Literal["warm", "cold", "away"]
"""Whether the cache answers and may be trusted, answers but may not, or does not answer."""
Service = Literal["asterisk", "redis", "sql"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds: from a cache hit in the same machine to the longest that a call is held."""


class Metrics:
    """The metrics of one guard, in a registry of their own: two guards in one process (in tests) do not mix.

    Calls of these methods cost a microsecond or two: series are looked up when the guard starts.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        verdicts = Counter(
            "callguard_decisions",
            "Decisions, by verdict and reason",
            ("verdict", "reason"),
            registry=self.registry,
        )
        self._decisions = {
            (verdict, reason): verdicts.labels(verdict, reason) for verdict in Verdict for reason in Reason
        }
        self._check = self._histogram("check", "From the arrival of a call to its verdict")
        self._journal = self._histogram("journal", "From a verdict to its durable record")
        calls = Gauge("callguard_calls_in_progress", "Calls under way", ("mode",), registry=self.registry)
        self._calls = {mode: calls.labels(mode) for mode in Mode}
        cache = Gauge(
            "callguard_cache_state",
            "1 for the state that the cache is in",
            ("state",),
            registry=self.registry,
        )
        self._cache = {state: cache.labels(state) for state in ("warm", "cold", "away")}
        self.cache_state("cold")
        asked = Counter(
            "callguard_lookups",
            "Answers about a number, by who gave them",
            ("origin",),
            registry=self.registry,
        )
        self._lookups = {origin: asked.labels(origin) for origin in ("redis", "sql", "none")}
        again = Counter(
            "callguard_reconnects", "Connections made again", ("service",), registry=self.registry
        )
        self._reconnects = {service: again.labels(service) for service in ("asterisk", "redis", "sql")}
        events = Counter(
            "callguard_ari_events", "ARI events, by what became of them", ("fate",), registry=self.registry
        )
        self._taken, self._dropped = events.labels("taken"), events.labels("dropped")
        self._spooled = Gauge(
            "callguard_spooled_records", "Records that wait outside SQL", registry=self.registry
        )

    def _histogram(self, name: str, told: str) -> Histogram:
        return Histogram(f"callguard_{name}_seconds", told, buckets=_BUCKETS, registry=self.registry)

    def decided(self, decision: Decision, seconds: float) -> None:
        """A call was decided, `seconds` after it arrived."""
        self._decisions[decision.verdict, decision.reason].inc()
        self._lookups[decision.lists_origin or "none"].inc()
        self._check.observe(seconds)

    def recorded(self, seconds: float) -> None:
        """A decision became durable, `seconds` after it was made."""
        self._journal.observe(seconds)

    def call_began(self, mode: Mode) -> None:
        self._calls[mode].inc()

    def call_ended(self, mode: Mode) -> None:
        self._calls[mode].dec()

    def cache_state(self, state: CacheState) -> None:
        for name, gauge in self._cache.items():
            gauge.set(name == state)

    def reconnected(self, service: Service) -> None:
        self._reconnects[service].inc()

    def ari_event(self) -> None:
        """An event of Asterisk was taken."""
        self._taken.inc()

    def ari_event_dropped(self) -> None:
        """An event of Asterisk could not be taken: unreadable, or the queue was full."""
        self._dropped.inc()

    def spool_depth(self, depth: Callable[[], float]) -> None:
        """Name the function that tells how many records wait in the spool; it is asked at each scrape."""
        self._spooled.set_function(depth)

    def page(self) -> bytes:
        """All metrics, as Prometheus reads them: CONTENT_TYPE."""
        return generate_latest(self.registry)
