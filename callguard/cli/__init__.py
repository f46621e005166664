"""The command line: one module a command group, each imported only when its command is used.

Exit codes, for every command: 0 done or allow, 2 wrong usage or input, 3 refuse, 4 a service cannot be
reached, 130 stopped by Ctrl-C; `cache verify` has 1 for differences. An error is a line on standard error; a
traceback is a defect of callguard.

A new command is a click command in a module of this package and a line in COMMANDS. Its help ends in an
example. It gets at the settings by @pass_settings, and raises InputError and ServiceError as they come.
"""

import functools
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, NoReturn, ParamSpec, TypeVar

import click

from callguard import __version__
from callguard.errors import ConfigurationError, InputError, ServiceError

if TYPE_CHECKING:
    from callguard.config import Settings

P = ParamSpec("P")
R = TypeVar("R")

EXIT_DIFFERENT = 1
OWN_PROCESS = object()
"""The context's object where the program was started, rather than run within a test."""
_BULK_NICENESS = 10

EXIT_INPUT = 2
EXIT_REFUSE = 3
EXIT_SERVICE = 4
EXIT_INTERRUPTED = 130

COMMANDS = {
    "add": ("callguard.cli.lists:add", "Put a number on an internal list."),
    "cache": ("callguard.cli.cache:cache", "The lists in Redis: compare them with SQL, build them anew."),
    "check": ("callguard.cli.check:check", "Say whether a number may be called, and why, without a call."),
    "doctor": ("callguard.cli.doctor:doctor", "Look at everything that callguard rests on; say what to do."),
    "exempt": ("callguard.cli.exempt:exempt", "Who may be called all the same: consent, override and so on."),
    "guard": ("callguard.cli.guard:guard", "Guard the calls of an Asterisk, until SIGTERM or Ctrl-C."),
    "list": ("callguard.cli.list:list_", "Registry lists: create, import, show, roll back, drop."),
    "log": ("callguard.cli.log:log", "Show the journal of decisions, newest first."),
    "reload": ("callguard.cli.reload:reload", "Let the running guard read its settings and rules anew."),
    "remove": ("callguard.cli.lists:remove", "Take a number off an internal list."),
    "rules": ("callguard.cli.rules:rules", "Show the rules in force, or what binds one number."),
    "scrub": ("callguard.cli.scrub:scrub", "Check a dialer's lead file before it is loaded."),
    "show": ("callguard.cli.lists:show", "Show what the lists hold about a number."),
}
"""Command -> (module:attribute, its line in `callguard --help`). The line is here, so that help and the start
of any command import nothing else."""


class Invocation:
    """One run of the program: where its settings come from. They are read when first asked for, so that
    `--help` works whatever the settings are."""

    def __init__(self, config: Path | None, *, own_process: bool = False) -> None:
        self.config = config
        """What --config named."""
        self.own_process = own_process
        """Whether the process is the program's own, and ends with it."""

    @functools.cached_property
    def settings(self) -> "Settings":
        """The settings. Raises ConfigurationError."""
        return self.read()

    def read(self) -> "Settings":
        """The settings as they are now. Raises ConfigurationError."""
        from callguard.config import load  # noqa: PLC0415 - pydantic is slow to import, help does without

        return load(self.config, os.environ)


def pass_settings(command: Callable[Concatenate["Settings", P], R]) -> Callable[P, R]:
    """Give a command the settings as its first argument."""

    @functools.wraps(command)
    def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
        invocation = click.get_current_context().find_object(Invocation)
        assert invocation is not None, "commands run below the group `callguard`"  # noqa: S101
        return command(invocation.settings, *args, **kwargs)

    return with_settings


def in_bulk(command: Callable[P, R]) -> Callable[P, R]:
    """Let calls go first: a command that works long and hard takes what Asterisk and the guard leave it."""

    @functools.wraps(command)
    def at_low_priority(*args: P.args, **kwargs: P.kwargs) -> R:
        invocation = click.get_current_context().find_object(Invocation)
        if invocation is not None and invocation.own_process:
            os.nice(_BULK_NICENESS)
        return command(*args, **kwargs)

    return at_low_priority


class CommandLine(click.Group):
    """The group of all commands, which imports them when needed and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            _fail(ctx, EXIT_INPUT, error, *error.others)
        except InputError as error:
            _fail(ctx, EXIT_INPUT, error)
        except ServiceError as error:
            _fail(ctx, EXIT_SERVICE, error)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(EXIT_INTERRUPTED)


def one_line(text: str) -> str:
    """The text with everything that could move the cursor or start a line written as an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _fail(ctx: click.Context, code: int, *errors: Exception) -> NoReturn:
    for error in errors:
        click.echo(f"callguard: {one_line(str(error))}", err=True)
    ctx.exit(code)


@click.command(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The settings. Default: $CALLGUARD_CONFIG, else /etc/callguard/callguard.toml if there is one.",
)
@click.version_option(__version__, prog_name="callguard", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """The Do-Not-Call guard for Asterisk contact centres.

    \b
    Example:
      callguard add +6281234567890 --reason "asked by phone"
      callguard check 081234567890
    """
    ctx.obj = Invocation(config, own_process=ctx.obj is OWN_PROCESS)
