"""`callguard doctor`: what callguard rests on, and what to do about it."""

import asyncio
import json
from dataclasses import asdict

import click

from callguard.cli import EXIT_INPUT, EXIT_SERVICE, Invocation, one_line
from callguard.config import Settings
from callguard.doctor import Doctor, Finding, State
from callguard.errors import ConfigurationError

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.SKIPPED: "cyan"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.pass_obj
def doctor(invocation: Invocation, as_json: bool) -> None:
    """Look at everything that callguard rests on, and say what to do.

    Exit code 0: all is well, but for warnings; 2: the settings are wrong; 4: a check failed.

    \b
    Example:
      callguard doctor
      callguard --config /etc/callguard/callguard.toml doctor --json
    """
    try:
        settings = invocation.settings
    except ConfigurationError as error:
        findings = [Finding("settings", State.FAILED, str(one)) for one in (error, *error.others)]
        for finding in findings:
            _show(finding, as_json)
        code = EXIT_INPUT
    else:
        findings = asyncio.run(_examined(settings, as_json))
        code = EXIT_SERVICE if any(finding.state is State.FAILED for finding in findings) else 0
    if as_json:
        checks = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"ok": code == 0, "checks": checks}, indent=2))
    click.get_current_context().exit(code)


async def _examined(settings: Settings, as_json: bool) -> list[Finding]:
    findings = []
    async for finding in Doctor(settings).examine():
        _show(finding, as_json)
        findings.append(finding)
    return findings


def _show(finding: Finding, as_json: bool) -> None:
    if as_json:
        return
    state = click.style(f"{finding.state:<8}", fg=_COLOURS[finding.state])
    click.echo(f"{state} {finding.check:<12} {one_line(finding.told)}")
    if finding.remedy:
        click.echo(f"{'':<21} -> {one_line(finding.remedy)}")
