"""The private redis-server, for those who name none: in a folder of the state, closed to other users.

It keeps nothing on disk, for SQL is the truth. Of several callguard processes over the same state one owns
it (a file lock says which), the others use it; when the owner goes, its redis-server goes too, and the next
process starts its own.
"""

import asyncio
import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import redis.asyncio
import redis.asyncio.retry
import redis.backoff
import redis.exceptions
import structlog

from callguard.errors import CacheError, ConfigurationError

_LONGEST_SOCKET = 107
"""Bytes of a unix socket's path: Linux, unix(7)."""
_START_SECONDS = 10.0
_POLL_SECONDS = 0.02
_TAKE_OVER_SECONDS = 0.5
_LONGEST_BACKOFF = 5.0


def socket_path(state: Path) -> Path:
    """Where the private redis-server listens."""
    return state.absolute() / "redis" / "redis.sock"


class EmbeddedRedis:
    """Starts the private redis-server, starts it again if it ends, and stops it."""

    def __init__(self, state: Path) -> None:
        self._socket = socket_path(state)
        self._folder = self._socket.parent
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._log = structlog.get_logger()

    @property
    def owner(self) -> bool:
        """Whether this process runs it, rather than using another process's."""
        return self._lock is not None

    async def start(self) -> None:
        """Return when it answers.

        Raises CacheError if redis-server is not installed or does not start, ConfigurationError if the state
        folder's path is too long for a socket.
        """
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET:
            raise ConfigurationError(
                f"{self._socket} is too long for a unix socket",
                where="state",
                allowed=f"a folder whose path is {len(os.fsencode(self._socket)) - _LONGEST_SOCKET} shorter",
            )
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            if self._take_lock():
                await self._launch()
        except OSError as error:
            raise CacheError(f"cannot use {self._folder}: {error.strerror}") from error
        await self._until_it_answers()

    async def run(self) -> NoReturn:
        """Start it again whenever it ends, or when its owner has gone, until cancelled."""
        pause = _TAKE_OVER_SECONDS
        while True:
            if self._process is not None:
                code = await self._process.wait()
                self._log.error("the private redis-server ended", code=code, log=self._log_end())
            await asyncio.sleep(pause)
            if not self._take_lock():
                continue
            try:
                await self._launch()
                await self._until_it_answers()
            except (CacheError, OSError) as error:
                self._log.error("the private redis-server does not start", why=str(error))
                pause = min(2 * pause, _LONGEST_BACKOFF)
            else:
                pause = _TAKE_OVER_SECONDS

    async def stop(self) -> None:
        """Stop it, if it is ours."""
        if self._process is not None and self._process.returncode is None:
            # Nothing is lost: it holds a copy.
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._socket.unlink(missing_ok=True)
        self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    async def _launch(self) -> None:
        server, setpriv = shutil.which("redis-server"), shutil.which("setpriv")
        if server is None:
            raise CacheError(
                "redis-server is not installed", remedy="apt-get install redis-server, or set redis.url"
            )
        if setpriv is None:
            raise CacheError(
                "setpriv is not installed", remedy="apt-get install util-linux, or set redis.url"
            )
        await self._end_leftover()
        with (self._folder / "redis.log").open("wb") as log:
            # The kernel kills it when this thread ends, in whatever way (prctl(2), PR_SET_PDEATHSIG).
            self._process = await asyncio.create_subprocess_exec(
                setpriv, "--pdeathsig", "KILL", server,
                "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
                "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
                "--dir", str(self._folder), "--daemonize", "no",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                # Ctrl-C in a terminal is for callguard: the server goes last.
                start_new_session=True,
            )  # fmt: skip

    async def _end_leftover(self) -> None:
        """End a redis-server whose owner died, should the kernel not have done it."""
        if not self._socket.exists():
            return
        client = self._client()
        try:
            async with asyncio.timeout(1):
                await client.shutdown(nosave=True)
        except (redis.exceptions.RedisError, OSError, TimeoutError):
            # Nobody listens, or it hangs: a new one takes the socket's name from it.
            self._socket.unlink(missing_ok=True)
        finally:
            await client.aclose()

    async def _until_it_answers(self) -> None:
        client = self._client()
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._answers(client):  # noqa: ASYNC110 - nobody tells when it listens
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise CacheError(f"{self._socket} does not answer: {self._log_end()}") from error
        finally:
            await client.aclose()

    async def _answers(self, client: redis.asyncio.Redis) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise CacheError(f"redis-server ended with code {self._process.returncode}: {self._log_end()}")
        try:
            return bool(await client.ping())
        except (redis.exceptions.ConnectionError, OSError):
            return False

    def _client(self) -> redis.asyncio.Redis:
        once = redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0)
        return redis.asyncio.Redis(unix_socket_path=str(self._socket), retry=once)

    def _log_end(self) -> str:
        try:
            lines = (self._folder / "redis.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return "it wrote no log"
        return lines[-1] if lines else "its log is empty"
