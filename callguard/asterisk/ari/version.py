"""Which Asterisk this is, and what follows from it. Pure.

The versions named here are those of Asterisk's own change logs, issues (#1928 and so on, of
github.com/asterisk/asterisk) and security advisories (GHSA).
"""

import re
from dataclasses import dataclass

OLDEST_MAJOR = 16

_NUMBERS = re.compile(r"(?:^|[^\d.])(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")
_LONGEST = 200

# From these on; a major version above the last one always has it, one between that is not named never.
_REST_OVER_WEBSOCKET = ((20, 14, 0), (21, 9, 0), (22, 4, 0), (23, 0, 0))
_PROMPT_COMMANDS = ((18, 25, 0), (20, 10, 0), (21, 5, 0), (22, 0, 0))
_READ_ONLY_KEPT = ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1))
_DEADLOCKS = ((20, 19), (22, 9), (23, 3))


@dataclass(frozen=True, slots=True)
class Version:
    """A version of Asterisk. `numbers` is None where the text has none, as for a build of its own."""

    text: str
    numbers: tuple[int, int, int] | None

    def _since(self, firsts: tuple[tuple[int, int, int], ...]) -> bool:
        if self.numbers is None:
            return False
        for first in firsts:
            if first[0] == self.numbers[0]:
                return self.numbers >= first
        return self.numbers[0] > firsts[-1][0]

    @property
    def rest_over_websocket(self) -> bool:
        """Requests can be sent over the websocket of the events."""
        return self._since(_REST_OVER_WEBSOCKET)

    @property
    def commands_may_lag(self) -> bool:
        """A leg that idles in Stasis notices a command only at its next 200 ms tick (#362, #801)."""
        return self.numbers is not None and not self._since(_PROMPT_COMMANDS)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an administrator should know about this version; empty when all is well."""
        if self.numbers is None:
            return (f"version {self.text!r} cannot be read; it is used without REST over websocket",)
        found = []
        if self.numbers[0] < OLDEST_MAJOR:
            found.append(f"older than {OLDEST_MAJOR}, the oldest that callguard is made for")
        if self.numbers[:2] in _DEADLOCKS:
            found.append("known deadlocks (#1928, #1962): upgrade")
        if self.commands_may_lag:
            found.append("commands may wait up to 200 ms for an idle channel (#362, #801)")
        if self.rest_over_websocket and not self._since(_READ_ONLY_KEPT):
            found.append("a read-only ARI user may write over the websocket (GHSA-wcvv-g26m-wx5c): upgrade")
        return tuple(found)


def parse_version(text: str) -> Version:
    """Read `system.version` of GET /asterisk/info: `22.10.1`, `18.9-cert4`, `GIT-master-...`.

    Never raises: what has no numbers is a Version without them.
    """
    shown = "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
    found = _NUMBERS.search(shown)
    numbers = (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
    return Version(shown, numbers)
