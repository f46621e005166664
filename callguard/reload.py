"""Changed settings are taken up while calls go on.

What is new holds for the calls that come from then on; none in progress is touched. Settings that cannot be
read leave everything as it was.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from callguard.config import Section, Settings
from callguard.config.rulebook import load_rules_for_calls
from callguard.errors import ConfigurationError, ServiceError
from callguard.screening.rules import Rules

T = TypeVar("T")

LOAD_SECONDS = 30.0
"""How long reading the settings and the files of rules may take."""

_NEED_A_RESTART = ("state", "asterisk", "redis", "sql", "http", "log")
"""The sections of which the guard's connections are made."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of a reload."""

    rules: str
    """The version of the rules that is in force now."""
    before: str
    """The one that was in force before."""
    restart: tuple[str, ...]
    """The settings that were changed, too, and wait for a restart: `http.port`."""


class Reloader:
    """Reloads one at a time."""

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        *,
        read: Callable[[], Settings],
        use: Callable[[Settings, Rules], Awaitable[None]],
    ) -> None:
        """`settings` and `rules` are those in force. `read` reads the settings anew; it blocks, and raises
        ConfigurationError. `use` puts both in force."""
        self._settings = settings
        self._rules = rules
        self._read = read
        self._use = use
        self._turn = asyncio.Lock()
        self._loading: asyncio.Future[tuple[Settings, tuple[str, ...], Rules]] | None = None

    @property
    def rules(self) -> str:
        """The version of the rules in force."""
        return self._rules.version

    async def reload(self) -> Reloaded:
        """Read all anew and put it in force.

        Raises ConfigurationError for settings or a file of rules that cannot be used, and ServiceError where
        reading hangs. Then all is as it was; the log says so.
        """
        before = self.rules
        try:
            async with self._turn:
                settings, restart, rules = await self._load()
                await self._use(settings, rules)
                self._settings, self._rules = settings, rules
        except ConfigurationError as error:
            for one in (error, *error.others):
                _log.error("not reloaded: the rules stay as they are", rules=before, problem=str(one))
            raise
        except ServiceError as error:
            _log.error("not reloaded: the rules stay as they are", rules=before, problem=str(error))
            raise
        _log.info("reloaded", rules=rules.version, before=before, restart=", ".join(restart) or None)
        return Reloaded(rules.version, before, restart)

    async def answer(self, question: str) -> dict[str, Any]:
        """Answer on the guard's socket: the one question is `reload`. Raises nothing."""
        if question != "reload":
            return self._failed(["the guard does not know this question"], is_input=True)
        try:
            done = await self.reload()
        except ConfigurationError as error:
            return self._failed([str(one) for one in (error, *error.others)], is_input=True)
        except ServiceError as error:
            return self._failed([str(error)], is_input=False)
        except Exception:  # a defect in reading must not end the guard
            _log.exception("not reloaded: the rules stay as they are", rules=self.rules)
            return self._failed(["a defect in callguard: its log has it"], is_input=False)
        return asdict(done)

    def _failed(self, errors: list[str], *, is_input: bool) -> dict[str, Any]:
        return {"errors": errors, "input": is_input, "rules": self.rules}

    async def reload_whenever(self, asked: asyncio.Event) -> None:
        """Reload each time that the event is set, for ever; what fails is in the log."""
        while True:
            await asked.wait()
            asked.clear()
            try:
                await self.reload()
            except (ConfigurationError, ServiceError):
                continue
            except Exception:  # a defect in reading must not end the guard
                _log.exception("not reloaded: the rules stay as they are", rules=self.rules)

    async def _load(self) -> tuple[Settings, tuple[str, ...], Rules]:
        """Read and compile, in a thread: the loop has calls to serve."""
        if self._loading is not None and not self._loading.done():
            # One thread that hangs is enough.
            raise ServiceError("guard", "an earlier reload still hangs, reading its files")
        running = self._settings

        def load() -> tuple[Settings, tuple[str, ...], Rules]:
            settings, restart = taken_up(running, self._read())
            return settings, restart, load_rules_for_calls(settings)

        self._loading = _in_a_thread(load)
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                return await asyncio.shield(self._loading)
        except TimeoutError:
            self._loading.add_done_callback(_retrieved)
            raise ServiceError("guard", f"the files could not be read within {LOAD_SECONDS:g} s") from None


def taken_up(running: Settings, read: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings that a running guard can go on with, of those that were read; and the keys of the others,
    which stay as they are until a restart."""
    restart: list[str] = []
    for name in _NEED_A_RESTART:
        old, new = getattr(running, name), getattr(read, name)
        if isinstance(old, Section):
            restart += [
                f"{name}.{key}" for key in type(old).model_fields if getattr(old, key) != getattr(new, key)
            ]
        elif old != new:
            restart.append(name)
    if running.rules.clock != read.rules.clock:
        restart.append("rules.clock")
    kept = {name: getattr(running, name) for name in _NEED_A_RESTART}
    kept["rules"] = read.rules.model_copy(update={"clock": running.rules.clock})
    return read.model_copy(update=kept), tuple(restart)


def _in_a_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Run something that blocks. It does not keep the process from ending: a file may hang for ever, as one
    of a network does, and the guard must stop at once all the same."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle = partial(done.set_result, work())
        except Exception as error:  # it is raised again where the result is awaited
            settle = partial(done.set_exception, error)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return done


def _retrieved(loading: "asyncio.Future[tuple[Settings, tuple[str, ...], Rules]]") -> None:
    """Nobody waits for this any more: its error is nobody's."""
    if not loading.cancelled():
        loading.exception()
