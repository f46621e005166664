"""`callguard guard`: call control."""

import asyncio
import sys

import click
import uvloop

from callguard.app import run_guard
from callguard.cli import Invocation
from callguard.telemetry import logs

SWITCH_SECONDS = 0.0002
"""How long a thread that wants to run Python waits before it asks for its turn. At 50 calls a second it takes
up to a third off a record's time, at no cost in CPU that could be measured."""


@click.command()
@click.pass_obj
def guard(invocation: Invocation) -> None:
    """Guard the calls of an Asterisk: hold each, check its number, and place or refuse it.

    Runs until SIGTERM or Ctrl-C, which let calls in progress go on; started again, it takes them up. SIGHUP
    and `callguard reload` let it read its settings and rules anew. Asterisk may come and go. Pages for
    health, metrics and prompts are served at http.host and http.port.

    \b
    Example:
      CALLGUARD_ASTERISK__PASSWORD=... callguard guard
      callguard --config /etc/callguard/callguard.toml guard
    """
    settings = invocation.settings
    logs.configure(settings.log.format, settings.log.level)
    # The journal's thread has little to do for each call, and a call waits for it: by default it would be
    # given its turn only when the loop's thread pauses, or after 5 ms.
    sys.setswitchinterval(SWITCH_SECONDS)
    # uvloop takes a third off each round trip to Redis and Asterisk.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_guard(settings, invocation.read))
