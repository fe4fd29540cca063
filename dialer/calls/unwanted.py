"""Takes back calls that nobody has answered yet, when somebody says that their number is not to be called.

An entry that was committed before the attempt has kept it from being made (see `placing`). This is for one
that comes later: whoever adds it wakes every engine, and each looks at the calls of its own. What is answered
goes on: the person is on the line.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from dialer.calls.model import DO_NOT_CALL
from dialer.calls.placing import Placer
from dialer.calls.table import CallTable, Line
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

AGAIN_S = 0.5


@dataclass(slots=True)
class Unwanted:
    """The looks at the calls of one engine."""

    database: Database
    calls: CallTable
    placer: Placer
    _tenants: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.placer.refused_meanwhile = self._tenants.put_nowait

    def look(self, tenant_id: int) -> None:
        """Entries of the tenant have come, or may have."""
        self.placer.refusals_heard += 1  # a call whose attempt is being committed now is looked at after that
        self._tenants.put_nowait(tenant_id)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            tenant_id = await self._tenants.get()
            try:
                await self._take_back(tenant_id)
            except DatabaseUnavailable as error:
                log.warning("unwanted_waits", reason=str(error))
                await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                self._tenants.put_nowait(tenant_id)

    async def _take_back(self, tenant_id: int) -> None:
        campaigns: dict[int, list[Line]] = {}
        for line in self.calls:
            call = line.call
            if (
                call.tenant_id == tenant_id
                and call.answered_at is None
                and not (call.result or call.canceled)
            ):
                campaigns.setdefault(call.campaign_id, []).append(line)
        if not campaigns:
            return
        unwanted = []
        async with self.database.tenant(tenant_id) as conn:
            for campaign_id, lines in campaigns.items():
                numbers = [line.e164 for line in lines]
                found = await donotcall.covering(conn, tenant_id, numbers, campaign_id, utc_now())
                unwanted += [line.call.attempt_id for line in lines if line.e164 in found]
        if unwanted:
            log.info("calls_not_to_be_made", attempts=[str(attempt_id) for attempt_id in unwanted])
            self.placer.take_back(unwanted, DO_NOT_CALL)
