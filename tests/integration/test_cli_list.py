"""`callguard list`: registry lists from their files to what a call is checked against."""

import asyncio
import gzip
import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.errors import SqlError
from callguard.journal.writer import JournalWriter
from callguard.lists import room
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.importlock import import_lock
from callguard.lists.registries import RegistryStore
from callguard.lists.store import ListStore
from callguard.lists.tables import blocks, changes
from callguard.screening.model import Hits
from tests.rig.decisions import a_decision
from tests.rig.listcommands import CHANGES, ONE, THREE, TWO, Run, Write, done, refused
from tests.rig.lists import NOWHERE, Lists

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()


def shown(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(run("list", "show", "us", "--json")))
    return found


def history(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done(run("list", "history", "us", "--json")))
    return found


def listed(engine: sa.Engine, settings: RedisSettings) -> set[str]:
    """Which of the three numbers SQL and Redis say are listed: they say the same."""

    async def in_redis() -> set[str]:
        cache = ListCache(connect(settings, NOWHERE), key=settings.key, timeout=5)
        found = {number: (await cache.lookup(number))[1] for number in (ONE, TWO, THREE)}
        await cache.close()
        return {number for number, hits in found.items() if any(hit.listed for hit in hits.registries)}

    store = ListStore(engine)
    in_sql = {
        number for number in (ONE, TWO, THREE) if any(hit.listed for hit in store.lookup(number).registries)
    }
    assert asyncio.run(in_redis()) == in_sql
    return in_sql


def contents(engine: sa.Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.execute(sa.select(blocks.c.content)).scalars())


def test_a_new_list_is_shown_as_never_imported(us: Run) -> None:
    found = shown(us)
    assert (found["numbers"], found["freshness"], found["version"]) == (0, "never imported", 0)
    assert (found["jurisdiction"], found["format"]) == ("US", "e164-lines")
    assert ("+1212" in found["covers"], "+1416" in found["covers"]) == (True, False)
    assert "us" in done(us("list", "show"))
    assert "nothing was imported" in done(us("list", "history", "us"))


