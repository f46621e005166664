"""`callguard exempt`, over real databases and a real Redis."""

import asyncio
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import cli
from callguard.config import RedisSettings, SqlSettings
from callguard.lists.entryfiles.export import EXEMPTION_COLUMNS
from callguard.lists.model import NewEntry
from callguard.lists.store import ListStore
from callguard.screening.model import Entry, Exemption
from tests.rig.lists import Lists

pytestmark = pytest.mark.integration

NUMBER, OTHER = "+6281255550100", "+6281255550101"
HEADER = ",".join(EXEMPTION_COLUMNS)
NEEDED = "number,kind,evidence,starts_at"

Run = Callable[..., Result]


@pytest.fixture
def environ(sql_settings: SqlSettings, redis_settings: RedisSettings, tmp_path: Path) -> dict[str, str]:
    return {
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(tmp_path),
        "CALLGUARD_SQL__URL": sql_settings.url,
        "CALLGUARD_REDIS__URL": redis_settings.url,
    }


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str | Path, **more: str) -> Result:
        return CliRunner(env=environ | more).invoke(cli, [str(one) for one in arguments])

    return run


@pytest.fixture
def add(run: Run) -> Run:
    """Add an exemption of NUMBER, a consent unless said otherwise."""

    def add(*options: str, kind: str = "consent", **environ: str) -> Result:
        return run(
            "exempt",
            "add",
            NUMBER,
            "--kind",
            kind,
            "--evidence",
            "on tape",
            "--by",
            "tl1",
            *options,
            **environ,
        )

    return add


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result, *words: str) -> None:
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    for word in words:
        assert word in result.stderr


def shown(run: Run, number: str = NUMBER) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(run("exempt", "show", number, "--json")))
    return found


def reason(run: Run, *options: str) -> str:
    result = run("check", NUMBER, "--json", *options)
    assert result.exit_code in (0, 3), result.output
    return str(json.loads(result.stdout)["reason"])


def test_an_exemption_is_added_shown_and_ended(run: Run, add: Run) -> None:
    told = done(add("--reference", "tape 7", "--project", "bank", "--purposes", "survey, marketing"))
    assert told.splitlines()[0] == f"{NUMBER}: added"
    (one,) = shown(run)["exemptions"]
    assert one | {"id": 0, "added_at": "", "starts_at": ""} == {
        "id": 0, "number": NUMBER, "kind": "consent", "project": "bank", "purposes": ["marketing", "survey"],
        "evidence": "on tape", "reference": "tape 7", "source": "command line", "added_by": "tl1",
        "added_at": "", "starts_at": "", "once": False, "expires_at": None, "expired": False,
    }  # fmt: skip
    both = json.loads(done(run("show", NUMBER, "--json")))
    assert (both["entries"], both["exemptions"]) == ([], [one])
    for command in (("show",), ("exempt", "show")):
        table = done(run(*command, NUMBER))
        assert "tape 7" in table
        assert "marketing, survey" in table
    done(run("exempt", "end", NUMBER, "--reason", "withdrawn", "--by", "desk"))
    found = shown(run)
    assert found["exemptions"] == []
    assert [(change["action"], change["who"], change["why"]) for change in found["history"]] == [
        ("add", "tl1", "on tape"), ("remove", "desk", "withdrawn"),
    ]  # fmt: skip
    assert "no such exemption" in done(run("exempt", "end", NUMBER, "--reason", "again"))


def test_a_later_consent_beats_an_opt_out_and_ends_with_its_withdrawal(run: Run, add: Run) -> None:
    done(add())
    done(run("add", NUMBER))
    assert reason(run) == "opt-out", "the opt-out came later"
    done(add(kind="purchase"))
    assert reason(run) == "opt-out", "a relationship never beats an opt-out"
    done(add())
    assert reason(run) == "exempt"
    done(run("exempt", "end", NUMBER, "--kind", "consent", "--reason", "withdrawn"))
    assert reason(run) == "opt-out"
    assert [one["kind"] for one in shown(run)["exemptions"]] == ["purchase"]


