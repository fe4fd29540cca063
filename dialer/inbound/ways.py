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
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Call
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.inbound import store
from dialer.inbound.patience import AGAIN_S
from dialer.surveys import store as surveys
from ivr_flows.model import Passed, Step

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

    @classmethod
    def of(cls, flow: str, step: Step, first: int, at: datetime) -> Piece:
        """What a step in this flow adds from that row on."""
        now_in = None if step.position.ended else step.position.state
        return cls(flow, first, step.passed, now_in, at)

    @property
    def states(self) -> list[str]:
        """Of its rows."""
        return [*(each.state for each in self.passed), *([self.now_in] if self.now_in else [])]

    @property
    def stands(self) -> tuple[str, str] | None:
        """Flow and state of the last row, while the caller is there."""
        return (self.flow, self.now_in) if self.now_in else None


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
    #: one writes at a time, until the commit
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, conn: AsyncConnection) -> int:
        """Write the pieces in the transaction of who has the `turn`: so many, to be deleted at its commit."""
        call, pieces = self.call, self.pieces[:]
        await write(conn, call.tenant_id, call.attempt_id, call.campaign_id, pieces, survey=self.survey)
        return len(pieces)


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
            also = way.also[:]
            if way.pieces or also:
                async with self.database.tenant(way.call.tenant_id) as conn:
                    written = await way.write(conn)
                    for work in also:
                        await work(conn)
                del way.pieces[:written], way.also[: len(also)]
            while way.errands:
                await way.errands[0]()
                del way.errands[0]


async def write(
    conn: AsyncConnection,
    tenant_id: int,
    call_id: UUID,
    campaign_id: int,
    pieces: Sequence[Piece],
    *,
    survey: bool = False,
) -> None:
    """Write pieces of a call's way. `survey`: what the caller gave are answers about a talk."""
    collected = dict[str, Any]()
    for one in pieces:
        about = one.flow, one.first, one.passed, one.now_in, one.at
        await store.stepped(conn, tenant_id, call_id, *about)
        for each in one.passed:
            collected |= each.collected
    if pieces and (now_in := pieces[-1].now_in):
        told = {"call_id": str(call_id), "flow": pieces[-1].flow, "state": now_in}
        await events.emit(conn, "flow.step", told, tenant_id=tenant_id, campaign_id=campaign_id)
    if collected:
        await store.tell(conn, tenant_id, call_id, collected)
    if collected and survey:
        await surveys.answered(conn, tenant_id, call_id, collected)
