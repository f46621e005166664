"""Changed settings are taken up as a whole or not at all."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callguard import reload
from callguard.config import Settings, load
from callguard.config.rulebook import load_rules
from callguard.errors import ConfigurationError, ServiceError
from callguard.reload import Reloader, taken_up
from callguard.screening.model import Verdict
from callguard.screening.rules import Rules


class Guard:
    """A guard's settings file, and what is in force of it."""

    def __init__(self, folder: Path, text: str = "") -> None:
        self.file = folder / "callguard.toml"
        self.file.write_text(text)
        self.environ = {"CALLGUARD_STATE": str(folder)}
        settings = self.read()
        rules = load_rules(settings)
        self.used: list[tuple[Settings, Rules]] = []
        self.reloaded = asyncio.Event()
        self.read_now: Callable[[], Settings] = self.read
        self.reloader = Reloader(settings, rules, read=self._read, use=self.use)

    def _read(self) -> Settings:
        return self.read_now()

    def read(self) -> Settings:
        return load(self.file, self.environ)

    async def use(self, settings: Settings, rules: Rules) -> None:
        self.used.append((settings, rules))
        self.reloaded.set()


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"state": Path("/nowhere"), **sections})


async def test_new_rules_and_settings_are_in_force_together(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    before = guard.reloader.rules
    guard.file.write_text('[failure]\ndefault = "allow"\n[defaults]\nproject = "bank"\n')
    done = await guard.reloader.reload()
    [(used, rules)] = guard.used
    assert (done.before, done.rules, done.restart) == (before, rules.version, ())
    assert guard.reloader.rules == rules.version != before
    assert rules.failure.default is Verdict.ALLOW
    assert used.defaults.project == "bank"


async def test_a_reload_of_unchanged_files_changes_no_version(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    done = await guard.reloader.reload()
    assert done.rules == done.before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[failure]\ndefault = 1\n", "failure.default"),
        ("[failure\n", "callguard.toml:1"),
        ('[rules]\nfiles = ["none.toml"]\n', "none.toml"),
        ("[refusals]\nby_reason = { hours = 480 }\n", "outside-hours"),
    ],
)
async def test_a_broken_file_leaves_everything_as_it_was(tmp_path: Path, text: str, told: str) -> None:
    guard = Guard(tmp_path)
    before = guard.reloader.rules
    guard.file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        await guard.reloader.reload()
    assert told in str(raised.value)
    assert guard.used == []
    assert guard.reloader.rules == before
    answer = await guard.reloader.answer("reload")
    assert answer["input"] is True
    assert answer["rules"] == before
    assert told in answer["errors"][0]


async def test_after_a_broken_file_a_good_one_is_taken_up(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.file.write_text("[")
    with pytest.raises(ConfigurationError):
        await guard.reloader.reload()
    guard.file.write_text('[defaults]\nproject = "bank"\n')
    await guard.reloader.reload()
    assert guard.used[0][0].defaults.project == "bank"


async def test_what_needs_a_restart_is_named_and_stays_as_it_is(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.file.write_text("""
        http.port = 1
        sql.timeout = 9.0
        rules.clock = "2026-11-23T19:59:00+07:00"
        prompts.language = "en"
    """)
    done = await guard.reloader.reload()
    assert done.restart == ("sql.timeout", "http.port", "rules.clock")
    [(used, _)] = guard.used
    assert (used.http.port, used.sql.timeout, used.rules.clock) == (8742, 2.0, "")
    assert used.prompts.language == "en"
    # Named again and again, until it is done.
    assert (await guard.reloader.reload()).restart == done.restart


def test_another_state_folder_and_another_password_need_a_restart() -> None:
    old = settings(asterisk={"password": "a"})
    new = Settings.model_validate({"state": Path("/elsewhere"), "asterisk": {"password": "b"}})
    taken, restart = taken_up(old, new)
    assert restart == ("state", "asterisk.password")
    assert taken == old


def test_everything_that_a_call_begins_with_is_taken_up() -> None:
    new = settings(
        numbers={"region": "US"},
        trunks=[{"name": "other"}],
        defaults={"project": "bank"},
        failure={"default": "allow"},
        registries={"stale": "refuse"},
        rules={"purposes": ["raffle"]},
        projects={"bank": {"purpose": "collection"}},
        prompts={"language": "en"},
        refusals={"default": 480},
    )
    assert taken_up(settings(), new) == (new, ())


async def test_reading_that_hangs_is_given_up_and_no_second_thread_hangs_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "LOAD_SECONDS", 0.05)
    guard = Guard(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reads = 0

    def hang() -> Settings:
        nonlocal reads
        reads += 1
        pipe.read_text()
        return guard.read()

    guard.read_now = hang
    for told in ("within", "hangs"):
        with pytest.raises(ServiceError, match=told):
            await guard.reloader.reload()
    assert reads == 1
    assert guard.used == []
    pipe.write_text("")
    guard.read_now = guard.read
    monkeypatch.setattr(reload, "LOAD_SECONDS", 30.0)
    loading = guard.reloader._loading
    assert loading is not None
    await loading
    await guard.reloader.reload()
    assert len(guard.used) == 1


HANGS = """
import asyncio, os, sys
from callguard import reload
from callguard.config import Settings
from callguard.config.rulebook import load_rules

async def use(settings, rules): ...

async def main():
    settings = Settings(state="/nowhere")
    reader = reload.Reloader(settings, load_rules(settings), read=lambda: open(sys.argv[1]).read(), use=use)
    reload.LOAD_SECONDS = 0.05
    print((await reader.answer("reload"))["errors"])

asyncio.run(main())
"""


def test_a_file_that_hangs_does_not_keep_the_guard_from_ending(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = subprocess.run(
        [sys.executable, "-c", HANGS, tmp_path / "pipe"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "within" in done.stdout


async def test_a_defect_in_reading_ends_neither_the_guard_nor_later_reloads(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    read = asyncio.Event()
    loop = asyncio.get_running_loop()

    def broken() -> Settings:
        loop.call_soon_threadsafe(read.set)
        raise ZeroDivisionError

    guard.read_now = broken
    assert (await guard.reloader.answer("reload"))["input"] is False
    asked = asyncio.Event()
    waiting = asyncio.create_task(guard.reloader.reload_whenever(asked))
    read.clear()
    asked.set()
    await read.wait()
    guard.read_now = guard.read
    asked.set()
    await guard.reloaded.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_only_the_question_for_a_reload_is_answered(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    answer = await guard.reloader.answer("stop")
    assert "question" in answer["errors"][0]
    assert guard.used == []
