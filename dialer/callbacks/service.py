"""What people do with callbacks: an agent with the own ones, a supervisor with everybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.agents.own import own_agent
from dialer.callbacks import making, store
from dialer.callbacks.making import Asked, Plan, Wish
from dialer.callbacks.store import CallbackRow, Which
from dialer.clock import utc_now
from dialer.compliance.filters import Filter
from dialer.contacts import history
from dialer.contacts.history import Kind
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.telemetry import mask_number
from scheduler.callbacks import Away, State, cautious

#: Callbacks of one request.
MOST = 500
#: States as an error names them.
STATES: Final = {
    State.WAITING: "waiting",
    State.DIALLING: "in a call",
    State.DONE: "done already",
    State.MISSED: "missed",
    State.CANCELED: "canceled already",
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a promise before it is made."""

    #: where the person may be
    zones: Sequence[str]
    #: the one by which a time is read where nobody says another
    zone: str
    #: what would become of the time that was asked about; None: none was
    due_at: datetime | None = None
    moved: Filter | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be another way; what is None stays."""

    at: datetime | None = None
    until: datetime | None = None
    zone: str = ""
    agent_id: int | None = None
    #: whoever is free calls
    anyone: bool = False
    away: Away | None = None
    note: str | None = None


class CallbackService:
    """The callbacks of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- looking -------------------------------------------------------------------------------------------

    async def callbacks(
        self,
        actor: Actor,
        which: Which,
        *,
        after: tuple[datetime, int] | None = None,
        limit: int = 50,
    ) -> list[CallbackRow]:
        """Callbacks, by when they are due; without the right to read all calls, the actor's own."""
        async with self._database.tenant(actor.tenant_id) as conn:
            if not actor.may(Right.CALLS_READ):
                own = await own_agent(conn, actor)
                which = replace(which, own=(own.id, actor.user_id or 0))
            rows = await store.page(conn, actor.tenant_id, which, after=after, limit=limit)
        return [_shown(actor, row) for row in rows]

    async def mine(self, actor: Actor, until: datetime, limit: int = 20) -> list[CallbackRow]:
        """What the actor's own agent has to call back before then, and should have; none of another."""
        async with self._database.tenant(actor.tenant_id) as conn:
            own = await own_agent(conn, actor)
            which = Which(agent_id=own.id, states=(State.WAITING, State.DIALLING), until=until)
            rows = await store.page(conn, actor.tenant_id, which, limit=limit)
        return [_shown(actor, row) for row in rows]

    async def get(self, actor: Actor, callback_id: int) -> CallbackRow:
        """One callback. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await store.find(conn, actor.tenant_id, callback_id)
            await _reach(conn, actor, row, Right.CALLS_READ)
        if row is None:
            raise NotFound(what="callback", key=callback_id)
        return _shown(actor, row)

    async def outlook(
        self, actor: Actor, campaign_id: int, contact_id: int, said: Asked | None = None
    ) -> Outlook:
        """Where the person may be, and what would become of a time. Nothing is written. Raises what `make`
        raises."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await _reach_person(conn, actor, contact_id)
            lead = await store.lead_to_be(conn, actor.tenant_id, campaign_id, contact_id)
            if lead is None:
                if (lost := await store.missing(conn, actor.tenant_id, campaign_id, contact_id)) is not None:
                    raise lost
                raise NotFound(what="lead of the person in the campaign", key=campaign_id)
            zones, now = making.zones_of(lead), utc_now()
            zone = cautious(zones, said.at if said and said.at.tzinfo else now)
            if said is None:
                return Outlook(zones, zone)
            planned = await making.plan(conn, actor.tenant_id, lead, making.wish_of(said, zones, now), now)
            return Outlook(zones, planned.zone, planned.due_at, planned.moved)

    async def callers(self, actor: Actor) -> list[tuple[int, str]]:
        """Agents to whom a callback can be given: id and name."""
        if not actor.may(Right.AGENTS_READ):
            actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            return [(one.id, one.name) for one in await people.at_work(conn, actor.tenant_id)]

    # -- making --------------------------------------------------------------------------------------------

    async def make(self, actor: Actor, campaign_id: int, contact_id: int, said: Asked) -> CallbackRow:
        """Promise a person a call for a campaign, in place of one that was promised before. An agent does so
        for the own calls' people, for oneself or for anybody.

        The time is moved to the next that is open (`due_at`, `moved`). Raises NotFound, Forbidden, Invalid,
        NotAllowed, WrongState.
        """
        tenant_id, now = actor.tenant_id, utc_now()
        async with self._database.tenant(tenant_id) as conn:
            await _reach_person(conn, actor, contact_id)
            await _check_agent(conn, actor, said.agent_id)
            lead_id = await store.lead_of(conn, tenant_id, campaign_id, contact_id)
            lead = await store.lock_lead(conn, tenant_id, lead_id) if lead_id is not None else None
            if lead is None:
                if (lost := await store.missing(conn, tenant_id, campaign_id, contact_id)) is not None:
                    raise lost
                raise Invalid(
                    field="contact_id", reason="the person has no number of their own, or is on no list"
                )
            wish = making.wish_of(said, making.zones_of(lead), now)
            planned = await making.plan(conn, tenant_id, lead, wish, now)
            made = await making.write(conn, tenant_id, planned, by=actor.user_id, now=now)
            await audit.record(
                conn,
                actor,
                "callback.make",
                f"callback:{made.id}",
                campaign=campaign_id,
                agent=said.agent_id,
                due_at=made.due_at.isoformat(),
            )
        return _shown(actor, made)

    async def change(self, actor: Actor, callback_id: int, wanted: Change) -> CallbackRow:
        """Move a callback, give it to somebody else, or call one that was missed after all.

        Raises NotFound, Forbidden, Invalid, NotAllowed, WrongState when it is being dialled or over.
        """
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            row = await self._to_change(conn, actor, callback_id)
            await self._change(conn, actor, row, wanted)
            found = await store.find(conn, tenant_id, callback_id)
        assert found is not None
        return _shown(actor, found)

    async def _change(self, conn: AsyncConnection, actor: Actor, row: CallbackRow, wanted: Change) -> None:
        if row.state not in (State.WAITING, State.MISSED):
            raise WrongState(what="The callback", state=STATES[row.state], allowed="waiting or missed")
        agent_id = None if wanted.anyone else wanted.agent_id or row.agent_id
        if agent_id != row.agent_id:
            # An agent may hand the own ones over to whomever they want.
            await _check_agent(conn, actor, agent_id, handing_over=True)
        now, tenant_id = utc_now(), actor.tenant_id
        lead = await store.lock_lead(conn, tenant_id, row.lead_id)
        assert lead is not None
        if row.state is State.MISSED:
            if wanted.at is None:
                raise Invalid(field="at", reason="is missing")
            if await store.open_of_lead(conn, tenant_id, row.lead_id) is not None:
                raise WrongState(what="The person", state="promised another call", allowed="without one")
        zone, away = wanted.zone or row.zone, wanted.away or row.away
        note = row.note if wanted.note is None else wanted.note
        if wanted.at is None:
            wish = Wish(row.from_at, row.until_at, zone, agent_id, away, note)
            planned = Plan(wish, lead, zone, row.due_at, Filter(row.moved) if row.moved else None)
        else:
            said = Asked(wanted.at, wanted.until, zone, agent_id, away, note)
            wish = making.wish_of(said, making.zones_of(lead), now)
            planned = await making.plan(conn, tenant_id, lead, wish, now)
        values = making.values_of(planned)
        if row.state is State.MISSED:  # its row tells from here on what becomes of it anew
            detail = {"callback_id": row.id, "campaign": row.campaign, "reason": row.reason}
            await history.add(
                conn, tenant_id, row.contact_id, Kind.CALLBACK_MISSED, None, detail, at=row.ended_at
            )
        if wanted.at is not None:
            values |= {"state": State.WAITING.value, "tries": 0, "reason": None, "ended_at": None}
        await store.change(conn, tenant_id, row.id, values)
        await store.rest(conn, tenant_id, row.lead_id, planned.due_at)
        await _tell_moved(conn, actor, row, planned)
        await audit.record(
            conn,
            actor,
            "callback.change",
            f"callback:{row.id}",
            agent=[row.agent_id, agent_id],
            due_at=[row.due_at.isoformat(), planned.due_at.isoformat()],
        )

    async def cancel(
        self, actor: Actor, callback_id: int, reason: str, *, close_lead: bool = False
    ) -> CallbackRow:
        """Take a promise back: its lead is dialled like any other again, or never (`close_lead`).

        Raises NotFound, Forbidden, WrongState.
        """
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await self._to_change(conn, actor, callback_id)
            await self._cancel(conn, actor, row, reason, close_lead=close_lead)
            found = await store.find(conn, actor.tenant_id, callback_id)
        assert found is not None
        return _shown(actor, found)

    async def _cancel(
        self, conn: AsyncConnection, actor: Actor, row: CallbackRow, reason: str, *, close_lead: bool
    ) -> None:
        if row.state not in (State.WAITING, State.MISSED):
            raise WrongState(what="The callback", state=STATES[row.state], allowed="waiting or missed")
        ended = {"state": State.CANCELED.value, "reason": reason, "ended_at": utc_now()}
        ended |= {"ended_by": actor.user_id}
        await store.change(conn, actor.tenant_id, row.id, ended)
        if row.state is State.WAITING:
            await store.free_lead(conn, actor.tenant_id, row.lead_id, close=close_lead)
        await audit.record(conn, actor, "callback.cancel", f"callback:{row.id}", reason=reason)

    async def change_many(
        self,
        actor: Actor,
        ids: Sequence[int],
        *,
        agent_id: int | None = None,
        anyone: bool = False,
        by: timedelta | None = None,
        cancel: str | None = None,
    ) -> tuple[int, dict[int, State | None]]:
        """Give many callbacks to an agent or to anybody, move them by a time, or cancel them for a reason: an
        agent has fallen ill. How many were changed; and those that were left, because they are over meanwhile
        or being dialled, or because there is no such callback (None). Raises Forbidden, NotFound of the
        agent, Invalid."""
        actor.require(Right.AGENTS_CONTROL)
        if len(ids) > MOST:
            raise Invalid(field="ids", reason="are too many")
        changed, left = 0, dict[int, State | None]()
        async with self._database.tenant(actor.tenant_id) as conn:
            await _check_agent(conn, actor, agent_id)
            for callback_id in sorted(set(ids)):
                row = await store.lock(conn, actor.tenant_id, callback_id)
                if row is None or row.state is not State.WAITING:
                    left[callback_id] = row.state if row else None
                    continue
                if cancel is not None:
                    await self._cancel(conn, actor, row, cancel, close_lead=False)
                else:
                    await self._change(conn, actor, row, _moved(row, agent_id, by, anyone=anyone))
                changed += 1
        return changed, left

    async def _to_change(self, conn: AsyncConnection, actor: Actor, callback_id: int) -> CallbackRow:
        row = await store.lock(conn, actor.tenant_id, callback_id)
        await _reach(conn, actor, row, Right.AGENTS_CONTROL)
        if row is None:
            raise NotFound(what="callback", key=callback_id)
        return row


