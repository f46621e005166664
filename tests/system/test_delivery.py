"""What a newcomer runs: `make demo` and `make up`."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.office import LISTED, REPOSITORY
from tests.rig.ports import AGENTS
from tests.rig.process import Process
from tests.rig.sipp import Sipp
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.once


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files, with a name short enough for a unix socket in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def assert_nothing_is_left(folder: Path) -> None:
    """That no process has a file of this folder in its command line, and the folder is empty."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().decode(errors="replace"))
    assert not [line for line in lines if str(folder) in line]
    assert not list(folder.iterdir())


def test_the_demo_shows_every_call_as_it_should_be_and_leaves_nothing_running(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.rig.demo"],
        cwd=REPOSITORY, env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 27 as they should be" in done.stdout
    assert_nothing_is_left(folder)


@pytest.fixture
def up(folder: Path, tmp_path: Path) -> Iterator[Process]:
    process = Process(
        [sys.executable, "-u", "-m", "tests.rig.up"],
        tmp_path / "output",
        cwd=REPOSITORY,
        environ={**os.environ, "TMPDIR": str(folder)},
    )
    yield process
    assert process.stop(20) == 130, process.tail()
    assert_nothing_is_left(folder)


def test_a_softphone_registers_with_the_printed_account_and_hears_the_prompt(up: Process) -> None:
    def account() -> re.Match[str] | None:
        assert up.running, up.tail()
        return re.search(r"UDP port (\d+)\s+user\s+(\S+)\s+password\s+(\S+)", up.tail(60))

    found = wait_for("the account", account, seconds=60)
    port, user, password = int(found[1]), found[2], found[3]
    with Sipp(
        "softphone",
        host=AGENTS,
        to=port,
        number=LISTED,
        calls=1,
        fields=f"SEQUENTIAL\n{user};[authentication username={user} password={password}]\n",
    ) as phone:
        wait_for("the end of the call", lambda: not phone.process.running, seconds=40)
        assert phone.process.exit_code == 0, phone.report()
        assert phone.ear.heard.audible > 25
