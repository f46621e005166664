"""Settings as administrators get them wrong: every error names the place and what is right."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.config import HttpSettings, RedisSettings, Settings, advice, load
from callguard.errors import ConfigurationError
from callguard.screening.model import Verdict

NOWHERE = Path("/nonexistent/callguard.toml")


def read(text: str, folder: Path, **environ: str) -> Settings:
    file = folder / "callguard.toml"
    file.write_text(text)
    return load(file, environ)


def errors(text: str, folder: Path, **environ: str) -> list[ConfigurationError]:
    with pytest.raises(ConfigurationError) as raised:
        read(text, folder, **environ)
    return [raised.value, *raised.value.others]


def error(text: str, folder: Path, **environ: str) -> str:
    found = errors(text, folder, **environ)
    assert len(found) == 1, [str(one) for one in found]
    return str(found[0]).removeprefix(f"{folder}/")


def test_with_no_file_and_no_variable_everything_has_a_default() -> None:
    found = load(None, {"HOME": "/home/tl1"}, system_file=NOWHERE)
    assert found == Settings(state=Path("/home/tl1/.local/state/callguard"))


def test_the_state_is_kept_where_the_desktop_specification_says() -> None:
    environ = {"HOME": "/home/tl1", "XDG_STATE_HOME": "/home/tl1/state"}
    assert load(None, environ, system_file=NOWHERE).state == Path("/home/tl1/state/callguard")


def test_callguard_state_lies_over_the_file(tmp_path: Path) -> None:
    assert read('state = "/a"', tmp_path).state == Path("/a")
    assert read('state = "/a"', tmp_path, CALLGUARD_STATE="/b").state == Path("/b")


def test_the_services_file_is_read_by_hand_too_so_that_both_see_the_same_lists(tmp_path: Path) -> None:
    system = tmp_path / "callguard.toml"
    system.write_text("http.port = 1")
    assert load(None, {}, system_file=system).http.port == 1


def test_a_named_file_comes_before_the_variables_and_that_before_the_services(tmp_path: Path) -> None:
    files = [tmp_path / f"{port}.toml" for port in (1, 2, 3)]
    for port, file in enumerate(files, 1):
        file.write_text(f"http.port = {port}")
    environ = {"CALLGUARD_CONFIG": str(files[1])}
    assert load(files[0], environ, system_file=files[2]).http.port == 1
    assert load(None, environ, system_file=files[2]).http.port == 2


def test_an_empty_callguard_config_means_no_file_at_all(tmp_path: Path) -> None:
    system = tmp_path / "callguard.toml"
    system.write_text("http.port = 1")
    assert load(None, {"CALLGUARD_CONFIG": ""}, system_file=system).http == HttpSettings()


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.toml: cannot be read: No such file"):
        load(tmp_path / "missing.toml", {})
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(Path("a\0b"), {})


def test_a_services_file_that_may_not_be_read_is_not_passed_over(tmp_path: Path) -> None:
    link = tmp_path / "callguard.toml"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(None, {}, system_file=link)


def test_an_error_of_syntax_tells_the_line(tmp_path: Path) -> None:
    assert error("[log]\nlevel 5\n", tmp_path).startswith("callguard.toml:2: is not TOML: Expected '='")


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 5000, "'" + "x" * 2_000_000 + "'"])
def test_a_value_beyond_all_measure_is_an_error_of_the_file(value: str, tmp_path: Path) -> None:
    assert error(f"state = {value}", tmp_path).startswith("callguard.toml")


def test_a_file_that_is_not_utf8_tells_the_line(tmp_path: Path) -> None:
    file = tmp_path / "callguard.toml"
    file.write_bytes(b'[asterisk]\nname = "\xff"\n')
    with pytest.raises(ConfigurationError, match=r"callguard\.toml:2: is not UTF-8"):
        load(file, {})


def test_an_unknown_key_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert error("[asterisk]\npasswort = 'x'", tmp_path) == (
        "callguard.toml: asterisk.passwort: unknown key; did you mean password? (allowed: app, name, "
        "password, password_file, rest_over_websocket, timeout, tls_ca, url, username)"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[trunks]]\n[[trunks]]\nname='b'\nring_seconds = 700",
         "trunks[1].ring_seconds: cannot be 700 (allowed: a number from 1 up to 600)"),
        ("http.port = '8742'", 'http.port: cannot be "8742" (allowed: a whole number from 0 below 65536)'),
        ("http.port = 1.5", "http.port: cannot be 1.5 (allowed: a whole number from 0 below 65536)"),
        ("redis.timeout = nan", "redis.timeout: cannot be nan (allowed: a number above 0 up to 10)"),
        ("log.format = 'xml'", 'log.format: cannot be "xml" (allowed: json or console)'),
        ("failure.default = 'maybe'", 'failure.default: cannot be "maybe" (allowed: allow or refuse)'),
        ("failure.by_purpose.x = 'y'",
         'failure.by_purpose.x: cannot be "y" (allowed: a table of purpose = allow or refuse)'),
        ("prompts.answer_before_prompt = 1",
         "prompts.answer_before_prompt: cannot be 1 (allowed: true or false)"),
        ("asterisk = 5", "asterisk: cannot be a number (allowed: a section with the keys"),
        ("trunks = []", "trunks: cannot be a list of 0 (allowed: 1 to 20 tables)"),
        ("asterisk.url = 'pbx:8088'", "asterisk.url: does not begin with http: or https:"),
        ("asterisk.url = 'http://u:p@pbx/ari'", "asterisk.url: has a password in it"),
        ("asterisk.url = 'http://[::1/ari'", "asterisk.url: is not a URL"),
        ("asterisk.app = 'a,b'", "asterisk.app: is not a name"),
        ("redis.url = 'http://x'", "redis.url: does not begin with redis: or rediss: or unix:"),
        ("redis.url = 'redis://h:99999'", "redis.url: is not a URL"),
        ("redis.url = 'redis://h/zero'", "redis.url: has a path that is not the number of a database"),
        ("redis.url = 'redis://h?socket_timeout=0'", "redis.url: has options"),
        ("sql.url = 'mysql://x'", "sql.url: does not begin with sqlite:"),
        ("sql.url = 'sqlite:///here.db'", "sql.url: does not name a file by its whole path"),
        ("sql.url = 'postgresql://h'", "sql.url: names no database"),
        ("sql.url = 'postgresql://h/d?password=x'", "sql.url: has a password in it"),
        ("numbers.region = 'XX'", "numbers.region: is not a region with a numbering plan"),
        ("numbers.emergency = ['112', 'x']", "numbers.emergency[1]: is not a number (allowed: 2"),
        ("numbers.internal = ['1-9']", "numbers.internal[0]: is not an extension"),
        ("http.host = '0.0.0.0'", "prompts.base_url: must be set when http.host is 0.0.0.0"),
        ("redis.timeout = 5", "redis.timeout: is longer than sql.timeout"),
        ('asterisk.name = "a\\nb"', "asterisk.name: has a control character or a line break"),
        (f"asterisk.username = '{'u' * 10_000}'", "asterisk.username: has 10000 characters"),
        ('redis.password_file = "a\\u0000b"', "redis.password_file: has a control character"),
        ("[[trunks]]\n[[trunks]]", "trunks[1].name: another trunk has this name already"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_is_allowed(text: str, told: str, tmp_path: Path) -> None:
    assert error(text, tmp_path).startswith(f"callguard.toml: {told}")


@pytest.mark.parametrize(
    "endpoint",
    [
        "PJSIP/trunk",
        "PJSIP/{number}{number}@trunk",
        "PJSIP/{number}@trunk&PJSIP/0900@trunk",
        "PJSIP/{number}@trunk,30,M(x)",
        "PJSIP/{number}@trunk\\n",
        "PJSIP/{number}@${TRUNK}",
        "PJSIP/{number}@{trunk}",
        "{number}@trunk",
        "PJSIP/{number}@trunk|x",
        "",
    ],
)
def test_an_endpoint_can_dial_one_number_at_one_place_and_nothing_else(endpoint: str, tmp_path: Path) -> None:
    text = f'[[trunks]]\nendpoint = "{endpoint}"'
    assert error(text, tmp_path).startswith("callguard.toml: trunks[0].endpoint: ")


@pytest.mark.parametrize(
    "endpoint",
    ["PJSIP/{number}@trunk", "PJSIP/trunk/sip:{number}@[::1]:5060;user=phone", "DAHDI/g1/{number}"],
)
def test_endpoints_of_every_technology_are_taken(endpoint: str, tmp_path: Path) -> None:
    assert read(f'[[trunks]]\nendpoint = "{endpoint}"', tmp_path).trunks[0].endpoint == endpoint


def test_all_errors_of_a_reading_are_told_at_once(tmp_path: Path) -> None:
    text = "http.port = -1\nlog.level = 'loud'\nnumbers.regio = 'ID'"
    found = errors(text, tmp_path, CALLGUARD_SQL__TIMEOUT="soon", CALLGUARD_STAET="/x")
    assert {(one.where or "").removeprefix(f"{tmp_path}/callguard.toml: ") for one in found} == {
        "http.port", "log.level", "numbers.regio", "CALLGUARD_SQL__TIMEOUT", "CALLGUARD_STAET",
    }  # fmt: skip


def test_thousands_of_errors_are_cut_to_what_can_be_read(tmp_path: Path) -> None:
    found = errors("\n".join(f"key{number} = 1" for number in range(1000)), tmp_path)
    assert len(found) == 21
    assert str(found[-1]) == "and 980 more errors"


def test_variables_lie_over_the_file(tmp_path: Path) -> None:
    found = read(
        "http.port = 1\nhttp.host = 'localhost'",
        tmp_path,
        CALLGUARD_HTTP__PORT="2",
        CALLGUARD_PROMPTS__ANSWER_BEFORE_PROMPT="true",
        CALLGUARD_ASTERISK__PASSWORD="2",
        CALLGUARD_NUMBERS__EMERGENCY='["112"]',
        CALLGUARD_FAILURE__BY_PURPOSE='{"service": "allow"}',
        CALLGUARD_TRUNKS='[{"name": "a"}, {"name": "b", "ring_seconds": 5}]',
    )
    assert found.http == HttpSettings(host="localhost", port=2)
    assert found.prompts.answer_before_prompt
    assert found.asterisk.secret() == "2"
    assert found.numbers.emergency == ("112",)
    assert found.failure.policy().verdict("service") is Verdict.ALLOW
    assert [trunk.name for trunk in found.trunks] == ["a", "b"]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("CALLGUARD_HTTP__PORT", "x", ": cannot be read (allowed: a whole number from 0 below 65536)"),
        ("CALLGUARD_HTTP__PORT", "99999", ": cannot be 99999 (allowed: a whole number"),
        ("CALLGUARD_HTTP__PROT", "1", ": unknown variable; did you mean CALLGUARD_HTTP__PORT? (allowed: "
         "CALLGUARD_HTTP__HOST, CALLGUARD_HTTP__PORT)"),
        ("CALLGUARD_LOG__LEVEL", "loud", ': cannot be "loud" (allowed: debug or info or warning or error)'),
        ("CALLGUARD_TRUNKS", "[", ": cannot be read (allowed: 1 to 20 tables)"),
        ("CALLGUARD_TRUNKS", '[{"nam": 1}]', ": trunks[0].nam: unknown key; did you mean name?"),
        ("CALLGUARD_TRUNKS", "[" * 100_000, ": cannot be read"),
        ("CALLGUARD_ASTERISK__NAME", "\udcff", ": cannot be read (allowed: text"),
        ("CALLGUARD_REDIS__TIMEOUT", "9", ": redis.timeout: is longer than sql.timeout"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_as_the_variable(
    variable: str, value: str, told: str, tmp_path: Path
) -> None:
    assert error("", tmp_path, **{variable: value}).startswith(variable + told)


def test_paths_in_the_file_begin_at_its_folder_and_those_in_variables_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    found = read("asterisk.tls_ca = 'ca.pem'\nstate = '~/x'", tmp_path)
    assert found.asterisk.tls_ca == tmp_path / "ca.pem"
    assert found.state == Path.home() / "x"
    assert read("", tmp_path, CALLGUARD_ASTERISK__TLS_CA="ca.pem").asterisk.tls_ca == here / "ca.pem"


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    found = read("asterisk.password = 'hush'", tmp_path)
    assert "hush" not in f"{found!r} {found} {found.model_dump_json()}"
    for text in ("asterisk.password = 7777", "asterisk.passwords = 'hush7777'", 'redis.password = "7777\\n"'):
        assert "7777" not in "".join(str(one) for one in errors(text, tmp_path))


def test_password_and_password_file_do_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("x")
    told = error("[redis]\npassword = 'x'\npassword_file = 'p'", tmp_path)
    assert told.startswith("callguard.toml: redis.password_file: password and password_file are both set")


def test_a_password_file_is_read_without_its_line_break(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b" a b \r\n")
    assert read("redis.password_file = 'p'", tmp_path).redis.secret() == " a b "


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "does not hold one line of text"),
        (b"a\nb\n", "does not hold one line of text"),
        (b"a\0b", "does not hold one line of text"),
        (b"\xff", "is not UTF-8"),
        (b"x" * 5000, "does not hold one line of text"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_named(
    content: bytes | None, told: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "p").write_bytes(content)
    assert error("sql.password_file = 'p'", tmp_path).startswith(f"callguard.toml: sql.password_file: {told}")


def test_a_password_file_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    password = tmp_path / "p"
    password.write_text("x")
    password.chmod(0o644)
    found = read("ami.password_file = 'p'", tmp_path)
    assert advice(found) == [f"ami.password_file: {password} can be read by everybody: chmod 600"]
    password.chmod(0o640)
    assert advice(found) == []


def test_settings_made_in_code_are_checked_too() -> None:
    with pytest.raises(ValueError, match="does not begin with"):
        RedisSettings(url="http://x")


KEYS = st.sampled_from(
    ["state", "asterisk", "trunks", "redis", "url", "password", "password_file", "timeout", "port", "http",
     "failure", "by_purpose", "endpoint", "numbers", "emergency", "name", "key"]
) | st.text(max_size=5)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def toml(value: object) -> str:
    """Any value as an inline TOML value; what TOML does not have is left as text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else json.dumps(str(value))


