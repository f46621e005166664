"""What Prometheus reads of a guard."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from callguard.control.inbound import InboundResult, WindowFate
from callguard.numbers import Number, NumberKind
from callguard.screening.model import CallFacts, Decision, Mode, Reason, Screened, Verdict
from callguard.telemetry.metrics import CACHE_STATES, Figures, ListFigures, Metrics


def decision(verdict: Verdict, reason: Reason, origin: str | None = "redis") -> Decision:
    facts = CallFacts(
        datetime(2026, 1, 1, tzinfo=UTC), "081", Number(NumberKind.SUBSCRIBER, "+6281"), Mode.BRIDGE
    )
    return Decision("1", "1", facts, Screened(verdict, reason, (), "r"), None, origin)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_decisions_are_counted_by_verdict_and_reason() -> None:
    metrics = Metrics()
    metrics.decided(decision(Verdict.REFUSE, Reason.OPT_OUT), 0.0003)
    metrics.decided(decision(Verdict.REFUSE, Reason.OPT_OUT, "sql"), 0.0003)
    metrics.decided(decision(Verdict.ALLOW, Reason.EMERGENCY, None), 0.0003)
    assert value(metrics, "callguard_decisions_total", verdict="refuse", reason="opt-out") == 2
    assert value(metrics, "callguard_decisions_total", verdict="allow", reason="emergency") == 1


def test_every_verdict_and_reason_is_there_from_the_start_so_that_a_first_one_is_a_rise() -> None:
    assert value(Metrics(), "callguard_decisions_total", verdict="refuse", reason="guard-unavailable") == 0


def test_times_from_a_tenth_of_a_millisecond_to_a_second_are_told_apart() -> None:
    metrics = Metrics()
    for seconds in (0.00009, 0.00019, 0.9):
        metrics.decided(decision(Verdict.ALLOW, Reason.NOT_LISTED), seconds)
        metrics.recorded(seconds)
    for name in ("check", "journal"):
        assert value(metrics, f"callguard_{name}_seconds_bucket", le="0.0001") == 1
        assert value(metrics, f"callguard_{name}_seconds_bucket", le="0.0002") == 2
        assert value(metrics, f"callguard_{name}_seconds_bucket", le="1.0") == 3


def watched(**figures: object) -> Metrics:
    metrics = Metrics()
    metrics.watch(lambda: Figures(**figures))  # type: ignore[arg-type]
    return metrics


def test_calls_in_progress_are_told_by_mode() -> None:
    metrics = watched(calls={"bridge": 2, "screen": 0})
    assert value(metrics, "callguard_calls_in_progress", mode="bridge") == 2
    assert value(metrics, "callguard_calls_in_progress", mode="screen") == 0


def test_the_cache_is_in_one_state_at_a_time() -> None:
    metrics = watched(cache="warm", lookups={"sql": 4})
    states = {state: value(metrics, "callguard_cache_state", state=state) for state in CACHE_STATES}
    assert states == {"warm": 1, "cold": 0, "rebuilding": 0, "unreachable": 0}
    assert value(metrics, "callguard_lookups_total", origin="sql") == 4


def test_connections_and_events_and_the_spool_are_told() -> None:
    metrics = watched(connections=2, events={"taken": 9, "unread": 1}, spooled=3)
    assert value(metrics, "callguard_asterisk_connections_total") == 2
    assert value(metrics, "callguard_ari_events_total", fate="taken") == 9
    assert value(metrics, "callguard_ari_events_total", fate="unread") == 1
    assert value(metrics, "callguard_journal_spooled_total") == 3


def test_how_large_how_old_and_how_fresh_each_registry_list_is_is_told() -> None:
    metrics = watched(
        lists={
            "us": ListFigures(250, age_days=32, allowed_age_days=31, fresh=False),
            "uk": ListFigures(0, age_days=None, allowed_age_days=None, fresh=True),
        }
    )
    told = {
        name: (
            value(metrics, f"callguard_list_{name}", list="us"),
            value(metrics, f"callguard_list_{name}", list="uk"),
        )
        for name in ("numbers", "age_days", "allowed_age_days", "fresh")
    }
    assert told == {
        "numbers": (250, 0),
        "age_days": (32, None),
        "allowed_age_days": (31, None),
        "fresh": (0, 1),
    }


def test_inbound_calls_are_counted_by_what_became_of_them_and_windows_by_theirs() -> None:
    metrics = Metrics()
    metrics.inbound_ended(InboundResult.ABANDONED)
    metrics.window_written(WindowFate.WRITTEN)
    assert value(metrics, "callguard_inbound_calls_total", result="abandoned") == 1
    assert value(metrics, "callguard_inbound_calls_total", result="answered") == 0
    assert value(metrics, "callguard_callback_windows_total", fate="written") == 1
    assert value(metrics, "callguard_callback_windows_total", fate="given-up") == 0


def test_two_guards_in_one_process_do_not_mix() -> None:
    first, second = Metrics(), Metrics()
    first.recorded(0.1)
    assert value(second, "callguard_journal_seconds_count") == 0


def test_the_page_is_what_prometheus_reads_and_explains_each_metric() -> None:
    families = list(text_string_to_metric_families(watched().page().decode()))
    assert len(families) > 8
    assert all(family.name.startswith("callguard_") and family.documentation for family in families)
