"""How long to wait before the next attempt."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Waits that double from `first` to `longest` seconds, each shortened at random by up to half.

    The chance keeps several guards from knocking at a restarted Asterisk at the same moment.
    """

    first: float
    longest: float
    _next: float = 0.0

    def next(self) -> float:
        """The seconds to wait now."""
        ceiling = self._next or self.first
        self._next = min(ceiling * 2, self.longest)
        return min(ceiling, self.longest) * random.uniform(0.5, 1.0)  # noqa: S311 - spreading, no secret

    def reset(self) -> None:
        self._next = 0.0
