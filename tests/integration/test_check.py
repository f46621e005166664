"""`callguard check`, over real databases."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import cli
from callguard.config import SqlSettings
from callguard.lists.model import NewEntry
from callguard.lists.store import ListStore

pytestmark = pytest.mark.integration

NUMBER = "+6281234567890"

Check = Callable[..., Result]


@pytest.fixture
def check(sql_settings: SqlSettings, tmp_path: Path) -> Check:
    """Run the command over the test's database."""

    def run(*arguments: str, **environ: str) -> Result:
        settings = {
            "CALLGUARD_CONFIG": "",
            "CALLGUARD_STATE": str(tmp_path),
            "CALLGUARD_SQL__URL": sql_settings.url,
            "CALLGUARD_REDIS__URL": "redis://127.0.0.1:1",
        }
        return CliRunner(env=settings | environ).invoke(cli, ["check", *arguments])

    return run


def test_a_number_on_no_list_is_allowed_and_exit_code_0(check: Check) -> None:
    result = check("0812-3456-7890")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "0812-3456-7890: allow, not-listed"
    assert NUMBER in result.stdout


def test_a_listed_number_is_refused_with_exit_code_3_and_the_entry_named(
    check: Check, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry(NUMBER, "ani", reason="asked by phone"))
    result = check("081234567890")
    assert result.exit_code == 3
    assert result.stdout.splitlines()[0] == "081234567890: refuse, opt-out"
    assert "entry 1: customer-request, whole company, asked by phone" in result.stdout


def test_json_has_the_keys_of_the_outside_contract(check: Check, engine: sa.Engine) -> None:
    ListStore(engine).add(NewEntry(NUMBER, "ani", project="bank", reason="asked"))
    result = check("081234567890", "--json", "--project", "bank", "--purpose", "service", "--agent", "budi")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told | {"at": "", "rules": ""} == {
        "at": "", "dialled": "081234567890", "number": NUMBER, "number_kind": "subscriber", "number_why": "",
        "verdict": "refuse", "reason": "opt-out", "rules": "", "project": "bank", "purpose": "service",
        "agent": "budi", "lists_position": 1, "lists_origin": "sql",
        "matches": [{"reason": "opt-out", "kind": "entry", "id": "1", "category": "customer-request",
                     "project": "bank", "detail": "asked", "version": 1}],
    }  # fmt: skip
    assert told["rules"]


def test_an_entry_of_a_project_refuses_the_calls_of_that_project_alone(
    check: Check, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry(NUMBER, "ani", project="bank"))
    assert check(NUMBER).exit_code == 0
    assert check(NUMBER, "--project", "other").exit_code == 0
    assert check(NUMBER, "--project", "bank").exit_code == 3
    assert check(NUMBER, CALLGUARD_DEFAULTS__PROJECT="bank").exit_code == 3


def test_numbers_are_read_as_the_pbx_dials_them(check: Check, engine: sa.Engine) -> None:
    ListStore(engine).add(NewEntry(NUMBER, "ani"))
    assert check("9081234567890", CALLGUARD_NUMBERS__OUTSIDE_LINE="9").exit_code == 3


@pytest.mark.parametrize(
    "hostile", ["x\ny\x1b[2J", "\udcff\0", "9" * 10_000, "'; DROP TABLE entries; --", ""]
)
def test_a_number_that_cannot_be_read_is_refused_and_shown_without_its_escapes(
    hostile: str, check: Check
) -> None:
    result = check("--", hostile)
    assert result.exit_code == 3
    assert "unreadable-number" in result.stdout
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert json.loads(check("--json", "--", hostile).stdout)["dialled"] == hostile


def test_a_project_that_cannot_be_one_is_wrong_input(check: Check) -> None:
    result = check(NUMBER, "--project", "a\nb")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert check(NUMBER, "--purpose", "").exit_code == 2


def test_nothing_is_recorded(check: Check, engine: sa.Engine) -> None:
    check(NUMBER)
    check("x")
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM decisions")).scalar_one() == 0


def test_without_sql_there_is_no_answer_but_exit_code_4(check: Check) -> None:
    result = check(NUMBER, CALLGUARD_SQL__URL="postgresql://nobody@127.0.0.1:1/nowhere")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("callguard: SQL: ")
    assert result.stderr.count("\n") == 1


def test_an_emergency_number_is_allowed_without_any_list(check: Check) -> None:
    result = check("112", CALLGUARD_SQL__URL="postgresql://nobody@127.0.0.1:1/nowhere")
    assert (result.exit_code, "allow, emergency" in result.stdout) == (0, True)


def import_list(sql: SqlSettings, folder: Path, *, covers: str = "", age: str = "3650") -> None:
    """A registry list of one number, with data of 2026-01-01."""
    environ = {"CALLGUARD_CONFIG": "", "CALLGUARD_STATE": str(folder), "CALLGUARD_SQL__URL": sql.url,
               "CALLGUARD_REDIS__URL": "redis://127.0.0.1:1"}  # fmt: skip
    file = folder / "registry.txt"
    file.write_text("6281234567890\n")
    runner = CliRunner(env=environ)
    options = ["--jurisdiction", "ID", "--format", "e164-lines", "--allowed-age-days", age]
    options += ["--covers", covers] if covers else []
    created = runner.invoke(cli, ["list", "create", "national", *options])
    assert created.exit_code == 0, created.output
    imported = runner.invoke(cli, ["list", "import", "national", str(file), "--date", "2026-01-01", "--yes"])
    assert imported.exit_code == 0, imported.output


def test_a_number_of_a_registry_is_refused_and_the_registry_named(
    check: Check, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    import_list(sql_settings, tmp_path)
    result = check("081234567890")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (3, "081234567890: refuse, registry")
    assert "listed    registry national: do-not-call, ID, data of 2026-01-01" in result.stdout
    assert check("081234567891").exit_code == 0


def test_a_registry_that_is_too_old_is_a_doubt_or_refuses_as_set(
    check: Check, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    import_list(sql_settings, tmp_path, age="1")
    allowed = check("081234567891")
    assert allowed.exit_code == 0
    assert "doubt     registry national: stale-registry, do-not-call" in allowed.stdout
    refused = check("081234567891", "--json", CALLGUARD_REGISTRIES__STALE="refuse")
    assert (refused.exit_code, json.loads(refused.stdout)["reason"]) == (3, "stale-registry")


def test_an_area_that_a_registry_does_not_cover_is_never_called_not_listed_in_silence(
    check: Check, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    import_list(sql_settings, tmp_path, covers="812")
    assert json.loads(check("081234567891", "--json").stdout)["matches"] == []
    told = json.loads(check("0217654321", "--json").stdout)
    assert (told["verdict"], told["matches"][0]["reason"]) == ("allow", "not-covered")
    refused = check("0217654321", "--json", CALLGUARD_REGISTRIES__NOT_COVERED="refuse")
    assert (refused.exit_code, json.loads(refused.stdout)["reason"]) == (3, "not-covered")
