"""The composition root: builds the parts of a guard, starts them in order and stops them.

SQL comes first, for it is the truth; then the cache, the journal, the pages, and last the connection to
Asterisk, so that no call arrives before all else is there.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import sqlalchemy as sa
import structlog

from callguard import __version__
from callguard.asterisk import variables
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.telephony import AriTelephony
from callguard.asterisk.listener import CallListener
from callguard.asterisk.prompts import Prompts, sound_file
from callguard.attempts.promises import Promises
from callguard.attempts.service import CountedAttempts
from callguard.config import Settings, advice
from callguard.config.purposes import call_project, call_purpose
from callguard.config.rulebook import load_rules_for_calls
from callguard.control.callbacks import InboundCalls
from callguard.control.dispatcher import Dispatcher
from callguard.control.model import Arrival, Trunk
from callguard.control.states import CallPolicy
from callguard.database import migrate, open_engine
from callguard.errors import CacheError, CacheEvicts
from callguard.guardsocket import answering, socket_path
from callguard.journal.writer import SPOOL, JournalWriter
from callguard.lists.cache import ListCache
from callguard.lists.callbacks import CallbackWriter
from callguard.lists.connection import connect
from callguard.lists.embedded import EmbeddedRedis
from callguard.lists.freshness import freshness
from callguard.lists.model import RegistryList
from callguard.lists.service import CacheState, GuardedLists
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import ListWriter
from callguard.numbers import NumberReader, format_for_trunk
from callguard.reload import Reloader
from callguard.screening.model import CallFacts, Decision, Mode, Verdict
from callguard.screening.rules import Rules
from callguard.telemetry.http import Part, pages, serving
from callguard.telemetry.metrics import Figures, ListFigures, Metrics
from callguard.telemetry.observer import CallObserver

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard")


class _StoppedError(Exception):
    """Ends the guard's tasks: somebody asked it to stop."""


async def run_guard(settings: Settings, read: Callable[[], Settings]) -> None:
    """Guard calls until SIGTERM or SIGINT. Stopping is immediate and lets live calls be. SIGHUP, or the word
    `reload` on the guard's socket, takes up what `read` gives then; it blocks, and raises ConfigurationError.

    Raises ConfigurationError, SqlError, CacheError (for a Redis that evicts, or a private one that does not
    start) and ServiceError at the start. Asterisk is waited for.
    """
    stop, reload_asked = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload_asked.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for told in advice(settings):
        _log.warning("the settings are allowed but unwise", advice=told)
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        rules = await asyncio.to_thread(load_rules_for_calls, settings)
        engine = await stack.enter_async_context(_database(settings))
        cache = await stack.enter_async_context(_cache(settings))
        threads = SqlThreads(timeout=settings.sql.timeout)
        stack.callback(threads.close)
        store = ListStore(engine)
        lists = GuardedLists(store, cache, threads)
        attempts = await stack.enter_async_context(_attempts(settings, engine, lists, threads))
        journal = await stack.enter_async_context(
            JournalWriter(engine, settings.state / SPOOL, settings.sql.timeout)
        )
        await journal.keep_rules(rules)
        client = await stack.enter_async_context(AriClient(settings.asterisk))

        def readiness() -> Sequence[Part]:
            status = lists.status
            return (
                Part("asterisk", client.connected, str(client.problem or "connected")),
                Part("sql", not status.sql, status.sql or "answers"),
                Part("redis", status.cache is CacheState.WARM, status.why or str(status.cache), needed=False),
            )

        clock = screening_clock(settings.rules.clock, datetime.now(UTC))
        telephony, observer = AriTelephony(client), CallObserver(metrics)
        writer = ListWriter(store, cache, threads, embedded=not settings.redis.url)
        port = await stack.enter_async_context(serving(settings.http, pages(metrics, readiness, sound_file)))
        prompts_at = _base_url(settings, port)
        try:
            async with task_group() as tasks:
                dispatcher = Dispatcher(
                    tasks=tasks,
                    guard=settings.asterisk.app,
                    pbx=settings.asterisk.name,
                    telephony=telephony,
                    lists=lists,
                    attempts=attempts,
                    journal=journal,
                    observer=observer,
                    policy=call_policy(settings, Prompts(settings.prompts, prompts_at)),
                    rules=rules,
                    facts=facts_reader(settings),
                    clock=clock,
                )
                metrics.watch(lambda: _figures(dispatcher, lists, client, journal))
                tasks.create_task(lists.run())
                inbound = InboundCalls(
                    tasks=tasks,
                    telephony=telephony,
                    windows=CallbackWriter(store, writer),
                    observer=observer,
                    rules=settings.inbound.rules(),
                    read_number=number_reader(settings),
                    clock=clock,
                    project=settings.defaults.project,
                )

                async def use(settings: Settings, rules: Rules) -> None:
                    await journal.keep_rules(rules)
                    policy = call_policy(settings, Prompts(settings.prompts, prompts_at))
                    dispatcher.use(rules, facts_reader(settings), policy)
                    inbound.use(settings.inbound.rules(), number_reader(settings), settings.defaults.project)

                reloader = Reloader(settings, rules, read=read, use=use)
                await stack.enter_async_context(answering(socket_path(settings), reloader.answer))
                tasks.create_task(reloader.reload_whenever(reload_asked))
                tasks.create_task(inbound.write_windows())
                tasks.create_task(client.run(CallListener(client, dispatcher, inbound)))
                tasks.create_task(dispatcher.look_regularly())
                _log.info(
                    "guard started",
                    version=__version__,
                    app=settings.asterisk.app,
                    http_port=port,
                    rules=rules.version,
                )
                tasks.create_task(_end(stop, dispatcher))
        except* _StoppedError:
            _log.info("guard stopping: calls in progress go on")


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup after which one can clean up.

    Python 3.11's leaves the task that it is in marked as being cancelled when one of its tasks failed: then
    asyncio.timeout raises CancelledError, and whoever closes does not learn that the time was up.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    finally:
        own = asyncio.current_task()
        while own is not None and own.uncancel():
            pass