def test_an_import_is_in_force_when_the_command_returns(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    told = done(us("list", "import", "us", write("2026-11-01.txt", ONE, TWO, ONE), "--yes", "--by", "tl1"))
    assert "us has 2 numbers, data of 2026-11-01" in told
    assert listed(engine, redis_settings) == {ONE, TWO}
    found = shown(us)
    assert (found["numbers"], found["version"], found["data_date"]) == (2, 1, "2026-11-01")
    assert (found["file"], found["imported_by"]) == ("2026-11-01.txt", "tl1")


def test_replace_append_and_remove_do_as_they_say(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    done(us("list", "import", "us", write("a", ONE), "--yes"))
    done(us("list", "import", "us", write("b", TWO, THREE), "--mode", "append", "--yes"))
    assert listed(engine, redis_settings) == {ONE, TWO, THREE}
    told = done(us("list", "import", "us", write("c", ONE), "--mode", "remove", "--yes", "--shrink", "50"))
    assert listed(engine, redis_settings) == {TWO, THREE}
    assert "removed    1\n  unchanged  2" in told
    done(us("list", "import", "us", write("d", ONE, TWO), "--yes"))
    assert listed(engine, redis_settings) == {ONE, TWO}
    rows = [(row["mode"], row["numbers"], row["added"], row["removed"]) for row in history(us)]
    assert rows == [("replace", 2, 1, 1), ("remove", 2, 0, 1), ("append", 3, 2, 0), ("replace", 1, 1, 0)]


def test_modes_may_be_written_in_capitals(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("a", ONE), "--mode", "REPLACE", "--yes"))
    done(us("list", "import", "us", write("b", TWO), "--mode", "APPEND", "--yes"))
    done(us("list", "import", "us", write("c", ONE), "--mode", "REMOVE", "--yes", "--shrink", "50"))
    assert [row["mode"] for row in history(us)] == ["remove", "append", "replace"]


def test_a_small_append_leaves_all_other_blocks_as_they_are(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    many = [f"+1212{number}" for number in range(5550000, 5554000)]
    done(us("list", "import", "us", write("a", *many, "+14155550000"), "--yes"))
    told = done(us("list", "import", "us", write("b", THREE, "+14155550000", "+17025550000"),
                   "--mode", "append", "--yes"))  # fmt: skip
    assert "us has 4,003 numbers" in told
    assert listed(engine, redis_settings) == {ONE, TWO, THREE}
    told = done(us("list", "import", "us", write("c", THREE, "+15125550000", *many[:101]),
                   "--mode", "remove", "--yes"))  # fmt: skip
    assert "removed    102\n" in told
    assert listed(engine, redis_settings) == {ONE, TWO}


def test_a_change_file_adds_and_removes_in_its_order(
    changing: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    lines = (f"D,{ONE}", f"D,{THREE}", f"A,{THREE}", f"A,{TWO}", f"D,{TWO}", f"A,{TWO}")
    told = done(changing("list", "import", "us", write("2026-11-02.csv", *lines), "--yes", "--shrink", "50"))
    assert "added      1\n  removed    1\n  unchanged  1" in told
    assert listed(engine, redis_settings) == {TWO, THREE}
    assert shown(changing)["data_date"] == "2026-11-02"


def test_a_change_file_is_not_applied_twice_nor_in_the_wrong_order(changing: Run, write: Write) -> None:
    second = write("2026-11-03.csv", f"A,{THREE}")
    done(changing("list", "import", "us", second, "--yes"))
    refused(changing("list", "import", "us", second, "--yes"), "already applied", "generation 2")
    first = write("2026-11-02.csv", "A,+12125550199")
    refused(changing("list", "import", "us", first, "--yes"), "2026-11-02", "2026-11-03")
    done(changing("list", "import", "us", first, "--yes", "--out-of-order"))
    refused(changing("list", "import", "us", second, "--yes"), "already applied")
    assert shown(changing)["data_date"] == "2026-11-03"


@pytest.mark.parametrize("packed", ["2026-11-03.gz", "2026-11-03.csv.gz"])
def test_changes_that_come_again_in_another_packing_are_told(
    changing: Run, write: Write, tmp_path: Path, packed: str
) -> None:
    plain = write("2026-11-03.csv", f"A,{THREE}")
    assert "warning" not in done(changing("list", "import", "us", plain, "--yes"))
    again = tmp_path / packed
    again.write_bytes(gzip.compress(plain.read_bytes()))
    told = done(changing("list", "import", "us", again, "--yes"))
    assert "warning    generation 2 was made from 2026-11-03.csv, of the same day" in told
    later = write("2026-11-04.csv", f"D,{THREE}")
    assert "warning" not in done(changing("list", "import", "us", later, "--yes", "--shrink", "50"))


def test_a_file_with_removals_never_replaces_a_list(changing: Run, write: Write) -> None:
    file = write("x.csv", f"D,{ONE}", f"A,{THREE}")
    refused(changing("list", "import", "us", file, "--mode", "replace", "--yes"), "--mode change")


def test_a_file_that_says_what_it_adds_never_removes_it(
    changing: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    file = write("2026-11-02.csv", f"A,{ONE}")
    told = changing("list", "import", "us", file, "--mode", "remove", "--yes", "--shrink", "50")
    refused(told, "says itself", "change")
    assert listed(engine, redis_settings) == {ONE, TWO}


@pytest.mark.parametrize("mode", ["remove", "change"])
def test_what_was_never_imported_cannot_be_changed(us: Run, write: Write, mode: str) -> None:
    refused(us("list", "import", "us", write("a", ONE), "--mode", mode, "--yes"), "nothing was imported")


@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
def test_no_import_takes_the_room_that_decisions_need(
    us: Run,
    write: Write,
    engine: sa.Engine,
    redis_settings: RedisSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done(us("list", "import", "us", write("a", ONE), "--yes"))
    monkeypatch.setattr(room, "RESERVE", 1 << 62)  # more than any disk has
    result = us("list", "import", "us", write("b", ONE, TWO), "--yes")
    assert (result.exit_code, "MiB are free on the database's disk" in result.stderr) == (4, True)
    assert listed(engine, redis_settings) == {ONE}
    assert len(contents(engine)) == 1
    done(us("add", ONE))
    done(us("list", "drop", "us", "--yes"))


def test_the_same_file_again_is_refused(us: Run, write: Write) -> None:
    file = write("a", ONE)
    done(us("list", "import", "us", file, "--yes"))
    refused(us("list", "import", "us", file, "--yes"), "already applied")


def test_a_list_that_would_shrink_too_much_stays_as_it_is(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO, THREE), "--yes"))
    smaller = write("b", ONE, "12x")
    result = us("list", "import", "us", smaller, "--yes")
    refused(result, "from 3 to 1 numbers", "66.7 %", "--shrink", "1 lines were rejected")
    assert listed(engine, redis_settings) == {ONE, TWO, THREE}
    assert [row["state"] for row in history(us)] == ["failed", "in force"]
    assert len(contents(engine)) == 1
    done(us("list", "import", "us", smaller, "--yes", "--shrink", "70"))
    assert listed(engine, redis_settings) == {ONE}


def test_a_dry_run_of_what_would_be_refused_shows_the_difference_and_the_refusal(
    us: Run, write: Write
) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO), "--yes"))
    before = history(us)
    result = us("list", "import", "us", write("b", THREE, "12x"), "--dry-run")
    refused(result, "from 2 to 1 numbers", "50.0 %", "--shrink")
    assert "us would have 1 numbers" in result.stdout
    assert "added      1\n  removed    2\n  unchanged  0\n  rejected   1 of 2 lines" in result.stdout
    assert "line 2" in result.stdout
    assert "recent calls" in result.stdout
    assert history(us) == before


