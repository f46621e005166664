"""A Redis master, its replica, and three Sentinels that put the one in the other's place."""

from pathlib import Path
from typing import Any

import redis

from tests.rig.certificates import Authority
from tests.rig.ports import LOCALHOST, free_tcp_port
from tests.rig.process import Process
from tests.rig.redis import RedisServer, tls_options
from tests.rig.waiting import wait_for

SERVICE = "lists"
_DOWN_AFTER_MS = 300
_QUORUM = 2
_HURRY = ("info-period", 200, "publish-period", 200, "ask-period", 100, "ping-period", 100)
"""Milliseconds; seconds by default."""


class WatchedRedis:
    """Starts at once, and is ready for a failover when it is there."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        authority: Authority | None = None,
        sentinel_password: str | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        # A replica that was cut off for long is not promoted; in a test, "long" would be over soon.
        common = ("--repl-diskless-sync-delay", "0", "--replica-priority", "1", *options)
        self.master = RedisServer(folder / "one", *common, port=free_tcp_port(), authority=authority)
        self.replica = RedisServer(
            folder / "two",
            *common,
            *("--replicaof", LOCALHOST, str(self.master.port)),
            port=free_tcp_port(),
            authority=authority,
        )
        ports = [free_tcp_port() for _ in range(3)]
        self.sentinels = [
            _sentinel(folder / f"sentinel{number}", port, self.master, authority, sentinel_password)
            for number, port in enumerate(ports)
        ]
        scheme = "redis" if authority is None else "rediss"
        nodes = ",".join(f"{LOCALHOST}:{port}" for port in ports)
        self.url = f"{scheme}+sentinel://{nodes}/{SERVICE}"
        self._clients = [_client(port, authority, sentinel_password) for port in ports]
        for client in self._clients:
            wait_for("a Sentinel to answer", lambda client=client: _hurried(client))  # type: ignore[misc]
        wait_for("the Sentinels to know all", lambda: all(_ready(client) for client in self._clients))

    def master_port(self) -> int:
        """Where the master is, as all Sentinels that answer have it; 0 while they differ."""
        found = set()
        for client in self._clients:
            try:
                found.add(int(_state(client)["port"]))
            except redis.ConnectionError:
                continue
        return found.pop() if len(found) == 1 else 0

    def wait_for_promotion(self) -> None:
        """Wait until the Sentinels have put the replica in the master's place."""
        wait_for("the promotion", lambda: self.master_port() == self.replica.port, seconds=20)

    def wait_for_demotion(self) -> None:
        """Wait until what was the master, and runs, is the replica of the other."""
        wait_for("the old master to be a replica", lambda: _follows(self.master), seconds=20)

    def failover(self) -> None:
        """Have the Sentinels change the two over, as an administrator does, and wait for both."""
        self._clients[0].sentinel_failover(SERVICE)
        self.wait_for_promotion()
        self.wait_for_demotion()

    def stop(self) -> None:
        """Kill everything."""
        for client in self._clients:
            client.close()
        for sentinel in self.sentinels:
            sentinel.kill()
        self.master.stop()
        self.replica.stop()


def _sentinel(
    folder: Path, port: int, master: RedisServer, authority: Authority | None, password: str | None
) -> Process:
    folder.mkdir()
    file = folder / "sentinel.conf"  # which the Sentinel rewrites
    options = ["--port", str(port)]
    if authority is not None:
        options = ["--port", "0", "--tls-port", str(port), *tls_options(authority)]
    if password is not None:
        options += ["--requirepass", password]
    file.write_text(
        f"bind {LOCALHOST}\ndir {folder}\n"
        f"sentinel monitor {SERVICE} {LOCALHOST} {master.port} {_QUORUM}\n"
        f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {SERVICE} 2000\n"
    )
    return Process(["redis-server", str(file), "--sentinel", *options], folder / "sentinel.log")


def _client(port: int, authority: Authority | None, password: str | None) -> redis.Redis:
    tls: dict[str, Any] = {}
    if authority is not None:
        tls = {"ssl": True, "ssl_ca_certs": str(authority.certificate)}
    return redis.Redis(host=LOCALHOST, port=port, password=password, socket_timeout=5, **tls)


def _hurried(client: redis.Redis) -> bool:
    """Have a Sentinel do in tenths of a second what it does every few seconds; False if it is not up yet."""
    try:
        client.execute_command("SENTINEL", "DEBUG", *_HURRY)  # type: ignore[no-untyped-call]
    except redis.ConnectionError:
        return False
    return True


def _state(client: redis.Redis) -> dict[str, Any]:
    """What a Sentinel knows of the master."""
    state = client.sentinel_master(SERVICE)
    assert isinstance(state, dict)
    return state


def _follows(server: RedisServer) -> bool:
    try:
        with server.client() as client:
            told = client.info("replication")
    except redis.ConnectionError:  # a Sentinel closes all connections when it gives a server another part
        return False
    return bool(told["role"] == "slave" and told["master_link_status"] == "up")


def _ready(client: redis.Redis) -> bool:
    """Tell whether a Sentinel knows the two others and a replica that it could promote."""
    try:
        state = _state(client)
        replicas = client.sentinel_slaves(SERVICE)
    except redis.ConnectionError:
        return False
    return (
        int(state["num-other-sentinels"]) == 2
        and len(replicas) == 1
        and not replicas[0]["is_sdown"]
        and replicas[0]["master-link-status"] == "ok"
    )