def outcome(path: Path | None, environ: dict[str, str]) -> Settings | list[str]:
    try:
        return load(path, environ, system_file=NOWHERE)
    except ConfigurationError as wrong:
        return [str(one) for one in (wrong, *wrong.others)]


def is_settings_or_readable_errors(found: Settings | list[str]) -> bool:
    return isinstance(found, Settings) or all(one.isprintable() and len(one) < 2000 for one in found)


@settings(max_examples=150, deadline=None)
@given(tree=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_toml_gives_settings_or_a_configuration_error(
    tree: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "random.toml"
    lines = [f"{toml(key)} = {toml(value)}" for key, value in tree.items()]
    file.write_text("\n".join(lines), "utf-8", "replace")
    assert is_settings_or_readable_errors(outcome(file, {}))


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_give_settings_or_a_configuration_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.toml"
    file.write_bytes(content)
    assert is_settings_or_readable_errors(outcome(file, {}))


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=10), value=st.text(max_size=30))
def test_any_variable_gives_settings_or_a_configuration_error(name: str, value: str) -> None:
    environ = {f"CALLGUARD_{name}": value, "CALLGUARD_TRUNKS": value}
    assert is_settings_or_readable_errors(outcome(None, environ))


# --- projects, purposes, files of rules ---------------------------------------------------------------------


