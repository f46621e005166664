"""A real redis-server on a unix socket."""

import signal
from pathlib import Path

import redis
import redis.backoff
import redis.retry

from tests.rig.process import Process
from tests.rig.waiting import wait_for


class RedisServer:
    """Starts at once, empty; keeps nothing on disk unless `dump` is called. It may be stopped and started."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._options = options
        self.process = self._start()

    def _start(self) -> Process:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "",
                   "--dir", str(self._folder), *self._options]  # fmt: skip
        process = Process(command, self._folder / "redis.log")
        wait_for("redis-server to answer", lambda: self._answers(process))
        return process

    def _answers(self, process: Process) -> bool:
        if not process.running:
            raise AssertionError(f"redis-server ended:\n{process.tail()}")
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    def client(self) -> redis.Redis:
        """A client of the test's own."""
        once = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        return redis.Redis.from_url(self.url, socket_timeout=5, retry=once)

    def stop(self) -> None:
        """Kill it: what it held is lost, unless it was dumped."""
        self.process.signal(signal.SIGCONT)
        self.process.kill()

    def start(self) -> None:
        """Start it again, with what was dumped."""
        self.process = self._start()

    def hang(self) -> None:
        """Leave its connections open and its socket listening, but answer nothing."""
        self.process.freeze()

    def resume(self) -> None:
        self.process.signal(signal.SIGCONT)

    def dump(self) -> None:
        """Write a snapshot, which the next start loads."""
        with self.client() as client:
            client.save()
