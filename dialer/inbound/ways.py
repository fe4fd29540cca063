"""The ways of calls through their flows, as rows.

A call goes on while the database is away. What could not be written meanwhile is kept, and written with the
call's next state; of calls that are over, by `Ways.run`, as soon as the database is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Call
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.inbound import store
from dialer.inbound.patience import AGAIN_S
from dialer.surveys import store as surveys
from ivr_flows.model import Passed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """What a step adds to a way."""

    flow: str
    #: the number of its first row among those of the call
    first: int
    #: the states that were left
    passed: tuple[Passed, ...]
    #: where the caller stands then; None: the flow has ended
    now_in: str | None
    at: datetime


@dataclass(slots=True)
class Way:
    """What of a call is still to be written."""

    call: Call
    #: after a talk, of which they say how it was
    survey: bool = False
    pieces: list[Piece] = field(default_factory=list)
    #: what else, in the same transaction
    also: list[Callable[[AsyncConnection], Awaitable[object]]] = field(default_factory=list)
    #: what was asked for by somebody who is gone, in transactions of its own
    errands: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    #: one writes at a time
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Ways:
    """The ways of one engine's callers."""

    database: Database
    #: of calls that were over before all was written
    _late: list[Way] = field(default_factory=list)
    _some: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, way: Way) -> None:
        """Write what is to be written; what cannot be now is left in the way."""
        try:
            await self._write(way)
        except DatabaseUnavailable as error:
            log.warning("flow_step_waits", call=str(way.call.attempt_id), reason=str(error))

    async def end(self, way: Way) -> None:
        """Write the rest, now or when the database is back: nothing more comes of this call."""
        await self.keep(way)
        self.later(way)

    def later(self, way: Way) -> None:
        """Have what is left in the way written when the database is back."""
        if way.pieces or way.also or way.errands:
            self._late.append(way)
            self._some.set()

    async def run(self) -> None:
        """Write what is late, until cancelled."""
        while True:
            await self._some.wait()
            while self._late:
                way = self._late[0]
                try:
                    await self._write(way)
                except DatabaseUnavailable:
                    await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                    continue
                except Exception:  # of one call: the others' are written all the same
                    log.exception("flow_way_lost", call=str(way.call.attempt_id))
                self._late.pop(0)
            self._some.clear()

    async def _write(self, way: Way) -> None:
        """Raises DatabaseUnavailable: what was not written is in the way still."""
        async with way.turn:
            pieces, also = way.pieces[:], way.also[:]
            if pieces or also:
                async with self.database.tenant(way.call.tenant_id) as conn:
                    await self._steps(conn, way, pieces)
                    for work in also:
                        await work(conn)
                del way.pieces[: len(pieces)], way.also[: len(also)]
            while way.errands:
                await way.errands[0]()
                del way.errands[0]

    @staticmethod
    async def _steps(conn: AsyncConnection, way: Way, pieces: Sequence[Piece]) -> None:
        call, collected = way.call, dict[str, Any]()
        for one in pieces:
            about = one.flow, one.first, one.passed, one.now_in, one.at
            await store.stepped(conn, call.tenant_id, call.attempt_id, *about)
            for each in one.passed:
                collected |= each.collected
        if pieces and (now_in := pieces[-1].now_in):
            told = {"call_id": str(call.attempt_id), "flow": pieces[-1].flow, "state": now_in}
            await events.emit(conn, "flow.step", told, tenant_id=call.tenant_id, campaign_id=call.campaign_id)
        if collected:
            await store.tell(conn, call.tenant_id, call.attempt_id, collected)
        if collected and way.survey:
            await surveys.answered(conn, call.tenant_id, call.attempt_id, collected)
