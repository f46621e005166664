"""`callguard exempt`: who may be called although a list speaks against it, and why."""

import importlib
import json
from datetime import UTC, datetime

import click

from callguard.cli import pass_settings
from callguard.cli.lists import expiry, given_purposes, open_lists, tell, who_asks, write
from callguard.cli.log import read_time
from callguard.cli.shown import change_row, print_exemptions, print_history, word_row
from callguard.config import Settings
from callguard.config.rulebook import load_rules
from callguard.errors import InputError
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import NewExemption, check_text
from callguard.lists.store import ListStore
from callguard.screening.model import Exemption, ExemptionKind
from callguard.screening.overrides import why_forbidden

KIND = click.Choice([str(kind) for kind in ExemptionKind])
_ONE_CALL = "24h"
"""How long an override for one call waits for that call, unless it says otherwise."""


class ExemptCommands(click.Group):
    """The group, of which those that read and write files are loaded when used."""

    _ELSEWHERE = ("export", "import")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._ELSEWHERE:
            found = getattr(importlib.import_module("callguard.cli.exemptfiles"), f"{cmd_name}_")
            assert isinstance(found, click.Command)  # noqa: S101
            return found
        return super().get_command(ctx, cmd_name)


@click.group(cls=ExemptCommands)
def exempt() -> None:
    """Exemptions: consent, a purchase or an inquiry, a callback, a supervisor's override.

    What each lets through, and for how long, is said by the rules: see `callguard rules`.

    \b
    Example:
      callguard exempt add 081234567890 --kind consent \\
        --evidence "ticked the box of form 7" --project bank --expires 365d
    """


@exempt.command()
@click.argument("number")
@click.option("--kind", type=KIND, required=True, help="What it is.")
@click.option("--evidence", required=True, help="What it rests on; of an override, the reason.")
@click.option("--reference", default="", help="Where the evidence is found: a recording, a form, a ticket.")
@click.option("--project", help="The project whose calls it covers. Default: the whole company's.")
@click.option("--purposes", metavar="WORDS", help="The purposes that it covers, with commas.")
@click.option("--starts", metavar="TIME", help="When it was given, as for `log --since`. Default: now.")
@click.option("--expires", metavar="WHEN", help="Until when, as for `add --expires`.")
@click.option("--once", is_flag=True, help="An override for one call, within 24 hours or until --expires.")
@click.option("--source", default="command line", show_default=True, help="Where it came in.")
@click.option("--by", metavar="WHO", help="Who gives it. Default: the user of this command.")
@pass_settings
def add(
    settings: Settings,
    *,
    number: str,
    kind: str,
    evidence: str,
    reference: str,
    project: str | None,
    purposes: str | None,
    starts: str | None,
    expires: str | None,
    once: bool,
    source: str,
    by: str | None,
) -> None:
    """Let NUMBER be called, on the evidence of a consent, a purchase, an inquiry, a callback, or an override.

    A consent or a callback beats an opt-out that is older than its start; a purchase or an inquiry never
    does. Without --purposes and --expires, the rules say which calls it covers, and for how long; a callback
    has an end of its own.

    An override is for one call (--once), or for 24 hours at most, and names who answers for it (--by); where
    the rules forbid it, it is not added. In force when the command returns.

    \b
    Example:
      callguard exempt add 081234567890 --kind purchase \\
        --evidence "bought a card" --reference "order 4711" --starts 2026-10-01
      callguard exempt add 081234567890 --kind override --once --by leader \\
        --evidence "the customer waits for this call"
    """
    if kind == ExemptionKind.OVERRIDE and by is None:
        raise InputError("nobody is named", where="by", allowed="--by WHO: who answers for the override")
    now = datetime.now(UTC)
    begins = now if starts is None else read_time(starts, now.astimezone(), where="--starts").astimezone(UTC)
    if expires is None and once:
        expires = _ONE_CALL
    new = NewExemption(
        number=EntryNumbers(settings.numbers).read(number),
        kind=ExemptionKind(kind),
        evidence=evidence,
        added_by=who_asks(by),
        starts_at=begins,
        expires_at=None if expires is None else expiry(expires, max(now, begins)),
        project=project,
        purposes=given_purposes(settings, purposes),
        reference=reference,
        source=source,
        once=once,
    )
    new.check_given(now)
    if new.kind is ExemptionKind.OVERRIDE and (
        why := why_forbidden(load_rules(settings), new.number, project, new.purposes)
    ):
        raise InputError(why, where="kind", allowed="another kind of exemption, or another rule")
    written = write(settings, lambda writer: writer.add_exemption(new))
    tell(written, f"{new.number}: {'added' if written.changed else 'already there'}")


@exempt.command()
@click.argument("number")
@click.option("--kind", type=KIND, help="Only exemptions of this kind.")
@click.option("--project", help='Only exemptions of this project; "" for those of the whole company.')
@click.option("--reason", required=True, help="Why, in a sentence.")
@click.option("--by", metavar="WHO", help="Who ends it. Default: the user of this command.")
@pass_settings
def end(
    settings: Settings, *, number: str, kind: str | None, project: str | None, reason: str, by: str | None
) -> None:
    """End the exemptions of NUMBER: all of them, or those that the options name.

    The history keeps them. A person who wants none of these calls any more is to be put on the list, too: see
    `callguard add`.

    \b
    Example:
      callguard exempt end 081234567890 --kind consent \\
        --reason "withdrawn by phone"
    """
    target = EntryNumbers(settings.numbers).read(number)
    who = who_asks(by)
    check_text("reason", reason, required=True)
    wanted = None if kind is None else ExemptionKind(kind)
    written = write(
        settings,
        lambda writer: writer.end_exemptions(target, by=who, why=reason, project=project, kind=wanted),
    )
    tell(written, f"{target}: {'ended' if written.changed else 'no such exemption'}")


@exempt.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@pass_settings
def show(settings: Settings, *, number: str, as_json: bool) -> None:
    """Show the exemptions of NUMBER, and every change they have seen.

    `callguard exempt export` has those of all numbers.

    \b
    Example:
      callguard exempt show 081234567890
    """
    target = EntryNumbers(settings.numbers).read(number)
    with open_lists(settings) as engine:
        store = ListStore(engine)
        hits = store.lookup(target)
        history = [change for change in store.history(target) if isinstance(change.word, Exemption)]
    if as_json:
        found = {
            "number": target,
            "position": hits.position,
            "exemptions": [word_row(exemption) for exemption in hits.exemptions],
            "history": [change_row(change) for change in history],
        }
        click.echo(json.dumps(found))
        return
    if not hits.exemptions:
        click.echo(f"{target}: no exemption{' now' if history else ', and never had one'}")
    print_exemptions(target, hits.exemptions)
    print_history(history)
