"""`callguard list import internal` and `list export internal`, over real databases and a real Redis."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import CommandLine, Invocation
from callguard.cli.internal import export_internal, import_internal
from callguard.config import RedisSettings, SqlSettings
from callguard.lists.entryfiles.columns import OWN
from callguard.lists.model import NewEntry
from callguard.lists.store import ListStore
from callguard.lists.tables import changes, entries
from tests.rig.lists import Lists
from tests.rig.redis import RedisServer
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.integration

Run = Callable[..., Result]


class _Frame(CommandLine):
    """The two commands in the frame of the real command line."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return {"import": import_internal, "export": export_internal}.get(cmd_name)


@click.group(cls=_Frame)
@click.pass_context
def frame(ctx: click.Context) -> None:
    """`callguard list`, as far as these commands are concerned."""
    ctx.obj = Invocation(None)


@pytest.fixture
def environ(sql_settings: SqlSettings, tmp_path: Path, redis_server: RedisServer) -> dict[str, str]:
    return {
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(tmp_path),
        "CALLGUARD_SQL__URL": sql_settings.url,
        "CALLGUARD_REDIS__URL": redis_server.url,
        "CALLGUARD_NUMBERS__REGION": "US",
    }


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str | Path, **more: str) -> Result:
        return CliRunner(env=environ | more).invoke(frame, [str(one) for one in arguments])

    return run


def written(folder: Path, content: str, name: str = "dnc.csv") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def imported(run: Run, path: Path, *options: str) -> dict[str, object]:
    result = run("import", path, "--json", *options)
    assert result.exit_code == 0, result.stderr
    summary: dict[str, object] = json.loads(result.stdout)
    return summary


