"""What people can do with calls: start one by hand, end it, say what it came to, look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import PAUSE_WRAP_UP_OVER, Agent, AgentState, Shift
from dialer.agents.own import agent_of, own_agent
from dialer.callbacks import store as callback_store
from dialer.callbacks.making import Asked
from dialer.callbacks.store import CallbackRow
from dialer.calls import call_log, card, dispositions, outcomes, refusals
from dialer.calls.call_log import CallRow, Filter
from dialer.calls.card import Card, shown_number
from dialer.calls.commands import CommandDesk
from dialer.calls.dispositions import Choice, Talk
from dialer.calls.model import CallState, HungUpBy
from dialer.calls.refusals import Refusals
from dialer.clock import utc_now
from dialer.contacts.numbers import number_of
from dialer.db.session import Database
from dialer.db.tables import campaign, lead
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.errors import Invalid, NotAllowed, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from dialer.settings import Settings
from dialer.telemetry import mask_number

#: Attempts of one piece of the CSV file.
CSV_PAGE = 1000

_TIMELINE = (
    "created",
    "sent",
    "ringing",
    "answered",
    "screened",
    "queued",
    "assigned",
    "connected",
    "hung_up",
    "ended",
    "disposed",
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of a call."""

    at: datetime
    #: created, sent, ringing, answered, screened, queued, assigned, connected, hung_up, ended, disposed
    what: str


@dataclass(frozen=True, slots=True)
class CallView:
    """All about one call that the reader may see."""

    call: CallRow
    card: Card
    timeline: Sequence[Moment]
    #: a whole recording that the reader may listen to
    recording: bool
    #: what was promised in it
    callback: CallbackRow | None = None


@dataclass(frozen=True, slots=True)
class Disposed:
    """A call whose disposition was saved."""

    call: CallRow
    #: what was promised in it
    callback: CallbackRow | None = None


