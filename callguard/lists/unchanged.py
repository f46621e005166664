"""A file that somebody still writes to is not believed."""

import os

from callguard.errors import InputError


class Unchanged:
    """An open file's size and last change, to be compared when it has been read."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._before = self._now()

    def check(self) -> None:
        """Raises InputError if somebody wrote to the file: half of what was read may be of the file before,
        or the rest of it was still on its way."""
        if self._now() != self._before:
            raise InputError(
                "it was changed while it was read", where=self._name, allowed="a file that is complete"
            )

    def _now(self) -> tuple[int, int]:
        state = os.fstat(self._descriptor)
        return state.st_size, state.st_mtime_ns
