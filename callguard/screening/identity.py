"""What names a decision: its id, for machines, and its reference, for people.

The id is the layout of ULID (github.com/ulid/spec) in lower case: 48 bits of milliseconds since 1970 and 80
random bits, in Crockford's base 32, which has no i, l, o and u. So ids sort by time, need no counter that
guards would have to share, and go as they are into the id of a channel or a bridge.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

ID_LENGTH = 26
REFERENCE_DIGITS = 7

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def decision_id(at: datetime, bits: int) -> str:
    """The id of a decision of that instant (aware) with these 80 random bits: 26 characters [0-9a-z].

    Raises ValueError for bits or an instant that do not fit: before 1970, or more than 80 bits.
    """
    milliseconds = (at - _EPOCH) // _MILLISECOND
    if not (0 <= milliseconds < 1 << 48 and 0 <= bits < 1 << _RANDOM_BITS):
        raise ValueError("a decision id has 48 bits of milliseconds since 1970 and 80 random bits")
    value = milliseconds << _RANDOM_BITS | bits
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(5 * ID_LENGTH - 5, -1, -5))


def reference(number: int) -> str:
    """The seven digits that stand for a number from 0 to 9,999,999."""
    return f"{number:0{REFERENCE_DIGITS}}"


class Identities:
    """Makes ids and references.

    Within one millisecond ids still grow, so that the order of ids is the order in which this process
    decided; a clock that is set back makes ids of its new time.
    """

    def __init__(
        self,
        randbits: Callable[[int], int] = secrets.randbits,
        randbelow: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._randbits = randbits
        self._randbelow = randbelow
        self._millisecond = -1
        self._bits = 0

    def decision_id(self, at: datetime) -> str:
        """A new id for a decision of that instant: give the `at` of its facts, the journal rests on it."""
        millisecond = (at - _EPOCH) // _MILLISECOND
        following = self._bits + 1
        if millisecond != self._millisecond or following >= 1 << _RANDOM_BITS:
            following = self._randbits(_RANDOM_BITS)
        self._millisecond = millisecond
        self._bits = following
        return decision_id(at, following)

    def reference(self) -> str:
        """A new reference. Not unique: with the day and the agent it is enough to find a decision."""
        return reference(self._randbelow(10**REFERENCE_DIGITS))
