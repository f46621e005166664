"""Commands with a file of rules that is wrong: none of them works on with other rules than it was given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "callguard"


@pytest.mark.parametrize(
    "command",
    [
        ("guard",),
        ("check", "081234567890"),
        ("scrub", "leads.csv", "-o", "clean.csv", "--refused", "refused.csv"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_refuses_a_wrong_file_of_rules_and_names_every_key(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "callguard.toml").write_text('[rules]\npresets = ["ID"]\nfiles = ["own.toml"]\n')
    (tmp_path / "own.toml").write_text(
        'id = "ID"\n[rule.hours-offers]\nhours = { mon-sat = "20:00-08:00" }\nsource = "t"\n'
        '[rule.hours-collection]\npurposes = ["sale"]\nsource = "t"\n'
    )
    (tmp_path / "leads.csv").write_text("phone\n081234567890\n")
    environ = {name: text for name, text in os.environ.items() if not name.startswith("CALLGUARD_")}
    environ |= {"CALLGUARD_CONFIG": "callguard.toml", "CALLGUARD_STATE": str(tmp_path / "state")}
    done = subprocess.run(
        [PROGRAM, *command],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    told = [line.partition(" (allowed")[0] for line in done.stderr.splitlines()]
    assert told == [
        f'callguard: {tmp_path}/own.toml: rule.hours-collection.purposes[0]: "sale" is no purpose',
        f"callguard: {tmp_path}/own.toml: rule.hours-offers.hours.mon-sat: 20:00-08:00 is empty",
    ]
    assert not (tmp_path / "clean.csv").exists()
