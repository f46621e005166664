"""A log line is one line, and says nothing that nobody may know, whatever a phone sends."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from callguard.numbers import Number, NumberKind
from callguard.screening.model import CallFacts, Decision, Match, Mode, Reason, Screened, Verdict
from callguard.telemetry import logs

HOSTILE = 'Tl1\n2026-01-01T00:00:00Z info decided verdict=allow\r\x1b[2J\u2028\x85\0 "quoted" \\ \udcff'
DECISION = Decision(
    id="01jd",
    reference="0012345",
    facts=CallFacts(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        dialled="081\n234",
        number=Number(NumberKind.SUBSCRIBER, "+6281234567890"),
        mode=Mode.BRIDGE,
        project="bank",
        agent=HOSTILE,
        channel="1.2",
    ),
    screened=Screened(
        Verdict.REFUSE,
        Reason.OPT_OUT,
        (Match(Reason.OPT_OUT, "entry", "7", "customer-request", None, "asked", 9),),
        "r1",
    ),
    lists_position=9,
    lists_origin="redis",
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


def logged(form: str, **values: object) -> str:
    out = io.StringIO()
    logs.configure("json" if form == "json" else "console", "info", out)
    structlog.get_logger().info("seen", **values)
    return out.getvalue()


def test_a_decision_is_one_json_line_with_everything_that_it_rests_on() -> None:
    out = io.StringIO()
    logs.configure("json", "info", out)
    logs.decided(structlog.get_logger(), DECISION, 0.00123)
    line, rest = out.getvalue().split("\n", 1)
    assert rest == ""
    told = json.loads(line)
    assert told.pop("at").endswith("Z")
    assert told == {
        "event": "decided", "level": "info", "id": "01jd", "reference": "0012345", "dialled": "081\n234",
        "number": "+6281234567890", "verdict": "refuse", "reason": "opt-out", "matches": ["entry:7"],
        "project": "bank", "purpose": "marketing", "agent": HOSTILE.replace("\udcff", "\\udcff"),
        "mode": "bridge", "pbx": "", "channel": "1.2", "lists": "redis", "check_ms": 1.23,
    }  # fmt: skip


def test_a_caller_name_cannot_forge_a_line_on_the_console() -> None:
    line = logged("console", agent=HOSTILE)
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    assert 'agent="Tl1\\n2026' in line


def test_a_value_on_the_console_cannot_be_taken_for_two() -> None:
    assert logged("console", agent='x" verdict=allow').endswith('agent="x\\" verdict=allow"\n')
    assert logged("console", agent="x verdict=allow").endswith('agent="x verdict=allow"\n')
    assert logged("console", agent="\\").endswith('agent="\\\\"\n')


def test_a_traceback_stands_indented_so_that_none_of_its_lines_is_an_event() -> None:
    out = io.StringIO()
    logs.configure("console", "info", out)
    try:
        float(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("failed")
    first, *others = out.getvalue().splitlines()
    assert "error   failed" in first
    assert "ValueError: could not convert string to float: 'Tl1" in out.getvalue()
    assert all(line.startswith("    | ") and line.isprintable() for line in others)


def test_the_end_of_a_long_traceback_is_kept_where_the_error_is_named() -> None:
    def deep(level: int) -> None:
        if level == 0:
            raise ValueError("the end" + "x" * 6000)
        deep(level - 1)

    out = io.StringIO()
    logs.configure("json", "info", out)
    try:
        deep(50)
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: the end" in json.loads(out.getvalue())["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_library_s_line_is_written_and_escaped_as_ours_are(form: str) -> None:
    out = io.StringIO()
    logs.configure("json" if form == "json" else "console", "info", out)
    logging.getLogger("aiohttp.server").warning("bad request from %s", HOSTILE)
    logging.getLogger("aiohttp.server").info("chatter")
    assert out.getvalue().count("\n") == 1
    assert out.getvalue()[:-1].isprintable()
    assert "aiohttp.server" in out.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_is_never_written_however_deep_it_lies(form: str) -> None:
    line = logged(
        form,
        password="hush",
        headers=[{"Authorization": "hush", "X": {"api_key": ("hush",)}}],
        Secret=b"hush",
    )
    assert "hush" not in line
    assert line.count("[hidden]") == 4


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_long_value_is_cut_with_its_length_told(form: str) -> None:
    line = logged(form, agent="a" * 10_000, many=list(range(1000)), deep=[[[[[[["x" * 10_000]]]]]]])
    assert "... (10000 characters)" in line
    assert len(line) < 2500


def test_lines_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    logs.configure("json", "warning", out)
    logs.decided(structlog.get_logger(), DECISION, 0.001)
    assert out.getvalue() == ""


def test_a_program_whose_log_nobody_reads_goes_on_and_tells_what_it_dropped() -> None:
    program = (
        "import sys; from callguard.telemetry import logs; import structlog\n"
        "logs.configure('json', 'info')\n"
        "for number in range(2000): structlog.get_logger().info('x' * 400)\n"
        "print('went on', flush=True); sys.stdin.readline()\n"
        "structlog.get_logger().info('read again')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"went on\n"
        taken = os.read(process.stderr.fileno(), 1 << 20).splitlines()
        process.stdin.write(b"\n")
        process.stdin.close()
        told = [json.loads(line) for line in process.stderr.read().splitlines() if line]
    assert [one["event"] for one in told[-2:]] == ["log lines were dropped", "read again"]
    assert told[-2]["count"] >= 2000 - len(taken)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=ANYTHING, key=st.text(st.characters(), max_size=8))
def test_any_value_under_any_key_is_one_printable_line(value: object, key: str) -> None:
    for form in ("json", "console"):
        line = logged(form, **{f"_{key}": value})
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        if form == "json":
            json.loads(line)
