"""The way to Redis: one server, a master that Sentinels name, or a cluster.

What differs between them is kept here: the clients, how a script is run, which servers hold the settings, and
what the clients' errors mean. Only masters are spoken to, for a replica may be behind.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, cast

import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.backoff
import redis.exceptions
from redis.typing import EncodableT

from callguard.config import RedisSettings
from callguard.config.redis_url import Kind, RedisUrl, read
from callguard.errors import CacheError, ConfigurationError
from callguard.lists.embedded import socket_path

UP_REMEDY = "is Redis up, and redis.url right?"
_CONNECT_REMEDY = "is Redis up, redis.url right, and the port one for TLS if it says rediss, and only then?"
_TLS_REMEDY = "is it a TLS port, and does redis.tls_ca name the authority that signed its certificate?"


class _KeyFirst:
    """Where the key of a command is: first, in all that are used here.

    redis-py would ask a server for a table of all commands, and always the first one: while that is lost, no
    new client would find the others.
    """

    async def initialize(self, node: object = None) -> None:
        """Nothing has to be asked."""

    async def get_keys(self, *args: Any) -> tuple[str, ...]:
        """The key of a command: its second word."""
        return (args[1],)


class ClusterClient(redis.asyncio.cluster.RedisCluster):
    """redis-py's client of a cluster, which gets round nodes that are lost, and can be closed at any time."""

    def __init__(self, nodes: Sequence[tuple[str, int]], **options: Any) -> None:
        super().__init__(
            startup_nodes=[redis.asyncio.cluster.ClusterNode(host, port) for host, port in nodes],
            # The nodes given stay those that are asked for the others: their names outlive addresses.
            dynamic_startup_nodes=False,
            # Slots without a server are no concern of ours, unless they are those of the lists.
            require_full_coverage=False,
            **options,
        )
        self.commands_parser = cast("Any", _KeyFirst())

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """What redis-py does; but after a command that was given up, it asks anew who serves which slots."""
        try:
            # While it knows no slots, redis-py would send a command to any node: it may be a lost one.
            await self.initialize()
            return await super().execute_command(*args, **kwargs)
        except asyncio.CancelledError:
            # redis-py (8.1) itself does so only after errors, and after its own socket_timeout, which is out
            # of the question: it is an asyncio.wait_for, which on Python 3.11 may swallow the cancellation of
            # its task (CPython issue 86296), so that a guard that is told to stop would not.
            self._initialize = True
            raise

    async def aclose(self) -> None:
        """Close all connections, those too that redis-py forgets after a node failed."""
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")


Client: TypeAlias = "redis.asyncio.Redis | ClusterClient"
"""What commands are called on. Alike in both: hmget, hget, hset, hdel, hscan, hlen, unlink, expire, and a
pipeline with transaction=False. Keys of one command, or of one script, must be in one slot of the cluster."""


class _Sentinels(redis.asyncio.sentinel.Sentinel):
    """Asks all Sentinels at once who is master, so that one that hangs costs no time."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the master, from the first Sentinel that knows a healthy one."""
        asking = {asyncio.create_task(self._ask(sentinel, service_name)) for sentinel in self.sentinels}
        waiting = asking
        try:
            while waiting:
                answered, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in answered:
                    if task.exception() is None:
                        return task.result()
        finally:
            for task in asking:
                task.cancel()
            problems = await asyncio.gather(*asking, return_exceptions=True)
        told = sorted({str(problem) for problem in problems})
        (cause, *_) = (problem for problem in problems if isinstance(problem, Exception))
        raise redis.asyncio.sentinel.MasterNotFoundError("no Sentinel helps: " + "; ".join(told)) from cause

    async def _ask(self, sentinel: redis.asyncio.Redis, service: str) -> tuple[str, int]:
        state = cast("dict[str, Any]", await sentinel.sentinel_masters()).get(service)
        if state is None:
            raise redis.asyncio.sentinel.MasterNotFoundError(f"it does not watch {service}")
        if not self.check_master_state(state, service):
            raise redis.asyncio.sentinel.MasterNotFoundError(f"the master of {service} is down")
        return state["ip"], state["port"]


class _MasterPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """Connections to the master, which take the Sentinels' with them when they are closed."""

    async def aclose(self) -> None:
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def connect(settings: RedisSettings, state: Path) -> Client:
    """A client of the Redis that the settings name, or of the private one in the state folder.

    Nothing is sent yet. Raises ConfigurationError for a password, certificate or key that cannot be read.
    """
    if not settings.url:
        return redis.asyncio.Redis(unix_socket_path=str(socket_path(state)), **_once())
    url = read(settings.url)
    tls = _tls(settings, url)
    common: dict[str, Any] = {"username": url.user, "password": settings.secret(), **tls}
    # A node that cannot be reached must leave time to ask another.
    once = _once(connect_seconds=settings.timeout / 2)
    match url.kind:
        case Kind.SERVER if url.path:
            return redis.asyncio.Redis(unix_socket_path=url.path, db=url.db, **common, **once)
        case Kind.SERVER:
            ((host, port),) = url.nodes
            return redis.asyncio.Redis(host=host, port=port, db=url.db, **common, **once)
        case Kind.SENTINEL:
            sentinels = _Sentinels(  # type: ignore[no-untyped-call]
                url.nodes,
                sentinel_kwargs={"password": settings.sentinel_secret(), **tls, **once},
                db=url.db,
                **common,
                **once,
            )
            master: redis.asyncio.Redis = sentinels.master_for(url.service, connection_pool_class=_MasterPool)
            return master
        case Kind.CLUSTER:
            return ClusterClient(url.nodes, **common, **once)


