"""What `callguard scrub` says of a time or a purpose that was mistyped."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callguard.cli import cli

pytestmark = pytest.mark.integration

Scrub = Callable[..., Result]


@pytest.fixture
def scrub(tmp_path: Path) -> Scrub:
    leads = tmp_path / "leads.csv"
    leads.write_text("phone\n081255550100\n")

    def run(*options: str) -> Result:
        files = (str(leads), "-o", str(tmp_path / "clean.csv"), "--refused", str(tmp_path / "refused.csv"))
        environ = {"CALLGUARD_CONFIG": "", "CALLGUARD_STATE": str(tmp_path)}
        return CliRunner(env=environ).invoke(cli, ["scrub", *files, *options])

    return run


@pytest.mark.parametrize("at", ["2026-11-23", "today", "7d", "2026-11-23T10:00", "9999-12-31T10:00Z"])
def test_a_time_of_calls_names_hour_and_zone_since_hours_are_looked_at(
    at: str, scrub: Scrub, tmp_path: Path
) -> None:
    result = scrub("--at", at)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--at: " in result.stderr
    assert "ISO 8601 with its zone" in result.stderr
    assert not (tmp_path / "clean.csv").exists()


def test_a_purpose_that_nobody_knows_is_told_with_the_one_that_it_is_taken_for(scrub: Scrub) -> None:
    result = scrub("--purpose", "colection")
    assert result.exit_code == 0
    assert result.stderr == "callguard: 'colection' is no purpose: the leads are checked for marketing\n"
