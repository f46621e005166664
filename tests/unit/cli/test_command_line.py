"""The frame of all commands: what they leave on the terminal and as exit code."""

import os
import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import callguard.cli
from callguard.cli import COMMANDS, cli, pass_settings
from callguard.cli.internal import export_internal, import_internal
from callguard.config import Settings
from callguard.errors import ConfigurationError, InputError, SqlError

FAILURES: dict[str, BaseException] = {
    "input": InputError("not a number\nINJECTED \x1b[2J", where="number", allowed="digits"),
    "settings": ConfigurationError("first", where="a", others=(ConfigurationError("second", where="b"),)),
    "service": SqlError("no connection", remedy="start PostgreSQL"),
    "interrupt": KeyboardInterrupt(),
    "defect": ZeroDivisionError("a defect"),
}


@click.command()
@click.argument("how")
def fail(how: str) -> None:
    """Fail.

    Example: fail input
    """
    raise FAILURES[how]


@click.command()
@pass_settings
def port(settings: Settings) -> None:
    """Show a setting.

    Example: port
    """
    click.echo(settings.http.port)


@pytest.fixture(autouse=True)
def _commands(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"fail": (f"{__name__}:fail", "Fail."), "port": (f"{__name__}:port", "Show a setting.")}
    monkeypatch.setattr(callguard.cli, "COMMANDS", COMMANDS | ours)


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner(env={"CALLGUARD_CONFIG": "", **environ}).invoke(cli, arguments)


def test_wrong_input_is_one_line_and_exit_code_2_and_its_escapes_do_not_reach_the_terminal() -> None:
    result = run("fail", "input")
    assert result.exit_code == 2
    assert result.stderr == "callguard: number: not a number\\nINJECTED \\x1b[2J (allowed: digits)\n"
    assert result.stdout == ""


def test_wrong_settings_are_a_line_each_and_exit_code_2() -> None:
    result = run("fail", "settings")
    assert (result.exit_code, result.stderr) == (2, "callguard: a: first\ncallguard: b: second\n")


def test_a_service_that_cannot_be_reached_is_exit_code_4_with_what_to_do() -> None:
    result = run("fail", "service")
    assert result.exit_code == 4
    assert result.stderr == "callguard: SQL: no connection (start PostgreSQL)\n"


def test_ctrl_c_is_exit_code_130_and_nothing_else() -> None:
    result = run("fail", "interrupt")
    assert (result.exit_code, result.output) == (130, "")


def test_a_defect_is_not_taken_for_a_wrong_input() -> None:
    assert isinstance(run("fail", "defect").exception, ZeroDivisionError)


@pytest.mark.parametrize("arguments", [["nonsense"], ["fail"], ["fail", "--nonsense", "x"], ["--nonsense"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_file_that_is_not_there_is_named_and_exit_code_2(tmp_path: Path) -> None:
    result = run("--config", str(tmp_path / "missing.toml"), "port")
    assert result.exit_code == 2
    assert "missing.toml: cannot be read: No such file" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_settings_come_from_the_file_and_the_variables(tmp_path: Path) -> None:
    file = tmp_path / "callguard.toml"
    file.write_text("http.port = 17")
    assert run("--config", str(file), "port").stdout == "17\n"
    assert run("port", CALLGUARD_CONFIG=str(file)).stdout == "17\n"
    assert run("port", CALLGUARD_CONFIG=str(file), CALLGUARD_HTTP__PORT="18").stdout == "18\n"


def test_help_is_shown_whatever_the_settings_are(tmp_path: Path) -> None:
    result = run("--config", str(tmp_path / "missing.toml"), "port", "--help")
    assert (result.exit_code, "Show a setting." in result.output) == (0, True)


def test_help_names_every_command_with_what_it_does() -> None:
    result = run("--help")
    assert all(
        name in result.output and told.split()[0] in result.output for name, (_, told) in COMMANDS.items()
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_and_ends_with_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"callguard {name}" in result.output


def _commands_below(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        with click.Context(command) as ctx:
            for name in command.list_commands(ctx):
                below = command.get_command(ctx, name)
                assert below is not None
                yield from _commands_below(below)


def test_no_example_is_wider_than_a_terminal() -> None:
    helps = [cleandoc(one.help or "") for one in (*_commands_below(cli), import_internal, export_internal)]
    lines = [line for text in helps for line in text.partition("Example")[2].splitlines()]
    assert len(lines) > 30
    assert [line for line in lines if len(line) > 78] == []  # click indents them by two


def test_the_real_program_keeps_to_the_exit_codes() -> None:
    environ = {**os.environ, "CALLGUARD_CONFIG": "", "CALLGUARD_HTTP__PORT": "x"}
    done = subprocess.run(
        [sys.executable, "-m", "callguard", "check", "112"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("callguard: CALLGUARD_HTTP__PORT: cannot be read")
    assert "Traceback" not in done.stderr
    version = subprocess.run(
        [sys.executable, "-m", "callguard", "--version"], capture_output=True, text=True, check=False
    )
    assert (version.returncode, version.stdout) == (0, f"callguard {callguard.__version__}\n")


def test_help_imports_neither_settings_nor_services() -> None:
    program = (
        "import sys; from callguard.cli import cli; cli.main(['--help'], standalone_mode=False);"
        "print({'pydantic', 'asyncio', 'sqlalchemy', 'redis', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("set()\n")
