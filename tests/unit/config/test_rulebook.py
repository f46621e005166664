"""The rules in force: presets, what lies over them, and whole sets of files that cannot be right."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from callguard.config import Settings
from callguard.config.rulebook import SHIPPED, load_rules, load_rules_for_calls
from callguard.config.tomlfile import LARGEST_FILE
from callguard.errors import ConfigurationError
from callguard.screening.rules import Binding, HoursLine, Line, Rules, Shortcoming
from callguard.screening.times import national_holidays
from callguard.screening.week import days_text

Load = Callable[..., Rules]

JAKARTA, MIAMI, HOUSTON, LONDON = "+622112345678", "+13055551234", "+17135551234", "+442012345678"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Rules with these files of the user's, in their order, and these sections of the settings."""

    def loaded(*texts: str, presets: list[str] | None = None, **sections: Any) -> Rules:
        files = []
        for index, text in enumerate(texts):
            files.append(tmp_path / f"{index}.toml")
            files[-1].write_text(text)
        given = {"files": files, "presets": presets, **sections.pop("rules", {})}
        return load_rules(Settings.model_validate({"state": tmp_path, "rules": given, **sections}))

    return loaded


def wrong(load: Load, folder: Path, *texts: str, **sections: Any) -> list[str]:
    """Everything that is wrong with such files, without the folder's name."""
    with pytest.raises(ConfigurationError) as raised:
        load(*texts, **sections)
    return [str(one).replace(f"{folder}/", "") for one in (raised.value, *raised.value.others)]


def marketing(rules: Rules, e164: str, project: str | None = None) -> Binding:
    return rules.binding(e164, project, "marketing")


def line(rules: Rules, e164: str, key: str, project: str | None = None) -> Line:
    return next(one for one in marketing(rules, e164, project).lines if one.key == key)


def hours(rules: Rules, e164: str, project: str | None = None) -> str:
    (found,) = marketing(rules, e164, project).hours
    assert isinstance(found, HoursLine)
    return days_text(found.week)


OWN_HOURS = """
id = "{id}"
title = "Own"
{head}
[rule.{key}]
kind = "hours"
purposes = "all"
hours = {{ mon-sun = "{hours}" }}
source = "test"
"""


def own(id_: str, window: str, head: str = "", key: str = "hours") -> str:
    return OWN_HOURS.format(id=id_, head=head, key=key, hours=window)


# --- which presets bind a call ------------------------------------------------------------------------------


def test_a_number_is_bound_by_its_country_and_its_area_the_area_last(load: Load) -> None:
    rules = load()
    assert marketing(rules, JAKARTA).presets == ("base", "ID")
    assert marketing(rules, HOUSTON).presets == ("base", "US")
    assert marketing(rules, MIAMI).presets == ("base", "US", "US-FL")
    assert marketing(rules, "+5511912345678").presets == ("base",)


def test_an_areas_line_takes_the_place_of_its_countrys(load: Load) -> None:
    rules = load()
    assert hours(rules, HOUSTON) == "mon-sun 08:00-21:00"
    assert hours(rules, MIAMI) == "mon-sun 08:00-20:00"


def test_only_the_presets_that_are_named_are_in_use_and_base_always(load: Load) -> None:
    rules = load(presets=["ID"])
    assert [preset.id for preset in rules.presets] == ["base", "ID"]
    assert [preset.id for preset in load(presets=[]).presets] == ["base"]


def test_a_preset_that_callguard_does_not_have_is_named(load: Load, tmp_path: Path) -> None:
    told = wrong(load, tmp_path, presets=["ID", "UK"])
    names = "AU, CA, EU, GB, ID, IN, SG, US, US-AL, US-FL, US-LA, US-OK, base"
    assert told == [f"rules.presets[1]: unknown preset (allowed: {names})"]


# --- what the user lays over them ---------------------------------------------------------------------------


def test_a_file_with_a_presets_id_changes_that_line_and_leaves_the_others(load: Load) -> None:
    text = 'id = "ID"\n[rule.hours-offers]\nhours = { mon-fri = "09:00-17:00" }\nsource = "ours"'
    rules = load(text)
    assert hours(rules, JAKARTA) == "mon-fri 09:00-17:00"
    changed = line(rules, JAKARTA, "hours-offers")
    assert (changed.source.text, changed.source.as_of, changed.source.verified) == ("ours", None, True)
    assert line(rules, JAKARTA, "hours-collection").source.as_of == date(2026, 11, 22)