def _moved(row: CallbackRow, agent_id: int | None, by: timedelta | None, *, anyone: bool) -> Change:
    at = until = None
    if by is not None:
        at = max(row.from_at + by, utc_now() + timedelta(seconds=1))
        until = row.until_at + by if row.until_at is not None and row.until_at + by > at else None
    return Change(at, until, agent_id=agent_id, anyone=anyone)


async def _tell_moved(conn: AsyncConnection, actor: Actor, row: CallbackRow, planned: Plan) -> None:
    """In the person's history: when and by whom they are to be called now, and before."""
    wish, agent = planned.wish, row.agent
    if wish.agent_id != row.agent_id:
        found = await people.find_agent(conn, actor.tenant_id, wish.agent_id) if wish.agent_id else None
        agent = found.name if found else None
    old, new = (row.from_at, row.until_at, row.agent), (wish.from_at, wish.until_at, agent)
    if old == new:
        return
    moments = [[_iso(one), _iso(other)] for one, other in zip(old[:2], new[:2], strict=True)]
    detail = {"callback_id": row.id, "campaign": row.campaign, "zone": planned.zone}
    detail |= {"from_at": moments[0], "until_at": moments[1], "agent": [row.agent, agent]}
    await history.add(conn, actor.tenant_id, row.contact_id, Kind.CALLBACK_MOVED, actor.user_id, detail)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


