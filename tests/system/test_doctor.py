"""`callguard doctor` against a real Asterisk and a real guard."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.rig.asterisk import Asterisk
from tests.rig.guard import Guard
from tests.system.conftest import StartSite

pytestmark = pytest.mark.once

_SOUNDS = Path(__file__).parents[2] / "callguard/sounds"


def ami(asterisk: Asterisk) -> dict[str, object]:
    return {
        "AMI__PORT": asterisk.ami_port, "AMI__USERNAME": asterisk.user, "AMI__PASSWORD": asterisk.password,
    }  # fmt: skip


def told(done: "subprocess.CompletedProcess[str]") -> dict[str, list[dict[str, Any]]]:
    """The findings by check."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(done.stdout)["checks"]:
        found.setdefault(one["check"], []).append(one)
    return found


def test_a_guarded_site_is_in_order_and_the_context_that_goes_around_is_named(
    start_site: StartSite, asterisk: Asterisk
) -> None:
    site = start_site(**ami(asterisk))
    done = site.guard.run("doctor", "--json")
    found = told(done)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name for name, ones in found.items() if ones[0]["state"] != "ok"} == set()
    first, second = found["dialplan"]
    assert {"agents", "agents-screen", "bare-bridge", "bare-screen"} <= set(
        first["told"].removeprefix("guarded: ").split(", ")
    )
    assert (second["state"], second["told"]) == ("warning", "plain: a trunk is dialled without the guard")


def test_a_stopped_guard_is_missed_everywhere(start_site: StartSite, asterisk: Asterisk) -> None:
    site = start_site(**ami(asterisk))
    assert site.guard.stop() == 0
    done = site.guard.run("doctor", "--json")
    found = told(done)
    assert done.returncode == 4
    failed = {name for name, ones in found.items() if ones[0]["state"] == "failed"}
    assert failed == {"redis", "application", "guard"}


def test_a_wrong_password_is_named_as_one(asterisk: Asterisk, tmp_path: Path) -> None:
    guard = Guard(
        asterisk, tmp_path, ASTERISK__PASSWORD="wrong", **(ami(asterisk) | {"AMI__PASSWORD": "wrong"})
    )
    found = told(guard.run("doctor", "--json"))
    assert "asterisk.password" in found["asterisk"][0]["remedy"]
    assert "ami.password" in found["dialplan"][0]["remedy"]


def test_prompts_that_are_not_in_asterisks_folder_are_missed(asterisk: Asterisk, tmp_path: Path) -> None:
    guard = Guard(asterisk, tmp_path, PROMPTS__SOURCE="files")
    found = told(guard.run("doctor", "--json"))["prompts"][0]
    assert found["state"] == "failed"
    assert "id/callguard/listed" in found["told"]
    folders = {language: asterisk.sounds / language / "callguard" for language in ("id", "en")}
    try:
        for language, folder in folders.items():
            shutil.copytree(_SOUNDS / language, folder)
        assert told(guard.run("doctor", "--json"))["prompts"][0]["state"] == "ok"
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("right", ["reporting", "call"])
def test_the_ami_user_needs_one_right_alone(right: str, asterisk: Asterisk, tmp_path: Path) -> None:
    before = (asterisk.folder / "etc/manager.conf").read_text()
    asterisk.configure("manager.conf", before + f"\n[doctor]\nsecret = s\nwrite = {right}\n")
    try:
        asterisk.cli("manager reload")
        settings = ami(asterisk) | {"AMI__USERNAME": "doctor", "AMI__PASSWORD": "s"}
        found = told(Guard(asterisk, tmp_path, **settings).run("doctor", "--json"))
    finally:
        asterisk.configure("manager.conf", before)
        asterisk.cli("manager reload")
    if right == "reporting":
        assert found["dialplan"][0]["state"] == "ok"
    else:
        assert "write = reporting" in found["dialplan"][0]["remedy"]
    assert found["ari.conf"][0]["state"] == "skipped"
