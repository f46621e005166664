"""`callguard add`, `remove` and `show`, over real databases and a real Redis."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import cli
from callguard.config import RedisSettings, SqlSettings
from callguard.lists.store import ListStore
from tests.rig.lists import Lists
from tests.rig.redis import RedisServer

pytestmark = pytest.mark.integration

NUMBER = "+6281234567890"

Run = Callable[..., Result]


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def run(sql_settings: SqlSettings, tmp_path: Path, redis_url: str) -> Run:
    """Run a command over the test's database and Redis."""

    def run(*arguments: str, **environ: str) -> Result:
        settings = {
            "CALLGUARD_CONFIG": "",
            "CALLGUARD_STATE": str(tmp_path),
            "CALLGUARD_SQL__URL": sql_settings.url,
            "CALLGUARD_REDIS__URL": redis_url,
        }
        return CliRunner(env=settings | environ).invoke(cli, arguments)

    return run


def shown(run: Run, number: str = NUMBER) -> dict[str, list[dict[str, object]]]:
    result = run("show", number, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found: dict[str, list[dict[str, object]]] = json.loads(result.stdout)
    return found


def test_a_number_is_added_shown_and_removed(run: Run) -> None:
    added = run("add", "0812-3456-7890", "--reason", "asked", "--by", "tl1", "--project", "bank")
    assert (added.exit_code, added.stdout.splitlines()[0]) == (0, f"{NUMBER}: added")
    (entry,) = shown(run)["entries"]
    assert entry["number"] == NUMBER
    assert (entry["category"], entry["project"]) == ("customer-request", "bank")
    assert (entry["reason"], entry["added_by"]) == ("asked", "tl1")
    assert (entry["expires_at"], entry["expired"]) == (None, False)
    removed = run("remove", "+6281234567890", "--reason", "called again", "--by", "desk")
    assert (removed.exit_code, removed.stdout.splitlines()[0]) == (0, f"{NUMBER}: removed")
    found = shown(run)
    assert found["entries"] == []
    assert [(change["action"], change["who"], change["why"]) for change in found["history"]] == [
        ("add", "tl1", "asked"),
        ("remove", "desk", "called again"),
    ]


def test_the_same_again_is_said_to_be_there(run: Run) -> None:
    run("add", NUMBER)
    again = run("add", NUMBER)
    assert (again.exit_code, again.stdout.splitlines()[0]) == (0, f"{NUMBER}: already there")
    assert len(shown(run)["entries"]) == 1


def test_only_the_named_project_is_removed(run: Run) -> None:
    run("add", NUMBER, "--project", "bank")
    run("add", NUMBER, "--project", "shop")
    run("add", NUMBER)
    assert run("remove", NUMBER, "--project", "bank").exit_code == 0
    assert run("remove", NUMBER, "--project", "").exit_code == 0
    assert [entry["project"] for entry in shown(run)["entries"]] == ["shop"]
    nothing = run("remove", NUMBER, "--project", "unknown")
    assert (nothing.exit_code, nothing.stdout) == (0, f"{NUMBER}: no such entry\n")


async def test_what_is_added_is_in_redis_when_the_command_returns(
    run: Run, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    lists = Lists(engine, redis_settings)
    await lists.sync.rebuild()
    # The command has an event loop of its own, and so needs a thread of its own.
    result = await asyncio.to_thread(run, "add", NUMBER)
    assert (result.exit_code, result.stderr) == (0, "")
    mark, hits = await lists.cache.lookup(NUMBER)
    assert (mark, len(hits.entries)) == (lists.store.mark(), 1)
    await lists.close()


def test_an_unreachable_redis_is_told_and_is_no_failure(run: Run, engine: sa.Engine) -> None:
    result = run("add", NUMBER, CALLGUARD_REDIS__URL="redis://127.0.0.1:1")
    assert result.exit_code == 0
    assert "guards notice the change in the database" in result.stderr
    assert ListStore(engine).lookup(NUMBER).entries


def test_without_a_running_guard_the_private_redis_is_no_matter(run: Run) -> None:
    result = run("add", NUMBER, CALLGUARD_REDIS__URL="")
    assert (result.exit_code, result.stderr) == (0, "")


def test_an_unreachable_database_is_exit_code_4_and_nothing_is_changed(run: Run) -> None:
    result = run("add", NUMBER, CALLGUARD_SQL__URL="postgresql://nobody@127.0.0.1:1/none")
    assert result.exit_code == 4
    assert result.stderr.startswith("callguard: SQL: ")
    assert shown(run)["entries"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["0812"], "not the number of a subscriber"),
        (["+62812\n34567890"], ""),
        (["112"], ""),
        ([NUMBER, "--category", "Do Not Call"], "customer-request"),
        ([NUMBER, "--expires", "31/12/2027"], "30d"),
        ([NUMBER, "--expires", "2020-01-01"], "past"),
        ([NUMBER, "--expires", ""], "30d"),
        ([NUMBER, "--reason", "a\nb"], "reason"),
        ([NUMBER, "--reason", "x" * 10_000], "reason"),
        ([NUMBER, "--project", ""], "project"),
        ([NUMBER, "--by", ""], "by"),
    ],
)
def test_wrong_input_is_exit_code_2_and_nothing_is_listed(
    run: Run, engine: sa.Engine, arguments: list[str], told: str
) -> None:
    result = run("add", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert ListStore(engine).mark().position == 0


def test_show_prints_every_cell_whole_and_nothing_that_moves_the_cursor(run: Run, engine: sa.Engine) -> None:
    run(
        "add", NUMBER, "--reason", "[red]asked[/red] " + "long " * 30, "--expires", "30d", "--project", "bank"
    )
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE entries SET source = :text"), {"text": "\x1b[2Jimported"})
    result = run("show", "081234567890")
    assert result.exit_code == 0
    flat = "".join(result.stdout.split())
    assert "\x1b" not in result.stdout
    assert "[red]asked[/red]" in flat.replace("│", "")
    assert "bank" in flat
    assert "\N{HORIZONTAL ELLIPSIS}" not in result.stdout
    # Without a terminal a row is one line, whatever COLUMNS says.
    (row,) = [line for line in result.stdout.splitlines() if "customer-request" in line and NUMBER in line]
    assert "[red]asked[/red] " + "long " * 30 in row
    assert "\\x1b[2Jimported" in row


def test_a_number_that_was_never_listed_is_said_so(run: Run) -> None:
    result = run("show", NUMBER)
    assert (result.exit_code, result.stdout) == (0, f"{NUMBER}: on no internal list, and never was\n")


def test_a_number_that_a_spreadsheet_made_a_decimal_is_added_shown_and_removed_as_itself(run: Run) -> None:
    decimal = f"{NUMBER.removeprefix('+')}.0"
    assert run("add", decimal).stdout.startswith(f"{NUMBER}: added")
    assert json.loads(run("show", decimal, "--json").stdout)["number"] == NUMBER
    exempt = run("exempt", "add", decimal, "--kind", "consent", "--evidence", "on tape")
    assert exempt.stdout.startswith(f"{NUMBER}: added")
    assert run("exempt", "end", decimal, "--reason", "a test").stdout.startswith(f"{NUMBER}: ended")
    assert run("remove", decimal).stdout.startswith(f"{NUMBER}: removed")


def test_a_pattern_is_added_shown_and_removed_in_its_one_form(run: Run) -> None:
    assert run("add", "021*", "--by", "tl1").stdout.splitlines()[0] == "+6221*: added"
    assert run("add", "+62 21 *").stdout.splitlines()[0] == "+6221*: already there"
    (entry,) = shown(run, "+6221*")["entries"]
    assert entry["number"] == "+6221*"
    assert run("remove", "6221*").stdout.splitlines()[0] == "+6221*: removed"
    assert shown(run, "+6221*")["entries"] == []


def test_show_tells_the_patterns_that_a_number_matches(run: Run) -> None:
    run("add", "+6221*", "--reason", "the ministry asked")
    run("add", "+62215550XXX")
    run("add", "+62215551XXX")
    found = shown(run, "+62215550123")
    assert [entry["number"] for entry in found["entries"]] == ["+6221*", "+62215550XXX"]
    assert found["history"] == []
    text = run("show", "021-5550123").stdout
    assert "+6221*" in text
    assert "never was" not in text


@pytest.mark.parametrize("text", ["+1*", "0*", "+6221**", "+62X1", "201xxxxxxx"])
def test_what_is_no_pattern_is_refused_with_an_example(run: Run, text: str) -> None:
    result = run("add", text)
    assert result.exit_code == 2
    assert "+62" in result.stderr
