"""The codes of refusals as settings: what is no reason or no code is named, with what is allowed."""

from pathlib import Path

import pytest

from callguard.config import Settings, load
from callguard.control.model import RefusalCode
from callguard.errors import ConfigurationError
from callguard.screening.model import Reason


def read(folder: Path, text: str = "", **environ: str) -> Settings:
    file = folder / "callguard.toml"
    file.write_text(text)
    return load(file, {"CALLGUARD_STATE": str(folder), **environ})


def test_every_refusal_is_a_403_unless_its_reason_has_a_code_of_its_own(tmp_path: Path) -> None:
    refusals = read(tmp_path, "[refusals]\nby_reason = { outside-hours = 480, attempts = 603 }").refusals
    assert refusals.code(Reason.OPT_OUT) is RefusalCode.FORBIDDEN
    assert refusals.code(Reason.OUTSIDE_HOURS) is RefusalCode.UNAVAILABLE
    assert refusals.code(Reason.ATTEMPTS) is RefusalCode.DECLINE


def test_the_codes_can_be_set_by_variables(tmp_path: Path) -> None:
    environ = {"CALLGUARD_REFUSALS__DEFAULT": "603", "CALLGUARD_REFUSALS__BY_REASON": '{"holiday": 480}'}
    refusals = read(tmp_path, **environ).refusals
    assert refusals.code(Reason.REGISTRY) is RefusalCode.DECLINE
    assert refusals.code(Reason.HOLIDAY) is RefusalCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("setting", "where", "told"),
    [
        ("default = 404", "refusals.default", "403 or 480 or 603"),
        ("by_reason = { attempts = 486 }", "refusals.by_reason.attempts", "403 or 480 or 603"),
        ("by_reason = { outside-hour = 480 }", "refusals.by_reason", "did you mean outside-hours?"),
        ("by_reason = { not-listed = 480 }", "refusals.by_reason", "no reason for a refusal"),
        ("by_reason = { 'a\\nb' = 480 }", "refusals.by_reason", "no reason for a refusal"),
        ('by_reason = { "a\\nb" = 480 }', "refusals.by_reason", "control character"),
        ("by_reason = 480", "refusals.by_reason", "a table of reason = 403 or 480 or 603"),
    ],
)
def test_what_is_no_reason_or_no_code_is_refused_at_start(
    tmp_path: Path, setting: str, where: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, f"[refusals]\n{setting}")
    assert where in str(raised.value)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
