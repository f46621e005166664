"""Agents whose contexts set hostile things before they ask the guard."""

from tests.rig.asterisk import Agent

BROUGHT = {
    "name-not-utf8": "CALLERID(name)=${URIDECODE(%FF%FE%22bad)}",
    "number-not-utf8": "CALLERID(num)=${URIDECODE(%FF%22%0A1)}",
    "project-not-utf8": "CALLGUARD_PROJECT=${URIDECODE(%FF%FEbank)}",
    "project-of-several-lines": "CALLGUARD_PROJECT=${URIDECODE(bank%0D%0A%22%27%2C%5C%00)}",
    "purpose-like-a-command": "CALLGUARD_PURPOSE=${URIDECODE(x%0D%0AAction: Originate%0D%0A)}",
    "agent-without-end": f"CALLGUARD_AGENT={'y' * 4000}",
}
"""Agent -> what is set. (A line of Asterisk's dialplan holds no more than some 8 KB.)"""

HOSTILE_AGENTS = tuple(Agent(name, f"hostile-{name}", "190") for name in BROUGHT)

HOSTILE_DIALPLAN = "".join(
    f"[hostile-{name}]\nexten => _X.,1,Set({brought})\n same => n,Goto(callguard-bridge,${{EXTEN}},1)\n"
    for name, brought in BROUGHT.items()
)
