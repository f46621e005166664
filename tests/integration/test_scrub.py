"""`callguard scrub`, over real databases: each row's verdict is that of a check of its number."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.attempts.sql import attempts_of
from callguard.cli import cli
from callguard.config import NumberSettings, SqlSettings
from callguard.database import microseconds, migrate, open_engine
from callguard.errors import InputError
from callguard.journal.rows import decision_row
from callguard.journal.store import JournalStore
from callguard.lists.blocks import encode
from callguard.lists.bulk import add_rows
from callguard.lists.entryfiles.checked import Row
from callguard.lists.entryfiles.exemptions import exemption_row
from callguard.lists.model import NewEntry, NewExemption
from callguard.lists.registries import Counts, NewRegistry, RegistryStore
from callguard.lists.store import ListStore
from callguard.lists.tables import blocks
from callguard.numbers import Number, NumberKind, NumberReader
from callguard.screening.model import CallFacts, ExemptionKind, Reason, Verdict
from callguard.screening.rules import Rules, Shortcoming
from callguard.screening.screen import screen
from callguard.screening.timeless import timeless
from callguard.scrub.lists import load
from callguard.scrub.outputs import Outputs
from callguard.scrub.reading import LeadReader
from callguard.scrub.recent import recent
from callguard.scrub.run import Wanted, scrub
from callguard.scrub.verdicts import INTERNAL, Verdicts, months_of
from tests.rig.decisions import a_decision
from tests.rig.rules import rules

pytestmark = pytest.mark.integration

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
SHORTCOMINGS = {"stale-registry", "not-covered"}

Run = Callable[..., Result]


@dataclass
class Files:
    leads: Path
    clean: Path
    refused: Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "leads.csv", tmp_path / "clean.csv", tmp_path / "refused.csv")


@pytest.fixture
def environ(sql_settings: SqlSettings, tmp_path: Path) -> dict[str, str]:
    return {
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(tmp_path),
        "CALLGUARD_SQL__URL": sql_settings.url,
        "CALLGUARD_REDIS__URL": "redis://127.0.0.1:1",
    }


@pytest.fixture
def run(files: Files, environ: dict[str, str]) -> Run:
    """Scrub a file of these bytes."""

    def scrub_file(content: bytes, *arguments: str) -> Result:
        files.leads.write_bytes(content)
        paths = [str(files.leads), "-o", str(files.clean), "--refused", str(files.refused)]
        return CliRunner(env=environ).invoke(cli, ["scrub", *paths, *arguments])

    return scrub_file


def add_registry(
    engine: sa.Engine,
    name: str,
    numbers: list[int],
    *,
    code: str,
    coverage: tuple[str, ...] = (),
    data_date: date | None = None,
    allowed_age_days: int | None = None,
    size: int = 10_000,
) -> None:
    """A registry list that holds these numbers; without any, one that was never imported."""
    store = RegistryStore(engine)
    created = store.create(
        NewRegistry(name, "ID", "national", code, coverage, allowed_age_days, "{}"), by="tl1"
    )
    if not numbers:
        return
    generation = store.begin(
        created.id, mode="replace", file="f", digest="0" * 64, data_date=data_date, who="tl1", block_size=size
    )
    found: dict[int, list[int]] = {}
    for number in sorted(set(numbers)):
        found.setdefault(number // size, []).append(number % size)
    store.add_blocks(generation.id, [(block, encode(offsets, size)) for block, offsets in found.items()])
    counts = Counts(len(found), len(set(numbers)), len(set(numbers)), 0, 0)
    store.switch(generation.id, counts, instead_of=None, why="")


# --- the same verdict as a check ----------------------------------------------------------------------

NUMBERS = (
    [628120000000 + n for n in range(12)]
    + [6221500000 + n for n in range(6)]
    + [12015550100 + n for n in range(6)]
    + [622150001000 + n for n in range(2)]
    + [18005550100]
)
FEW = st.sampled_from([NUMBERS[0], NUMBERS[1], NUMBERS[12], NUMBERS[18]]).map("+{}".format)
"""Of which much is said."""
WRITTEN = st.sampled_from(NUMBERS).flatmap(
    lambda n: st.sampled_from(
        [f"+{n}", str(n), f"0{str(n)[2:]}", f"+{str(n)[:2]} {str(n)[2:6]}-{str(n)[6:]}", f'"+{n}"']
    )
)
NO_NUMBERS = st.sampled_from(["", " ", "110", "x", "08", '"a,b"', '"a', "=1+1", "+4420"])
CELL = st.one_of(WRITTEN, WRITTEN, NO_NUMBERS)
PATTERNS = ["+6281200000*", "+62812*", "+1201XXXXXXX", "+120155501XX", "+6221*", "+62812000000X"]
CATEGORIES = ["customer-request", "national-registry", "inactive-customer", "invalid-contact", "own-word"]
HOURS = timedelta(hours=1)
DAYS = timedelta(days=1)
PURPOSES = st.sampled_from([(), (), ("marketing",), ("survey",)])
ENTRY = st.builds(
    NewEntry,
    number=st.one_of(FEW, FEW, st.sampled_from(PATTERNS)),
    added_by=st.just("tl1"),
    category=st.sampled_from(CATEGORIES),
    project=st.sampled_from([None, "bank", "shop"]),
    expires_at=st.sampled_from([None, AT, AT - HOURS, AT + HOURS]),
    purposes=PURPOSES,
)
GIVEN = AT - 10 * DAYS
"""When most exemptions were given; entries are added about then, too."""
STARTS = st.sampled_from([GIVEN, GIVEN + HOURS, AT - 100 * DAYS, AT - 600 * DAYS, AT, AT + HOURS])
EXEMPTION = st.builds(
    NewExemption,
    number=FEW,
    kind=st.sampled_from([ExemptionKind.CONSENT, ExemptionKind.PURCHASE, ExemptionKind.INQUIRY]),
    evidence=st.just("x"),
    added_by=st.just("tl1"),
    starts_at=STARTS,
    expires_at=st.sampled_from([None, AT + 2 * HOURS]),
    project=st.sampled_from([None, "bank", "shop"]),
    purposes=PURPOSES,
) | st.builds(
    NewExemption,
    number=FEW,
    kind=st.just(ExemptionKind.CALLBACK),
    evidence=st.just("x"),
    added_by=st.just("tl1"),
    starts_at=STARTS,
    expires_at=st.just(AT + 2 * HOURS),
    project=st.sampled_from([None, "bank", "shop"]),
)
OVERRIDE = st.builds(
    NewExemption,
    number=FEW,
    kind=st.just(ExemptionKind.OVERRIDE),
    evidence=st.just("x"),
    added_by=st.just("tl1"),
    starts_at=st.sampled_from([AT - HOURS, AT + HOURS]),
    expires_at=st.just(AT + 2 * HOURS),
    project=st.sampled_from([None, "bank"]),
    once=st.just(True),
)
WORD = st.tuples(
    ENTRY | ENTRY | EXEMPTION | EXEMPTION | OVERRIDE,
    st.sampled_from([GIVEN - HOURS, GIVEN, GIVEN + HOURS, AT - 600 * DAYS]),
)
"""What is said of a number, and when it was added."""
ATTEMPT = st.tuples(FEW, st.sampled_from([AT - HOURS, AT - 12 * HOURS, AT - 10 * DAYS]))
REGISTRY = st.tuples(
    st.sampled_from(["62", "1", "628"]),
    st.lists(st.sampled_from(NUMBERS), max_size=6),
    st.sampled_from([(), ("62812",), ("6221", "1201"), ("62", "6281")]),
    st.sampled_from([None, date(2026, 11, 20), date(2026, 9, 1)]),
    st.sampled_from([None, 31]),
)
AREA = """
[rule.attempts]
kind = "attempts"
purposes = "all"
most = 2
hours = 24
source = "a test"
[rule.hours]
kind = "hours"
purposes = ["marketing"]
hours = { mon-sun = "08:00-17:30" }
source = "a test"
[rule.inquiry]
kind = "exemption"
exemption = "inquiry"
purposes = "all"
months = 3
over_registry = true
over_opt_out = false
source = "a test"
[rule.purchase]
kind = "exemption"
exemption = "purchase"
purposes = "all"
months = 18
source = "a test"
"""
RULES = st.builds(
    rules,
    stale_registry=st.sampled_from(list(Shortcoming)),
    not_covered=st.sampled_from(list(Shortcoming)),
    over=st.sampled_from(["", AREA]),
    presets=st.sampled_from([(), ("ID", "US"), ("US", "US-FL")]),
)


def expected(
    cell: str, reader: NumberReader, engine: sa.Engine, rules: Rules, purpose: str
) -> tuple[str | None, set[str]]:
    """The reason for which a lead is refused, and the lists that refuse it, as a call's would be."""
    text = cell.strip('"') if cell.startswith('"') and cell.endswith('"') and len(cell) > 1 else cell
    try:
        e164 = reader.read_e164(text)
    except InputError:
        number = Number(NumberKind.UNREADABLE, None)
    else:
        number = reader.read(e164)
        assert number.e164 == e164
    facts = CallFacts(AT, cell, number, None, "bank", purpose)
    hits = ListStore(engine).lookup(number.e164) if number.e164 else None
    attempts = attempts_of(engine, number.e164, AT - 5 * DAYS, AT) if number.e164 else ()
    screened = screen(facts, hits, rules, attempts)
    if screened.verdict is Verdict.ALLOW:
        return None, set()
    refusing = {
        INTERNAL if match.kind == "entry" else match.id
        for match in screened.matches
        if match.reason == screened.reason or match.reason not in {*SHORTCOMINGS, "exempt", "purpose-exempt"}
    }
    return screened.reason, refusing