def test_how_much_a_list_may_shrink_is_a_setting(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO, THREE), "--yes"))
    environ = {"CALLGUARD_REGISTRIES__SHRINK_PERCENT": "70"}
    done(us("list", "import", "us", write("b", ONE), "--yes", environ=environ))


def test_a_list_becomes_empty_only_if_that_is_wanted(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    nothing = write("a", "header")
    refused(us("list", "import", "us", nothing, "--dry-run"), "would be empty", "1 lines were rejected")
    refused(us("list", "import", "us", nothing, "--yes"), "would be empty", "--allow-empty")
    done(us("list", "import", "us", nothing, "--yes", "--allow-empty"))
    assert shown(us)["numbers"] == 0
    done(us("list", "import", "us", write("b", ONE), "--yes", "--mode", "append"))
    assert listed(engine, redis_settings) == {ONE}


def test_a_rollback_brings_the_one_before_back_and_another_one_undoes_it(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    refused(us("list", "rollback", "us", "--yes"), "no generation before")
    done(us("list", "import", "us", write("2026-11-01", ONE), "--yes"))
    done(us("list", "import", "us", write("2026-11-02", ONE, TWO), "--yes"))
    assert "1 numbers, data of 2026-11-01, in force" in done(us("list", "rollback", "us", "--yes"))
    assert listed(engine, redis_settings) == {ONE}
    assert (shown(us)["version"], shown(us)["data_date"]) == (3, "2026-11-01")
    done(us("list", "rollback", "us", "--yes"))
    assert listed(engine, redis_settings) == {ONE, TWO}
    done(us("list", "import", "us", write("2026-11-03", THREE), "--yes", "--shrink", "50"))
    assert listed(engine, redis_settings) == {THREE}
    # The one in force and the one to roll back to are all that is kept.
    assert len(contents(engine)) == 2


def test_a_dropped_list_is_no_longer_asked(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    done(us("list", "import", "us", write("a", ONE), "--yes"))
    refused(us("list", "drop", "us"), "no terminal")
    assert listed(engine, redis_settings) == {ONE}
    assert done(us("list", "drop", "us", "--yes")) == "us: dropped\n"
    assert listed(engine, redis_settings) == set()
    refused(us("list", "show", "us"), "no registry list 'us'")
    assert contents(engine) == set()


def test_redis_keeps_nothing_of_generations_that_are_gone(
    us: Run, write: Write, redis_settings: RedisSettings
) -> None:
    for count in range(1, 4):
        done(us("list", "import", "us", write(f"{count}", *[ONE, TWO, THREE][:count]), "--yes"))

    async def generations() -> set[str]:
        cache = ListCache(connect(redis_settings, NOWHERE), key=redis_settings.key, timeout=5)
        cursor, names = await cache.names()
        await cache.close()
        assert cursor == "0"
        return {name.split(":")[1].partition("-")[0] for name in names if name.startswith("b:")}

    assert asyncio.run(generations()) == {"3"}


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO), "--yes"))
    before = (history(us), contents(engine), ListStore(engine).mark())

    async def record() -> None:
        async with JournalWriter(engine, tmp_path / "spool", 5) as journal:
            now = datetime.now(UTC)
            for number, days in (
                (THREE, 1),
                (THREE, 29),
                (THREE, 31),
                (ONE, 2),
                (TWO, 3),
                ("+6281234567", 1),
            ):
                await journal.record(a_decision(number=number, at=now - timedelta(days=days)))

    asyncio.run(record())
    told = done(us("list", "import", "us", write("b", ONE, THREE, "x"), "--dry-run"))
    assert "us would have 2 numbers" in told
    assert "added      1\n  removed    1\n  unchanged  1\n  rejected   1 of 3 lines" in told
    assert "of 4 recent calls" in told
    assert "2 are newly listed, 1 no longer" in told
    assert (history(us), contents(engine), ListStore(engine).mark()) == before
    assert listed(engine, redis_settings) == {ONE, TWO}