def test_a_line_has_the_date_of_its_file_where_it_has_none_itself(load: Load) -> None:
    rules = load(own("x", "09:00-10:00", "as_of = 2027-01-01"), presets=[])
    assert line(rules, JAKARTA, "hours").source.as_of == date(2027, 1, 1)


def test_files_are_laid_over_each_other_in_their_order(load: Load) -> None:
    over = 'id = "x"\n[rule.hours]\nhours = {{ mon = "{}" }}\nsource = "t"'
    rules = load(own("x", "09:00-10:00"), over.format("10:00-11:00"), over.format("11:00-12:00"))
    assert [one for one in marketing(rules, LONDON).hours if one.preset == "x"] == list(
        marketing(rules, LONDON).hours
    )
    assert hours(rules, LONDON) == "mon 11:00-12:00"


def test_a_preset_without_numbers_of_its_own_lies_below_every_country(load: Load) -> None:
    rules = load(own("x", "09:00-10:00"))
    assert hours(rules, LONDON) == "mon-sun 09:00-10:00"
    assert hours(rules, HOUSTON) == "mon-sun 08:00-21:00"


def test_of_presets_for_the_same_numbers_the_users_lies_above(load: Load) -> None:
    assert hours(load(own("x", "09:00-10:00", 'regions = ["US"]')), HOUSTON) == "mon-sun 09:00-10:00"


def test_a_longer_prefix_lies_above_a_country(load: Load) -> None:
    rules = load(own("x", "09:00-10:00", 'prefixes = ["1713555"]'))
    assert hours(rules, HOUSTON) == "mon-sun 09:00-10:00"
    assert hours(rules, "+17135561234") == "mon-sun 08:00-21:00"


def test_a_projects_preset_lies_above_all_and_binds_nobody_else(load: Load) -> None:
    rules = load(own("x", "09:00-10:00", 'projects = ["bank"]'))
    assert hours(rules, MIAMI, "bank") == "mon-sun 09:00-10:00"
    assert hours(rules, MIAMI, "shop") == "mon-sun 08:00-20:00"
    assert hours(rules, MIAMI) == "mon-sun 08:00-20:00"


def test_off_takes_a_line_away_from_the_preset_that_the_file_is_laid_over(load: Load) -> None:
    rules = load('id = "US-FL"\n[rule.attempts]\noff = true\nsource = "ours"')
    assert not marketing(rules, MIAMI).attempts
    assert marketing(load(), MIAMI).attempts


@pytest.mark.parametrize("preset", ["base", "US"])
def test_a_category_that_is_off_does_not_fall_to_the_line_for_all_others(load: Load, preset: str) -> None:
    rules = load(f'id = "{preset}"\n[rule.inactive-customer]\noff = true\nsource = "ours"')
    assert marketing(load(), MIAMI).category("inactive-customer") is not None
    assert marketing(rules, MIAMI).category("inactive-customer") is None
    assert marketing(rules, MIAMI).category("invalid-contact") is not None


def test_a_category_that_is_off_may_have_a_line_of_another_name(load: Load) -> None:
    rules = load(
        'id = "base"\n[rule.inactive-customer]\noff = true\nsource = "ours"',
        'id = "base"\n[rule.ours]\nkind = "category"\ncategory = "inactive-customer"\n'
        'purposes = ["marketing"]\nsource = "ours"',
    )
    found = marketing(rules, MIAMI).category("inactive-customer")
    assert found is not None
    assert found.key == "ours"


def test_off_takes_a_line_of_a_less_specific_preset_away_for_its_own_numbers_alone(load: Load) -> None:
    head = 'id = "x"\ntitle = "X"\nprefixes = ["1713"]\n'
    rules = load(f'{head}[rule.hours]\noff = true\nsource = "ours"')
    assert not marketing(rules, HOUSTON).hours
    assert hours(rules, "+12125551234") == "mon-sun 08:00-21:00"


def test_equal_rules_have_equal_versions_and_any_change_another(load: Load) -> None:
    text = own("x", "09:00-10:00")
    assert load(text).version == load(text).version
    versions = {
        load().version,
        load(text).version,
        load(text.replace("10:00", "11:00")).version,
        load(text.replace('"test"', '"other"')).version,
        load(text, rules={"purposes": ["donation"]}).version,
        load(text, failure={"default": "allow"}).version,
        load(text, presets=["ID"]).version,
    }
    assert len(versions) == 7


