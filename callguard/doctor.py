"""Looks at everything that callguard rests on, from the outside in, and says what to do.

Nothing is changed: a database that is not there yet is not made, no guard's connection is taken over. Each
check is bounded in time; one that rests on a check that failed is skipped, and says so.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from callguard.asterisk import variables
from callguard.asterisk.ami import ari_options, show_dialplan
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.dialplan import read_dialplan
from callguard.asterisk.prompts import LANGUAGES, Prompts
from callguard.config import Settings, advice
from callguard.database import meta, open_engine, snapshot, write
from callguard.errors import (
    AsteriskForbidden,
    AsteriskUnreachable,
    ConfigurationError,
    NotFound,
    Rejected,
    ServiceError,
)
from callguard.lists import codec
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.freshness import freshness
from callguard.lists.model import RegistryList
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads

LONGEST_CHECK = 20.0
"""Seconds; each service's own timeout, which is shorter, names what was waited for."""
CATCH_UP_SECONDS = 1.0
"""How long Redis may be behind SQL without a word: a guard notices a change within half of it."""

SHORTEST_WRITE_TIMEOUT = 1000
"""Milliseconds for ari.conf's websocket_write_timeout: Asterisk's default, 100, is too short."""
_NO_AMI = "not looked at: this needs AMI"


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, and could be better."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's. `remedy` says what to do; empty where there is nothing to do."""

    check: str
    state: State
    told: str
    remedy: str = ""


