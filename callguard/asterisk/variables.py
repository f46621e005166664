"""Every channel-variable name that callguard and the dialplan share. Part of the outside contract."""

# Brought by the channel.
PROJECT = "CALLGUARD_PROJECT"
PURPOSE = "CALLGUARD_PURPOSE"
AGENT = "CALLGUARD_AGENT"
REFERENCE = "CALLGUARD_REFERENCE"
"""What the call is about: a debt, a ticket, an order."""

BROUGHT = (PROJECT, PURPOSE, AGENT, REFERENCE)

DIAL_STATUS = "DIALSTATUS"
"""Asterisk's own: how the dialplan's Dial ended, more exactly than its events tell."""

CHANNELVARS = (*BROUGHT, DIAL_STATUS)
"""What ari.conf's `channelvars` should name, so that each arrives with its channel, at no cost."""

# Set by callguard.
VERDICT = "CALLGUARD_VERDICT"
"""`allow` or `refuse`: the only thing that the dialplan trusts."""
REASON = "CALLGUARD_REASON"
NUMBER = "CALLGUARD_NUMBER"
"""The number to dial, in the trunk's format."""
DECISION = "CALLGUARD_DECISION"
"""The id of the decision in the journal."""
CAUSE = "CALLGUARD_CAUSE"
"""Of a refused call: the Q.850 cause to hang up with, should the dialplan have to."""

USERFIELD = "CDR(userfield)"
"""Where a CDR names the decision. A dialplan function: it cannot be set along with others by ARRAY()."""
