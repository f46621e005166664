"""New rules and settings are taken up while calls go on: the next goes by what is new, none is touched."""

import signal
from pathlib import Path

import pytest

from tests.rig.guard import Guard
from tests.rig.numbers import subscriber
from tests.rig.site import Site
from tests.rig.waiting import wait_for
from tests.system.conftest import StartSite

pytestmark = pytest.mark.once

NOON = "2026-11-23T12:00:00+07:00"
"""A Monday, in Jakarta."""


class Settings:
    """A guard's files."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "callguard.toml"
        self.rules = folder / "own.toml"
        self.write("08:00-20:00", 403)

    def write(self, hours: str, code: int) -> None:
        self.file.write_text(f"""
            refusals.default = {code}
            [rules]
            presets = []
            files = ["own.toml"]
            clock = "{NOON}"
        """)
        self.rules.write_text(f"""
            id = "own"
            title = "Our own"
            [rule.our-hours]
            kind = "hours"
            purposes = "all"
            hours = {{ mon-sun = "{hours}" }}
            where = ["Asia/Jakarta"]
            source = "the house"
        """)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path)


def refused(site: Site, number: str) -> int:
    """Dial a number that is refused: the SIP code."""
    with site.dial(f"0{number}") as phone:
        return phone.wait_end(30).statuses[-1]


def wait_logged(guard: Guard, event: str, *, times: int = 1) -> None:
    def logged() -> bool:
        return guard.process.output.read_text().count(f'"event":"{event}"') >= times

    wait_for(f"the log to say {event!r}", logged)


def test_a_reload_holds_for_the_next_call_and_touches_none_in_progress(
    start_site: StartSite, settings: Settings
) -> None:
    site = start_site(CONFIG=str(settings.file))
    guard = site.guard
    allowed, listed = subscriber(), subscriber()
    guard.add(f"+62{listed}")
    with site.dial(f"0{allowed}") as talking, site.dial(f"0{listed}", agent="agent2") as hearing:
        talking.wait_for(200)
        hearing.wait_for(183)
        settings.write("13:00-20:00", 603)
        done = guard.run("reload")
        assert (done.returncode, done.stderr) == (0, "")
        version = done.stdout.split()[1]
        # The code of a call that was refused before is the old one.
        assert hearing.wait_end(30).statuses == [183, 403]
        closed = subscriber()
        assert refused(site, closed) == 603
        assert talking.call.requests == ["INVITE", "ACK"]
        talking.hang_up()
        talking.wait_end()
    before, after = site.record(allowed), site.record(closed)
    assert (before["verdict"], before["outcome"]) == ("allow", "answered")
    assert (after["reason"], after["rules"]) == ("outside-hours", version)
    assert before["rules"] == site.record(listed)["rules"] != version


def test_a_broken_file_keeps_the_rules_and_sighup_takes_up_a_good_one(
    start_site: StartSite, settings: Settings
) -> None:
    site = start_site(CONFIG=str(settings.file))
    guard = site.guard
    version = guard.command("reload").split()[1]
    settings.write("25:00-20:00", 603)
    done = guard.run("reload")
    assert done.returncode == 2
    assert str(settings.rules) in done.stderr
    assert "our-hours" in done.stderr
    assert f"rules {version} stay in force" in done.stderr
    guard.process.signal(signal.SIGHUP)
    wait_logged(guard, "not reloaded: the rules stay as they are", times=2)
    with site.dial(f"0{subscriber()}") as phone:
        phone.wait_for(200)
        phone.hang_up()
        phone.wait_end()
    settings.write("13:00-20:00", 603)
    guard.process.signal(signal.SIGHUP)
    # The first was that of the command.
    wait_logged(guard, "reloaded", times=2)
    assert refused(site, subscriber()) == 603


def test_without_a_guard_a_reload_says_so(site: Site) -> None:
    assert site.guard.run("reload").returncode == 0
    site.guard.kill()
    # Its socket is still there.
    done = site.guard.run("reload")
    assert done.returncode == 4
    assert "is `callguard guard` running" in done.stderr
    site.guard.start()
    assert site.guard.run("reload").returncode == 0
