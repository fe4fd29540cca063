"""Callbacks over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from aiohttp import web
from pydantic import AfterValidator, Field, model_validator

from dialer.callbacks.making import Asked
from dialer.callbacks.service import MOST, CallbackService, Change, Outlook
from dialer.callbacks.store import CallbackRow, Which
from dialer.clock import utc_now
from dialer.errors import Invalid, NotAllowed, NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out, near
from scheduler.callbacks import Away, Stage, State

CALLBACKS = web.AppKey("callbacks", CallbackService)
routes = Routes("callbacks")

Id = Annotated[int, Field(ge=1, le=MAX_ID)]
#: A moment, or a reading of a clock.
Time = Annotated[datetime, AfterValidator(near)]
_AT = "a moment, or a time without an offset: by the clock of `zone`"


class CallbackOut(Out):
    """A call that somebody was promised."""

    id: int
    campaign_id: int
    campaign: str
    lead_id: int
    contact_id: int
    name: str = Field(description="of the person; empty: not known")
    number: str = Field(description="E.164; masked for an agent")
    agent_id: int | None = Field(description="who has promised it; null: any agent calls")
    agent: str | None
    agent_gone: bool = Field(description="that agent works here no more: give the call to somebody else")
    from_at: datetime = Field(description="when it was promised for, or the beginning of the window")
    until_at: datetime | None = Field(description="end of the window; null: it is for that moment")
    zone: str = Field(description="in whose clock it was promised")
    due_at: datetime = Field(description="it is dialled from here on")
    moved: str | None = Field(description="the filter that has put it off: hours, limits, ...; null: none")
    open_at: datetime | None = Field(description="from here on any agent may have it; null: its own alone")
    away: Away = Field(description="what happens when its agent is not there")
    note: str
    state: State
    stage: Stage = Field(description="the state, and of one that waits: due or late")
    tries: int
    reason: str | None = Field(description="of the end: a result, do_not_call, or what a person wrote")
    made_in: UUID | None = Field(description="the call in which it was promised; null: by hand")
    made_by: int | None = Field(description="the user; null: the server")
    made_at: datetime
    ended_at: datetime | None
    attempt_id: UUID | None = Field(description="the latest attempt at it")

    @classmethod
    def of(cls, row: CallbackRow, now: datetime) -> Self:
        """The reply of a callback."""
        plain = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(plain | {"number": row.e164, "stage": row.stage(now)})


class CallbacksQuery(PageQuery):
    """Which callbacks."""

    campaign: int | None = Field(None, ge=1, le=MAX_ID)
    agent: int | None = Field(None, ge=1, le=MAX_ID)
    anyone: bool = Field(False, description="only those of no agent in particular")
    contact: int | None = Field(None, ge=1, le=MAX_ID)
    state: State | None = None
    from_: Moment | None = Field(None, alias="from", description="due at this moment or later")
    until: Moment | None = Field(None, description="due before this moment")


class WhenIn(In):
    """When, and who calls."""

    at: Time = Field(description=f"when to call, or the beginning of the window: {_AT}")
    until: Time | None = Field(None, description="the end of the window; null: at that moment")
    zone: Line = Field("", max_length=64, description="IANA name; empty: the person's")
    agent_id: Id | None = Field(None, description="who calls; null: any agent")
    away: Away | None = Field(None, description="when that agent is not there; null: as the campaign says")
    note: str = Field("", max_length=2000)

    def asked(self) -> Asked:
        """As the service takes it."""
        return Asked(self.at, self.until, self.zone, self.agent_id, self.away, self.note)


class CallbackIn(WhenIn):
    """A call that is promised."""

    campaign_id: Id
    contact_id: Id


class CallbackEdit(In):
    """What is to be another way; what is left out stays."""

    at: Time | None = Field(None, description=_AT)
    until: Time | None = Field(None, description="goes with `at`")
    zone: Line = Field("", max_length=64)
    agent_id: Id | None = None
    anyone: bool = Field(False, description="any agent calls")
    away: Away | None = None
    note: str | None = Field(None, max_length=2000)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.until is not None and self.at is None:
            raise ValueError("until goes with at")
        if self.anyone and self.agent_id is not None:
            raise ValueError("either an agent or anyone calls")
        return self


class CancelIn(In):
    """Why nobody calls."""

    reason: Line = Field(min_length=1, max_length=500)
    close_lead: bool = Field(False, description="the campaign dials the person no more; else as any other")


class ManyIn(In):
    """What is done with many callbacks at once: one of the three."""

    ids: list[Id] = Field(min_length=1, max_length=MOST)
    agent_id: Id | None = Field(None, description="who calls from now on")
    anyone: bool = Field(False, description="any agent calls from now on")
    move_by_s: int | None = Field(None, ge=-366 * 86400, le=366 * 86400, description="later or earlier")
    cancel: Line | None = Field(None, min_length=1, max_length=500, description="why nobody calls")

    @model_validator(mode="after")
    def _one(self) -> Self:
        asked = (self.agent_id is not None, self.anyone, self.move_by_s is not None, self.cancel is not None)
        if sum(asked) != 1:
            raise ValueError("one of agent_id, anyone, move_by_s and cancel must be given")
        return self


class LeftOut(Out):
    """One that was not changed."""

    id: int
    state: State | None = Field(description="over, or being dialled; null: there is no such callback")


class ManyOut(Out):
    """What was done."""

    changed: int
    left: list[LeftOut] = Field(description="those that were not changed, and why")


class OutlookQuery(In):
    """Whom, and perhaps when."""

    campaign: Id
    contact: Id
    at: Time | None = Field(None, description=_AT)
    until: Time | None = None
    zone: Line = Field("", max_length=64)


class OutlookOut(Out):
    """Where a person may be, and what would become of a time."""

    zones: list[str] = Field(description="where the person may be")
    zone: str = Field(description="the one by which a time is read where nobody names another")
    due_at: datetime | None = Field(description="when it would be dialled; null: no time was named")
    moved: Literal["hours"] | None = Field(description="what would put it off")

    @classmethod
    def of(cls, found: Outlook) -> Self:
        """The reply."""
        return cls.model_validate(found)


@routes.get("/callbacks", errors=(NotFound,))
async def list_(call: Call, query: CallbacksQuery) -> Page[CallbackOut]:
    """Callbacks, by when they are due. An agent sees the own ones."""
    after = decode(query.cursor, datetime, int)
    rows = await call.app[CALLBACKS].callbacks(
        call.actor,
        Which(
            agent_id=query.agent,
            anyones=query.anyone,
            campaign_id=query.campaign,
            contact_id=query.contact,
            states=(query.state,) if query.state else (),
            since=query.from_,
            until=query.until,
        ),
        after=(after[0], after[1]) if after else None,
        limit=query.limit + 1,
    )
    now = utc_now()
    page, following = cut(rows, query.limit, lambda row: (row.due_at, row.id))
    return Page[CallbackOut](items=[CallbackOut.of(row, now) for row in page], next=following)


@routes.post("/callbacks", status=201, errors=(Invalid, NotAllowed, NotFound, WrongState))
async def make(call: Call, body: CallbackIn) -> CallbackOut:
    """Promise a person a call, in place of one that the campaign has promised before.

    A time out of hours is moved to the next that is open: `due_at` differs from `from_at`, and `moved` says
    why. An agent promises to the people of the own calls, for oneself or for anybody.
    """
    made = await call.app[CALLBACKS].make(call.actor, body.campaign_id, body.contact_id, body.asked())
    return CallbackOut.of(made, utc_now())


@routes.get("/callbacks/outlook", errors=(Invalid, NotAllowed, NotFound, WrongState))
async def outlook(call: Call, query: OutlookQuery) -> OutlookOut:
    """Where a person may be, and when a call that is asked for would be made; nothing is promised."""
    said = Asked(query.at, query.until, query.zone) if query.at is not None else None
    found = await call.app[CALLBACKS].outlook(call.actor, query.campaign, query.contact, said)
    return OutlookOut.of(found)


@routes.post(
    "/callbacks/change", right=Right.AGENTS_CONTROL, errors=(Invalid, NotAllowed, NotFound, WrongState)
)
async def change_many(call: Call, body: ManyIn) -> ManyOut:
    """Give many callbacks to somebody else, move or cancel them, all or none: an agent has fallen ill."""
    changed, left = await call.app[CALLBACKS].change_many(
        call.actor,
        body.ids,
        agent_id=body.agent_id,
        anyone=body.anyone,
        by=timedelta(seconds=body.move_by_s) if body.move_by_s is not None else None,
        cancel=body.cancel,
    )
    return ManyOut(changed=changed, left=[LeftOut(id=one, state=state) for one, state in left.items()])


@routes.get("/callbacks/{callback_id}", errors=(NotFound,))
async def get(call: Call, callback_id: int) -> CallbackOut:
    """One callback."""
    return CallbackOut.of(await call.app[CALLBACKS].get(call.actor, callback_id), utc_now())


@routes.patch("/callbacks/{callback_id}", errors=(Invalid, NotAllowed, NotFound, WrongState))
async def change(call: Call, callback_id: int, body: CallbackEdit) -> CallbackOut:
    """Move a callback that waits, give it to somebody else, or call one that was missed after all."""
    wanted = Change(**{name: getattr(body, name) for name in CallbackEdit.model_fields})
    return CallbackOut.of(await call.app[CALLBACKS].change(call.actor, callback_id, wanted), utc_now())


@routes.post("/callbacks/{callback_id}/cancel", errors=(NotFound, WrongState))
async def cancel(call: Call, callback_id: int, body: CancelIn) -> CallbackOut:
    """Take a promise back. The row stays, with the reason; the lead is dialled like any other again."""
    row = await call.app[CALLBACKS].cancel(call.actor, callback_id, body.reason, close_lead=body.close_lead)
    return CallbackOut.of(row, utc_now())