def test_rejected_lines_are_in_a_file_with_their_reasons(us: Run, write: Write, tmp_path: Path) -> None:
    lines = [ONE, "=cmd()", "+6281234567890", "\x1b[31mred", *(["abc"] * 20)]
    file = write("a.txt", *lines)
    refused(us("list", "import", "us", file, "--yes"), "23 of 24 lines", "95.8 %", "line 2: ", "--rejects")
    assert history(us) == []
    told = done(us("list", "import", "us", file, "--yes", "--rejects", "96"))
    assert "rejected   23 of 24 lines" in told
    assert told.count("a.txt, line") == 10
    assert "\x1b" not in told
    rejected = (tmp_path / "a.txt.rejected.csv").read_text().splitlines()
    assert (rejected[0], len(rejected)) == ("file,line,reason,text", 24)
    assert rejected[1].endswith("'=cmd()")
    other = tmp_path / "other.csv"
    done(us("list", "import", "us", write("b.txt", ONE, TWO, "abc"), "--yes", "--rejected", other))
    assert len(other.read_text().splitlines()) == 2


def test_how_much_of_a_file_may_be_rejected_is_a_setting(us: Run, write: Write) -> None:
    file = write("a.txt", ONE, *(["abc"] * 20))
    environ = {"CALLGUARD_REGISTRIES__REJECTED_PERCENT": "100"}
    done(us("list", "import", "us", file, "--yes", environ=environ))


@pytest.mark.parametrize("name", ["a.txt", "link"])
def test_rejected_lines_never_replace_the_file_that_is_imported(
    us: Run, write: Write, tmp_path: Path, name: str
) -> None:
    file = write("a.txt", ONE, "abc")
    (tmp_path / "link").symlink_to(file)
    other = tmp_path / name
    refused(us("list", "import", "us", file, "--yes", "--rejected", other), "is the file that is imported")
    refused(us("list", "import", "internal", file, "--rejected", other), "is the file that is imported")
    part = file.rename(tmp_path / "b.csv.part")
    refused(us("list", "import", "us", part, "--yes", "--rejected", tmp_path / "b.csv"), "is imported")
    assert part.read_text() == f"{ONE}\nabc\n"