def _once(connect_seconds: float | None = None) -> dict[str, Any]:
    """A retry inside the client would double the time before SQL is asked. Its own timeouts are off, for they
    cost two timers a command; `bounded` sets one around each."""
    return {
        "retry": redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        "socket_timeout": None,
        "socket_connect_timeout": connect_seconds,
    }


def _tls(settings: RedisSettings, url: RedisUrl) -> dict[str, Any]:
    if not url.tls:
        return {}
    context = ssl.create_default_context()
    try:
        if settings.tls_ca is not None:
            context.load_verify_locations(settings.tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(settings.tls_ca, error, "redis.tls_ca", "a file of PEM certificates") from error
    try:
        if settings.tls_cert is not None:
            context.load_cert_chain(settings.tls_cert, settings.tls_key, _no_passphrase)
    except (OSError, ssl.SSLError, ValueError) as error:
        allowed = "PEM files: a certificate in tls_cert, and its key, without a passphrase, in tls_key"
        raise _unusable(settings.tls_cert, error, "redis.tls_cert", allowed) from error
    return {
        "ssl": True,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": None if settings.tls_ca is None else str(settings.tls_ca),
        "ssl_certfile": None if settings.tls_cert is None else str(settings.tls_cert),
        "ssl_keyfile": None if settings.tls_key is None else str(settings.tls_key),
    }


def _no_passphrase() -> str:
    """Without this, OpenSSL would ask for one on the terminal, and a service would hang."""
    raise ValueError("the key has a passphrase")


def _unusable(path: Path | None, error: Exception, where: str, allowed: str) -> ConfigurationError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigurationError(f"{path}: {why}", where=where, allowed=allowed)


class Script:
    """A script, run by its hash, and sent whole to a server that does not know it (yet, or after a failover).

    redis-py's own register_script would load it on every server of a cluster, and fail when any of them does.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        # What Redis calls scripts by; no secret rests on it.
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, keys: Sequence[str], args: Sequence[EncodableT]) -> Any:
        """What the script returns. Raises what the client raises: use it within `bounded`."""
        values: list[Any] = [*keys, *args]
        try:
            return await client.evalsha(self._sha, len(keys), *values)
        except redis.exceptions.NoScriptError:
            return await client.eval(self._text, len(keys), *values)


async def memory_of(client: Client) -> list[Mapping[str, Any]]:
    """INFO memory of the server, or of every node of the cluster. Raises what the client raises."""
    if isinstance(client, ClusterClient):
        await client.initialize()
        return [await client.info("memory", target_nodes=node) for node in client.get_nodes()]
    return [await client.info("memory")]


class Bounded:
    """See `bounded`. A class, for it stands around every look-up: a generator would cost twice as much."""

    __slots__ = ("_seconds", "_timeout")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as passed:
            raise _no_answer(self._seconds) from passed
        if error is not None and (translated := _translated(error, self._seconds)) is not None:
            raise translated from error


def bounded(seconds: float) -> Bounded:
    """Turn every failure, and the passing of so many seconds, into CacheError; for `async with`."""
    return Bounded(seconds)


def _no_answer(seconds: float) -> CacheError:
    return CacheError(f"no answer in {seconds:g} s", remedy=UP_REMEDY)


def _translated(error: BaseException, seconds: float) -> CacheError | None:
    """What callguard calls an error of the client; None for what is none."""
    match error:
        case redis.exceptions.TimeoutError():
            return CacheError(_said(error), remedy=_CONNECT_REMEDY)
        case TimeoutError():
            return _no_answer(seconds)
        case redis.exceptions.AuthenticationError():
            return CacheError(_said(error), remedy="correct the user in redis.url, or redis.password_file")
        case redis.exceptions.ConnectionError() | redis.exceptions.RedisClusterException():
            return CacheError(_said(error), remedy=_TLS_REMEDY if _of_tls(error) else UP_REMEDY)
        case redis.exceptions.OutOfMemoryError():
            return CacheError(_said(error), remedy="raise Redis's maxmemory")
        case redis.exceptions.RedisError():
            return CacheError(_said(error))
        case OSError():
            return CacheError(error.strerror or str(error), remedy=UP_REMEDY)
        case TypeError() | ValueError() | LookupError() | AttributeError():
            # What the client raises on replies of something that only looks like Redis.
            return CacheError(f"an answer that is none of Redis: {error}", remedy=UP_REMEDY)
        case _:
            return None


_OF_PIPELINE = " of pipeline caused error: "
_ARGUMENTS = ", with args beginning with:"


def _said(error: Exception) -> str:
    """The server's own words. redis-py puts the failed command of a pipeline before them, and Redis the
    arguments behind those of an unknown command: numbers and entries of people, which end up in logs."""
    told = str(error)
    if _OF_PIPELINE in told:
        # What follows is the printed tuple of the error's arguments.
        told = told.rpartition(_OF_PIPELINE)[2].strip("(),'\"")
    return told.partition(_ARGUMENTS)[0]


def _of_tls(error: BaseException | None) -> bool:
    """Tell whether the handshake failed: redis-py wraps what says so, once or several times."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
