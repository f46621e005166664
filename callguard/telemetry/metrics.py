"""What Prometheus is told of a guard. Every name and label value is known beforehand, but for the reasons'
own words and the registry lists' names: nothing that a caller can choose becomes a label, so the number of
series is bounded."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from callguard.control.inbound import InboundResult, WindowFate
from callguard.screening.model import Decision, Reason, Verdict

CACHE_STATES = ("warm", "cold", "rebuilding", "unreachable")

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds: from a cache hit in the same machine to the longest that a call is held."""


@dataclass(frozen=True, slots=True)
class ListFigures:
    """A registry list."""

    numbers: int
    age_days: int | None
    """How old its data are; None if that is not known."""
    allowed_age_days: int | None
    """How old they may be; None for any age."""
    fresh: bool
    """Whether its silence may be relied upon: it was imported, and is not older than allowed."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the parts of a guard keep themselves, as it is now. Counts are since the start."""

    calls: Mapping[str, int] = field(default_factory=dict)
    """Calls in progress by mode."""
    cache: str = "cold"
    """One of CACHE_STATES."""
    lookups: Mapping[str, int] = field(default_factory=dict)
    """Answers about a number by who gave them: `redis`, `sql`, `none`."""
    rebuilds: int = 0
    connections: int = 0
    """To Asterisk: the first and each after a loss."""
    events: Mapping[str, int] = field(default_factory=dict)
    """ARI messages: `taken`, `unread`, `failed`."""
    journal_waiting: int = 0
    spooled: int = 0
    lists: Mapping[str, ListFigures] = field(default_factory=dict)
    """The registry lists, by name."""


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
        inbound = self._counter("inbound_calls", "Inbound calls, by what became of them", "result")
        self._inbound = {result: inbound.labels(result) for result in InboundResult}
        windows = self._counter("callback_windows", "Windows for calling back, opened or closed", "fate")
        self._windows = {fate: windows.labels(fate) for fate in WindowFate}
        self._check = self._histogram("check", "From the arrival of a call to its verdict")
        self._journal = self._histogram("journal", "From a verdict to its durable record")

    def _histogram(self, name: str, told: str) -> Histogram:
        return Histogram(f"callguard_{name}_seconds", told, buckets=_BUCKETS, registry=self.registry)

    def _counter(self, name: str, told: str, label: str) -> Counter:
        return Counter(f"callguard_{name}", told, (label,), registry=self.registry)

    def inbound_ended(self, result: InboundResult) -> None:
        """No more is waited for of an inbound call."""
        self._inbound[result].inc()

    def window_written(self, fate: WindowFate) -> None:
        """A window for calling back was written, or given up."""
        self._windows[fate].inc()

    def decided(self, decision: Decision, seconds: float) -> None:
        """A call was decided, `seconds` after it arrived."""
        self._decisions[decision.verdict, decision.reason].inc()
        self._check.observe(seconds)

    def recorded(self, seconds: float) -> None:
        """A decision became durable, `seconds` after it was made."""
        self._journal.observe(seconds)

    def watch(self, look: Callable[[], Figures]) -> None:
        """Name the function that gives the figures which others keep; it is asked at each scrape."""
        self.registry.register(_Watch(look))

    def page(self) -> bytes:
        """All metrics, as Prometheus reads them: CONTENT_TYPE."""
        return generate_latest(self.registry)


class _Watch(Collector):
    """Turns Figures into what Prometheus reads."""

    def __init__(self, look: Callable[[], Figures]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        figures = self._look()
        yield _gauge("calls_in_progress", "Calls under way", "mode", figures.calls)
        cache = {state: int(state == figures.cache) for state in CACHE_STATES}
        yield _gauge("cache_state", "1 for the state that the cache is in", "state", cache)
        yield _counter("lookups", "Answers about a number, by who gave them", "origin", figures.lookups)
        yield CounterMetricFamily(
            "callguard_cache_rebuilds", "Times that the cache was built anew", figures.rebuilds
        )
        yield CounterMetricFamily(
            "callguard_asterisk_connections", "Connections made to Asterisk", figures.connections
        )
        yield _counter("ari_events", "ARI messages, by what became of them", "fate", figures.events)
        yield GaugeMetricFamily(
            "callguard_journal_waiting", "Records that wait for their commit", figures.journal_waiting
        )
        yield CounterMetricFamily(
            "callguard_journal_spooled", "Records that went into the spool", figures.spooled
        )
        yield from _of_lists(figures.lists)


def _of_lists(lists: Mapping[str, ListFigures]) -> Iterator[Metric]:
    numbers = {name: one.numbers for name, one in lists.items()}
    ages = {name: one.age_days for name, one in lists.items() if one.age_days is not None}
    allowed = {name: one.allowed_age_days for name, one in lists.items() if one.allowed_age_days is not None}
    fresh = {name: int(one.fresh) for name, one in lists.items()}
    yield _gauge("list_numbers", "Numbers of each registry list", "list", numbers)
    yield _gauge("list_age_days", "How old each registry list's data are", "list", ages)
    yield _gauge("list_allowed_age_days", "How old they may be", "list", allowed)
    yield _gauge("list_fresh", "1 for each list imported and not older than allowed", "list", fresh)


def _gauge(name: str, told: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"callguard_{name}", told, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, told: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"callguard_{name}", told, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