class Doctor:
    """Examines what one set of settings names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = SqlThreads(timeout=settings.sql.timeout + 1, count=1)
        self._engine: sa.Engine | None = None

    async def examine(self) -> AsyncIterator[Finding]:
        """Everything found, one after the other, as it is found. Raises nothing that a service can cause."""
        checks: Sequence[tuple[str, tuple[str, ...], Callable[[], Awaitable[list[Finding]]]]] = (
            ("settings", (), self._advice),
            ("sql", (), self._sql),
            ("redis", (), self._redis),
            ("lists", ("sql", "redis"), self._lists),
            ("registries", ("sql",), self._registries),
            ("asterisk", (), self._asterisk),
            ("ari.conf", (), self._ari_conf),
            ("application", ("asterisk",), self._application),
            ("guard", (), self._guard),
            (
                "prompts",
                ("guard",) if self._settings.prompts.source == "http" else ("asterisk",),
                self._prompts,
            ),
            ("dialplan", (), self._dialplan),
        )
        unusable: set[str] = set()
        try:
            for name, needs, check in checks:
                missing = [need for need in needs if need in unusable]
                if missing:
                    unusable.add(name)
                    yield Finding(name, State.SKIPPED, f"not looked at, since {missing[0]} comes first")
                    continue
                for finding in await _bounded(name, check):
                    if finding.state in {State.FAILED, State.SKIPPED}:
                        unusable.add(name)
                    yield finding
        finally:
            self._threads.close()
            if self._engine is not None:
                self._engine.dispose()

    async def _advice(self) -> list[Finding]:
        warned = [Finding("settings", State.WARNING, told) for told in advice(self._settings)]
        return warned or [Finding("settings", State.OK, f"state in {self._settings.state}")]

    async def _sql(self) -> list[Finding]:
        settings = self._settings.sql
        file = Path(sa.make_url(settings.url).database or "") if settings.url.startswith("sqlite") else None
        if not settings.url:
            file = self._settings.state / "callguard.sqlite"
        if file is not None and not file.exists():
            return [
                Finding(
                    "sql", State.FAILED, f"there is no {file} yet", "the first `callguard guard` makes it"
                )
            ]
        engine = self._engine = await self._threads.run(lambda: open_engine(settings, self._settings.state))
        found, wanted = await self._threads.run(lambda: _revisions(engine))
        if found != wanted:
            told = f"the tables are of revision {found or 'none'}, not {wanted}"
            return [
                Finding(
                    "sql", State.FAILED, told, "start `callguard guard` of this version: it migrates them"
                )
            ]
        await self._threads.run(lambda: _try_to_write(engine))
        where = file or engine.url.render_as_string(hide_password=True)
        return [Finding("sql", State.OK, f"{where} can be written, revision {found}")]

    async def _redis(self) -> list[Finding]:
        cache = self._cache()
        try:
            await cache.check_policy()
        except ServiceError as error:
            private = not self._settings.redis.url
            remedy = "it runs while `callguard guard` does" if private else error.remedy or ""
            return [Finding("redis", State.FAILED, error.what, remedy)]
        finally:
            await cache.close()
        return [Finding("redis", State.OK, self._settings.redis.url or "the private redis-server answers")]

    async def _lists(self) -> list[Finding]:
        assert self._engine is not None  # noqa: S101 - this check rests on that of SQL
        store = ListStore(self._engine)
        cache = self._cache()
        try:
            deadline = asyncio.get_running_loop().time() + CATCH_UP_SECONDS
            while True:
                newest = await self._threads.run(store.mark)
                head = await cache.head()
                try:
                    mark = codec.decode_head(head).mark if head is not None else None
                except ValueError:
                    mark = None
                if mark == newest:
                    return [
                        Finding(
                            "lists", State.OK, f"Redis holds them as SQL does, at position {newest.position}"
                        )
                    ]
                if asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(CATCH_UP_SECONDS / 5)
        finally:
            await cache.close()
        if mark is None:
            told = "Redis does not hold them: every call asks SQL"
        elif mark.database != newest.database:
            told = "Redis holds those of another database: every call asks SQL"
        else:
            told = f"Redis is at position {mark.position}, SQL at {newest.position}: every call asks SQL"
        return [
            Finding("lists", State.WARNING, told, "a guard that runs brings them up to date: look at its log")
        ]

    async def _registries(self) -> list[Finding]:
        assert self._engine is not None  # noqa: S101 - this check rests on that of SQL
        catalogue = await self._threads.run(ListStore(self._engine).catalogue)
        return [_age(registry, datetime.now(UTC)) for registry in catalogue.registries]

    async def _asterisk(self) -> list[Finding]:
        async with AriClient(self._settings.asterisk) as client:
            try:
                version = await client.detect()
            except AsteriskUnreachable as error:
                remedy = error.remedy or "is Asterisk up, http.conf enabled, and asterisk.url right?"
                return [Finding("asterisk", State.FAILED, error.what, remedy)]
        over = "REST over websocket" if version.rest_over_websocket else "REST over HTTP"
        if self._settings.asterisk.rest_over_websocket == "never":
            over = "REST over HTTP, as set"
        return [
            Finding("asterisk", State.OK, f"{version.text} at {self._settings.asterisk.url}, {over}"),
            *(
                Finding("asterisk", State.WARNING, f"{version.text}: {warning}")
                for warning in version.warnings
            ),
        ]

    async def _ari_conf(self) -> list[Finding]:
        wanted = f"websocket_write_timeout = 5000 and channelvars = {','.join(variables.CHANNELVARS)}"
        if not self._settings.ami.username:
            return [Finding("ari.conf", State.SKIPPED, _NO_AMI, f"see that it has {wanted}")]
        try:
            options = await ari_options(self._settings.ami)
        except (Rejected, AsteriskForbidden) as error:
            return [Finding("ari.conf", State.SKIPPED, error.what, f"see that it has {wanted}")]
        missing = set(variables.CHANNELVARS) - {
            name.strip() for name in options.get("channelvars", "").split(",")
        }
        patience = options.get("websocket_write_timeout", "100")
        found = []
        if not patience.isdecimal() or int(patience) < SHORTEST_WRITE_TIMEOUT:
            told = (
                f"websocket_write_timeout = {patience}: Asterisk cuts a guard off that stalls for that long"
            )
            found.append(Finding("ari.conf", State.WARNING, told, "set it to 5000 (milliseconds)"))
        if missing:
            lacking = ", ".join(sorted(missing))
            told = f"channelvars lacks {lacking}: each call is asked for them, or recorded less exactly"
            found.append(
                Finding("ari.conf", State.WARNING, told, f"set it to {','.join(variables.CHANNELVARS)}")
            )
        return found or [Finding("ari.conf", State.OK, "has the options that callguard is made for")]

    async def _dialplan(self) -> list[Finding]:
        if not self._settings.ami.username:
            return [
                Finding("dialplan", State.SKIPPED, _NO_AMI, "set ami.username and ami.password to let it be")
            ]
        app = self._settings.asterisk.app
        endpoints = [trunk.endpoint for trunk in self._settings.trunks]
        plan = read_dialplan(await show_dialplan(self._settings.ami), app, endpoints)
        if not plan.asking:
            told, remedy = (
                f"it has no Stasis({app},...)",
                "#include callguard.conf in extensions.conf, and reload",
            )
            return [Finding("dialplan", State.FAILED, told, remedy)]
        if not plan.guarded:
            told = f"{', '.join(plan.asking)} asks the guard, but no context of yours leads there"
            return [
                Finding("dialplan", State.FAILED, told, "include => callguard-bridge in the agents' context")
            ]
        found = [Finding("dialplan", State.OK, f"guarded: {', '.join(plan.guarded)}")]
        if plan.around:
            told = f"{', '.join(plan.around)}: a trunk is dialled without the guard"
            found.append(Finding("dialplan", State.WARNING, told, "is it meant to be?"))
        return found

    async def _application(self) -> list[Finding]:
        app = self._settings.asterisk.app
        async with AriClient(self._settings.asterisk) as client:
            try:
                await client.request("GET", "applications", app)
            except NotFound:
                told = f"no guard has connected as {app}: calls follow the dialplan's failure policy"
                return [Finding("application", State.FAILED, told, "start `callguard guard`")]
        return [Finding("application", State.OK, f"{app} is registered")]

    async def _guard(self) -> list[Finding]:
        http = self._settings.http
        if http.port == 0:
            return [Finding("guard", State.SKIPPED, "http.port is 0: nobody knows its port")]
        url = f"http://{_reachable(http.host)}:{http.port}/readyz"
        try:
            status, told = await _fetched_json(url, self._settings.asterisk.timeout)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            return [
                Finding("guard", State.FAILED, f"{url}: {why}", "start `callguard guard`, or look at its log")
            ]
        return _readiness(url, status, told)

    async def _prompts(self) -> list[Finding]:
        """Whether Asterisk will find each prompt: where it will ask for it, it must be."""
        http = self._settings.http
        prompts = Prompts(self._settings.prompts, f"http://{_reachable(http.host)}:{http.port}")
        wanted = prompts.every_media()
        if self._settings.prompts.source == "files":
            return await self._prompt_files([media.removeprefix("sound:") for media in wanted])
        timeout = aiohttp.ClientTimeout(total=self._settings.asterisk.timeout)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for url in (media.removeprefix("sound:") for media in wanted):
                try:
                    async with session.head(url) as response:
                        problem = "" if response.status == 200 else f"answers {response.status}"
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    problem = str(error) or type(error).__name__
                if problem:
                    remedy = "is prompts.base_url right?"
                    return [Finding("prompts", State.FAILED, f"{url}: {problem}", remedy)]
        return [
            Finding(
                "prompts", State.OK, f"{len(wanted)} are served, such as {wanted[0].removeprefix('sound:')}"
            )
        ]

    async def _prompt_files(self, names: Sequence[str]) -> list[Finding]:
        missing = []
        async with AriClient(self._settings.asterisk) as client:
            for name in names:
                try:
                    sound = await client.request("GET", "sounds", name)
                except NotFound:
                    sound = None
                match sound:
                    case {"formats": list(formats)}:
                        found = {one.get("language") for one in formats if isinstance(one, dict)}
                    case _:
                        found = set()
                missing += [f"{language}/{name}" for language in LANGUAGES if language not in found]
        remedy = "copy callguard's sounds into Asterisk's sounds folder, as LANGUAGE/callguard/NAME.wav"
        if any(one.startswith(f"{self._settings.prompts.language}/") for one in missing):
            return [Finding("prompts", State.FAILED, "Asterisk does not have " + ", ".join(missing), remedy)]
        if missing:
            return [Finding("prompts", State.WARNING, "Asterisk does not have " + ", ".join(missing), remedy)]
        return [Finding("prompts", State.OK, f"Asterisk has all {len(names)} in every language")]

    def _cache(self) -> ListCache:
        settings = self._settings.redis
        client = connect(settings, self._settings.state)
        return ListCache(client, key=settings.key, timeout=max(settings.timeout, 1.0))


async def _bounded(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        async with asyncio.timeout(LONGEST_CHECK):
            return await check()
    except ServiceError as error:
        return [Finding(name, State.FAILED, error.what, error.remedy or "")]
    except ConfigurationError as error:
        return [Finding(name, State.FAILED, str(error))]
    except TimeoutError:
        return [Finding(name, State.FAILED, f"no answer in {LONGEST_CHECK:g} s", "is it overloaded?")]


def _age(registry: RegistryList, at: datetime) -> Finding:
    imported = registry.generation != 0
    age = freshness(registry.data_date, registry.allowed_age_days, at, imported=imported)
    told = f"{registry.name}: {registry.numbers:,} numbers, {age}"
    if age.good:
        return Finding("registries", State.OK, told)
    remedy = f"callguard list import {registry.name} FILE, with --date if the file says no day"
    return Finding("registries", State.WARNING, told, remedy)


def _try_to_write(engine: sa.Engine) -> None:
    """Commit a change that changes nothing: a full disk shows itself no earlier."""
    with write(engine) as connection:
        connection.execute(meta.update().values(value=meta.c.value))


def _revisions(engine: sa.Engine) -> tuple[str | None, str | None]:
    """The revision that the tables are of, and the one that this version wants. Raises SqlError."""
    config = Config()
    config.set_main_option("script_location", "callguard:migrations")
    with snapshot(engine) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found, ScriptDirectory.from_config(config).get_current_head()


def _reachable(host: str) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked up, not bound to
    return f"[{own}]" if ":" in own else own


async def _fetched_json(url: str, seconds: float) -> tuple[int, Any]:
    """Status and JSON of a page. Raises aiohttp.ClientError, OSError, or ValueError for another content."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        content = await response.content.read(65_536)
        try:
            return response.status, json.loads(content)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def _readiness(url: str, status: int, told: Any) -> list[Finding]:
    match told:
        case {"ready": bool(ready), "parts": dict(parts)}:
            away = [
                f"{name}: {part.get('state')}"
                for name, part in parts.items()
                if isinstance(part, dict) and not part.get("ready")
            ]
            if not ready:
                return [Finding("guard", State.FAILED, "not ready: " + "; ".join(away), "look at its log")]
            if away:
                return [
                    Finding("guard", State.WARNING, "ready, but for " + "; ".join(away), "look at its log")
                ]
            return [Finding("guard", State.OK, f"ready, at {url}")]
    remedy = "is http.port that of another program?"
    return [Finding("guard", State.FAILED, f"{url} answers {status}, but not as a guard does", remedy)]