def test_an_override_is_for_one_call_or_a_day_at_most_and_somebody_s(run: Run, add: Run) -> None:
    done(run("add", NUMBER))
    refused(add(kind="override"), "for too long", "--once")
    refused(add("--expires", "25h", kind="override"), "for too long")
    command = ("exempt", "add", NUMBER, "--kind", "override", "--once")
    refused(run(*command, "--evidence", "x"), "by:", "--by WHO")
    refused(run(*command, "--evidence", " ", "--by", "tl1"), "evidence")
    done(add("--once", kind="override"))
    (one,) = shown(run)["exemptions"]
    assert one["once"]
    end = datetime.fromisoformat(one["expires_at"]) - datetime.fromisoformat(one["starts_at"])
    assert end == timedelta(hours=24), "one that is forgotten does not lie in wait for ever"
    assert reason(run) == "override"


def test_where_the_rules_forbid_overrides_none_is_added_and_the_rule_is_named(
    run: Run, add: Run, tmp_path: Path
) -> None:
    rules = tmp_path / "bank.toml"
    rules.write_text(
        'id = "bank"\ntitle = "Bank"\nprojects = ["bank"]\n[rule.override]\nkind = "override"\n'
        'purposes = ["collection"]\nsource = "our own policy 12"\n'
    )
    environ = {"CALLGUARD_RULES__FILES": json.dumps([str(rules)])}
    override = ("--once", "--project", "bank")
    refused(
        add(*override, "--purposes", "marketing", kind="override", **environ),
        "rule override of preset bank", "marketing", "our own policy 12",
    )  # fmt: skip
    done(add(*override, "--purposes", "collection", kind="override", **environ))
    rules.write_text(
        'id = "bank"\ntitle = "Bank"\nprojects = ["bank"]\n'
        '[rule.override]\noff = true\nsource = "our own policy 12"\n'
    )
    refused(add(*override, kind="override", **environ), "rule override of preset bank", "allows no override")
    done(add("--once", kind="override", **environ))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--purposes", "markting"], "'markting' is no purpose"),
        (["--purposes", ""], "--purposes: names no purpose"),
        (["--purposes", " ,"], "--purposes: names no purpose"),
        (["--expires", "yesterday"], "expires"),
        (["--expires", "2020-01-01"], "expires"),
        (["--starts", "soon"], "--starts"),
        (["--starts", "2999-01-01"], "given in the future"),
        (["--once"], "once"),
        (["--reference", "a\nb"], "reference"),
        (["--project", "x" * 101], "project"),
    ],
)
def test_what_makes_no_exemption_is_refused_with_what_is_allowed(
    options: list[str], told: str, run: Run, add: Run
) -> None:
    refused(add(*options), told)
    assert shown(run)["history"] == []


def test_a_pattern_cannot_be_exempt(run: Run) -> None:
    refused(run("exempt", "add", "+6221*", "--kind", "consent", "--evidence", "x", "--by", "tl1"), "number")