# --- what the section [registries] lays over them -----------------------------------------------------------


def test_registries_says_what_becomes_of_stale_and_uncovered_lists(load: Load) -> None:
    binding = marketing(load(registries={"stale": "refuse", "not_covered": "refuse"}), LONDON)
    stale = {one.key: (one.does, one.source.text) for one in binding.freshness}
    assert stale["stale-registry"] == (Shortcoming.REFUSE, "settings: registries.stale")
    assert [one.does for one in binding.coverage] == [Shortcoming.REFUSE]


def test_a_presets_own_number_of_days_stays_what_it_is(load: Load) -> None:
    binding = marketing(load(registries={"stale": "warn"}), HOUSTON)
    assert {one.key: (one.does, one.days) for one in binding.freshness} == {
        "stale-registry": (Shortcoming.WARN, None),
        "registry-age": (Shortcoming.REFUSE, 31),
    }


def test_lines_of_several_ages_stand_beside_each_other(load: Load) -> None:
    rules = load(
        'id = "US"\n[rule.registry-age-warning]\nkind = "stale-registry"\npurposes = "all"\n'
        'does = "warn"\ndays = 15\nsource = "test"'
    )
    ages = {(one.days, one.does) for one in marketing(rules, HOUSTON).freshness}
    assert {(15, Shortcoming.WARN), (31, Shortcoming.REFUSE)} <= ages


# --- files that cannot be right -----------------------------------------------------------------------------


def test_an_error_names_the_file_that_the_wrong_key_is_in(load: Load, tmp_path: Path) -> None:
    told = wrong(
        load,
        tmp_path,
        own("x", "09:00-10:00"),
        'id = "x"\n[rule.hours]\nzones = "most"\nsource = "t"',
        'id = "ID"\n[rule.hours-offers]\nhours = { mon-sat = "20:00-08:00" }\nsource = "t"',
        'id = "ID"\nregions = ["XX"]',
    )
    assert [one.partition(" (allowed: ")[0] for one in told] == [
        "3.toml: regions[0]: is not a region with a numbering plan",
        "2.toml: rule.hours-offers.hours.mon-sat: 20:00-08:00 is empty",
        '1.toml: rule.hours.zones: cannot be "most"',
    ]