def test_projects_and_purposes_of_ones_own_are_read(tmp_path: Path) -> None:
    found = read("rules.purposes = ['donation']\nprojects.bank.purpose = 'donation'", tmp_path)
    assert found.projects["bank"].purpose == "donation"


def test_projects_may_come_from_a_variable(tmp_path: Path) -> None:
    found = read("", tmp_path, CALLGUARD_PROJECTS='{"bank": {"purpose": "service"}}')
    assert found.projects["bank"].purpose == "service"


def test_every_purpose_that_nobody_knows_is_told_at_once(tmp_path: Path) -> None:
    text = "defaults.purpose = 'sale'\nprojects.bank.purpose = 'serivce'\nfailure.by_purpose.x = 'allow'"
    told = [str(one).removeprefix(f"{tmp_path}/callguard.toml: ") for one in errors(text, tmp_path)]
    assert [one.partition(" (allowed: appointment, ")[0] for one in told] == [
        "defaults.purpose: sale is no purpose",
        "projects.bank.purpose: serivce is no purpose; did you mean service?",
        "failure.by_purpose.x: x is no purpose",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules.purposes = ['Sale']", "rules.purposes[0]: is no name of a purpose (allowed: 1 to 64 small"),
        ("rules.preset = ['ID']", "rules.preset: unknown key; did you mean presets?"),
        ("rules.presets = 'ID'", "rules.presets: cannot be this text (allowed: a list of texts)"),
        (f"rules.files = {['a'] * 101}", "rules.files: cannot be a list of 101 (allowed: up to 100 files)"),
        ("projects.bank = 5", "projects.bank: cannot be a number (allowed: tables with the keys purpose)"),
        ("projects.bank.purpos = 'x'", "projects.bank.purpos: unknown key; did you mean purpose?"),
        ("projects.bank.purpose = 5", "projects.bank.purpose: cannot be a number (allowed: text of 1 to 64"),
        ("projects.'' = {}", "projects: has a project of 0 characters (allowed: names of 1 to 100)"),
        ("projects.'a b'.x = 1", 'projects."a b".x: unknown key'),
        ('projects."a\\nb" = {}', "projects: has a control character or a line break"),
    ],
)
def test_a_wrong_setting_of_rules_and_projects_is_named(text: str, told: str, tmp_path: Path) -> None:
    assert error(text, tmp_path).startswith(f"callguard.toml: {told}")


def test_a_file_of_rules_begins_at_the_settings_folder_in_a_variable_at_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert read("rules.files = ['own.toml']", tmp_path).rules.files == (tmp_path / "own.toml",)
    found = read("", tmp_path, CALLGUARD_RULES__FILES='["own.toml"]')
    assert found.rules.files == (elsewhere / "own.toml",)