def test_an_exemption_is_in_redis_when_the_command_returns(
    run: Run, add: Run, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    async def held() -> tuple[str, ...]:
        lists = Lists(engine, redis_settings)
        _, hits = await lists.cache.lookup(NUMBER)
        await lists.close()
        return tuple(exemption.reference for exemption in hits.exemptions)

    async def warm() -> None:
        lists = Lists(engine, redis_settings)
        await lists.sync.rebuild()
        await lists.close()

    asyncio.run(warm())
    done(add("--reference", "tape 7"))
    assert asyncio.run(held()) == ("tape 7",)
    done(run("exempt", "end", NUMBER, "--reason", "withdrawn"))
    assert asyncio.run(held()) == ()


# --- files ----------------------------------------------------------------------------------------------


def said(words: Sequence[Entry | Exemption]) -> list[Entry | Exemption]:
    """All but their ids."""
    return [replace(word, id=0) for word in words]


def imported(run: Run, path: Path, *options: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(
        done(run("exempt", "import", path, "--json", "--by", "tl1", *options))
    )
    return summary


@pytest.mark.parametrize("name", ["exemptions.csv", "exemptions.jsonl"])
def test_what_was_exported_is_imported_again_exactly(
    name: str, run: Run, add: Run, tmp_path: Path, engine: sa.Engine
) -> None:
    done(add("--reference", '=1+1 "a", b', "--project", "bank", "--purposes", "survey,marketing"))
    done(add("--starts", "2026-01-01", "--expires", "365d", kind="purchase"))
    done(add("--once", kind="override"))
    before = ListStore(engine).lookup(NUMBER).exemptions
    assert done(run("exempt", "export", "-o", tmp_path / name)) == "3 exemptions\n"
    assert imported(run, tmp_path / name) | {"rejected_file": None} == {
        "added": 0, "already_there": 3, "rejected": 0, "rejected_file": None, "unused_columns": [],
        "dry_run": False, "reach": "cold",
    }  # fmt: skip
    done(run("exempt", "end", NUMBER, "--reason", "a test"))
    assert imported(run, tmp_path / name)["added"] == 3
    after = ListStore(engine).lookup(NUMBER).exemptions
    assert said(after) == said(before)


def test_bad_rows_are_refused_with_their_line_and_reason_and_good_ones_are_added(
    run: Run, tmp_path: Path, engine: sa.Engine
) -> None:
    rows = [
        (f"{NUMBER},consent,on tape,2026-01-01,,", ""),
        ("081255550101,purchase,bought,2026-01-01T10:00+07:00,2099-01-01,bank", ""),
        (f"{NUMBER},consent,,2026-01-01,,", "evidence"),
        (f"{NUMBER},consent,on tape,01/02/2026,,", "starts_at"),
        (f"{NUMBER},consent,on tape,,,", "starts_at"),
        (f"{NUMBER},consent,on tape,2026-01-01,2025-01-01,", "its end is not after its start"),
        (f"{NUMBER},consent,on tape,2025-01-01,2026-01-01,", "expired"),
        (f"{NUMBER},consent,on tape,2999-01-01,,", "given in the future"),
        (f"{NUMBER},friendship,on tape,2026-01-01,,", "no kind of exemption"),
        (f"{NUMBER},override,on tape,2026-01-01,,", "for too long"),
        ("+6221*,consent,on tape,2026-01-01,,", "not one telephone number"),
        ("110,consent,on tape,2026-01-01,,", "not the number of a subscriber"),
        (f"{NUMBER},consent,on tape,2026-01-01,", "5 columns"),
    ]
    path = tmp_path / "crm.csv"
    header = "number,kind,evidence,starts_at,expires_at,project"
    path.write_text(header + "\n" + "".join(f"{row}\n" for row, _ in rows))
    summary = imported(run, path)
    assert (summary["added"], summary["rejected"]) == (2, 11)
    with (tmp_path / "crm.csv.rejected.csv").open(newline="") as file:
        found = {int(row["rejected_line"]): row["rejected_why"] for row in csv.DictReader(file)}
    expected = {line: told for line, (_, told) in enumerate(rows, start=2) if told}
    assert set(found) == set(expected)
    for line, told in expected.items():
        assert told in found[line]
    (one,) = ListStore(engine).lookup(OTHER).exemptions
    assert (one.project, one.added_by, one.source) == ("bank", "tl1", "import")
    assert one.starts_at == datetime(2026, 1, 1, 3, tzinfo=UTC)


def test_a_consent_of_a_day_counts_from_its_beginning_so_that_an_opt_out_of_that_day_stands(
    run: Run, tmp_path: Path, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry(NUMBER, "tl1"))
    path = tmp_path / "crm.csv"
    path.write_text(f"number,evidence,starts_at\n{NUMBER},ticked,{datetime.now().astimezone().date()}\n")
    assert imported(run, path, "--kind", "consent")["added"] == 1
    assert reason(run) == "opt-out"


def test_evidence_may_have_white_space_of_any_kind_and_no_record_hides_a_number(
    run: Run, tmp_path: Path, engine: sa.Engine
) -> None:
    path = tmp_path / "crm.csv"
    path.write_text(
        f'number,evidence,reference,starts_at\n{NUMBER},"on\u00a0tape,\n\ttwice","form\n7",2026-01-01\n'
        f'{OTHER},"a stray quote\n+6281255550102,x",,2026-01-01\n'
    )
    summary = imported(run, path, "--kind", "consent")
    assert (summary["added"], summary["rejected"]) == (1, 1)
    (one,) = ListStore(engine).lookup(NUMBER).exemptions
    assert (one.evidence, one.reference) == ("on tape, twice", "form 7")
    assert "one alone has another number" in (tmp_path / "crm.csv.rejected.csv").read_text()
    path.write_text(f'number,evidence,starts_at,"x\n{OTHER},on tape,2026-01-01,y"\n{NUMBER},a,2026-01-01,z\n')
    assert "line 1: a record over several lines" in run("exempt", "import", path, "--kind", "consent").stderr


def test_a_number_that_a_spreadsheet_made_a_decimal_exempts_nobody_else(
    run: Run, tmp_path: Path, engine: sa.Engine
) -> None:
    path = tmp_path / "crm.csv"
    path.write_text(f"number,evidence,starts_at\n{OTHER.removeprefix('+')}.0,ticked,2026-01-01\n")
    assert imported(run, path, "--kind", "consent")["added"] == 1
    assert len(ListStore(engine).lookup(OTHER).exemptions) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "an empty file"),
        ("number,kind\n", "no column evidence"),
        ("number,evidence,starts_at\n", "no column kind"),
        ("number,number,kind,evidence,starts_at\n", "two columns number"),
        (f"{NEEDED},Expiry Date\n{NUMBER},consent,ticked,2026-01-01,2026-02-01\n", "allowed: expires_at, if"),
        (f"{NEEDED},valid_until\n{NUMBER},consent,ticked,2026-01-01,2026-02-01\n", "expires_at or ended_at"),
        (f"{NEEDED},campaign_id\n{NUMBER},consent,ticked,2026-01-01,7\n", "allowed: project, if"),
        (f"{NEEDED},purpose\n{NUMBER},consent,ticked,2026-01-01,survey\n", "allowed: purposes, if"),
        (f"{HEADER}\n", "no row that can be used"),
    ],
)
def test_a_file_that_says_no_exemption_is_refused(content: str, told: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_text(content)
    result = run("exempt", "import", path)
    assert result.exit_code == 2
    assert told in result.stderr


def test_an_override_that_the_rules_forbid_is_refused_in_a_file_too(run: Run, tmp_path: Path) -> None:
    rules = tmp_path / "base.toml"
    rules.write_text('id = "base"\n[rule.override]\noff = true\nsource = "our own policy 12"\n')
    path = tmp_path / "crm.csv"
    now = datetime.now(UTC)
    path.write_text(
        "number,kind,evidence,starts_at,expires_at\n"
        f"{NUMBER},override,waits,{now.isoformat()},{(now + timedelta(hours=1)).isoformat()}\n"
        f"{NUMBER},consent,ticked,{now.isoformat()},\n"
    )
    environ = {"CALLGUARD_RULES__FILES": json.dumps([str(rules)])}
    told = done(run("exempt", "import", path, **environ))
    assert "added: 1" in told
    assert "line 2: rule override of preset base allows no override" in told


def test_entries_with_purposes_come_back_from_a_file_exactly(
    run: Run, tmp_path: Path, engine: sa.Engine
) -> None:
    done(run("add", NUMBER, "--purposes", "survey,marketing"))
    done(run("add", NUMBER))
    done(run("exempt", "add", OTHER, "--kind", "consent", "--evidence", "x", "--by", "tl1"))
    store = ListStore(engine)
    before = store.lookup(NUMBER).entries
    for name in ("entries.csv", "entries.jsonl"):
        assert done(run("list", "export", "internal", "-o", tmp_path / name)) == "2 entries\n"
        done(run("remove", NUMBER))
        done(run("list", "import", "internal", tmp_path / name))
        after = store.lookup(NUMBER).entries
        assert [repr(one).partition(",")[2] for one in after] == [
            repr(one).partition(",")[2] for one in before
        ]
    assert len(store.lookup(OTHER).exemptions) == 1


def test_an_entry_binds_its_purposes_alone(run: Run) -> None:
    done(run("add", NUMBER, "--purposes", "survey"))
    assert reason(run, "--purpose", "survey") == "opt-out"
    assert reason(run, "--purpose", "marketing") == "purpose-exempt"
    refused(run("add", NUMBER, "--purposes", "markting"), "'markting' is no purpose", "marketing")
    refused(run("add", OTHER, "--purposes", ""), "--purposes: names no purpose", "marketing")