def test_a_change_without_a_source_is_named_in_the_file_that_changes(load: Load, tmp_path: Path) -> None:
    told = wrong(load, tmp_path, 'id = "ID"\n[rule.hours-offers]\nhours = { mon-fri = "09:00-17:00" }')
    assert told[0].startswith("0.toml: rule.hours-offers.source: is missing")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"id = \n", "0.toml:1: is not TOML: "),
        (b'id = "x"\ntitle = "\xff"', "0.toml:2: is not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "0.toml: is too large"),
        (b"a = " + b"[" * 100_000, "0.toml: is not TOML: "),
        (b"[" + b"a." * 10_000 + b"a]\nb = 1", "0.toml: is nested too deeply (allowed: 20 levels)"),
        (b'title = "X"', "0.toml: id: is missing (allowed: that of a shipped preset"),
        (b"id = 5", "0.toml: id: is not text"),
        (b'id = "x"\ntitle = "X"\nrule = 5', "0.toml: rule: cannot be a number"),
        (b'id = "ID"\nrule = 5', "0.toml: rule: cannot be a number"),
        (b'id = "ID"\nrule.hours-offers = 5', "0.toml: rule.hours-offers: cannot be a number"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes, told: str, load: Load, tmp_path: Path) -> None:
    file = tmp_path / "0.toml"
    file.write_bytes(content)
    found = wrong(load, tmp_path, rules={"files": [file]})
    assert len(found) == 1
    assert found[0].startswith(told)


def test_a_file_that_is_not_there_is_named(load: Load, tmp_path: Path) -> None:
    told = wrong(load, tmp_path, rules={"files": [tmp_path / "gone.toml"]})
    assert told == ["gone.toml: cannot be read: No such file or directory (allowed: a readable file)"]


def test_a_pipe_is_not_waited_for(load: Load, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    told = wrong(load, tmp_path, rules={"files": [tmp_path / "pipe.toml"]})
    assert told == ["pipe.toml: is not a file (allowed: a file of rules)"]


def test_a_file_that_is_named_twice_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(own("x", "09:00-10:00"))
    files = [tmp_path / "a.toml", tmp_path / ".." / tmp_path.name / "a.toml"]
    (told,) = wrong(load, tmp_path, rules={"files": files})
    assert told.startswith("rules.files[1]: ")
    assert told.endswith("a.toml is named twice (allowed: each file once)")


def test_a_file_for_a_preset_that_is_not_in_use_is_refused(load: Load, tmp_path: Path) -> None:
    (told,) = wrong(load, tmp_path, 'id = "ID"', presets=["US"])
    assert told.startswith("0.toml: id: the shipped preset ID is not in use")


@pytest.mark.parametrize(
    ("id_", "key", "value"),
    [
        *(("base", key, value) for key, value in
          (("projects", '["bank"]'), ("regions", '["ID"]'), ("prefixes", '["62"]'))),
        ("ID", "projects", '["bank"]'),
    ],
)  # fmt: skip
def test_a_shipped_preset_cannot_be_taken_from_the_other_calls(
    id_: str, key: str, value: str, load: Load, tmp_path: Path
) -> None:
    (told,) = wrong(load, tmp_path, f'id = "{id_}"\n{key} = {value}\n')
    what = f"would take the preset {id_} away from all other calls"
    assert told == f"0.toml: {key}: {what} (allowed: in a preset with an id of its own)"


def test_off_for_what_is_not_there_is_refused(load: Load, tmp_path: Path) -> None:
    gone = '[rule.{}]\noff = true\nsource = "t"'
    (told,) = wrong(load, tmp_path, 'id = "ID"\n' + gone.format("hours-offer"))
    assert told.startswith("0.toml: rule.hours-offer: unknown rule; did you mean ")
    (told,) = wrong(load, tmp_path, 'id = "x"\ntitle = "X"\nregions = ["GB"]\n' + gone.format("hours"))
    assert told.startswith("0.toml: rule.hours: unknown rule (allowed: ")


def test_a_second_line_about_the_same_thing_is_refused(load: Load, tmp_path: Path) -> None:
    head = 'id = "x"\ntitle = "X"\n[rule.ours]\nkind = "category"\npurposes = "all"\nsource = "t"\n'
    text = head + 'category = "{}"'
    told = wrong(load, tmp_path, text.format("customer-request"))
    assert told == [
        "0.toml: rule.ours: category customer-request has the rule opt-out already (allowed: [rule.opt-out])"
    ]
    assert line(load(text.format("vip")), JAKARTA, "ours").preset == "x"


def test_a_key_that_means_something_else_is_refused(load: Load, tmp_path: Path) -> None:
    """Else [rule.opt-out] with hours would silently take the opt-outs away."""
    told = wrong(load, tmp_path, own("x", "09:00-10:00", key="opt-out"))
    assert told == [
        "0.toml: rule.opt-out: is of hours, but elsewhere this key is of category customer-request "
        "(allowed: a key of its own)"
    ]


def test_the_example_of_own_rules_can_be_used_with_and_without_its_comments(
    load: Load, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[3] / "config/rules-example.toml").read_text()
    assert hours(load(text), JAKARTA) == "mon-fri 08:00-17:00; sat 08:00-12:00"
    taken_in = "\n".join(
        row[1:] if row.startswith(("#[", '#"', "#off", "#source")) else row for row in text.splitlines()
    )
    found = load(taken_in).binding("+6281234567890", None, "collection")
    assert not found.hours
    assert found.zones_of("+6281234567890") == ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")


def test_a_guard_has_the_holidays_at_hand_before_the_first_call(tmp_path: Path) -> None:
    national_holidays.cache_clear()
    load_rules_for_calls(Settings.model_validate({"state": tmp_path, "rules": {"presets": ["ID"]}}))
    year = datetime.now(UTC).year
    asked = national_holidays.cache_info().misses
    assert national_holidays("ID", None, year)
    assert national_holidays("ID", None, year + 1)
    assert national_holidays.cache_info().misses == asked


def test_the_shipped_presets_are_part_of_the_package() -> None:
    import callguard  # noqa: PLC0415

    assert SHIPPED.parent == Path(callguard.__file__).parent