async def _end(stop: asyncio.Event, dispatcher: Dispatcher) -> NoReturn:
    """Wait for the stop, then end all tasks of the group that this one is in."""
    await stop.wait()
    dispatcher.stop()
    raise _StoppedError


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[sa.Engine]:
    """The database, with its tables brought up to date."""
    engine = await asyncio.to_thread(open_engine, settings.sql, settings.state)
    try:
        await asyncio.to_thread(migrate, engine)
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def _cache(settings: Settings) -> AsyncIterator[ListCache]:
    """The cache: the private redis-server, or the one in the settings, which must not evict.

    A Redis that cannot be reached is no reason not to start: SQL is asked until it comes.
    """
    async with AsyncExitStack() as stack:
        if not settings.redis.url:
            embedded = EmbeddedRedis(settings.state)
            await embedded.start()
            stack.push_async_callback(embedded.stop)
            keeper = asyncio.create_task(embedded.run())
            stack.push_async_callback(_cancel, keeper)
        cache = ListCache(
            connect(settings.redis, settings.state), key=settings.redis.key, timeout=settings.redis.timeout
        )
        stack.push_async_callback(cache.close)
        try:
            await cache.check_policy()
        except CacheEvicts:
            raise
        except CacheError as error:
            _log.warning("the cache cannot be reached yet: SQL is asked", problem=str(error))
        yield cache


