"""Log lines on standard error: one event, one line, whatever is in it.

Names and numbers in a log line come from phones and dialplans, and may hold line breaks and terminal codes.
In JSON the encoder escapes them, and all that is not ASCII; for the console each value is escaped here, and
only the lines of a traceback stand by themselves, indented. A value under a key that names a secret is not
written at all, at any depth.
"""

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from callguard.screening.model import Decision
from callguard.telemetry.lines import LineStream

LONGEST_VALUE = 500
"""Characters of one value in a line; the rest is cut."""
LONGEST_TRACEBACK = 8000
"""Characters; of a longer one the end is kept, where the error is named."""
DEEPEST = 5
"""Levels of a nested value that are written."""
_SECRET = ("password", "secret", "api_key", "authorization", "cookie", "token")

Level = Literal["debug", "info", "warning", "error"]


def configure(form: Literal["json", "console"], level: Level, stream: TextIO | None = None) -> None:
    """Send all log lines, those of libraries too, to `stream` (standard error without waiting, if None).

    Called once, by the process that is started; a library's user who does not call it gets structlog's own.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        fit_for_a_line,
    ]
    last = _json if form == "json" else _console

    def tell_dropped(count: int) -> str:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return last(
            None, "", {"event": "log lines were dropped", "level": "warning", "at": at, "count": count}
        )

    out = stream or cast(TextIO, LineStream(sys.stderr.fileno(), tell_dropped))
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))


def decided(log: structlog.stdlib.BoundLogger, decision: Decision, seconds: float) -> None:
    """The line of a decision. `seconds` is what the check took."""
    facts, screened = decision.facts, decision.screened
    log.info(
        "decided",
        id=decision.id,
        reference=decision.reference,
        dialled=facts.dialled,
        number=facts.number.e164,
        verdict=str(screened.verdict),
        reason=str(screened.reason),
        matches=[f"{match.kind}:{match.id}" for match in screened.matches],
        project=facts.project,
        purpose=facts.purpose,
        agent=facts.agent,
        mode=str(facts.mode) if facts.mode else None,
        pbx=facts.pbx,
        channel=facts.channel,
        lists=decision.lists_origin,
        check_ms=round(seconds * 1000, 3),
    )


def fit_for_a_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Bound every value, and hide those under a key that names a secret."""
    traceback = event.pop("exception", None)
    fit = {_text(key): _hidden(key) or _fit(value, DEEPEST) for key, value in event.items()}
    if traceback is not None:
        fit["exception"] = _writable(str(traceback)[-LONGEST_TRACEBACK:])
    return fit


def _hidden(key: object) -> str | None:
    name = str(key).lower()
    return "[hidden]" if any(word in name for word in _SECRET) else None


def _fit(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return _text(hex(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, Mapping):
        return {_text(key): _hidden(key) or _fit(inner, depth - 1) for key, inner in list(value.items())[:50]}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_fit(inner, depth - 1) for inner in list(value)[:50]]
    return _text(value)


def _text(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}... ({len(text)} characters)"
    return _writable(text)


def _writable(text: str) -> str:
    """The text without lone surrogates, which no stream takes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return json.dumps(event, separators=(",", ":"))


def _console(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`2026-01-01T00:00:00Z info    decided number=+62... agent="desk 1"`"""
    at, level, what = (str(event.pop(key, "")) for key in ("at", "level", "event"))
    traceback = str(event.pop("exception", ""))
    values = [f"{_quoted(key)}={_quoted(value)}" for key, value in event.items()]
    lines = [f"    | {_escaped(line)}" for line in traceback.splitlines()]
    return "\n".join([" ".join([_escaped(at), f"{_escaped(level):<7}", _escaped(what), *values]), *lines])


def _quoted(value: object) -> str:
    """A value that cannot be taken for two: quoted unless it is one plain word."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = bool(value) and value.isprintable() and not any(char in ' "=\\' for char in value)
    return value if plain else f'"{_escaped(value, quote=True)}"'


def _escaped(text: str, *, quote: bool = False) -> str:
    if text.isprintable() and not quote:
        return text
    doubled = text.replace("\\", "\\\\").replace('"', '\\"') if quote else text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in doubled)
