"""Numbers to dial in tests: each new, its last two digits telling the carrier how to behave.

See tests/system/scenarios/carrier.xml.
"""

import itertools
import secrets
from enum import StrEnum


class Behaviour(StrEnum):
    """What the carrier does, as the last two digits dialled."""

    BUSY = "86"
    UNKNOWN = "04"
    ABSENT = "80"
    CONGESTED = "03"
    DECLINES = "60"
    RINGS = "88"
    """180, and then nothing until CANCEL or a cue."""
    EARLY_MEDIA = "83"
    """183 with SDP, and then nothing until CANCEL or a cue."""
    LEAVES = "05"
    """Answers, and hangs up by itself soon."""
    ANSWERS = "00"
    """Answers, and talks until BYE or a cue."""


_serial = itertools.count(secrets.randbelow(900_000))


def subscriber(behaviour: Behaviour = Behaviour.ANSWERS) -> str:
    """The national digits, without trunk 0, of an Indonesian mobile number that no other test dials."""
    return f"812{next(_serial) % 1_000_000:06}{behaviour.value}"
