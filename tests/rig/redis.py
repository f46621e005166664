"""A real redis-server, on a unix socket or on a port."""

import signal
from pathlib import Path
from typing import Any

import redis
import redis.backoff
import redis.retry

from tests.rig.certificates import Authority
from tests.rig.ports import LOCALHOST
from tests.rig.process import Process
from tests.rig.waiting import wait_for


class RedisServer:
    """Starts at once, empty; keeps nothing on disk unless `dump` is called. It may be stopped and started.

    It listens on a unix socket in its folder; with `port`, which must be free, there instead; with
    `authority`, over TLS, with a certificate of that authority's.
    """

    def __init__(
        self, folder: Path, *options: str, port: int = 0, authority: Authority | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.port = port
        self._folder = folder
        self._authority = authority
        self._options = [*self._listening(), *options]
        self.process = self._start()

    @property
    def socket(self) -> Path:
        return self._folder / "redis.sock"

    @property
    def url(self) -> str:
        if not self.port:
            return f"unix://{self.socket}"
        return f"{'rediss' if self._authority else 'redis'}://{LOCALHOST}:{self.port}"

    def _listening(self) -> list[str]:
        if not self.port:
            return ["--port", "0", "--unixsocket", str(self.socket)]
        if self._authority is None:
            return ["--bind", LOCALHOST, "--port", str(self.port)]
        return ["--bind", LOCALHOST, "--port", "0", "--tls-port", str(self.port),
                *tls_options(self._authority)]  # fmt: skip

    def _start(self) -> Process:
        command = ["redis-server", "--save", "", "--dir", str(self._folder), *self._options]
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
        tls: dict[str, Any] = {}
        if self._authority is not None:
            shown = self._authority.issue("client")
            tls = {"ssl_ca_certs": str(self._authority.certificate),
                   "ssl_certfile": str(shown.certificate), "ssl_keyfile": str(shown.key)}  # fmt: skip
        return redis.Redis.from_url(self.url, socket_timeout=5, retry=once, **tls)

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


def tls_options(authority: Authority) -> list[str]:
    """The options of a redis-server, or a Sentinel, that speaks TLS and takes any client."""
    own = authority.issue("server")
    return ["--tls-cert-file", str(own.certificate), "--tls-key-file", str(own.key),
            "--tls-ca-cert-file", str(authority.certificate), "--tls-auth-clients", "optional",
            "--tls-replication", "yes"]  # fmt: skip
