"""The API of calls, made and come in: look, dial by hand, hang up, say what a talk came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.callbacks.http import CallbackOut, Time
from dialer.calls.about_http import AboutOut
from dialer.calls.call_log import CallRow, Filter
from dialer.calls.card import Card
from dialer.calls.model import Direction
from dialer.calls.service import CallService, CallView, Disposed
from dialer.clock import utc_now
from dialer.errors import (
    ActionTimeout,
    AsteriskUnavailable,
    BadNumber,
    NotAllowed,
    NotAllowedYet,
    NotFound,
    NumberBusy,
    TooManyRequests,
    WrongState,
)
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out

CALLS = web.AppKey("calls", CallService)
routes = Routes("calls")

Result = Literal[
    "answered", "busy", "no_answer", "invalid", "congestion", "declined", "machine", "abandoned",
    "caller_hung_up", "failed", "canceled", "unknown", "contained", "left", "voicemail", "callback",
    "transferred",
]  # fmt: skip


class DispositionOut(Out):
    """What a talk came to."""

    code: str
    kind: str
    label_ru: str
    label_en: str
    note: str
    at: datetime
    by: int | None = Field(description="user who saved it")


class CallOut(Out):
    """One attempt to reach a number, or one call that came in."""

    id: str = Field(description="of an attempt also its channel's id in Asterisk")
    direction: Direction
    campaign_id: int
    campaign: str
    list_id: int | None
    lead_id: int | None = Field(description="null: typed by hand")
    contact_id: int | None
    name: str = Field(description="of the person; empty: not known")
    number: str = Field(
        description="who was called, or has called: E.164; masked for an agent; empty: withheld"
    )
    trunk_id: int = Field(description="0: it came in")
    trunk: str | None = Field(description="null: it came in")
    caller_id: str = Field(description="the number of ours that was shown, or was called")
    mode: str = Field(description="inbound: it came in")
    policy: str = Field(description="the rules it was made under; empty: it came in")
    clicked_by: int | None = Field(description="preview and manual: the user who started it")
    state: str
    result: Result | None = Field(description="null: not decided yet")
    cause: int | None = Field(description="Q.850")
    sip_code: int | None
    detail: str | None
    machine_status: str | None
    machine_cause: str | None
    agent_id: int | None
    agent: str | None
    hung_up_by: Literal["customer", "agent", "server"] | None
    created_at: datetime
    sent_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    connected_at: datetime | None
    held_at: datetime | None = Field(description="the customer is on hold since then")
    hold_s: float = Field(
        description="of the talk: how long the customer was on hold, but for the present hold"
    )
    muted: bool = Field(description="the customer does not hear the agent")
    hung_up_at: datetime | None
    ended_at: datetime | None
    talk_s: float | None
    join_ms: float | None = Field(description="agent chosen to both in one bridge")
    answer_to_agent_ms: float | None = Field(description="answer to both in one bridge")
    disposition: DispositionOut | None
    recording: Literal["writing", "whole", "lost"] | None
    recording_paused: bool = Field(description="nothing is written of what is said now")
    queue: str | None = Field(
        description="led by a flow, or called back in turn: where the person waited, the last time"
    )
    queued_at: datetime | None
    wait_s: float | None = Field(description="of that wait; null also while it lasts")
    reason: str | None = Field(description="why they called, as the flow or the agent has it")
    collected: dict[str, Any] | None = Field(
        description="led by a flow: what was pressed, by name; null: nothing, or you are an agent"
    )

    @classmethod
    def of(cls, row: CallRow) -> Self:
        """The reply of an attempt."""
        plain = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        disposition = None
        if row.disposition_code is not None:
            disposition = DispositionOut.model_validate(
                {
                    "code": row.disposition_code,
                    "kind": row.disposition_kind,
                    "label_ru": row.disposition_ru,
                    "label_en": row.disposition_en,
                    "note": row.disposition_note or "",
                    "at": row.disposed_at,
                    "by": row.disposed_by,
                }
            )
        made = {
            "id": str(row.id),
            "name": " ".join(filter(None, (row.last_name, row.first_name, row.middle_name))),
            "number": row.e164,
            "disposition": disposition,
            "recording": row.recording_status,
        }
        return cls.model_validate(plain | made)


class CardPhoneOut(Out):
    """A number of the person."""

    number: str = Field(description="masked for an agent")
    kind: str


class PersonOut(Out):
    """Who is called."""

    id: int
    list_ids: list[int] = Field(description="the lists that have them")
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None
    custom: dict[str, str]
    phones: list[CardPhoneOut]


class EarlierOut(Out):
    """An earlier call to or from the person, or the number."""

    attempt_id: UUID = Field(description="the call, as /calls has it")
    direction: Direction
    at: datetime
    result: Result | None
    agent: str | None
    disposition_ru: str | None
    disposition_en: str | None
    note: str | None
    reason: str | None = Field(description="inbound: why they called")


class ChoiceOut(Out):
    """A disposition to choose from."""

    id: int
    code: str
    label_ru: str
    label_en: str
    kind: str


class CardOut(Out):
    """What an agent sees of a call, or of a lead that is shown."""

    campaign_id: int
    campaign: str
    number: str = Field(description="masked for an agent")
    lead_id: int | None
    person: PersonOut | None = Field(description="null: a number that no list has")
    earlier: list[EarlierOut] = Field(description="newest first")
    choices: list[ChoiceOut] = Field(description="what the talk may come to")
    call: CallOut | None = Field(description="null: nothing is dialled yet")
    crm_url: str | None = Field(description="the person in the campaign's CRM; null: it names none")
    about: AboutOut | None = Field(description="null: nobody knows who it is")

    @classmethod
    def of(cls, card: Card) -> Self:
        """The reply of a card."""
        return cls(
            campaign_id=card.campaign_id,
            campaign=card.campaign,
            number=card.number,
            lead_id=card.lead_id,
            person=PersonOut.model_validate(card.person) if card.person else None,
            earlier=[EarlierOut.model_validate(one) for one in card.earlier],
            choices=[ChoiceOut.model_validate(one) for one in card.choices],
            call=CallOut.of(card.call) if card.call else None,
            crm_url=card.crm.url if card.crm else None,
            about=AboutOut.model_validate(card.about) if card.about else None,
        )


class MomentOut(Out):
    """A step of a call."""

    at: datetime
    what: str


class CallDetailsOut(CallOut):
    """All about one attempt."""

    card: CardOut
    timeline: list[MomentOut]
    recording_url: str | None = Field(description="null: none that the reader may listen to")
    callback: CallbackOut | None = Field(description="the call that was promised in it")

    @classmethod
    def of_view(cls, view: CallView) -> Self:
        """The reply of one attempt."""
        url = f"/api/v1/calls/{view.call.id}/recording" if view.recording else None
        return cls(
            **dict(CallOut.of(view.call)),
            card=CardOut.of(view.card),
            timeline=[MomentOut.model_validate(one) for one in view.timeline],
            recording_url=url,
            callback=CallbackOut.of(view.callback, utc_now()) if view.callback else None,
        )


class DisposedOut(CallOut):
    """A call whose disposition was saved."""

    callback: CallbackOut | None = Field(description="the call that was promised in it")

    @classmethod
    def of_saved(cls, saved: Disposed) -> Self:
        """The reply of it."""
        made = saved.callback
        return cls(**dict(CallOut.of(saved.call)), callback=CallbackOut.of(made, utc_now()) if made else None)


class CardReplyOut(Out):
    """The card of the moment."""

    card: CardOut | None = Field(description="null: no call and no lead")


class AttemptOut(Out):
    """A call that was placed."""

    attempt_id: UUID


class DialIn(In):
    """A number to be dialled by hand."""

    campaign_id: int = Field(ge=1, le=MAX_ID)
    number: str = Field(min_length=1, max_length=50, description="written in any way")


class DispositionIn(In):
    """What a talk came to."""

    code: str = Field(min_length=1, max_length=50, description="one of the campaign's dispositions")
    note: str = Field(default="", max_length=2000)
    callback_at: Time | None = Field(
        default=None,
        description="with a disposition of the kind callback: when the person wants it; without an offset by "
        "the clock of `callback_zone`",
    )
    callback_until: Time | None = Field(
        default=None, description="the end of the window that the person named; null: at that moment"
    )
    callback_zone: Line = Field(default="", max_length=64, description="IANA name; empty: the person's")
    callback_personal: bool = Field(
        default=False, description="the agent of this talk calls back; else any agent"
    )


class LogQuery(In):
    """Which calls."""

    campaign: int | None = Field(None, ge=1, le=MAX_ID)
    agent: int | None = Field(None, ge=1, le=MAX_ID)
    result: Result | None = None
    direction: Direction | None = None
    queue: str | None = Field(
        None, min_length=1, max_length=100, description="that waited in the queue of this name, the last time"
    )
    from_: Moment | None = Field(None, alias="from", description="made at this moment or later")
    until: Moment | None = Field(None, description="made before this moment")
    number: str | None = Field(None, min_length=1, max_length=50, description="exactly this number")


class CallsQuery(LogQuery, PageQuery):
    """Which calls, by pages."""


def log_filter(call: Call, query: LogQuery) -> Filter:
    """Which calls a query names. Raises BadNumber."""
    return Filter(
        campaign_id=query.campaign,
        agent_id=query.agent,
        result=query.result,
        direction=query.direction,
        queue=query.queue,
        since=query.from_,
        until=query.until,
        e164=call.app[CALLS].e164(query.number) if query.number is not None else None,
    )


@routes.get("/calls", errors=(BadNumber, NotFound))
async def list_(call: Call, query: CallsQuery) -> Page[CallOut]:
    """Calls made and calls that came in, newest first. An agent sees those of the own talks."""
    after = decode(query.cursor, datetime, UUID)
    rows = await call.app[CALLS].calls(
        call.actor,
        log_filter(call, query),
        after=(after[0], after[1]) if after else None,
        limit=query.limit + 1,
    )
    page, following = cut(rows, query.limit, lambda row: (row.created_at, row.id))
    return Page[CallOut](items=[CallOut.of(row) for row in page], next=following)


@routes.get("/calls.csv", right=Right.CALLS_EXPORT, raw="text/csv", errors=(BadNumber,))
async def log_file(call: Call, query: LogQuery) -> web.StreamResponse:
    """The call log as CSV, oldest first; its header is in the reader's language. An analyst gets no names.

    For who has not the right calls_read numbers are masked, names, notes and pressed keys are empty, and
    `number` is refused.
    """
    if query.number is not None:
        call.actor.require(Right.CALLS_READ)
    which = log_filter(call, query)
    reply = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="calls.csv"',
            "Cache-Control": "no-store",
        }
    )
    await reply.prepare(call.request)
    async for piece in call.app[CALLS].log_file(call.actor, which, call.locale):
        await reply.write(piece)
    await reply.write_eof()
    return reply


@routes.post(
    "/calls",
    right=Right.CALLS_PLACE,
    status=201,
    errors=(
        BadNumber,
        NotAllowed,
        NotAllowedYet,
        NotFound,
        NumberBusy,
        TooManyRequests,
        WrongState,
        AsteriskUnavailable,
    ),
)
async def dial(call: Call, body: DialIn) -> AttemptOut:
    """Dial a number by hand, for the caller's own shift, in a manual campaign."""
    made = await call.app[CALLS].dial_number(call.actor, body.campaign_id, body.number)
    return AttemptOut(attempt_id=made)


