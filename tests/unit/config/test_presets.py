"""Files of rules as people get them wrong: each error names the key and what is allowed."""

import tomllib
from typing import Any

import pytest

from callguard.config.naming import Location
from callguard.config.presets import Compiler, lay_over
from callguard.errors import ConfigurationError
from callguard.screening.model import Purpose
from callguard.screening.rules import AttemptsLine, HolidaysLine, HoursLine, OffLine, Preset
from callguard.screening.week import days_text

HEAD = 'id = "x"\ntitle = "X"\n'
SOURCED = 'source = "test"\npurposes = "all"\n'
HOURS = f'{HEAD}[rule.h]\nkind = "hours"\n{SOURCED}'
HOLIDAYS = f'{HEAD}[rule.h]\nkind = "holidays"\n{SOURCED}'
ATTEMPTS = f'{HEAD}[rule.a]\nkind = "attempts"\n{SOURCED}'


def compiled(text: str, *own: str) -> Preset | list[str]:
    """The preset of a file; or what is wrong with it, each as it is told."""
    errors: list[ConfigurationError] = []

    def where(_: Location, told: str) -> str:
        return told

    preset = Compiler(frozenset({*Purpose, *own}), errors).preset(tomllib.loads(text), where)
    assert (preset is None) == bool(errors)
    return [str(error) for error in errors] if preset is None else preset


def preset(text: str, *own: str) -> Preset:
    found = compiled(text, *own)
    assert isinstance(found, Preset), found
    return found


