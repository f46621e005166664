"""From a StasisStart to call control's Arrival: bounded, printable texts and the channel's own variables."""

import asyncio
from functools import partial

import structlog

from callguard.asterisk import variables
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import ChannelInfo, StasisStarted
from callguard.asterisk.ari.requests import Request
from callguard.control.inbound import INBOUND, InboundArrival
from callguard.control.model import Arrival
from callguard.errors import AsteriskError, NotFound, Rejected
from callguard.screening.model import Mode

LONGEST = 128
"""Characters kept of each text. No number, name of a project or endpoint needs more."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.ari")


def arrival_now(started: StasisStarted) -> Arrival | None:
    """The arrival, where ari.conf's `channelvars` names all that is brought; else None: see arrival()."""
    brought = started.channel.variables
    if all(name in brought for name in variables.BROUGHT):
        return _arrival(started, {name: brought[name] for name in variables.BROUGHT})
    return None


async def ask(client: AriClient, started: StasisStarted) -> tuple[Arrival, str]:
    """The arrival, and why it may be incomplete: an empty text if it is not. See control.model.AskArrival."""
    known = arrival_now(started)
    if known is not None:
        return known, ""
    try:
        return await arrival(client, started), ""
    except AsteriskError as error:
        why = str(error)
    except Exception as error:  # a defect must not cost the call its record
        _log.exception("reading a call's variables failed", channel=started.channel.id)
        why = type(error).__name__
    _log.error("a call's variables cannot be read", channel=started.channel.id, problem=why)
    return _arrival(
        started, {name: started.channel.variables.get(name, "") for name in variables.BROUGHT}
    ), why


def is_inbound(started: StasisStarted) -> bool:
    """Tell whether an inbound call comes by, which asks for nothing."""
    return bool(started.args) and started.args[0].strip() == INBOUND


def inbound_now(client: AriClient, started: StasisStarted) -> InboundArrival | None:
    """What an inbound leg brought, from Stasis(APP,inbound,NUMBER); None for any other leg."""
    if not is_inbound(started):
        return None
    number = bounded(",".join(started.args[1:])).strip()
    return InboundArrival(started.channel.id, number, partial(_project, client, started.channel))


async def _project(client: AriClient, channel: ChannelInfo) -> str | None:
    """See control.inbound.AskProject."""
    told = channel.variables.get(variables.PROJECT)
    try:
        if told is None:
            told = await _variable(client, channel, variables.PROJECT)
            if not told:
                # Of a channel that is gone, too, a variable is not found.
                await client.send([Request("GET", ("channels", channel.id))])
    except AsteriskError as error:
        _log.warning("a call's project cannot be read", channel=channel.id, problem=str(error))
        return None
    return bounded(told).strip()


async def arrival(client: AriClient, started: StasisStarted) -> Arrival:
    """The arrival; a request for each variable that did not come with the channel, side by side.

    Raises AsteriskUnreachable, AsteriskForbidden or Rejected where a variable cannot be had: without the
    project, an opt-out of that project could be overlooked, so the failure policy must decide.
    """
    channel = started.channel
    found = await asyncio.gather(
        *(_variable(client, channel, name) for name in variables.BROUGHT), return_exceptions=True
    )
    values = {}
    for name, value in zip(variables.BROUGHT, found, strict=True):
        if isinstance(value, BaseException):
            raise value
        values[name] = value
    return _arrival(started, values)


async def _variable(client: AriClient, channel: ChannelInfo, name: str) -> str:
    """One variable; empty where it is not set (or the channel is gone, which an event tells)."""
    if name in channel.variables:
        return channel.variables[name]
    wanted = Request("GET", ("channels", channel.id, "variable"), {"variable": name})
    try:
        answers = await client.send([wanted], quick=True)
    except NotFound:
        return ""
    match answers:
        case [{"value": str(value)}]:
            return value
    raise Rejected(f"{wanted}: the answer has no value")


def _arrival(started: StasisStarted, values: dict[str, str]) -> Arrival:
    channel = started.channel
    mode, dialled = _asked(started)
    return Arrival(
        channel=channel.id,
        mode=mode,
        dialled=bounded(dialled),
        endpoint=bounded(_endpoint(channel)),
        caller_number=bounded(channel.caller_number),
        language=bounded(channel.language),
        project=bounded(values[variables.PROJECT]).strip(),
        purpose=bounded(values[variables.PURPOSE]).strip(),
        agent=bounded(values[variables.AGENT]).strip(),
        subject=bounded(values[variables.REFERENCE]).strip(),
    )


def _asked(started: StasisStarted) -> tuple[Mode, str]:
    """The mode and the dialled digits, from Stasis(APP,MODE,DIALLED).

    A mode that is not known gives no digits and mode bridge: so the call is unreadable, which is refused and
    recorded, and callguard itself hangs it up. In mode screen it would go back to a dialplan that is wrong.
    """
    asked = started.args[0].strip() if started.args else ""
    try:
        # Commas in what was dialled are a part of it: it must not become another, shorter number.
        return Mode(asked), ",".join(started.args[1:])
    except ValueError:
        _log.error(
            "a dialplan calls Stasis with an unknown mode: the call is refused",
            channel=started.channel.name,
            args=started.args,
            allowed="Stasis(APP,bridge,NUMBER) or Stasis(APP,screen,NUMBER)",
        )
        return Mode.BRIDGE, ""


def _endpoint(channel: ChannelInfo) -> str:
    """`agent1` of PJSIP/agent1-0000002a."""
    return channel.name.partition("/")[2].rpartition("-")[0]


def bounded(text: str) -> str:
    """At most LONGEST characters, each printable: others become a question mark."""
    text = text[:LONGEST]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
