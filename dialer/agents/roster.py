"""Who is logged in, in the memory of one process: what a note names is read again, and the rest is not.

An engine looks at all shifts at each change of one. Each change is told by a note (`events.wake`), which
names the shift where it is one shift's; a note without a name stands for all, and so does a lost connection.
What is known is as old as the last note: whoever acts on it does so by an UPDATE that names what it takes
the shift for (`store.move`), and says `changed` when it has, or was wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from dialer.agents import store
from dialer.agents.model import Shift
from dialer.db.session import Database

#: All are read again when they have not been for so long, seconds, whatever was said.
WHOLE_EVERY_S: Final = 1.0


@dataclass(slots=True)
class _Known:
    """The open shifts of one tenant."""

    #: longest idle first
    shifts: list[Shift] = field(default_factory=list)
    #: those of which was said that they have changed since they were read; None: all of them
    stale: set[UUID] | None = None
    #: when all were read last, monotonic seconds
    whole_s: float = 0.0
    #: one reads at a time: of two answers the one that comes last may be the older
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Roster:
    """The open shifts of all tenants of an engine."""

    database: Database
    _known: dict[int, _Known] = field(default_factory=dict)

    def changed(self, tenant_id: int, shift_id: UUID | None = None) -> None:
        """A shift has begun, has ended or was changed; None: any may have been."""
        known = self._known.setdefault(tenant_id, _Known())
        if shift_id is None:
            known.stale = None
        elif known.stale is not None:
            known.stale.add(shift_id)

    async def shifts(self, tenant_id: int) -> Sequence[Shift]:
        """Every shift that has not been logged out, longest idle first: not to be changed. Raises
        DatabaseUnavailable."""
        known = self._known.setdefault(tenant_id, _Known())
        async with known.reading:
            now_s = time.monotonic()
            stale = known.stale if now_s - known.whole_s < WHOLE_EVERY_S else None
            if stale is None or stale:
                known.stale = set()  # what is said from here on may not be in the answer
                try:
                    known.shifts = await self._read(tenant_id, known.shifts, stale)
                except BaseException:
                    known.stale = None
                    raise
                if stale is None:
                    known.whole_s = now_s
        return known.shifts

    async def _read(self, tenant_id: int, before: Sequence[Shift], stale: set[UUID] | None) -> list[Shift]:
        async with self.database.tenant(tenant_id) as conn:
            if stale is None:
                return await store.open_shifts(conn, tenant_id)
            read = await store.open_shifts_of(conn, tenant_id, stale)
        kept = [shift for shift in before if shift.id not in stale]
        return sorted(kept + read, key=lambda shift: shift.idle_since)
