"""What tests of every kind share: real services, one of each a session, their logs shown on failure."""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from callguard.config import RedisSettings, SqlSettings
from callguard.database import migrate, open_engine
from tests.rig.postgres import PostgresServer
from tests.rig.process import Process
from tests.rig.redis import RedisServer

# How long an example takes says something of the machine, not of callguard.
settings.register_profile("callguard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("callguard")

# A job in the background of a shell ignores Ctrl-C, and so would all commands that are started from it here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Whether a test passes is no matter of the hour. A test of presets names those that it is about.
os.environ["CALLGUARD_RULES__PRESETS"] = "[]"

SERVICES = pytest.StashKey[dict[str, Callable[[], Process]]]()
"""Service -> what gives its process: the end of its log is shown below a test that fails."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="A test that skips fails: nothing is missing here."
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVICES] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips"):
        report.outcome, report.longrepr = "failed", f"skipped, with --no-skips: {report.longrepr}"
    if report.failed:
        for name, process in item.config.stash[SERVICES].items():
            report.sections.append((f"log of {name}", process().tail()))
    return report


@pytest.fixture(scope="session")
def redis_server(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[RedisServer]:
    """A redis-server for tests that leave it running; see `redis_settings` and `start_redis`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    pytestconfig.stash[SERVICES]["redis"] = lambda: server.process
    yield server
    server.stop()


@pytest.fixture
def redis_settings(redis_server: RedisServer) -> RedisSettings:
    """Settings for the session's redis-server, emptied."""
    with redis_server.client() as client:
        client.flushall()
    return RedisSettings(url=redis_server.url, timeout=2)


@pytest.fixture
def start_redis(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Callable[..., RedisServer]]:
    """Start a redis-server of this test's own, to be hung, stopped, or given options."""
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        folder = tmp_path / f"redis{len(servers)}"
        folder.mkdir()
        server = RedisServer(folder, *options)
        servers.append(server)
        pytestconfig.stash[SERVICES]["this test's redis"] = lambda: server.process
        return server

    yield start
    for server in servers:
        server.stop()
    pytestconfig.stash[SERVICES].pop("this test's redis", None)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A PostgreSQL. A test that stops it starts it again."""
    server = PostgresServer()
    pytestconfig.stash[SERVICES]["postgresql"] = lambda: server.process
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of a new, empty database."""
    return postgres_server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_settings(request: pytest.FixtureRequest) -> SqlSettings:
    """Settings of a new, empty database of each kind. SQLite lies in the state folder: `tmp_path`."""
    if request.param == "sqlite":
        return SqlSettings()
    return SqlSettings(url=request.getfixturevalue("postgres_url"))


@pytest.fixture
def engine(sql_settings: SqlSettings, tmp_path: Path) -> Iterator[sa.Engine]:
    """A new database of each kind, with its tables."""
    engine = open_engine(sql_settings, tmp_path)
    migrate(engine)
    yield engine
    engine.dispose()