class CallService:
    """The calls of a tenant, as people deal with them."""

    def __init__(self, database: Database, desk: CommandDesk, settings: Settings) -> None:
        self._database = database
        self._desk = desk
        self._settings = settings

    # -- looking -----------------------------------------------------------------------------------------

    async def calls(
        self,
        actor: Actor,
        which: Filter,
        *,
        after: tuple[datetime, UUID] | None = None,
        limit: int = 50,
    ) -> list[CallRow]:
        """Calls made and calls that came in, newest first; without the right to read all, those of the
        actor's own talks."""
        async with self._database.tenant(actor.tenant_id) as conn:
            if not actor.may(Right.CALLS_READ):
                which = replace(which, agent_id=(await own_agent(conn, actor)).id)
            rows = await call_log.page(conn, actor.tenant_id, which, after=after, limit=limit)
        return [_shown(actor, row) for row in rows]

    async def get(self, actor: Actor, attempt_id: UUID) -> CallView:
        """All about one attempt or inbound call. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            row, own = await self._readable(conn, actor, attempt_id)
            return await _view(conn, actor, row, own=own)

    async def card(self, actor: Actor) -> Card | None:
        """The card of the agent's present call, of the talk whose disposition is owed, or of the lead that is
        shown; None when there is none. Raises NotFound when the actor is no agent."""
        actor.require(Right.WORK)
        whole, tenant_id = actor.may(Right.CALLS_READ), actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            own = await own_agent(conn, actor)
            shift = await agents.shift_of_agent(conn, tenant_id, own.id)
            if shift is None:
                return None
            attempt_id = shift.attempt_id
            if attempt_id is None and shift.lead_id is not None:
                return await card.of_lead(conn, tenant_id, shift.lead_id, whole=whole)
            if attempt_id is None:
                attempt_id = await agents.owes_disposition(conn, tenant_id, shift.id)
            if attempt_id is None:
                return None
            row = await call_log.find(conn, tenant_id, attempt_id)
            assert row is not None, "a shift's attempt is kept as long as the shift"
            found = await card.of_call(conn, tenant_id, row, whole=whole)
        return replace(found, call=_shown(actor, row))

    async def crm_servers(self, actor: Actor) -> list[str]:
        """The servers of CRMs that the agent's card may show in a frame."""
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await card.crm_servers(conn, actor.tenant_id)

    async def log_file(self, actor: Actor, which: Filter, locale: str) -> AsyncIterator[bytes]:
        """The call log as CSV, oldest first, in pieces. No transaction waits for a slow reader.

        Who may not read calls gets them without names, words and keys, and with masked numbers; and may not
        ask for a number. Raises Forbidden.
        """
        actor.require(Right.CALLS_EXPORT if which.e164 is None else Right.CALLS_READ)
        whole = actor.may(Right.CALLS_READ)
        which = replace(which, until=which.until or utc_now())
        yield call_log.csv_header(locale)
        after: tuple[datetime, UUID] | None = None
        while True:
            async with self._database.tenant(actor.tenant_id) as conn:
                if after is None:
                    await audit.record(conn, actor, "calls.export", "calls")
                rows = await call_log.page(
                    conn, actor.tenant_id, which, after=after, limit=CSV_PAGE, oldest_first=True
                )
            if rows:
                after = rows[-1].created_at, rows[-1].id
                yield call_log.csv_rows(rows if whole else map(call_log.of_nobody, rows), locale)
            if len(rows) < CSV_PAGE:
                return

    def e164(self, written: str) -> str:
        """The number as people write it, in E.164. Raises BadNumber."""
        return number_of(written, self._settings.default_region).e164

    # -- what it came to -----------------------------------------------------------------------------------

    async def dispose(
        self,
        actor: Actor,
        attempt_id: UUID,
        code: str,
        note: str = "",
        callback_at: datetime | None = None,
        *,
        callback_until: datetime | None = None,
        callback_zone: str = "",
        personal: bool = False,
    ) -> Disposed:
        """Save what a talk came to; in wrap-up that ends it and frees the agent.

        With a disposition of the kind callback: the call that was promised, by the clock of the person where
        a time says no other, `personal` by the agent of this talk. May be saved again, which changes it. When
        this returns, it is kept. Raises NotFound, Forbidden, WrongState, Invalid, NotAllowed.
        """
        tenant_id, now = actor.tenant_id, utc_now()
        async with self._database.tenant(tenant_id) as conn:
            talk = await dispositions.lock_talk(conn, tenant_id, attempt_id)
            if talk is None:
                raise NotFound(what="call", key=attempt_id)
            talk.require_own(actor, Right.CALLS_CONTROL)
            if talk.connected_at is None:
                raise WrongState(what="The call", state=talk.state, allowed="connected with an agent")
            choice = _chosen(talk.choices, code)
            _check_callback(choice, callback_at, talk)
            if choice.kind == "do_not_call" and talk.e164:  # first: its lock goes before those of leads
                asked = Refusal(Source.DISPOSITION, reason=choice.label_ru, attempt_id=attempt_id)
                await donotcall.add(conn, tenant_id, [talk.e164], asked, by=actor.user_id, now=now)
            row = await dispositions.write(
                conn, talk, tenant_id, disposition_id=choice.id, note=note, by=actor.user_id, at=now
            )
            said = None
            if callback_at is not None:
                agent_id = talk.agent_id if personal else None
                said = Asked(callback_at, callback_until, callback_zone, agent_id, note=note)
            if talk.lead_id is not None:
                await outcomes.settle_lead(conn, tenant_id, actor.user_id, talk, choice, said, now)
            elif talk.inbound:
                await outcomes.settle_caller(conn, tenant_id, actor.user_id, talk, choice, said, now)
            if talk.has_quotas and row.contact_id is not None:
                await outcomes.count(conn, tenant_id, talk, choice, row.contact_id)
            over = row.state == CallState.ENDED or talk.let_go_at is not None
            if talk.session_id is not None and over:
                await _free(conn, tenant_id, talk.session_id, attempt_id, now)
            if talk.disposition_id is not None:
                await audit.record(
                    conn,
                    actor,
                    "call.dispose_again",
                    f"attempt:{attempt_id}",
                    was=talk.disposition_id,
                    now=choice.id,
                )
            await outcomes.tell(conn, tenant_id, talk, choice)
            shown = _shown(actor, row)
            return Disposed(shown, await _promised(conn, actor.tenant_id, row, shown))

    # -- the line ------------------------------------------------------------------------------------------

    async def hang_up(self, actor: Actor, attempt_id: UUID) -> None:
        """End a call: one's own, or with the right anybody's. Raises NotFound, Forbidden, WrongState,
        AsteriskUnavailable."""
        async with self._database.tenant(actor.tenant_id) as conn:
            talk = await dispositions.lock_talk(conn, actor.tenant_id, attempt_id)
            if talk is None:
                raise NotFound(what="call", key=attempt_id)
            own = talk.require_own(actor, Right.CALLS_CONTROL)
            if talk.hung_up_at is not None:
                raise WrongState(what="The call", state="over", allowed="on the line")
            await audit.record(conn, actor, "call.hang_up", f"attempt:{attempt_id}")
        by = HungUpBy.AGENT if own else HungUpBy.SERVER
        asked = {"attempt_id": str(attempt_id), "by": by}
        await self._desk.ask(actor, "hang_up", asked, campaign_id=talk.campaign_id)

    async def dial_lead(self, actor: Actor, lead_id: int) -> UUID:
        """Dial a lead for the actor's own shift, in a preview or manual campaign; the attempt's id.

        Raises NotFound, WrongState, NotAllowed, NumberBusy, TooManyRequests, AsteriskUnavailable.
        """
        actor.require(Right.CALLS_PLACE)
        async with refusals.noted(self._database, actor, f"lead:{lead_id}"):
            return await self._dial_lead(actor, lead_id)

    async def _dial_lead(self, actor: Actor, lead_id: int) -> UUID:
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            agent, shift = await _free_shift(conn, actor)
            row = (
                await conn.execute(
                    select(lead.c.campaign_id, lead.c.status).where(
                        lead.c.tenant_id == tenant_id, lead.c.id == lead_id
                    )
                )
            ).one_or_none()
            others = row is not None and row.status == "offered" and shift.lead_id != lead_id
            if row is None or others:
                raise NotFound(what="lead to dial", key=lead_id)
            if shift.lead_id not in (None, lead_id):
                raise WrongState(what="The agent", state="shown another lead", allowed="shown this lead")
            await _check_campaign(conn, tenant_id, row.campaign_id, agent, ("preview", "manual"))
            await audit.record(
                conn, actor, "call.dial", f"lead:{lead_id}", campaign=row.campaign_id, shift=str(shift.id)
            )
        return await self._dial(
            actor, "dial_lead", {"campaign_id": row.campaign_id, "lead_id": lead_id}, shift
        )

    async def dial_number(self, actor: Actor, campaign_id: int, number: str) -> UUID:
        """Dial a number typed by hand for the actor's own shift, in a manual campaign; the attempt's id.

        Raises BadNumber and what `dial_lead` raises.
        """
        actor.require(Right.CALLS_PLACE)
        async with refusals.noted(self._database, actor, f"campaign:{campaign_id}", number):
            return await self._dial_number(actor, campaign_id, number)

    async def refusals(self, actor: Actor) -> Sequence[Refusals]:
        """Who tried to dial by hand what may not be dialled, in the last day: the busiest first."""
        actor.require(Right.AUDIT_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await refusals.of_last_day(conn, actor.tenant_id)

    async def _dial_number(self, actor: Actor, campaign_id: int, number: str) -> UUID:
        read = number_of(number, self._settings.default_region)
        async with self._database.tenant(actor.tenant_id) as conn:
            agent, shift = await _free_shift(conn, actor)
            if shift.lead_id is not None:
                raise WrongState(what="The agent", state="shown a lead", allowed="shown none")
            await _check_campaign(conn, actor.tenant_id, campaign_id, agent, ("manual",))
            await audit.record(
                conn,
                actor,
                "call.dial",
                f"campaign:{campaign_id}",
                number=mask_number(read.e164),
                shift=str(shift.id),
            )
        payload = {"campaign_id": campaign_id, "e164": read.e164, "timezones": list(read.timezones)}
        return await self._dial(actor, "dial_number", payload, shift)

    async def _dial(self, actor: Actor, kind: str, payload: dict[str, Any], shift: Shift) -> UUID:
        asked = {**payload, "session_id": str(shift.id), "user_id": actor.user_id}
        reply = await self._desk.ask(actor, kind, asked, campaign_id=payload["campaign_id"])
        return UUID(reply["attempt_id"])

    # -- helpers -------------------------------------------------------------------------------------------

    @staticmethod
    async def _readable(conn: AsyncConnection, actor: Actor, attempt_id: UUID) -> tuple[CallRow, bool]:
        """The attempt, and whether it is the actor's own, if the actor may read it."""
        row = await call_log.find(conn, actor.tenant_id, attempt_id)
        agent = await agent_of(conn, actor)
        own = row is not None and agent is not None and row.agent_id == agent.id
        if not own:
            actor.require(Right.CALLS_READ)
        if row is None:
            raise NotFound(what="call", key=attempt_id)
        return row, own


async def _view(conn: AsyncConnection, actor: Actor, row: CallRow, *, own: bool) -> CallView:
    """All about an attempt that the actor may read."""
    found = await card.of_call(conn, actor.tenant_id, row, whole=actor.may(Right.CALLS_READ))
    shown = _shown(actor, row)
    return CallView(
        call=shown,
        card=replace(found, call=shown),
        timeline=_timeline(row),
        recording=row.recording_status == "whole" and (own or actor.may(Right.RECORDINGS_LISTEN)),
        callback=await _promised(conn, actor.tenant_id, row, shown),
    )


async def _promised(
    conn: AsyncConnection, tenant_id: int, row: CallRow, shown: CallRow
) -> CallbackRow | None:
    """The call that was promised in this one, with the number as it is `shown`."""
    if row.disposition_kind != "callback":
        return None
    made = await callback_store.made_in(conn, tenant_id, row.id)
    return replace(made, e164=shown.e164) if made else None


async def _free_shift(conn: AsyncConnection, actor: Actor) -> tuple[Agent, Shift]:
    """The actor's own agent and shift, when a call may be placed for it. The engine asks the state again."""
    own = await own_agent(conn, actor)
    shift = await agents.shift_of_agent(conn, actor.tenant_id, own.id)
    if shift is None:
        raise WrongState(what="The agent", state="not logged in", allowed="logged in")
    if not shift.phone_up:
        raise WrongState(what="The agent's phone", state="not connected", allowed="connected")
    if await agents.owes_disposition(conn, actor.tenant_id, shift.id) is not None:
        raise WrongState(
            what="The last talk", state="without a disposition", allowed="closed with a disposition"
        )
    shown = shift.state is AgentState.RESERVED and shift.attempt_id is None
    if shift.state not in (AgentState.READY, AgentState.PAUSED) and not shown:
        raise WrongState(what="The agent", state=shift.state, allowed="ready or paused")
    return own, shift


async def _check_campaign(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, agent: Agent, modes: Sequence[str]
) -> None:
    c = campaign.c
    row = (
        await conn.execute(
            select(c.name, c.status, c.mode, c.skill).where(c.tenant_id == tenant_id, c.id == campaign_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(what="campaign", key=campaign_id)
    if row.mode not in modes:
        raise WrongState(what=row.name, state=row.mode, allowed=" or ".join(modes))
    if row.status != "running":
        raise WrongState(what=row.name, state=row.status, allowed="running")
    if row.skill is not None and row.skill not in agent.skills:
        raise NotAllowed(reason=Said("the agent has not the skill {skill}", skill=row.skill))


def _chosen(choices: Sequence[Choice], code: str) -> Choice:
    for choice in choices:
        if choice.code == code:
            return choice
    raise Invalid(
        field="code", reason=Said("must be one of: {expected}", expected=", ".join(c.code for c in choices))
    )


def _check_callback(choice: Choice, callback_at: datetime | None, talk: Talk) -> None:
    if callback_at is None:
        return
    if choice.kind != "callback":
        raise Invalid(field="callback_at", reason="goes only with a disposition of the kind callback")
    if talk.inbound and (talk.contact_id is None or not talk.e164):
        raise Invalid(field="callback_at", reason="there is no number at which the caller could be called")
    if talk.lead_id is None and not talk.inbound:
        raise Invalid(field="callback_at", reason="the number is of nobody whom the campaign has")


async def _free(
    conn: AsyncConnection, tenant_id: int, session_id: UUID, attempt_id: UUID, now: datetime
) -> None:
    """The agent owes nothing for this talk any more."""
    if await agents.release(conn, tenant_id, session_id, attempt_id, now):
        return
    shift = await agents.find_shift(conn, tenant_id, session_id)
    if shift is None or shift.state is not AgentState.PAUSED or shift.pause_code != PAUSE_WRAP_UP_OVER:
        return
    if await agents.owes_disposition(conn, tenant_id, session_id) is not None:
        return  # another, later talk
    await agents.move(
        conn,
        tenant_id,
        session_id,
        shift.next_state or AgentState.READY,
        now,
        leaving=(AgentState.PAUSED,),
        pause_code=shift.next_pause_code if shift.next_state is AgentState.PAUSED else None,
    )


def _shown(actor: Actor, row: CallRow) -> CallRow:
    """The row with its number as the actor may see it."""
    whole = actor.may(Right.CALLS_READ)
    number = shown_number(row.e164, whole=whole, current=row.ended_at is None)
    return replace(row, e164=number, collected=row.collected if whole else None)


def _timeline(row: CallRow) -> list[Moment]:
    """The steps of a call in their order."""
    found = [(getattr(row, f"{what}_at"), what) for what in _TIMELINE]
    known = [Moment(at, what) for at, what in found if at is not None]
    return sorted(known, key=lambda moment: moment.at)