async def _reach(conn: AsyncConnection, actor: Actor, row: CallbackRow | None, right: Right) -> None:
    """Raise Forbidden unless the callback is the actor's own or the actor has the right over all."""
    if actor.may(right):
        return
    own = await own_agent(conn, actor)
    made_for_all = row is not None and row.agent_id is None and row.made_by == actor.user_id
    if row is None or not (row.agent_id == own.id or made_for_all):
        actor.require(right)


async def _reach_person(conn: AsyncConnection, actor: Actor, contact_id: int) -> None:
    if actor.may(Right.CONTACTS_READ):
        return
    own = await own_agent(conn, actor)
    if not await store.has_talked_with(conn, actor.tenant_id, own.id, contact_id):
        actor.require(Right.CONTACTS_READ)


async def _check_agent(
    conn: AsyncConnection, actor: Actor, agent_id: int | None, *, handing_over: bool = False
) -> None:
    """Whether the actor may have that agent call: the own one, or with the right anybody."""
    if agent_id is None:
        return
    await making.check_agent(conn, actor.tenant_id, agent_id)
    if handing_over or actor.may(Right.AGENTS_CONTROL):
        return
    if (await own_agent(conn, actor)).id != agent_id:
        actor.require(Right.AGENTS_CONTROL)


def _shown(actor: Actor, row: CallbackRow) -> CallbackRow:
    """The row with its number as the actor may see it."""
    return row if actor.may(Right.CALLS_READ) else replace(row, e164=mask_number(row.e164))