def test_a_list_of_full_files_takes_change_files_with_their_own_layout(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    done(us("list", "import", "us", write("2026-11-01.txt", ONE, TWO), "--yes"))
    changes = write("2026-11-02.csv", f"D,{ONE}", f"A,{THREE}")
    mapping = write("changes.toml", CHANGES)
    done(us("list", "import", "us", changes, "--mapping", mapping, "--yes", "--shrink", "50"))
    assert listed(engine, redis_settings) == {TWO, THREE}
    done(us("list", "import", "us", write("2026-11-03.txt", ONE, TWO), "--yes"))
    assert [row["mode"] for row in history(us)] == ["replace", "change", "replace"]
    refused(us("list", "import", "us", changes, "--format", "excel", "--yes"), "us-text")


def test_numbers_of_areas_that_the_list_does_not_cover_are_told(us: Run, write: Write) -> None:
    done(us("list", "create", "ny", "--jurisdiction", "US", "--format", "e164-lines", "--covers", "212"))
    refused(us("list", "import", "ny", write("a", THREE), "--dry-run"), "all its 1 numbers", "--covers")
    told = done(us("list", "import", "ny", write("b", ONE, THREE, "+14165550101"), "--dry-run"))
    assert "outside    2 numbers" in told
    assert "outside" not in done(us("list", "import", "ny", write("c", ONE, TWO), "--yes"))
    mapping = write("changes.toml", CHANGES)
    told = done(us("list", "import", "ny", write("d", f"A,{THREE}", f"D,{ONE}"), "--mapping", mapping,
                   "--shrink", "50", "--yes"))  # fmt: skip
    assert "outside    1 numbers" in told


def test_a_forgotten_date_is_given_with_the_same_file(us: Run, write: Write) -> None:
    file = write("a.txt", ONE)
    done(us("list", "import", "us", file, "--yes"))
    told = done(us("list", "import", "us", file, "--yes", "--date", "2026-11-01"))
    assert "added      0\n  removed    0\n  unchanged  1" in told
    assert shown(us)["data_date"] == "2026-11-01"
    refused(us("list", "import", "us", file, "--yes", "--date", "2026-11-01"), "already applied")


def test_changes_of_no_known_day_are_refused_or_told(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("a.txt", ONE), "--yes"))
    told = done(us("list", "import", "us", write("b.txt", TWO), "--yes", "--mode", "append"))
    assert "not known whether these changes came in their order" in told
    done(us("list", "import", "us", write("2026-11-01.txt", ONE), "--yes", "--shrink", "50"))
    refused(us("list", "import", "us", write("c.txt", THREE), "--yes", "--mode", "append"), "--date")
    assert shown(us)["numbers"] == 1


def test_a_list_that_is_in_force_is_no_failure_because_old_blocks_stay(
    us: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: RegistryStore, content: int) -> bool:
        raise SqlError(f"no room to remove {content}")

    for count in (1, 2):
        done(us("list", "import", "us", write(f"{count}", *[ONE, TWO][:count]), "--yes"))
    monkeypatch.setattr(RegistryStore, "delete_blocks", fails)
    result = us("list", "import", "us", write("3", ONE, TWO, THREE), "--yes")
    assert (result.exit_code, "us has 3 numbers" in result.stdout) == (0, True)
    assert "could not be removed: SQL: no room" in result.stderr
    assert shown(us)["numbers"] == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
def test_after_an_import_by_root_the_services_own_user_can_import(us: Run, write: Write,
                                                                 engine: sa.Engine) -> None:  # fmt: skip
    database = Path(str(engine.url.database))
    os.chown(database, 12345, 12346)
    done(us("list", "import", "us", write("a", ONE), "--yes"))
    (lock,) = database.parent.glob(f"{database.name}.list-*.lock")
    assert (lock.stat().st_uid, lock.stat().st_gid, lock.stat().st_mode & 0o777) == (12345, 12346, 0o600)


def test_without_a_terminal_nothing_is_imported_unasked(us: Run, write: Write) -> None:
    refused(us("list", "import", "us", write("a", ONE)), "no terminal", "--yes")
    assert history(us) == []


@pytest.mark.parametrize(("answer", "numbers"), [("y", 1), ("n", 0)])
def test_on_a_terminal_it_asks_before_the_switch(
    us: Run, write: Write, monkeypatch: pytest.MonkeyPatch, answer: str, numbers: int
) -> None:
    monkeypatch.setattr("callguard.cli.list.check_terminal", lambda: None)
    monkeypatch.setattr("callguard.cli.listimport.check_terminal", lambda: None)
    result = us("list", "import", "us", write("a", ONE), input=f"{answer}\n")
    assert (result.exit_code, "us would have 1 numbers" in result.stdout) == (0 if numbers else 130, True)
    assert shown(us)["numbers"] == numbers