def error(text: str) -> str:
    found = compiled(text)
    assert isinstance(found, list)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('title = "X"', "id: is missing"),
        ('id = "a/b"\ntitle = "X"', "id: is not a name (allowed: 1 to 64 letters"),
        ('id = "x"', "title: is missing"),
        (f'{HEAD}regions = ["XX"]', "regions[0]: is not a region with a numbering plan (allowed: two"),
        (f'{HEAD}regions = ["ID", "id"]', "regions[1]: is not a region with a numbering plan"),
        (f'{HEAD}prefixes = ["+62"]', 'prefixes[0]: "+62" is no prefix (allowed: digits, calling code first'),
        (f'{HEAD}prefixes = ["210"]', 'prefixes[0]: "210" is no prefix'),
        (f'{HEAD}prefixes = [62]', "prefixes[0]: cannot be a number (allowed: a list of texts)"),
        (f'{HEAD}zones = ["Asia/Nowhere"]', 'zones[0]: "Asia/Nowhere" is no time zone (allowed: an IANA'),
        (f'{HEAD}zones = ["Asia"]', 'zones[0]: "Asia" is no time zone'),
        (f'{HEAD}zones = ["../../etc/passwd"]', 'zones[0]: "../../etc/passwd" is no time zone'),
        (f'{HEAD}zones = ["localtime"]', 'zones[0]: "localtime" is no time zone'),
        (f'{HEAD}[zones_of_prefixes]\n"08" = ["Asia/Jakarta"]', 'zones_of_prefixes.08'),
        (f'{HEAD}[zones_of_prefixes]\n"62" = ["Jakarta"]', "zones_of_prefixes.62[0]: "),
        (f'{HEAD}[zones_of_prefixes]\n"62" = []', "zones_of_prefixes.62: is empty (allowed: a list of time"),
        (f'{HEAD}zone = ["Asia/Jakarta"]', "zone: unknown key; did you mean zones?"),
        (f'{HEAD}rule = 5', "rule: cannot be a number (allowed: a table [rule.KEY] for each line)"),
        (f'{HEAD}rule.h = 5', "rule.h: cannot be a number (allowed: a table [rule.KEY] for each line)"),
        (f'{HEAD}as_of = "soon"', "as_of: cannot be this text (allowed: a date, such as 2026-12-31)"),
    ],
)  # fmt: skip
def test_a_wrong_key_of_a_preset_is_named_with_what_is_allowed(text: str, told: str) -> None:
    assert error(text).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'{HEAD}[rule."H 1"]\nkind = "hours"', 'rule."H 1": is no key of a line (allowed: 1 to 64 of a-z'),
        (f"{HEAD}[rule.h]\n{SOURCED}", "rule.h.kind: is missing (allowed: attempts, category, "),
        (f'{HEAD}[rule.h]\nkind = "hour"\n{SOURCED}', "rule.h.kind: unknown kind; did you mean hours?"),
        (f"{HEAD}[rule.h]\nkind = 5\n{SOURCED}", "rule.h.kind: unknown kind (allowed: attempts"),
        (f'{HEAD}[rule.o]\nkind = "override"\npurposes = "all"', "rule.o.source: is missing (allowed: text"),
        (f'{HEAD}[rule.o]\nkind = "override"\nsource = ""\npurposes = "all"', "rule.o.source: cannot be"),
        (f'{HEAD}[rule.o]\nkind = "override"\nsource = "t"', "rule.o.purposes: is missing (allowed: purp"),
        (f'{HEAD}[rule.o]\nkind = "override"\n{SOURCED}all_but = []', "rule.o.purposes: purposes and"),
        (f'{HEAD}[rule.o]\nkind = "override"\nsource = "t"\npurposes = ["sale"]',
         'rule.o.purposes[0]: "sale" is no purpose (allowed: appointment, callback, '),
        (f'{HEAD}[rule.o]\nkind = "override"\nsource = "t"\nall_but = ["emergency", "Marketing"]',
         'rule.o.all_but[1]: "Marketing" is no purpose'),
        (f'{HEAD}[rule.o]\nkind = "override"\n{SOURCED}hours = 5', "rule.o.hours: unknown key (allowed: all"),
        (f'{HEAD}[rule.o]\noff = false\nsource = "t"', "rule.o.off: cannot be false (allowed: true,"),
        (f'{HEAD}[rule.o]\nkind = "override"\nsource = "t"\nall_but = ["all"]', 'rule.o.all_but[0]: "all"'),
        (f'{HEAD}[rule.o]\noff = true', "rule.o.source: is missing"),
        (f'{HEAD}[rule.o]\noff = true\nkind = "hours"\nsource = "t"', "rule.o.kind: unknown key"),
        (HOURS, "rule.h.hours: is missing (allowed: a table such as { mon-fri"),
        (f"{HOURS}hours = {{}}", "rule.h.hours: no hours at all (allowed: such as { mon-fri"),
        (f'{HOURS}hours = {{ mon-sat = "20:00-08:00" }}',
         "rule.h.hours.mon-sat: 20:00-08:00 is empty (allowed: an end after the begin"),
        (f'{HOURS}hours = {{ "sat,sun" = ["08:00-12:00", "11:00-13:00"] }}',
         'rule.h.hours."sat,sun": windows overlap (allowed: windows that end before'),
        (f'{HOURS}hours = {{ mon-fri = "08:00-20:00", fri = "08:00-20:00" }}',
         "rule.h.hours.fri: fri has hours already (allowed: each day once)"),
        (f'{HOURS}hours = {{ mon = "08:00-20:00" }}\nzones = "most"',
         'rule.h.zones: cannot be "most" (allowed: all or any)'),
        (f'{HOURS}hours = {{ mon = "08:00-20:00" }}\nwhere = ["WIB"]', 'rule.h.where[0]: "WIB" is no time'),
        (HOLIDAYS, "rule.h.country: neither a country nor days (allowed: country = "),
        (f'{HOLIDAYS}country = "XX"', "rule.h.country: is no country whose holidays are known (allowed: two"),
        (f'{HOLIDAYS}country = "Indonesia"', "rule.h.country: is no country whose holidays are known"),
        (f'{HOLIDAYS}country = "US"\nsubdivision = "XX"',
         "rule.h.subdivision: is no part of US whose holidays are known (allowed: AK, AL, "),
        (f'{HOLIDAYS}country = "SG"\nsubdivision = "XX"',
         "rule.h.subdivision: is no part of SG whose holidays are known (allowed: none for this country)"),
        (f'{HOLIDAYS}days = [2026-12-24]\nsubdivision = "FL"', "rule.h.subdivision: is set without a"),
        (f'{HOLIDAYS}country = "ID"\ndays = ["24 December"]',
         "rule.h.days[0]: cannot be this text (allowed: a list of dates, such as [2026-12-31])"),
        (f"{HOLIDAYS}days = [2026-12-24T00:00:00]", "rule.h.days[0]: cannot be this text"),
        (f"{ATTEMPTS}most = 0\nhours = 24", "rule.a.most: cannot be 0 (allowed: a whole number from 1 up"),
        (f"{ATTEMPTS}most = 3\nhours = 24.5", "rule.a.hours: cannot be 24.5 (allowed: a whole number from 1"),
        (f'{ATTEMPTS}most = 3\nhours = 24\nper = ["debt"]',
         'rule.a.per[0]: cannot be "debt" (allowed: a list of project, purpose, subject)'),
        (f'{ATTEMPTS}most = 3\nhours = 24\ncounts = "all"', 'rule.a.counts: cannot be "all" (allowed: dials'),
        (f'{HEAD}[rule.e]\nkind = "exemption"\nexemption = "override"\n{SOURCED}',
         'rule.e.exemption: cannot be "override" (allowed: consent or purchase or inquiry or callback)'),
        (f'{HEAD}[rule.e]\nkind = "exemption"\nexemption = "purchase"\nmonths = 0\n{SOURCED}',
         "rule.e.months: cannot be 0 (allowed: a whole number from 1 up to 1200)"),
        (f'{HEAD}[rule.o]\nkind = "override"\nsource = "t"\npurposes = "some"',
         'rule.o.purposes: cannot be this text (allowed: a list of purposes, or "all")'),
        (f'{HEAD}[rule.s]\nkind = "stale-registry"\ndoes = "stop"\n{SOURCED}',
         'rule.s.does: cannot be "stop" (allowed: warn or refuse)'),
        (f'{HEAD}[rule.s]\nkind = "category"\ncategory = "a\\nb"\n{SOURCED}',
         "rule.s.category: is no category"),
        (f'{HEAD}[rule.s]\nkind = "category"\ncategory = "Customer-Request"\n{SOURCED}',
         "rule.s.category: is no category (allowed: customer-request, national-registry, "),
        (f'{HEAD}[rule.s]\nkind = "registry"\nlist = "a b"\n{SOURCED}', "rule.s.list: is not a name"),
    ],
)  # fmt: skip
def test_a_wrong_key_of_a_line_is_named_with_what_is_allowed(text: str, told: str) -> None:
    assert error(text).startswith(told)


