"""The files that an administrator copies say what the code does."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from callguard.asterisk.variables import CHANNELVARS, NUMBER, VERDICT
from callguard.config import Settings, load
from callguard.config.sections import ProjectSettings, Section

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "config/callguard.toml"
SETTING = re.compile(r"^#(?=\w+ = |\[projects\.)", re.MULTILINE)


def without_comments() -> dict[str, Any]:
    """The example with every `#key = value` in it taken in."""
    return tomllib.loads(SETTING.sub("", EXAMPLE.read_text().replace('#password = "..."\n', "")))


def defaults(section: type[Section] | Section) -> dict[str, Any]:
    """Key -> default, as TOML has it, of the keys that have one."""
    settings = section if isinstance(section, Section) else section()
    return settings.model_dump(mode="json", exclude_none=True)


def test_the_example_as_it_stands_sets_nothing_but_the_defaults(tmp_path: Path) -> None:
    copy = tmp_path / "callguard.toml"
    copy.write_text(EXAMPLE.read_text())
    environ = {"CALLGUARD_STATE": str(tmp_path)}
    nothing = load(None, environ, system_file=tmp_path / "absent")
    assert load(copy, environ, system_file=tmp_path / "absent") == nothing


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "state"])
def test_the_example_shows_every_key_with_its_default(name: str) -> None:
    shown = without_comments()[name]
    field = ProjectSettings() if name == "projects" else Settings.model_fields[name].default
    (section,) = field if isinstance(field, tuple) else (field,)
    if name == "projects":
        (shown,) = shown.values()
    (shown,) = shown if isinstance(shown, list) else (shown,)
    wanted = defaults(section)
    assert {key: shown.get(key) for key in wanted} == wanted
    keys = set(type(section).model_fields)
    named = set(re.findall(r"^#(\w+) = ", _text_of(name), re.MULTILINE))
    assert named == keys


def _text_of(name: str) -> str:
    """The lines of the example below the header of this section."""
    header = r"#\[projects\.\w+\]" if name == "projects" else rf"\[+{name}\]+"
    found = re.search(rf"^{header}$(.*?)(?=^#?\[|\Z)", EXAMPLE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"no section {name}"
    return found[1]


def test_every_key_of_the_example_can_be_set(tmp_path: Path) -> None:
    copy = tmp_path / "callguard.toml"
    text = SETTING.sub("", EXAMPLE.read_text().replace('#password = "..."\n', ""))
    copy.write_text(text)
    for name in re.findall(r'^password_file = "(.*)"', text, re.MULTILINE):
        (tmp_path / name).write_text("secret\n")
    load(copy, {}, system_file=tmp_path / "absent")


def test_asterisk_sends_the_variables_that_callguard_reads() -> None:
    ari = (REPOSITORY / "config/asterisk/ari.conf").read_text()
    assert f"channelvars = {','.join(CHANNELVARS)}\n" in ari


def test_no_shipped_file_has_a_password() -> None:
    for path in [
        *REPOSITORY.glob("config/**/*"),
        *REPOSITORY.glob("dialplan/*"),
        *REPOSITORY.glob("docker/*"),
    ]:
        if path.is_file():
            assert not re.search(r"^\s*(password|secret)\s*=", path.read_text(), re.MULTILINE), path


def test_the_dialplan_forgets_what_it_trusts_before_it_asks() -> None:
    dialplan = (REPOSITORY / "dialplan/callguard.conf").read_text()
    code = "\n".join(line for line in dialplan.splitlines() if not line.startswith(";"))
    asked = code.index("Stasis(callguard,")
    for name in (VERDICT, NUMBER):
        assert code.index(f"Set({name}=)") < asked
    assert "STASISSTATUS" not in code