@routes.post(
    "/leads/{lead_id}/dial",
    right=Right.CALLS_PLACE,
    status=201,
    errors=(NotAllowed, NotAllowedYet, NumberBusy, TooManyRequests, WrongState, AsteriskUnavailable),
)
async def dial_lead(call: Call, lead_id: int) -> AttemptOut:
    """Dial a lead, for the caller's own shift, in a preview or manual campaign."""
    return AttemptOut(attempt_id=await call.app[CALLS].dial_lead(call.actor, lead_id))


@routes.get("/calls/{attempt_id}")
async def get(call: Call, attempt_id: UUID) -> CallDetailsOut:
    """All about one call: its steps, who was called or has called, what it came to."""
    return CallDetailsOut.of_view(await call.app[CALLS].get(call.actor, attempt_id))


@routes.post("/calls/{attempt_id}/hangup", errors=(WrongState, AsteriskUnavailable, ActionTimeout))
async def hang_up(call: Call, attempt_id: UUID) -> None:
    """End a call: an agent the own one, a supervisor anybody's."""
    await call.app[CALLS].hang_up(call.actor, attempt_id)


@routes.put("/calls/{attempt_id}/disposition", errors=(NotAllowed, WrongState))
async def dispose(call: Call, attempt_id: UUID, body: DispositionIn) -> DisposedOut:
    """Save what a talk came to. In wrap-up that ends it; saved again, it is changed.

    A call that was promised is in the reply (`callback`): a time out of hours is moved to the next that is
    open, and says so.
    """
    saved = await call.app[CALLS].dispose(
        call.actor,
        attempt_id,
        body.code,
        body.note,
        body.callback_at,
        callback_until=body.callback_until,
        callback_zone=body.callback_zone,
        personal=body.callback_personal,
    )
    return DisposedOut.of_saved(saved)


@routes.get("/agents/me/card", right=Right.WORK, errors=(NotFound,))
async def my_card(call: Call) -> CardReplyOut:
    """Who is on the caller's line, whose disposition is owed, or which lead is shown."""
    card = await call.app[CALLS].card(call.actor)
    return CardReplyOut(card=CardOut.of(card) if card else None)
