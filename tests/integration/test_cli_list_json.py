"""What `callguard list` tells programs: one JSON object on standard output, and nothing else there."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from callguard.errors import SqlError
from callguard.journal.writer import JournalWriter
from callguard.lists.registries import RegistryStore
from tests.rig.decisions import a_decision
from tests.rig.listcommands import ONE, THREE, TWO, Run, Write, done, refused

pytestmark = pytest.mark.integration

DEAD_REDIS = {"CALLGUARD_REDIS__URL": "redis://127.0.0.1:1"}


def told(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_an_import_is_told_in_one_object(us: Run, write: Write, tmp_path: Path) -> None:
    done(us("list", "import", "us", write("2026-11-01.txt", ONE, TWO), "--yes"))
    file = write("2026-11-02.txt", TWO, THREE, "abc")
    assert told(us("list", "import", "us", file, "--yes", "--json")) == {
        "name": "us",
        "version": 2,
        "numbers": 2,
        "added": 1,
        "removed": 1,
        "unchanged": 1,
        "lines": 3,
        "rejected": 1,
        "first_rejected": [{"file": "2026-11-02.txt", "line": 3, "reason": "not a number", "text": "abc"}],
        "rejected_file": str(tmp_path / "2026-11-02.txt.rejected.csv"),
        "outside": 0,
        "data_date": "2026-11-02",
        "warnings": [],
        "recent_calls": None,
        "dry_run": False,
        "refused": None,
        "reach": "everywhere",
    }


def test_a_dry_run_is_told_in_one_object_with_the_calls_that_it_would_have_changed(
    us: Run, write: Write, engine: sa.Engine, tmp_path: Path
) -> None:
    async def record() -> None:
        async with JournalWriter(engine, tmp_path / "spool", 5) as journal:
            for number in (ONE, THREE, THREE):
                at = datetime.now(UTC) - timedelta(days=1)
                await journal.record(a_decision(number=number, at=at))

    asyncio.run(record())
    done(us("list", "import", "us", write("a", ONE), "--yes"))
    result = us("list", "import", "us", write("b", ONE, THREE), "--mode", "append", "--dry-run", "--json")
    assert done(result)
    found = told(result)
    assert found["recent_calls"] == {"calls": 3, "newly_listed": 2, "no_longer_listed": 0}
    assert (found["dry_run"], found["version"], found["numbers"], found["reach"]) == (True, None, 2, None)
    (warning,) = found["warnings"]
    assert "not known whether" in warning


def test_a_dry_run_that_is_refused_for_its_size_is_told_with_the_refusal(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO), "--yes"))
    result = us("list", "import", "us", write("b", THREE), "--dry-run", "--json")
    refused(result, "would shrink from 2 to 1", "--shrink")
    found = told(result)
    assert (found["added"], found["removed"], found["numbers"]) == (1, 2, 1)
    assert "would shrink from 2 to 1" in found["refused"]


def test_what_is_refused_leaves_standard_output_empty(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO), "--yes"))
    result = us("list", "import", "us", write("b", ONE), "--yes", "--json")
    refused(result, "would shrink")
    assert result.stdout == ""
    result = us("list", "rollback", "us", "--yes", "--json")
    refused(result, "no generation before")
    assert result.stdout == ""


def test_on_a_terminal_the_question_and_what_it_is_about_are_not_in_the_object(
    us: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callguard.cli.list.check_terminal", lambda: None)
    monkeypatch.setattr("callguard.cli.listimport.check_terminal", lambda: None)
    result = us("list", "import", "us", write("a", ONE), "--json", input="y\n")
    assert "us would have 1 numbers" in result.stderr
    assert told(result)["numbers"] == 1


def test_a_rollback_is_told_in_one_object(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("2026-11-01.txt", ONE), "--yes"))
    done(us("list", "import", "us", write("2026-11-02.txt", ONE, TWO), "--yes"))
    assert told(us("list", "rollback", "us", "--yes", "--json")) == {
        "name": "us",
        "version": 3,
        "numbers": 1,
        "added": 0,
        "removed": 1,
        "unchanged": 1,
        "data_date": "2026-11-01",
        "file": "2026-11-01.txt",
        "reach": "everywhere",
    }


def test_a_drop_is_told_in_one_object_that_names_the_list_in_the_history(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("a", ONE), "--yes"))
    found = told(us("list", "drop", "us", "--yes", "--json", "--by", "tl1"))
    (row,) = json.loads(done(us("list", "history", "us", "--json")))
    assert found == {"name": "us", "list": row["list"], "dropped_by": "tl1", "reach": "everywhere"}


def test_how_far_redis_is_is_in_the_object(us: Run, write: Write) -> None:
    for name, line in (("2026-11-01.txt", ONE), ("2026-11-02.txt", TWO)):
        file = write(name, line)
        result = us("list", "import", "us", file, "--yes", "--json", environ=DEAD_REDIS)
        assert (result.exit_code, told(result)["reach"]) == (0, "unreachable")
        assert "guards notice the change in the database" in result.stderr
    for command in ("rollback", "drop"):
        result = us("list", command, "us", "--yes", "--json", environ=DEAD_REDIS)
        assert (result.exit_code, told(result)["reach"]) == (0, "unreachable")


def test_a_drop_is_no_failure_because_old_blocks_stay(
    us: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: RegistryStore, content: int) -> bool:
        raise SqlError(f"no room to remove {content}")

    done(us("list", "import", "us", write("a", ONE), "--yes"))
    monkeypatch.setattr(RegistryStore, "delete_blocks", fails)
    result = us("list", "drop", "us", "--yes", "--json")
    assert (result.exit_code, told(result)["name"]) == (0, "us")
    assert "could not be removed: SQL: no room" in result.stderr