def test_a_second_import_at_once_is_told_who_is_at_it(us: Run, write: Write, engine: sa.Engine) -> None:
    registry = RegistryStore(engine).find("us")
    assert registry is not None
    with import_lock(engine, registry.id, "us", who="desk"):
        refused(us("list", "import", "us", write("a", ONE), "--yes"), "another import is under way", "desk")
    done(us("list", "import", "us", write("a", ONE), "--yes"))


def test_a_list_is_not_changed_under_an_import_that_runs(us: Run, engine: sa.Engine) -> None:
    registry = RegistryStore(engine).find("us")
    assert registry is not None
    before = shown(us)
    with import_lock(engine, registry.id, "us", who="desk"):
        refused(us("list", "set", "us", "--covers", "212"), "another import is under way", "desk")
        refused(us("list", "set", "us", "--format", "lines"), "another import is under way", "desk")
    assert shown(us) == before
    done(us("list", "set", "us", "--covers", "212"))


def test_an_import_reads_its_file_by_the_layout_at_the_time_it_begins(
    us: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody gives the list another format just before the import has its lock."""

    def changed_before(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        done(us("list", "set", "us", "--mapping", mapping))
        return import_lock(*arguments, **options)

    mapping = write("second.toml", 'kind = "delimited"\ninternational = true\nnumber = 2')
    monkeypatch.setattr("callguard.cli.listimport.import_lock", changed_before)
    done(us("list", "import", "us", write("a", f"x,{ONE}"), "--yes"))
    assert shown(us)["numbers"] == 1


def test_an_unreachable_redis_is_told_and_is_no_failure(us: Run, write: Write, engine: sa.Engine) -> None:
    environ = {"CALLGUARD_REDIS__URL": "redis://127.0.0.1:1"}
    result = us("list", "import", "us", write("a", ONE), "--yes", environ=environ)
    assert result.exit_code == 0
    assert "guards notice the change in the database" in result.stderr
    assert ListStore(engine).lookup(ONE).registries[0].listed


def test_without_a_running_guard_the_private_redis_is_no_matter(us: Run, write: Write) -> None:
    environ = {"CALLGUARD_REDIS__URL": ""}
    done(us("list", "import", "us", write("a", ONE), "--yes", environ=environ))


def test_the_day_of_the_data_is_given_or_the_files_and_is_none_to_come(us: Run, write: Write) -> None:
    future = str(TODAY + timedelta(days=2))
    refused(us("list", "import", "us", write("a", ONE), "--yes", "--date", future), "future")
    for day in ("01/11/2026", "20261101", "2026-W44-7"):
        refused(us("list", "import", "us", write("a", ONE), "--yes", "--date", day), "YYYY-MM-DD")
    done(us("list", "import", "us", write("2026-11-05.txt", ONE), "--yes", "--date", "2026-11-06"))
    assert shown(us)["data_date"] == "2026-11-06"


def test_a_list_that_is_too_old_is_shown_as_stale(run: Run, us: Run, write: Write) -> None:
    done(run("list", "create", "old", "--jurisdiction", "US", "--format", "e164-lines",
             "--allowed-age-days", "31"))  # fmt: skip
    day = TODAY - timedelta(days=32)
    done(us("list", "import", "old", write("a", ONE), "--yes", "--date", str(day)))
    (old,) = (row for row in json.loads(done(run("list", "show", "--json"))) if row["name"] == "old")
    assert (old["freshness"], old["age_days"]) == ("stale", 32)


def test_what_a_list_is_can_be_changed_and_is_in_force_when_the_command_returns(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    done(us("list", "import", "us", write("a", ONE), "--yes", "--date", str(TODAY - timedelta(days=20))))
    told = done(us("list", "set", "us", "--allowed-age-days", "14", "--covers", "305", "--kind", "state",
                   "--format", "csv", "--by", "tl1"))  # fmt: skip
    assert told == "us: changed\n"
    found = shown(us)
    assert (found["freshness"], found["covers"], found["kind"]) == ("stale", ["+1305"], "state")
    assert (found["format"], found["numbers"], found["version"]) == ("csv", 1, 1)

    async def in_redis() -> Hits:
        cache = ListCache(connect(redis_settings, NOWHERE), key=redis_settings.key, timeout=5)
        mark, hits = await cache.lookup(ONE)
        await cache.close()
        assert mark == ListStore(engine).mark()
        return hits

    for hits in (asyncio.run(in_redis()), ListStore(engine).lookup(ONE)):
        (hit,) = hits.registries
        assert (hit.listed, hit.covered, hit.kind, hit.allowed_age_days) == (True, False, "state", 14)
    with engine.connect() as connection:
        log = connection.execute(sa.select(changes.c.who, changes.c.why).where(changes.c.action == "change"))
        ((who, why),) = log
    assert who == "tl1"
    assert '] -> ["1305"]; allowed_age_days: None -> 14' in why


def test_a_change_that_changes_nothing_is_not_logged(us: Run, engine: sa.Engine) -> None:
    before = ListStore(engine).mark()
    told = done(us("list", "set", "us", "--allowed-age-days", "none", "--covers", "all"))
    assert told == "us: is so already\n"
    assert ListStore(engine).mark() == before


async def test_a_guard_knows_how_large_and_how_old_each_list_is(
    run: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    lists = Lists(engine, redis_settings)
    async with lists.running():
        await lists.warm()
        assert not lists.status.registries

        def imported() -> None:
            done(run("list", "create", "us", "--jurisdiction", "US", "--format", "e164-lines"))
            done(run("list", "import", "us", write("2026-11-01.txt", ONE, TWO), "--yes"))

        # The commands have an event loop of their own, and so need a thread of their own.
        await asyncio.to_thread(imported)
        await lists.warm()
        (us,) = lists.status.registries
    await lists.close()
    assert (us.name, us.numbers, us.data_date) == ("us", 2, date(2026, 11, 1))


def test_a_broken_file_leaves_the_list_as_it_is(
    us: Run, write: Write, engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    done(us("list", "import", "us", write("a", ONE, TWO), "--yes"))
    whole = gzip.compress(b"".join(b"+1212555%04d\n" % number for number in range(9000)))
    broken = tmp_path / "b.gz"
    broken.write_bytes(whole[: len(whole) // 2])
    refused(us("list", "import", "us", broken, "--yes"), "b.gz")
    refused(us("list", "import", "us", tmp_path / "none", "--yes"), "none")
    refused(us("list", "import", "us", tmp_path, "--yes"))
    assert listed(engine, redis_settings) == {ONE, TWO}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("create", "us", "--jurisdiction", "US", "--format", "csv"), "already"),
        (("create", "internal", "--jurisdiction", "US", "--format", "csv"), "internal"),
        (("create", "a\nb", "--jurisdiction", "US", "--format", "csv"), "not a name"),
        (("create", "x", "--jurisdiction", "ZZ", "--format", "csv"), "not a jurisdiction"),
        (("create", "x", "--jurisdiction", "US", "--format", "excel"), "us-text"),
        (("create", "x", "--jurisdiction", "US"), "--format or --mapping"),
        (("create", "x", "--jurisdiction", "US", "--format", "csv", "--covers", "x"), "covers"),
        (("import", "none", "file", "--yes"), "no registry list 'none'"),
        (("rollback", "none", "--yes"), "no registry list 'none'"),
        (("history", "none"), "no registry list 'none'"),
        (("import", "../../etc", "file", "--yes"), "not a name"),
        (("import", "--yes", "internal", "file"), "list import internal FILE"),
        (("export", "us"), "registry list"),
        (("import", "us", ".", "--yes"), "not the name of a file"),
        (("import", "us", "", "--yes"), "not the name of a file"),
        (("import", "us", "file", "--yes", "--rejected", "/dev/null"), "/dev/null: is no file"),
        (("import", "us", "file", "--yes", "--shrink", "nan"), "no percentage"),
        (("set", "us"), "nothing to change"),
        (("set", "us", "--covers", "x"), "covers"),
        (("set", "us", "--format", "csv", "--mapping", "m.toml"), "--format or --mapping"),
        (("set", "none", "--kind", "state"), "no registry list 'none'"),
    ],
)
def test_wrong_arguments_are_exit_code_2_with_what_would_be_right(
    us: Run, arguments: tuple[str, ...], word: str
) -> None:
    refused(us("list", *arguments), word)


def test_formats_are_shown_with_their_sources(run: Run) -> None:
    told = done(run("list", "formats"))
    assert "us-text" in told
    assert "source: " in told
