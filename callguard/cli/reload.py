"""`callguard reload`: changed settings and rules, taken up by the running guard."""

import asyncio

import click

from callguard.cli import EXIT_INPUT, EXIT_SERVICE, one_line, pass_settings
from callguard.config import Settings
from callguard.errors import ServiceError
from callguard.guardsocket import ask, socket_path


@click.command()
@pass_settings
def reload(settings: Settings) -> None:
    """Let the running guard read its settings and rules anew, without touching a call.

    What is new holds for the calls from then on: rules, failure policy, defaults, projects, prompts,
    refusals, numbers, trunks. What waits for a restart is named. Where a file cannot be used, everything
    stays as it is.

    Exit code 0: the new rules are in force; 2: a file cannot be used; 4: no guard answers.

    \b
    Example:
      callguard reload
      systemctl reload callguard     # the same, of the service
    """
    match asyncio.run(ask(socket_path(settings), "reload")):
        case {"rules": str(rules), "before": str(before), "restart": list(restart)}:
            click.echo(one_line(f"rules {rules} in force" + (", as before" if rules == before else "")))
            if restart:
                click.echo(one_line(f"changed, but waiting for a restart: {', '.join(map(str, restart))}"))
        case {"errors": list(errors), "input": bool(is_input), "rules": str(rules)}:
            for error in errors:
                click.echo(one_line(f"callguard: {error}"), err=True)
            click.echo(one_line(f"callguard: not reloaded, rules {rules} stay in force"), err=True)
            click.get_current_context().exit(EXIT_INPUT if is_input else EXIT_SERVICE)
        case _:
            raise ServiceError("guard", "its answer is not understood", remedy="is it of this version?")