@asynccontextmanager
async def _attempts(
    settings: Settings, engine: sa.Engine, lists: GuardedLists, threads: SqlThreads
) -> AsyncIterator[CountedAttempts]:
    """The attempts, promised in the same Redis as the lists: as long as those reach it."""
    promises = Promises(
        connect(settings.redis, settings.state), key=settings.redis.key, timeout=settings.redis.timeout
    )
    try:
        yield CountedAttempts(engine, promises, threads, redis_answers=lambda: lists.reaches_redis)
    finally:
        await promises.close()


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _base_url(settings: Settings, port: int) -> str:
    """Where Asterisk finds the prompts, unless the settings say it."""
    host = "127.0.0.1" if settings.http.host in ("0.0.0.0", "::") else settings.http.host  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _figures(
    dispatcher: Dispatcher, lists: GuardedLists, client: AriClient, journal: JournalWriter
) -> Figures:
    status, counts = lists.status, client.counts
    return Figures(
        calls={mode: dispatcher.calls_in_progress[mode] for mode in Mode},
        cache=status.cache,
        lookups=status.answers,
        rebuilds=status.rebuilds,
        connections=counts.connections,
        events={
            "taken": counts.events,
            "unread": counts.unread_messages,
            "failed": counts.failed_callbacks,
        },
        journal_waiting=journal.waiting,
        spooled=journal.spooled,
        lists={one.name: list_figures(one, datetime.now(UTC)) for one in status.registries},
    )


def list_figures(registry: RegistryList, at: datetime) -> ListFigures:
    """What is told of a registry list at an instant (aware, UTC)."""
    age = freshness(registry.data_date, registry.allowed_age_days, at, imported=registry.generation != 0)
    return ListFigures(registry.numbers, age.days, age.allowed_days, age.good)


def screening_clock(clock: str, started_at: datetime) -> Callable[[], datetime]:
    """The time (UTC) that calls are screened at: the real one, or for a trial the one that goes on from
    `clock` (ISO 8601, with its zone) since the guard's start."""
    ahead = datetime.fromisoformat(clock) - started_at if clock else timedelta()
    return lambda: datetime.now(UTC) + ahead


def number_reader(settings: Settings) -> Callable[[str], str]:
    """How a caller's number is read: as E.164. What it gives raises InputError."""
    return NumberReader(**settings.numbers.model_dump()).read_e164


def facts_reader(settings: Settings) -> Callable[[Arrival, datetime], CallFacts]:
    """How an arrival is read: its number, and the settings' defaults where the channel says nothing."""
    reader = NumberReader(**settings.numbers.model_dump())

    def read(arrival: Arrival, at: datetime) -> CallFacts:
        project = call_project(settings, arrival.project or None)
        return CallFacts(
            at=at,
            dialled=arrival.dialled,
            number=reader.read(arrival.dialled),
            mode=arrival.mode,
            project=project,
            purpose=call_purpose(settings, arrival.purpose, project),
            agent=arrival.agent or arrival.endpoint,
            caller_number=arrival.caller_number,
            subject=arrival.subject,
            language=arrival.language,
            pbx=settings.asterisk.name,
            guard=settings.asterisk.app,
            channel=arrival.channel,
        )

    return read


def call_policy(settings: Settings, prompts: Prompts) -> CallPolicy:
    """How calls are placed and refused."""
    region = settings.numbers.region
    trunks = tuple(trunk.trunk() for trunk in settings.trunks)

    def number_for(trunk: Trunk, facts: CallFacts) -> str:
        if facts.number.e164 is None:
            return facts.number.digits
        return format_for_trunk(facts.number.e164, trunk.number_format, region)

    def endpoint(trunk: Trunk, facts: CallFacts) -> str:
        return trunk.endpoint.replace("{number}", number_for(trunk, facts))

    def channel_variables(decision: Decision) -> dict[str, str]:
        told = {
            variables.VERDICT: decision.verdict.value,
            variables.REASON: decision.reason.value,
            variables.NUMBER: number_for(trunks[0], decision.facts),
            variables.DECISION: decision.id,
        }
        if decision.verdict is Verdict.REFUSE:
            told[variables.CAUSE] = str(settings.refusals.code(decision.reason).cause)
            told[variables.USERFIELD] = f"callguard:refuse:{decision.reason}:{decision.reference}"
        return told

    return CallPolicy(
        trunks=trunks,
        endpoint=endpoint,
        media=prompts.media,
        variables=channel_variables,
        refusal=lambda reason: settings.refusals.code(reason).hangup,
        answer_before_prompt=settings.prompts.answer_before_prompt,
        prompt_seconds=settings.prompts.seconds,
    )