def listed(engine: sa.Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        statement = sa.select(entries.c.number, entries.c.project, entries.c.shape).order_by(entries.c.number)
        return [tuple(row) for row in connection.execute(statement)]


def test_vicidials_export_is_imported_with_its_patterns(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    path = written(tmp_path, "phone_number\r\n2015550123\r\n12025550123\r\n203XXXXXXX\r\n", "DNC_BANK.txt")
    summary = imported(run, path, "--project", "bank")
    assert (summary["added"], summary["rejected"]) == (3, 0)
    assert listed(engine) == [
        ("+12015550123", "bank", None),
        ("+12025550123", "bank", None),
        ("+1203XXXXXXX", "bank", "4X7"),
    ]
    assert not list(tmp_path.glob("*rejected*"))


def test_a_file_without_a_header_is_imported_by_its_format(
    run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    path = written(tmp_path, "2015550123,12,30\n2015550124,,\n2015550125\n")
    refused = run("import", path)
    assert refused.exit_code == 2
    assert "--format" in refused.stderr
    assert "YYYY-MM-DD" in run("import", path, "--format", "livevox", "--days-from", "20261120").stderr
    assert imported(run, path, "--format", "livevox", "--days-from", "2026-11-20")["added"] == 3
    assert [project for _, project, _ in listed(engine)] == ["12", None, None]


def test_rejected_rows_are_told_with_line_and_reason_and_can_be_imported_when_corrected(
    run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        "Phone,Expiration\n2015550123,2099-05-20T01:44Z\n2015550124,31/12/2099\n=1+1,\n2015550125,2001-01-01T00:00Z\n",
    )
    result = run("import", path)
    assert (result.exit_code, result.stdout.splitlines()[:3]) == (
        0,
        ["added: 1", "already there: 0", "rejected: 3"],
    )
    assert "line 3: expires: not a time" in result.stdout
    rejected = tmp_path / "dnc.csv.rejected.csv"
    assert rejected.stat().st_mode & 0o777 == 0o600
    assert "4,'=1+1" not in rejected.read_text()
    assert "'=1+1" in rejected.read_text()
    rejected.write_text(rejected.read_text().replace("31/12/2099", "2099-12-31T00:00Z"))
    assert imported(run, rejected, "--rejected", str(tmp_path / "again"))["added"] == 1
    assert [number for number, *_ in listed(engine)] == ["+12015550123", "+12015550124"]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("201555012x\n2015550124\n", ()),
        ("201555012x\n2015550124,7,30\n", ("--format", "livevox")),
        ("2015550124,7,30\n201555012x\n", ("--format", "livevox")),
        ("tl1,201555012x\ndesk,2015550124\n", ("--column", "number=2")),
    ],
)
def test_rejected_rows_of_a_file_without_a_header_can_be_imported_when_corrected(
    content: str, options: tuple[str, ...], run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    assert imported(run, written(tmp_path, content), *options)["rejected"] == 1
    rejected = tmp_path / "dnc.csv.rejected.csv"
    rejected.write_text(rejected.read_text().replace(",201555012x", ",2015550123"))
    assert imported(run, rejected)["added"] == 1
    assert {number for number, *_ in listed(engine)} == {"+12015550123", "+12015550124"}


def test_a_record_over_several_lines_is_an_entry_unless_one_of_them_hides_a_number(
    run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        'city,number,reason\n"a street\nand a town",2015550123,"asked\u00a0twice,\non tape"\n'
        'x,2015550124,"a stray quote\nx,2015550125,y"\n"x,2015550126\ny",2015550127,z\n',
    )
    assert imported(run, path)["rejected"] == 2
    assert [number for number, *_ in listed(engine)] == ["+12015550123"]
    (entry,) = ListStore(engine).lookup("+12015550123").entries
    assert entry.reason == "asked twice, on tape"
    rejected = tmp_path / "dnc.csv.rejected.csv"
    assert rejected.read_text().count("one alone has another number") == 2
    # Not even what was rejected may lose the number when it is imported as it is.
    again = run("import", rejected, "--rejected", str(tmp_path / "again"))
    assert again.exit_code == 2
    assert "one alone has another number" in again.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('number,"note\n2015550123,x"\n2015550124,y\n', "line 1: a record over several lines"),
        ('number\n2015550123\n"2015550124\n', "line 3"),
        ("", "empty"),
        ("name,city\ntl1,jakarta\n", "header"),
        ("number\nnonsense\n", "no row that can be used"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    run: Run, engine: sa.Engine, tmp_path: Path, content: str, told: str
) -> None:
    result = run("import", written(tmp_path, content))
    assert result.exit_code == 2
    assert told in result.stderr
    assert ListStore(engine).mark().position == 0


def test_a_pipe_is_refused_and_not_waited_for(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = run("import", tmp_path / "pipe")
    assert result.exit_code == 2
    assert "pipe: not a file" in result.stderr


def test_a_dry_run_counts_and_changes_nothing(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    store = ListStore(engine)
    store.add(NewEntry("+12015550123", "tl", source="import"))
    mark = store.mark()
    path = written(tmp_path, "number\n2015550123\n2015550124\n2015550124\nx\n")
    summary = imported(run, path, "--dry-run")
    assert (summary["added"], summary["already_there"], summary["rejected"]) == (1, 2, 1)
    assert store.mark() == mark
    assert imported(run, path)["added"] == 1


def test_an_entry_in_force_is_not_added_twice_and_one_that_says_anything_else_is(
    run: Run, tmp_path: Path
) -> None:
    path = written(tmp_path, "number,reason\n2015550123,asked\n2015550123,asked\n2015550123,asked again\n")
    for counts in ((2, 1), (0, 3)):
        summary = imported(run, path)
        assert (summary["added"], summary["already_there"]) == counts
    assert imported(run, path, "--project", "bank")["added"] == 2


def test_every_added_entry_is_in_the_change_log_in_order(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    path = written(tmp_path, "number\n" + "".join(f"20155{n:05}\n" for n in range(2500)))
    imported(run, path, "--by", "tl1")
    with engine.connect() as connection:
        logged = connection.execute(sa.select(changes).order_by(changes.c.position)).all()
    assert [row.entry for row in logged] == sorted({row.entry for row in logged})
    assert {(row.action, row.who, row.why) for row in logged} == {("add", "tl1", "imported from dnc.csv")}
    assert len(logged) == 2500
    (change,) = ListStore(engine).history("+12015500007")
    assert (change.who, change.word.number) == ("tl1", "+12015500007")


async def test_what_is_imported_is_in_redis_when_the_command_returns(
    run: Run, engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    lists = Lists(engine, redis_settings)
    await lists.sync.rebuild()
    path = written(
        tmp_path, "number\n2015550123\n203XXXXXXX\n" + "".join(f"20255{n:05}\n" for n in range(2500))
    )
    summary = await asyncio.to_thread(imported, run, path)
    assert summary["reach"] == "everywhere"
    async with lists.running():
        await lists.warm()
        for number in ("+12015550123", "+12035550123", "+12025502499"):
            hits = await lists.answered_by_redis(number)
            assert len(hits.entries) == 1
    await lists.close()


def test_an_unreachable_redis_is_told_and_is_no_failure(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    path = written(tmp_path, "number\n2015550123\n")
    result = run("import", path, CALLGUARD_REDIS__URL="redis://127.0.0.1:1")
    assert result.exit_code == 0
    assert "guards notice the change in the database" in result.stderr
    assert ListStore(engine).lookup("+12015550123").entries


# --- our own format -----------------------------------------------------------------------------------------

HOSTILE = [
    NewEntry("+12015550123", "tl", "vip", " bank ", "=cmd|' /C calc'!A0", "'quoted'"),
    NewEntry("+1203XXXXXXX", "+plus", reason='a "quote", a; semicolon', source="@source"),
    NewEntry("+6221*", "-minus", project="\uff1dwide", reason="\N{SNOWMAN} [red]x[/red]"),
    NewEntry("+12015550124", "tl", reason=" spaces "),
]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_our_own_export_is_imported_again_exactly(
    run: Run, engine: sa.Engine, tmp_path: Path, ending: str
) -> None:
    store = ListStore(engine)
    for new in HOSTILE:
        store.add(new)
    imported(
        run, written(tmp_path, "number,expires_at\n2015550125,2099-05-20T01:44:07.000001Z\n"), "--source", "x"
    )
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    assert run("export", "-o", first).stdout == "5 entries\n"
    assert first.stat().st_mode & 0o777 == 0o600
    kept = run("import", first, "--json", "--dry-run")
    assert json.loads(kept.stdout)["already_there"] == 5
    with engine.begin() as connection:
        connection.execute(changes.delete())
        connection.execute(entries.delete())
    assert imported(run, first, "--by", "another", "--source", "other", "--reason", "other")["rejected"] == 0
    run("export", "-o", second)
    # The order is that of the numbers now.
    assert sorted(second.read_text().splitlines()) == sorted(first.read_text().splitlines())


def test_no_cell_of_an_export_is_a_formula(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    for new in HOSTILE:
        ListStore(engine).add(new)
    run("export", "-o", tmp_path / "all.csv")
    header, *rows = (tmp_path / "all.csv").read_text("utf-8-sig").splitlines()
    assert header == ",".join(f'"{name}"' for name in OWN)
    assert len(rows) == len(HOSTILE)
    assert not [row for row in rows for sign in "=+-@\uff1d" if f'"{sign}' in row.replace('""', "")]


def test_an_export_is_narrowed_and_history_is_left_out_unless_asked_for(
    run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    store = ListStore(engine)
    store.add(NewEntry("+12015550123", "tl", project="bank"))
    store.add(NewEntry("+12015550124", "tl", "vip"))
    store.add(NewEntry("+12015550125", "tl"))
    store.remove("+12015550125", by="tl", why="a mistake")
    output = tmp_path / "some.jsonl"

    def exported(*options: str) -> list[str]:
        assert run("export", "-o", output, *options).exit_code == 0
        return [json.loads(line)["number"][-1] for line in output.read_text().splitlines()]

    assert exported() == ["3", "4"]
    assert exported("--project", "bank") == ["3"]
    assert exported("--project", "") == ["4"]
    assert exported("--category", "vip") == ["4"]
    assert exported("--all") == ["3", "4", "5"]
    result = run("import", output, "--dry-run")
    assert "removed: what is history is not imported" in result.stdout


def test_an_export_that_fails_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    output = written(tmp_path, "old", "entries.csv")
    result = run("export", "-o", output, CALLGUARD_SQL__URL="postgresql://nobody@127.0.0.1:1/none")
    assert result.exit_code == 4
    assert output.read_text() == "old"
    assert [path.name for path in tmp_path.glob("*.part")] == []
    assert run("export", "-o", tmp_path / "missing" / "x.csv").exit_code == 2
    assert run("export", "-o", tmp_path / "x.xlsx").exit_code == 2


# --- several at once, and killed ----------------------------------------------------------------------------

PROGRAM = "from tests.integration.test_cli_internal import frame; frame()"
ROWS = 12_000


def begun(environ: dict[str, str], path: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "import", str(path)],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def many(folder: Path, area: int) -> Path:
    return written(folder, "number\n" + "".join(f"{area}55{n:05}\n" for n in range(ROWS)), f"{area}.csv")


def test_two_processes_that_import_at_once_lose_nothing(
    environ: dict[str, str], engine: sa.Engine, tmp_path: Path
) -> None:
    processes = [begun(environ, many(tmp_path, area)) for area in (201, 202)]
    processes.append(begun(environ, tmp_path / "201.csv"))
    for process in processes:
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told
    with engine.connect() as connection:
        numbers = connection.execute(sa.select(entries.c.number)).scalars().all()
        logged = connection.execute(sa.select(changes.c.entry).order_by(changes.c.position)).scalars().all()
    assert len(numbers) == len(set(numbers)) == 2 * ROWS
    assert len(logged) == len(set(logged)) == 2 * ROWS


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_stopped_leaves_whole_rows_and_is_completed_by_another(
    run: Run, environ: dict[str, str], engine: sa.Engine, tmp_path: Path, how: signal.Signals
) -> None:
    path = many(tmp_path, 201)
    store = ListStore(engine)
    process = begun(environ, path)
    wait_for("the first rows", lambda: store.mark().position > 0)
    process.send_signal(how)
    told, _ = process.communicate(timeout=60)
    there = store.mark().position
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(entries)).scalar() == there
    if how is signal.SIGINT and process.returncode:
        assert process.returncode == 130
        assert b"run it again for the rest" in told
        assert b"Traceback" not in told
    summary = imported(run, path)
    assert (summary["added"], summary["already_there"]) == (ROWS - there, there)
    assert not list(tmp_path.glob("*.part"))


def test_rejected_rows_that_cannot_be_kept_stop_the_import_before_anything_is_written(
    run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    path = written(tmp_path, "number\n2015550123\nnonsense\n")
    result = run("import", path, "--rejected", tmp_path / "missing" / "rejected.csv")
    assert result.exit_code == 2
    assert "--rejected FILE" in result.stderr
    assert ListStore(engine).mark().position == 0


def test_an_export_of_the_other_kind_is_imported_through_the_real_command(
    environ: dict[str, str], engine: sa.Engine, tmp_path: Path
) -> None:
    path = written(tmp_path, "Phone;Campaign\n2015550123;bank\n", "semicolons.csv")
    done = subprocess.run(
        [sys.executable, "-m", "callguard", "list", "import", "internal", str(path)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "added: 1"), done.stderr
    assert listed(engine) == [("+12015550123", "bank", None)]
