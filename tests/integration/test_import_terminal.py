"""An import and a scrub on a terminal: they show how far they are, at what rate and how long yet."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Run a command on a terminal of its own, over SQLite, and answer its question."""
    environ = {"CALLGUARD_CONFIG": "", "CALLGUARD_STATE": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"}

    def ask(*arguments: str | Path, answer: str = "") -> tuple[int, str]:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "callguard", *map(str, arguments)]
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environ
        ) as process:
            os.close(theirs)
            os.write(ours, answer.encode())
            told = b""
            with suppress(OSError):  # what Linux says at the end of a terminal
                while piece := os.read(ours, 65536):
                    told += piece
        os.close(ours)
        return process.returncode, told.decode()

    return ask


@pytest.mark.parametrize(("answer", "code", "numbers"), [("y\n", 0, "9,000"), ("n\n", 130, "0")])
def test_on_a_terminal_an_import_shows_its_progress_and_asks(
    ask: Ask, tmp_path: Path, answer: str, code: int, numbers: str
) -> None:
    assert ask("list", "create", "us", "--jurisdiction", "US", "--format", "lines")[0] == 0
    file = tmp_path / "us.txt"
    file.write_text("".join(f"212555{number}\n" for number in range(1000, 10_000)))
    done, told = ask("list", "import", "us", file, answer=answer)
    assert done == code, told
    for words in ("reading", "writing", "100 %", "M lines/s", "0:00:00"):
        assert words in told
    assert told.index("us would have 9,000 numbers") < told.index("Put it in force? [y/N]")
    assert f"numbers           {numbers}\r\n" in ask("list", "show", "us")[1]


def test_on_a_terminal_a_scrub_shows_how_far_it_is_at_what_rate_and_how_long_yet(
    ask: Ask, tmp_path: Path
) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("phone\n" + "081255550100\n" * 1_400_000)  # three pieces: a rate takes two
    done, told = ask("scrub", leads, "-o", tmp_path / "clean.csv", "--refused", tmp_path / "refused.csv")
    assert done == 0, told
    for words in ("\u2501\u2501", "18.2/18.2 MB", "MB/s", "0:00:00"):
        assert words in told
    assert told.index("18.2/18.2 MB") < told.index("clean        1,400,000")
