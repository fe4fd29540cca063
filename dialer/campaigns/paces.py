"""The predictive campaigns of one engine: who of them is ready to be paced, and what each is told.

A campaign is taken up beside the event loop: numpy is imported in a thread the first time, the campaign's
past is read and gone through in a thread; until then it is paced one call an agent. What happens meanwhile
is kept and told afterwards, so nothing is missed and nothing counts twice.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias

import structlog

from dialer.agents.model import Shift
from dialer.calls.model import Call
from dialer.calls.placing import Teller
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.campaigns import pace_store
from dialer.campaigns.pace import Basis, Pace, traits_of_lead
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.pacing.answering import Traits
from dialer.trunks.model import Trunk
from scheduler import hopper

log = structlog.get_logger(__name__)

#: Between two tries while the database is away.
AGAIN_S: Final = 0.5
#: The past is read when the journal has written it, which it has within so long, or it is tried again.
WRITTEN_WITHIN_S: Final = 5.0
#: The next leads are looked at again when fewer are left than may be dialled at once, not more often than ...
LOOK_EVERY_S: Final = 1.0
#: ... and at the latest after so long: the hour changes, others dial from the list too.
LOOK_AGAIN_S: Final = 30.0
#: Leads that are looked at.
MOST_LEADS: Final = 100
#: The rule, which brings numpy.
_RULE: Final = "dialer.pacing.lookahead"

_Key: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class _Loading:
    """A campaign that is being taken up."""

    terms: CallTerms
    #: what happened to its calls since
    changes: list[tuple[Call, Traits]] = field(default_factory=list)


@dataclass(slots=True)
class Paces:
    """What the predictive campaigns of one engine have learned. `run` until cancelled."""

    database: Database
    calls: CallTable
    #: waits until all that has happened stands in the database
    written: Callable[[], Awaitable[None]]
    settled: pace_store.Settled
    #: told when a campaign is ready
    ready: Callable[[], None] = lambda: None
    _paces: dict[_Key, Pace] = field(default_factory=dict)
    _loading: dict[_Key, _Loading] = field(default_factory=dict)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    def of(self, terms: CallTerms) -> Pace | None:
        """What the campaign has learned; None while it is being taken up."""
        key, basis = (terms.tenant_id, terms.campaign_id), Basis.of(terms)
        found = self._paces.get(key)
        if found is not None and found.basis == basis:
            return found
        loading = self._loading.get(key)
        if loading is None or Basis.of(loading.terms) != basis:
            self._paces.pop(key, None)
            self._loading[key] = _Loading(terms)
            self._asked.set()
        return None

    def drop(self, tenant_id: int, campaign_id: int) -> None:
        """The campaign was stopped, or another server paces it: what is known of it grows old."""
        self._paces.pop((tenant_id, campaign_id), None)
        self._loading.pop((tenant_id, campaign_id), None)

    def shifts_read(self, tenant_id: int, shifts: Sequence[Shift]) -> None:
        """The tenant's shifts have been read."""
        of_tenant = [pace for key, pace in self._paces.items() if key[0] == tenant_id]
        if of_tenant:
            by_id = {shift.id: shift for shift in shifts}
            for pace in of_tenant:
                pace.shifts_read(by_id)

    def _changed(self, line: Line, change: Change) -> None:
        key = (line.terms.tenant_id, line.terms.campaign_id)
        if line.terms.mode.by_hand or line.call.inbound:
            return
        if (loading := self._loading.get(key)) is not None:
            loading.changes.append((change.after, line.traits))
        elif (pace := self._paces.get(key)) is not None:
            pace.changed(change.after, line.traits)

    # -- leads ---------------------------------------------------------------------------------------------

    @staticmethod
    def teller(pace: Pace, terms: CallTerms) -> Teller:
        """Says how likely a target answers, for who places its call."""
        several = len(terms.trunks) > 1

        def told(target: Target, trunk: Trunk, now: datetime) -> Target:
            if target.lead is None:
                return target
            of = traits_of_lead(target.lead, now, trunk.id if several else None)
            return replace(target, traits=of, answer_probability=pace.chance(of))

        return told

    async def look_ahead(self, pace: Pace, terms: CallTerms, agents: int, trunks: Sequence[Trunk]) -> None:
        """Look at the leads that come next, where too few of them are known, or other trunks than then would
        have their calls: `trunks`, in the order in which they are likely to be tried."""
        now_s = time.monotonic()
        since_s, over = now_s - pace.looked_s, [trunk.id for trunk in trunks]
        enough = len(pace.next_leads) >= max(agents, 1) and over == pace.looked_over
        if since_s < LOOK_EVERY_S or (enough and since_s < LOOK_AGAIN_S):
            return
        now, wanted = utc_now(), min(2 * agents + 10, MOST_LEADS)
        async with self.database.tenant(terms.tenant_id) as conn:
            leads = await hopper.peek(
                conn, terms.tenant_id, terms.campaign_id, wanted, now, mixed=terms.mixed
            )
        pace.looked_s, pace.looked_over = now_s, over
        pace.next_leads = [
            pace.chance(traits_of_lead(lead, now, _trunk_of(lead.e164, trunks))) for lead in leads
        ]

    # -- taking up -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take campaigns up as they are asked for, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            for key, loading in list(self._loading.items()):
                try:
                    await self._take_up(key, loading)
                except DatabaseUnavailable as error:
                    log.warning("pace_waits", campaign=key[1], reason=str(error))
                    await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                    self._asked.set()

    async def _take_up(self, key: _Key, loading: _Loading) -> None:
        terms, began_s = loading.terms, time.monotonic()
        # In a thread: it takes a fifth of a second, in which calls are answered.
        await asyncio.to_thread(importlib.import_module, _RULE)
        try:
            async with asyncio.timeout(WRITTEN_WITHIN_S):
                await self.written()
        except TimeoutError:
            raise DatabaseUnavailable(reason="what has happened is not written yet") from None
        async with self.database.tenant(terms.tenant_id) as conn:
            past = await pace_store.past(conn, terms, utc_now(), self.settled)
        pace = Pace(Basis.of(terms))
        await asyncio.to_thread(pace.recall, past)
        if self._loading.get(key) is not loading:
            return  # dropped, or asked for with other terms
        del self._loading[key]
        pace.catch_up(loading.changes, self.calls.lines.keys())
        self._paces[key] = pace
        self._know_calls(pace, key)
        took_s = round(time.monotonic() - began_s, 3)
        log.info("campaign_taken_up", campaign=key[1], calls=len(past.calls), took_s=took_s)
        self.ready()

    def _know_calls(self, pace: Pace, key: _Key) -> None:
        """Calls on the lines that an earlier owner has dialled have chances too."""
        for line in self.calls:
            if (line.terms.tenant_id, line.terms.campaign_id) == key and line.answer_probability is None:
                line.answer_probability = pace.chance(line.traits) if line.traits else None


def _trunk_of(e164: str, trunks: Sequence[Trunk]) -> int | None:
    """The trunk that a call to the number is likely to go over, where there are several."""
    return next((trunk.id for trunk in trunks if trunk.allows(e164)), None) if len(trunks) > 1 else None