@pytest.fixture(scope="module")
def copied_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes folders with a new SQLite database in each, faster than by migrating it."""
    new = tmp_path_factory.mktemp("new")
    engine = open_engine(SqlSettings(), new)
    migrate(engine)
    engine.dispose()

    def copied() -> Path:
        folder = tmp_path_factory.mktemp("scrub")
        shutil.copy(new / "callguard.sqlite", folder)
        return folder

    return copied


def row_of(new: NewEntry | NewExemption, added_at: datetime) -> Row:
    at = microseconds(added_at)
    if isinstance(new, NewExemption):
        return exemption_row(new, added_at=at)
    expires_at = None if new.expires_at is None else microseconds(new.expires_at)
    said = (new.number, new.category, new.project, new.reason, new.source, new.added_by)
    return Row(*said, added_at=at, expires_at=expires_at, purposes=" ".join(new.purposes))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    cells=st.lists(CELL, max_size=20).map(lambda cells: [*(f"+{number}" for number in NUMBERS), *cells]),
    said=st.lists(WORD, min_size=3, max_size=10),
    registries=st.lists(REGISTRY, max_size=4),
    called=st.lists(ATTEMPT, max_size=6),
    rules=RULES,
    moment=st.booleans(),
    purpose=st.sampled_from(["marketing", "collection", "callback"]),
)
def test_every_row_has_the_verdict_that_a_check_of_its_number_has(
    copied_database: Callable[[], Path],
    *,
    cells: list[str],
    said: list[tuple[NewEntry | NewExemption, datetime]],
    registries: list[tuple[str, list[int], tuple[str, ...], date | None, int | None]],
    called: list[tuple[str, datetime]],
    rules: Rules,
    moment: bool,
    purpose: str,
) -> None:
    folder = copied_database()
    engine = open_engine(SqlSettings(), folder)
    add_rows(engine, [row_of(*one) for one in said], who="tl1", why="", now=AT)
    made = [decision_row(a_decision(number=number, at=at)) for number, at in called]
    journal = JournalStore(engine)
    journal.add_decisions(lambda: made)
    journal.close()
    for index, (code, numbers, coverage, day, age) in enumerate(registries):
        own = [number for number in numbers if str(number).startswith(code)]
        add_registry(
            engine, f"list-{index}", own, code=code, coverage=coverage, data_date=day, allowed_age_days=age
        )
    leads = folder / "leads.csv"
    leads.write_text("".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))

    # Without a moment: what depends on it does not count.
    rules = rules if moment else timeless(rules)
    verdicts = Verdicts(
        load(engine, project="bank", at=AT, months=months_of(rules)),
        rules,
        at=AT,
        project="bank",
        purpose=purpose,
        recent=recent(engine, rules, AT),
    )
    with Outputs(leads, folder / "clean.csv", folder / "refused.csv", force=False) as outputs:
        wanted = Wanted(("2",), ",", header=False)
        summary = scrub(leads, outputs, LeadReader(NumberSettings()), lambda: verdicts, wanted=wanted)

    found: dict[int, tuple[str | None, set[str]]] = {}
    for line in (folder / "clean.csv").read_text().splitlines():
        found[int(line.partition(",")[0])] = (None, set())
    for line in (folder / "refused.csv").read_text().splitlines():
        lists, reason = line.split(",")[-2:]
        found[int(line.partition(",")[0])] = (reason, set(lists.split()))
    reader = NumberReader()
    assert found == {row: expected(cell, reader, engine, rules, purpose) for row, cell in enumerate(cells)}
    assert summary.rows == len(cells)
    engine.dispose()


def consent(number: int, starts_at: datetime, kind: ExemptionKind = ExemptionKind.CONSENT) -> Row:
    return exemption_row(
        NewExemption(number=f"+{number}", kind=kind, evidence="x", added_by="tl1", starts_at=starts_at)
    )


def decided(engine: sa.Engine, numbers: list[int], rules: Rules) -> list[Reason | None]:
    """Why each of these leads is refused, all of them asked at once."""
    lists = load(engine, project=None, at=AT, months=months_of(rules))
    verdicts = Verdicts(lists, rules, at=AT, project=None, purpose="marketing")
    return [verdicts.outcomes[one].refused for one in verdicts.decide(np.array(numbers, np.uint64)).tolist()]


def test_of_many_numbers_the_latest_word_about_each_counts(engine: sa.Engine) -> None:
    first, second, third, fourth = 628120000000, 628120000001, 622150001000, 622150001001
    earlier = GIVEN - 5 * HOURS
    rows = [
        *(row_of(NewEntry(f"+{number}", "tl1"), GIVEN) for number in (first, second)),
        consent(first, GIVEN - HOURS),
        consent(second, GIVEN + HOURS),
        row_of(NewEntry("+6221*", "tl1"), earlier),
        consent(third, earlier - HOURS),
        consent(fourth, earlier + HOURS),
    ]
    add_rows(engine, rows, who="tl1", why="", now=AT)
    opt_out = Reason.OPT_OUT
    assert decided(engine, [first, second, third, fourth], rules()) == [opt_out, None, opt_out, None]


def test_of_many_relationships_each_covers_its_number_for_so_many_months(engine: sa.Engine) -> None:
    ending = datetime(2025, 5, 21, 10, tzinfo=UTC)  # eighteen before AT
    minute = timedelta(minutes=1)
    starts = {628120000000: ending - minute, 628120000001: ending, 628120000002: ending + minute}
    rows = [consent(number, start, ExemptionKind.PURCHASE) for number, start in starts.items()]
    add_rows(engine, rows, who="tl1", why="", now=AT)
    add_registry(engine, "national", [*starts], code="62", data_date=AT.date())
    assert decided(engine, [*starts], rules(over=AREA)) == [Reason.REGISTRY, Reason.REGISTRY, None]


# --- the command --------------------------------------------------------------------------------------

LEADS = (
    b"\xef\xbb\xbfname;No. HP;note\r\n"
    b'"One; Two";0812-5555-0100;"said ""no""\r\ntwice"\r\n'
    b"Desk;+6281255550101;caf\xe9\n"
    b"\n"
    b"Late;;\r\n"
    b"Last;081255550102;last"
)


def test_rows_are_kept_to_the_byte_and_the_header_goes_to_both_files(
    run: Run, files: Files, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry("+6281255550100", "tl1"))
    add_registry(engine, "national", [6281255550102], code="62")
    result = run(LEADS)
    assert (result.exit_code, result.stderr) == (0, "")
    assert files.clean.read_bytes() == (b"\xef\xbb\xbfname;No. HP;note\r\nDesk;+6281255550101;caf\xe9\n\n")
    assert files.refused.read_bytes() == (
        b"\xef\xbb\xbfname;No. HP;note;callguard_lists;callguard_reason\r\n"
        b'"One; Two";0812-5555-0100;"said ""no""\r\ntwice";internal;opt-out\r\n'
        b"Late;;;;unreadable-number\r\n"
        b"Last;081255550102;last;national;registry"
    )
    assert "No. HP" in result.stdout


def test_the_summary_counts_the_rows_by_reason(run: Run, engine: sa.Engine) -> None:
    ListStore(engine).add(NewEntry("+6281255550100", "tl1"))
    told = json.loads(run(LEADS, "--json").stdout)
    assert told | {"seconds": 0} == {
        "rows": 4, "clean": 2, "refused": {"opt-out": 1, "unreadable-number": 1}, "columns": ["No. HP"],
        "code_column": None, "position": 1, "seconds": 0,
    }  # fmt: skip


def test_project_and_purpose_are_those_of_the_call(run: Run, files: Files, engine: sa.Engine) -> None:
    ListStore(engine).add(NewEntry("+6281255550100", "tl1", project="bank"))
    content = b"phone\n081255550100\n"
    assert run(content).exit_code == 0
    assert files.clean.read_bytes() == content
    assert run(content, "--force", "--project", "bank").exit_code == 0
    assert files.clean.read_bytes() == b"phone\n"
    assert run(content, "--force", "--purpose", "").exit_code == 2


def test_an_entry_that_will_have_expired_at_the_time_of_the_calls_does_not_count(
    run: Run, files: Files, engine: sa.Engine
) -> None:
    expires = datetime.now(UTC) + timedelta(days=2)
    ListStore(engine).add(NewEntry("+6281255550100", "tl1", expires_at=expires))
    content = b"phone\n081255550100\n"
    run(content)
    assert files.clean.read_bytes() == b"phone\n"
    run(content, "--force", "--at", (expires + timedelta(seconds=1)).isoformat())
    assert files.clean.read_bytes() == content


def test_a_list_of_which_blocks_are_missing_lets_no_lead_through(
    run: Run, files: Files, engine: sa.Engine
) -> None:
    add_registry(engine, "national", [628120000000, 628220000000], code="62")
    with engine.begin() as connection:
        connection.execute(blocks.delete().where(blocks.c.block == 62812000))
    result = run(b"phone\n+628120000000\n")
    assert result.exit_code == 4
    assert "1 blocks of list national are there, of 2" in result.stderr
    assert not files.clean.exists()


def test_an_entry_that_was_removed_does_not_count(run: Run, files: Files, engine: sa.Engine) -> None:
    store = ListStore(engine)
    store.add(NewEntry("+6281255550100", "tl1"))
    store.remove("+6281255550100", by="tl1", why="a mistake")
    run(b"phone\n081255550100\n")
    assert files.clean.read_bytes() == b"phone\n081255550100\n"


def test_every_entry_counts_however_many_statements_it_takes_to_read_them(
    run: Run, files: Files, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callguard.scrub.lists._AT_ONCE", 2)
    store = ListStore(engine)
    for number in range(7):
        store.add(NewEntry(f"+628125555010{number}", "tl1"))
    run(b"phone\n" + b"".join(b"08125555010%d\n" % number for number in range(10)))
    assert files.clean.read_bytes() == b"phone\n081255550107\n081255550108\n081255550109\n"


def test_with_several_columns_every_number_of_a_row_must_be_allowed(
    run: Run, files: Files, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry("+6281255550100", "tl1"))
    content = (
        b"id,phone,alt_phone\n"
        b"1,081255550101,081255550102\n"
        b"2,081255550101,081255550100\n"
        b"3,081255550101,\n"
        b"4,,081255550101\n"
        b"5,,\n"
        b"6,081255550101,n/a\n"
    )
    result = run(content, "--column", "phone", "--column", "alt_phone")
    assert result.exit_code == 0, result.output
    clean = list(csv.DictReader(io.StringIO(files.clean.read_text())))
    refused = list(csv.DictReader(io.StringIO(files.refused.read_text())))
    assert [row["id"] for row in clean] == ["1", "3", "4"]
    assert [(row["id"], row["callguard_reason"]) for row in refused] == [
        ("2", "opt-out"), ("5", "unreadable-number"), ("6", "unreadable-number"),
    ]  # fmt: skip


def test_two_columns_that_are_as_likely_are_named_and_neither_is_taken(run: Run, files: Files) -> None:
    result = run(b"id,phone,mobile\n1,081255550101,081255550102\n")
    assert result.exit_code == 2
    assert "2 ('phone'), 3 ('mobile')" in result.stderr
    assert "--column" in result.stderr
    assert not files.clean.exists()


def test_numbers_of_another_region_are_read_as_there(run: Run, files: Files) -> None:
    run(b"(201) 555-0123\n", "--region", "US")
    assert files.clean.read_bytes() == b"(201) 555-0123\n"
    assert run(b"1\n", "--region", "ZZ", "--force").exit_code == 2


def test_a_mark_without_end_refuses_its_own_row_and_hides_no_other(
    run: Run, files: Files, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry("+6281255550100", "tl1"))
    run(b'phone,name\n081255550101,"One\n081255550100,Desk\n081255550102,"Late"\n')
    assert files.clean.read_bytes() == b'phone,name\n081255550102,"Late"\n'


HIDING = [
    b'081255550101,"a\n081255550100,b"\n',
    b'081255550101,"a\r\n0812-5555-0100,b\r\n081255550102,"\r\n',
    b'081255550101,"a\r=""081255550100"",b"\n',
    b'"081255550100\n081255550101",a\n',
    b'081255550101,"a\n6281255550100.0"\n',
]
HONEST = [
    b'081255550101,"a street 5\nand a town"\n',
    b'081255550101,"a\n081255550101,b"\n',
    b'081255550101,"a\nat home, 081255550100, in the evening"\n',
]


@pytest.mark.parametrize("row", HIDING)
def test_a_row_of_several_lines_that_hides_a_number_is_refused(run: Run, files: Files, row: bytes) -> None:
    told = run(b"phone,note\n" + row + b"081255550102,c\n", "--json")
    assert json.loads(told.stdout)["refused"] == {"unreadable-number": 1}
    assert files.clean.read_bytes() == b"phone,note\n081255550102,c\n"
    end = len(row.rstrip())
    assert files.refused.read_bytes().splitlines(keepends=True)[1:] == (
        row[:end] + b",,unreadable-number" + row[end:]
    ).splitlines(keepends=True)


@pytest.mark.parametrize("row", HONEST)
def test_a_row_of_several_lines_that_hides_no_number_is_a_lead(run: Run, files: Files, row: bytes) -> None:
    assert run(b"phone,note\n" + row).exit_code == 0
    assert files.clean.read_bytes() == b"phone,note\n" + row


def test_a_number_is_hidden_by_its_own_calling_code_and_in_any_of_the_columns(run: Run, files: Files) -> None:
    header = b"note,phone_code,phone_number,alt_phone\n"
    rows = [
        b'"a\nb",62,81255550100,\n',
        b'"a,1,2015550123,\nb",62,81255550100,\n',
        b'"a,62,x,81255550101\nb",62,81255550100,\n',
        b'"a,XX,2015550123,\nb",62,81255550100,\n',
    ]
    run(header + b"".join(rows), "--column", "phone_number", "--column", "alt_phone")
    assert files.clean.read_bytes() == header + rows[0] + rows[3]


def test_a_header_of_several_lines_that_hides_a_number_refuses_the_file(run: Run, files: Files) -> None:
    result = run(b'id,phone,"note\n1,081255550100,a\n2,081255550101,b"\n3,081255550102,c\n')
    assert result.exit_code == 2
    assert "row 1: a header of several lines with numbers" in result.stderr
    assert not files.clean.exists()
    assert run(b'id,phone,"note\nof any kind"\n3,081255550102,c\n').exit_code == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("phone\n0812".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x1f\x8brest", "compressed"),
        (b"phone\n\0\n", "no text"),
        (b"name\nDesk\n", "no column holds numbers"),
        (b"081255550100\n" + b"1" * 70_000, "row 2"),
    ],
)
def test_what_cannot_be_a_lead_file_is_refused_and_leaves_nothing(
    content: bytes, told: str, run: Run, files: Files, tmp_path: Path
) -> None:
    result = run(content)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert told in result.stderr
    assert [path for path in tmp_path.iterdir() if "csv" in path.name] == [files.leads]


def test_outputs_replace_nothing_unless_told_so(run: Run, files: Files) -> None:
    files.refused.write_text("precious")
    assert run(b"081255550100\n").exit_code == 2
    assert (files.refused.read_text(), files.clean.exists()) == ("precious", False)
    assert run(b"081255550100\n", "--force").exit_code == 0
    assert files.refused.read_text() == ""


@pytest.mark.parametrize("option", ["-o", "--refused"])
def test_the_input_is_never_an_output(option: str, run: Run, files: Files, tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(files.leads)
    for path in (files.leads, link):
        result = run(b"081255550100\n", option, str(path), "--force")
        assert result.exit_code == 2
        assert files.leads.read_bytes() == b"081255550100\n"
    os.link(files.leads, tmp_path / "hard.csv")
    assert run(b"081255550100\n", option, str(tmp_path / "hard.csv"), "--force").exit_code == 2


def test_leads_that_are_written_to_meanwhile_are_refused(files: Files, engine: sa.Engine) -> None:
    files.leads.write_text("081255550100\n081255550101\n")

    def verdicts() -> Verdicts:
        with files.leads.open("a") as export:
            export.write("081255550102\n")
        return Verdicts(load(engine, project=None, at=AT), rules(), at=AT, project=None, purpose="marketing")

    outputs = Outputs(files.leads, files.clean, files.refused, force=False)
    with outputs, pytest.raises(InputError, match=r"leads\.csv: it was changed while it was read"):
        scrub(files.leads, outputs, LeadReader(NumberSettings(region="ID")), verdicts, wanted=Wanted())
    assert not files.clean.exists()
    assert not files.refused.exists()


def test_one_file_cannot_be_both_outputs(run: Run, files: Files) -> None:
    assert run(b"081255550100\n", "--refused", str(files.clean)).exit_code == 2
    assert not files.clean.exists()


def test_an_empty_file_gives_two_empty_files(run: Run, files: Files) -> None:
    assert run(b"").exit_code == 0
    assert (files.clean.read_bytes(), files.refused.read_bytes()) == (b"", b"")


def test_without_sql_there_is_exit_code_4_and_nothing_written(
    files: Files, environ: dict[str, str], tmp_path: Path
) -> None:
    files.leads.write_bytes(b"081255550100\n")
    nowhere = environ | {"CALLGUARD_SQL__URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    paths = [str(files.leads), "-o", str(files.clean), "--refused", str(files.refused)]
    result = CliRunner(env=nowhere).invoke(cli, ["scrub", *paths])
    assert (result.exit_code, result.stdout) == (4, "")
    assert [path for path in tmp_path.iterdir() if "csv" in path.name] == [files.leads]


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "leads.fifo"
    os.mkfifo(path)
    yield path
    path.unlink()


def test_the_command_lets_calls_go_first(fifo: Path, files: Files, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "callguard", "scrub", str(fifo), "-o", str(files.clean)]
    process = subprocess.Popen([*command, "--refused", str(files.refused)], env=os.environ | environ)
    with fifo.open("wb"):
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, ours + 10)
    assert process.wait(60) == 0


@pytest.mark.parametrize("leads_before", [0, 1_500_000])
def test_ctrl_c_ends_the_command_while_the_pipe_is_silent_and_leaves_neither_file(
    leads_before: int, fifo: Path, files: Files, environ: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "callguard", "scrub", str(fifo), "-o", str(files.clean)]
    process = subprocess.Popen(
        [*command, "--refused", str(files.refused)],
        env=os.environ | environ,
        stderr=subprocess.PIPE,
    )
    with fifo.open("wb") as leads:
        # More than one piece: by the time that all of it is taken, the scrub is in the midst of its work.
        leads.write(b"081255550100\n" * leads_before)
        leads.flush()
        assert list(tmp_path.glob(".clean.csv.*.part"))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in told) == (130, False)
    assert [path.name for path in tmp_path.iterdir() if "csv" in path.name] == []


def test_leads_may_come_through_a_pipe_little_by_little(
    fifo: Path, files: Files, environ: dict[str, str]
) -> None:
    def write() -> None:
        with fifo.open("wb", buffering=0) as leads:
            for number in range(200):
                leads.write(b"08125555%04d\n" % number)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        paths = [str(fifo), "-o", str(files.clean), "--refused", str(files.refused)]
        result = CliRunner(env=environ).invoke(cli, ["scrub", *paths])
        writing.result()
    assert result.exit_code == 0, result.output
    assert len(files.clean.read_bytes().splitlines()) == 200


# --- whole files, in several pieces -------------------------------------------------------------------


def test_no_row_is_lost_or_changed_where_one_piece_ends_and_the_next_begins(
    run: Run, files: Files, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callguard.scrub.run._PIECE", 1000)
    monkeypatch.setattr("callguard.scrub.run._BEGINNING", 500)
    add_registry(engine, "national", [6281255550000 + n for n in range(0, 3000, 3)], code="62")
    line_ends = ["\n", "\r\n", "\n\n"]
    rows = [f'{n},"a{n}\n",08125555{n:04}{line_ends[n % 3]}' for n in range(3000)]
    result = run(("id,name,phone\n" + "".join(rows)).encode(), "--json")
    told = json.loads(result.stdout)
    assert (told["rows"], told["clean"], told["refused"]) == (3000, 2000, {"registry": 1000})
    with files.clean.open(newline="") as clean:
        assert clean.read() == "id,name,phone\n" + "".join(row for n, row in enumerate(rows) if n % 3)
    refused = list(csv.DictReader(io.StringIO(files.refused.read_text())))
    assert [int(row["id"]) for row in refused] == list(range(0, 3000, 3))
    assert {row["callguard_reason"] for row in refused} == {"registry"}


def test_a_lead_file_of_vicidial_is_read_by_each_row_s_calling_code(
    run: Run, files: Files, engine: sa.Engine
) -> None:
    ListStore(engine).add(NewEntry("+6281255550100", "tl1"))
    add_registry(engine, "national", [12015550123], code="1")
    header = b"vendor_lead_code,phone_code,phone_number,alt_phone,first_name\n"
    rows = [
        b"1,62,81255550100,,One\n",
        b"2,62,081255550100,,One\n",
        b"3,1,2015550123,,Us\n",
        b"4,1,81255550100,,Us\n",
        b"5,62,20155,,One\n",
        b"6,62,81255550101.0,,One\n",
        b"7,,081255550100,,One\n",
        b"8,XX,081255550101,,One\n",
    ]
    result = run(header + b"".join(rows))
    assert result.exit_code == 0, result.output
    assert "phone_code" in result.stdout
    refused = list(csv.DictReader(io.StringIO(files.refused.read_text())))
    assert {row["vendor_lead_code"]: row["callguard_reason"] for row in refused} == {
        "1": "opt-out", "2": "opt-out", "3": "registry", "4": "unreadable-number", "5": "unreadable-number",
        "7": "opt-out", "8": "unreadable-number",
    }  # fmt: skip
    assert files.clean.read_bytes() == header + rows[5]
