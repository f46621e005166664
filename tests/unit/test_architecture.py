"""Who may know whom: the contracts in pyproject.toml, and what they do not reach."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("screening", "numbers.py", "numbering.py")
SILENT = {"asyncio", "socket", "subprocess", "threading", "time", "logging", "structlog", "random", "secrets"}


def test_each_package_knows_only_those_below_it() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert told.returncode == 0, told.stdout + told.stderr


def imported(file: Path) -> set[str]:
    """The first part of each module that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=str(module)):
                names.add(module.partition(".")[0])
    return names


def pure_files() -> list[Path]:
    package = ROOT / "callguard"
    files = [file for name in PURE for file in sorted((package / name).rglob("*.py")) or [package / name]]
    files += [package / "control" / f"{name}.py" for name in ("model", "states", "lifecycle", "causes")]
    files += [package / "control" / f"{name}.py" for name in ("reconcile", "sight")]
    return [file for file in files if file.name != "identity.py"]


@pytest.mark.parametrize("file", pure_files(), ids=lambda file: file.name)
def test_what_decides_does_no_io_and_knows_no_time(file: Path) -> None:
    assert not imported(file) & SILENT


def test_only_the_adapters_know_the_libraries_of_their_services() -> None:
    owners = {
        "panoramisk": {"asterisk"},
        "redis": {"lists"},
        "prometheus_client": {"telemetry"},
    }
    for file in sorted((ROOT / "callguard").rglob("*.py")):
        part = file.relative_to(ROOT / "callguard").parts[0]
        for library in imported(file) & owners.keys():
            assert part in owners[library], f"{file} imports {library}"
