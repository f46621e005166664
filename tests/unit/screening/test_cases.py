"""The table of cases (tests/data/screening): each comes out as it says; one that means nothing is named."""

from pathlib import Path

import pytest

from callguard.config.rulebook import SHIPPED
from callguard.errors import InputError
from callguard.screening.model import Finding, Step, Verdict
from callguard.screening.screen import screen
from tests.rig.cases import CASES, Case, read_cases

FILES = sorted(CASES.glob("*.toml"))
EVERY = [case for file in FILES for case in read_cases(file)]

_DECIDES = {
    Verdict.REFUSE: {Finding.REFUSED},
    Verdict.ALLOW: {Finding.ALLOWED, Finding.EXEMPTED, Finding.NOT_BOUND},
}


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_each_case_comes_out_as_it_says(case: Case) -> None:
    wanted = case.wanted
    screened = screen(case.facts, case.hits, case.rules, case.attempts)
    assert (screened.verdict, screened.reason) == (wanted.verdict, wanted.reason), wanted.says
    if wanted.rule:
        deciding = [step for step in screened.steps if _decides(step, wanted.rule, wanted.verdict)]
        assert deciding, (wanted.says, screened.steps)
        assert not wanted.preset or {step.preset for step in deciding} == {wanted.preset}, wanted.says


def _decides(step: Step, rule: str, verdict: Verdict) -> bool:
    return step.rule == rule and step.finding in _DECIDES[verdict]


def test_every_rule_of_every_shipped_preset_for_a_country_decides_a_case() -> None:
    decided = {
        (step.preset, step.rule)
        for case in EVERY
        for step in screen(case.facts, case.hits, case.rules, case.attempts).steps
        if step.finding in _DECIDES[case.wanted.verdict]
    }
    shipped = {file.stem for file in SHIPPED.glob("*.toml")} - {"base"}
    named = {
        (preset.id, line.key)
        for preset in EVERY[0].rules.presets
        if preset.id in shipped
        for line in preset.lines
        if not line.key.startswith(("consent", "purchase", "inquiry", "override"))
    }
    assert named - decided == set()


CASE = """
[[case]]
says = "a call"
number = "+62215550123"
at = "2026-11-23 10:00 Asia/Jakarta"
verdict = "allow"
reason = "not-listed"
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "cases.toml: case: Field required"),
        ("[[case]\n", "cases.toml: not TOML"),
        ('[[case]]\nsays = "a call"\n', "cases.toml: case 1 (a call): number: Field required"),
        (CASE + 'colour = "red"\n', "cases.toml: case 1 (a call): colour: unknown key"),
        (CASE.replace("Asia/Jakarta", "Asia/Atlantis"), "cases.toml: case 1 (a call): at: not an instant"),
        (CASE.replace("2026-11-23 10:00", "23/11/2026"), "cases.toml: case 1 (a call): at: not an instant"),
        (CASE.replace('"2026-11-23 10:00 Asia/Jakarta"', "[]"), "case 1 (a call): at: text is needed"),
        (CASE.replace("10:00", "10:00+07:00"), "case 1 (a call): at: not an instant"),
        (
            CASE.replace("2026-11-23 10:00 Asia/Jakarta", "2026-11-01 01:30 America/New_York"),
            "case 1 (a call): at: the clock is put back then",
        ),
        (
            CASE.replace("2026-11-23 10:00 Asia/Jakarta", "2026-03-08 02:30 America/New_York"),
            "case 1 (a call): at: the clock is put forward then",
        ),
        (CASE.replace('"allow"', '"maybe"'), "case 1 (a call): verdict: Input should be 'allow' or 'refuse'"),
        (CASE.replace('"not-listed"', '"because"'), "case 1 (a call): reason: Input should be"),
        (CASE + 'purpose = "marketting"\n', "case 1 (a call): purpose: 'marketting' is no purpose"),
        (CASE + 'rule = "nowhere"\n', "case 1 (a call): rule: no preset has a rule 'nowhere'"),
        (CASE + CASE + 'exemptions = [{ kind = "gift" }]\n', "case 2 (a call): exemptions.0.kind: Input"),
        (CASE + "attempts = [{}]\n", "case 1 (a call): attempts.0.at: Field required"),
        (CASE.replace("+62215550123", "12") + "entries = [{}]\n", "number: not a subscriber's number"),
        (CASE + '[[preset]]\nid = "ID"\nrule = 3\n', "cases.toml: preset"),
    ],
)
def test_a_case_that_means_nothing_is_named_by_file_case_and_key(
    tmp_path: Path, written: str, said: str
) -> None:
    file = tmp_path / "cases.toml"
    file.write_text(written)
    with pytest.raises(InputError) as raised:
        read_cases(file)
    assert said in str(raised.value)
