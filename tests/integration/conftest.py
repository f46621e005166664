"""Commands over a real database of each kind and a real Redis."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import cli
from callguard.config import RedisSettings, SqlSettings
from tests.rig.listcommands import CHANGES, ONE, TWO, Run, Write, done
from tests.rig.lists import Lists


@pytest.fixture
def run(sql_settings: SqlSettings, tmp_path: Path, redis_settings: RedisSettings) -> Run:
    """Run a command over the test's database and Redis."""

    def run(*arguments: str | Path, **options: Any) -> Result:
        settings = {
            "CALLGUARD_CONFIG": "",
            "CALLGUARD_STATE": str(tmp_path),
            "CALLGUARD_SQL__URL": sql_settings.url,
            "CALLGUARD_REDIS__URL": redis_settings.url,
        }
        environ = options.pop("environ", {})
        return CliRunner(env=settings | environ).invoke(cli, [str(one) for one in arguments], **options)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of numbers, one a line."""

    def write(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture
def us(run: Run, engine: sa.Engine, redis_settings: RedisSettings) -> Run:
    """A list `us`, with nothing imported, and a Redis that holds the lists; runs commands."""

    async def warm() -> None:
        lists = Lists(engine, redis_settings)
        assert await lists.sync.rebuild()
        await lists.close()

    asyncio.run(warm())
    assert run("list", "create", "us", "--jurisdiction", "US", "--format", "e164-lines").exit_code == 0
    return run


@pytest.fixture
def changing(run: Run, us: Run, write: Write) -> Run:
    """A list `us` whose files are changes, with ONE and TWO in it."""
    del us
    assert run("list", "drop", "us", "--yes").exit_code == 0
    mapping = write("changes.toml", CHANGES)
    assert run("list", "create", "us", "--jurisdiction", "US", "--mapping", mapping).exit_code == 0
    full = write("full.txt", f"A,{ONE}", f"A,{TWO}")
    done(run("list", "import", "us", full, "--mode", "replace", "--yes", "--date", "2026-11-01"))
    return run
