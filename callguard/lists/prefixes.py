"""Which of many numbers begin with some digits, by their values. Pure.

This module imports numpy: imports of files and scrubs may use it, the guard must not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from callguard.lists.packing import Numbers
from callguard.screening.patterns import LONGEST_NUMBER


class Prefixes:
    """Numbers that begin with one of some digits."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        ranges = sorted(
            (int(prefix) * 10**more, (int(prefix) + 1) * 10**more)
            for prefix in prefixes
            for more in range(LONGEST_NUMBER - len(prefix) + 1)
        )
        bounds: list[int] = []
        for start, stop in ranges:
            if bounds and start <= bounds[-1]:
                bounds[-1] = max(bounds[-1], stop)
            else:
                bounds += [start, stop]
        self._bounds = np.array(bounds, np.uint64)

    def of(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Tell which of the numbers begin so."""
        within: NDArray[np.bool_] = np.searchsorted(self._bounds, numbers, side="right") % 2 == 1
        return within

    def count(self, rising: Numbers) -> int:
        """How many of rising numbers begin so."""
        places = np.searchsorted(rising, self._bounds)
        return int((places[1::2] - places[::2]).sum())