def test_all_errors_of_a_file_are_told_at_once() -> None:
    text = f'{HEAD}regions = ["XX"]\n[rule.h]\nkind = "hours"\npurposes = ["sale"]\n[rule.i]\nkind = "x"\n'
    told = compiled(text)
    assert isinstance(told, list)
    assert [one.partition(": ")[0] for one in told] == [
        "regions[0]", "rule.h.source", "rule.h.purposes[0]", "rule.h.hours", "rule.i.kind",
    ]  # fmt: skip


def test_no_text_of_a_file_can_forge_a_line_of_the_message() -> None:
    text = 'id = "x"\ntitle = "X"\n"a\\n\\u001b[2Jb" = 1\nzones = ["a\\nb"]\n'
    told = compiled(text)
    assert isinstance(told, list)
    assert all(line.isprintable() for one in told for line in [one.replace("\\n", "")] if "zones" not in one)


def test_the_users_own_purposes_may_be_named() -> None:
    text = f'{HEAD}[rule.o]\nkind = "override"\nsource = "t"\npurposes = ["donation"]'
    assert isinstance(compiled(text), list)
    (line,) = preset(text, "donation").lines
    assert "donation" in line.purposes
    assert "marketing" not in line.purposes


def test_a_file_becomes_the_lines_that_it_says() -> None:
    found = preset(
        f"""{HEAD}
        regions = ["ID"]
        prefixes = ["6221"]
        projects = ["bank"]
        [rule.hours]
        kind = "hours"
        all_but = ["emergency"]
        hours = {{ mon-sat = "08:00-20:00" }}
        source = "law"
        as_of = 2026-11-22
        verified = false
        [rule.free]
        kind = "holidays"
        {SOURCED}
        country = "US"
        subdivision = "FL"
        not_days = [2026-07-04]
        [rule.most]
        kind = "attempts"
        {SOURCED}
        most = 3
        hours = 24
        per = ["project", "subject"]
        counts = "answered"
        [rule.gone]
        off = true
        source = "test"
        """
    )
    assert (found.prefixes, found.projects) == (("62", "6221"), frozenset({"bank"}))
    hours, holidays, attempts, gone = found.lines
    assert isinstance(hours, HoursLine)
    assert days_text(hours.week) == "mon-sat 08:00-20:00"
    assert (hours.source.text, str(hours.source.as_of), hours.source.verified) == ("law", "2026-11-22", False)
    assert "emergency" not in hours.purposes
    assert isinstance(holidays, HolidaysLine)
    assert (holidays.country, holidays.subdivision, len(holidays.not_days)) == ("US", "FL", 1)
    assert isinstance(attempts, AttemptsLine)
    assert (attempts.most, attempts.period.total_seconds(), attempts.answered_only) == (3, 86400, True)
    assert isinstance(gone, OffLine)
    assert gone.off


# --- files laid over each other -----------------------------------------------------------------------------


def over(below: str, above: str) -> dict[str, Any]:
    return lay_over(tomllib.loads(below), tomllib.loads(above))


BELOW = """
id = "x"
title = "X"
[rule.a]
purposes = "all"
most = 3
source = "law"
as_of = 2020-01-01
[rule.b]
"""


def test_a_line_keeps_the_fields_that_the_file_above_leaves_out() -> None:
    merged = over(BELOW, 'id = "x"\n[rule.a]\nmost = 2\nsource = "ours"')
    assert merged["title"] == "X"
    assert merged["rule"] == {"a": {"purposes": "all", "most": 2, "source": "ours"}, "b": {}}


def test_a_file_without_lines_leaves_all_of_them() -> None:
    assert over(BELOW, 'id = "x"\ntitle = "Y"\n[rule]')["rule"] == over(BELOW, 'id = "x"')["rule"]
    assert len(over(BELOW, 'id = "x"\n[rule]')["rule"]) == 2


def test_what_a_file_changes_no_longer_has_the_source_and_date_of_what_was_there() -> None:
    assert over(BELOW, 'id = "x"\n[rule.a]\nmost = 2')["rule"]["a"] == {"purposes": "all", "most": 2}


def test_purposes_above_replace_those_below_however_either_is_written() -> None:
    merged = over(BELOW, 'id = "x"\n[rule.a]\nall_but = ["emergency"]')
    assert merged["rule"]["a"] == {"all_but": ["emergency"], "most": 3}


def test_off_leaves_nothing_of_the_line_and_a_later_file_may_write_it_anew() -> None:
    off = over(BELOW, 'id = "x"\n[rule.a]\noff = true\nsource = "ours"')
    assert off["rule"]["a"] == {"off": True, "source": "ours"}
    assert lay_over(off, {"id": "x", "rule": {"a": {"most": 9}}})["rule"]["a"] == {"most": 9}
