"""The windows for calling back, as exemptions of the lists."""

import asyncio

from callguard.control.inbound import SOURCE, OpenWindow, Window, plan
from callguard.lists.model import NewExemption
from callguard.lists.store import ListStore
from callguard.lists.writer import ListWriter
from callguard.screening.model import ExemptionKind

_WHO = "callguard"


class CallbackWriter:
    """The CallbackWindows port over one database and one Redis."""

    def __init__(self, store: ListStore, writer: ListWriter) -> None:
        self._store = store
        self._writer = writer

    async def write(self, window: Window) -> None:
        """See control.ports.CallbackWindows. What Redis cannot take now, the guards notice in SQL."""
        hits = await asyncio.to_thread(self._store.lookup, window.number)
        wanted = plan(window, hits)
        why = window.evidence if isinstance(window, OpenWindow) else window.why
        if isinstance(window, OpenWindow) and wanted.add:
            # First, so that there is no moment without one.
            await self._writer.add_exemption(
                NewExemption(
                    number=window.number,
                    kind=ExemptionKind.CALLBACK,
                    evidence=window.evidence,
                    added_by=_WHO,
                    starts_at=window.starts_at,
                    expires_at=window.expires_at,
                    project=window.project,
                    reference=window.reference,
                    source=SOURCE,
                )
            )
        if wanted.end:
            await self._writer.end_exemptions(window.number, by=_WHO, why=why, ids=wanted.end)
