"""Which lines bind a call: by what its number begins with, its project, its purpose."""

from datetime import timedelta
from typing import Any

import pytest

from callguard.screening.model import FailurePolicy, Verdict
from callguard.screening.rules import (
    AnyLine,
    AttemptsLine,
    CategoryLine,
    OffLine,
    Preset,
    Purposes,
    RegistryLine,
    Rules,
    Source,
)

MARKETING = Purposes(frozenset({"marketing"}), all_but=False)
COMMON: dict[str, Any] = {"purposes": Purposes(), "source": Source("made up")}
DAY = timedelta(days=1)


def attempts(key: str, preset: str, **fields: Any) -> AttemptsLine:
    return AttemptsLine(**{"key": key, "preset": preset, "most": 3, "period": DAY, **COMMON, **fields})


def preset(id_: str, *lines: AnyLine, **fields: Any) -> Preset:
    return Preset(id_, id_, lines, **fields)


def names(rules: Rules, e164: str, project: str | None = None) -> tuple[str, ...]:
    return rules.binding(e164, project, "marketing").presets


def test_the_longer_its_prefix_and_then_its_project_the_more_specific_is_a_preset() -> None:
    rules = Rules(
        [
            preset("bank", projects=frozenset({"bank"})),
            preset("area", prefixes=("6221",)),
            preset("base"),
            preset("country", prefixes=("62",)),
        ],
        document="",
    )
    assert names(rules, "+62215550123") == ("base", "country", "area")
    assert names(rules, "+62215550123", "bank") == ("base", "country", "area", "bank")
    assert names(rules, "+62225550123", "insurance") == ("base", "country")
    assert names(rules, "+12015550123") == ("base",)
    assert names(rules, "+62") == ("base", "country")


def test_a_preset_that_names_a_prefix_and_a_longer_one_is_there_once_in_the_longer_ones_place() -> None:
    rules = Rules(
        [preset("both", prefixes=("1", "1305")), preset("area", prefixes=("130",))],
        document="",
    )
    assert names(rules, "+13055550123") == ("area", "both")
    assert names(rules, "+12015550123") == ("both",)


def test_of_equal_prefixes_the_later_preset_is_the_more_specific() -> None:
    rules = Rules([preset("US", prefixes=("1305",)), preset("US-FL", prefixes=("1305",))], document="")
    assert names(rules, "+13055550123") == ("US", "US-FL")


def test_a_line_takes_the_place_of_the_less_specific_presets_line_of_its_key() -> None:
    rules = Rules(
        [
            preset("base", attempts("a", "base"), attempts("b", "base")),
            preset("country", attempts("a", "country", most=1), prefixes=("62",)),
        ],
        document="",
    )
    bound = rules.binding("+62215550123", None, "marketing").attempts
    assert [(line.key, line.preset) for line in bound] == [("a", "country"), ("b", "base")]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_lines_about_a_category_one_that_binds_the_purpose_speaks(reverse: bool) -> None:
    lines: list[AnyLine] = [
        CategoryLine(**{**COMMON, "purposes": MARKETING}, key="a", preset="p", category="own"),
        CategoryLine(**COMMON, key="b", preset="p", category="own"),
    ]
    rules = Rules([preset("p", *(reversed(lines) if reverse else lines))], document="")
    line = rules.binding("+62215550123", None, "survey").category("own")
    assert line is not None
    assert line.key == "b"


def test_a_category_or_list_that_is_off_does_not_fall_to_the_line_for_all_others() -> None:
    base = preset(
        "base",
        CategoryLine(**COMMON, key="own", preset="base", category="own"),
        CategoryLine(**COMMON, key="others", preset="base", category="*"),
        RegistryLine(**COMMON, key="one", preset="base", list="us"),
        RegistryLine(**COMMON, key="all", preset="base"),
    )
    off = preset("off", *(OffLine(**COMMON, key=key, preset="off") for key in ("own", "one")))
    binding = Rules([base, off], document="").binding("+62215550123", None, "marketing")
    assert binding.category("own") is None
    assert binding.registry("us") is None
    others, every = binding.category("another"), binding.registry("gb")
    assert others is not None
    assert every is not None
    assert (others.key, every.key) == ("others", "all")


def test_attempts_are_kept_as_long_as_the_rules_of_any_project_count_them() -> None:
    rules = Rules(
        [
            preset("base", attempts("a", "base")),
            preset("bank", attempts("b", "bank", period=7 * DAY), projects=frozenset({"bank"})),
        ],
        document="",
    )
    binding = rules.binding("+62215550123", "insurance", "marketing")
    assert [line.key for line in binding.attempts] == ["a"]
    assert binding.counted == 7 * DAY


def test_a_word_that_is_no_purpose_is_screened_and_judged_by_the_failure_policy_as_marketing() -> None:
    policy = FailurePolicy(Verdict.ALLOW, {"marketing": Verdict.REFUSE})
    rules = Rules([], document="", failure=policy, purposes=["vip-offers"])
    assert rules.purpose("nonsense") == rules.binding("+62215550123", None, "nonsense").purpose == "marketing"
    assert rules.purpose("vip-offers") == "vip-offers"
    assert rules.when_unsure("nonsense") is Verdict.REFUSE
    assert rules.when_unsure("survey") is Verdict.ALLOW
