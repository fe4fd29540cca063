"""The API of campaigns, their policies and pause codes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from aiohttp import web
from pydantic import Field

from dialer.campaigns.fields import CampaignEdit, CampaignIn, DispositionsIn, PauseCodesIn, RetriesIn
from dialer.campaigns.model import Campaign
from dialer.campaigns.service import CampaignService, CampaignView
from dialer.errors import CampaignNotReady, Conflict, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import said
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out
from scheduler.callbacks import Away
from scheduler.order import Order

CAMPAIGNS = web.AppKey("campaigns", CampaignService)
routes = Routes("campaigns")

Status = Literal["draft", "running", "paused", "stopped"]
LeadStatus = Literal["new", "offered", "dialling", "waiting", "closed"]


class CampaignRow(Out):
    """A campaign in a list."""

    id: int
    name: str
    status: Status
    mode: str
    ratio: float
    abandon_target: float | None
    take_back_ringing: bool
    flow: str | None
    flow_lines: int
    flow_rate: float
    message_to_machines: bool
    script: str | None = Field(description="by which agents talk")
    survey: str | None = Field(description="the flow after the talk")
    policy: str
    policy_version: int | None = Field(description="the version that it keeps to; null: the newest")
    purpose: str
    skill: str | None
    priority: int
    ring_timeout_s: int
    detect_machines: bool
    amd: dict[str, int]
    record: bool
    wrap_up_limit_s: int
    crm_url: str
    crm_frame: bool
    caller_name: str
    abandon_message: str
    drop_ringing_on_pause: bool
    call_from: str
    call_until: str
    week: dict[str, list[str]] = Field(description="weekdays with other hours")
    exceptions: dict[str, list[str]] = Field(description="dates with other hours; none: no calls")
    on_holidays: bool
    max_attempts: int
    most_per_day: int | None
    most_per_week: int | None
    most_per_month: int | None
    retries: RetriesIn
    lead_order: Order
    callback_away: Away
    callback_wait_s: int
    callback_tries: int
    callback_retry_s: int
    created_at: datetime
    started_at: datetime | None = Field(description="first start")
    ended_at: datetime | None = Field(description="when it was stopped")


class ReasonOut(Out):
    """Why a campaign may not start."""

    code: str = Field(description="stable name of the reason")
    reason: str = Field(description="the sentence, in the language of the reply")


class CampaignOut(CampaignRow):
    """One campaign."""

    trunks: list[int] = Field(description="ids of its trunks in the order they are tried")
    leads: dict[str, int] = Field(description="leads by status")
    ready_reasons: list[ReasonOut] = Field(description="why it may not start now; empty: it may")
    warnings: list[ReasonOut] = Field(
        description="in the reply to start and resume: it runs, and dials nothing now for these reasons"
    )

    @classmethod
    def of(cls, view: CampaignView, locale: str) -> Self:
        """The reply, in the reader's language."""
        reasons = [
            ReasonOut(code=one.code, reason=str(said(one.reason, locale))) for one in view.ready_reasons
        ]
        return cls(
            **CampaignRow.model_validate(view.campaign).model_dump(),
            trunks=list(view.trunks),
            leads=dict(view.leads),
            ready_reasons=reasons,
            warnings=[ReasonOut(code=code, reason=text) for code, text in view.warnings],
        )


class CampaignsQuery(PageQuery):
    """Which campaigns."""

    status: Status | None = None


class DispositionOut(Out):
    """What a talk may come to."""

    id: int
    code: str
    label_ru: str
    label_en: str
    kind: str


class OutcomeOut(Out):
    """A disposition, and the calls that came to it."""

    code: str
    label_ru: str
    label_en: str
    kind: str
    calls: int = Field(description="attempts of the campaign's life")


class LeadsQuery(PageQuery):
    """Which leads."""

    status: LeadStatus | None = None


class LeadOut(Out):
    """A number to be reached for a campaign."""

    id: int
    contact_id: int
    list_id: int
    last_name: str
    first_name: str
    middle_name: str
    e164: str
    timezones: list[str] = Field(description="candidate time zones; it is called when the hours fit in all")
    status: LeadStatus
    attempts: int
    last_result: str | None
    last_attempt_at: datetime | None
    open_from: datetime = Field(description="may be dialled from here ...")
    open_until: datetime = Field(description="... until here; then the calendar gives the next hours")
    closed_reason: str | None


class PauseCodeOut(Out):
    """Why an agent takes no calls."""

    code: str
    label_ru: str
    label_en: str
    limit_s: int | None = Field(description="how long such a pause may last, seconds; null: no limit")


# -- campaigns ---------------------------------------------------------------------------------------------


@routes.get("/campaigns", right=Right.CAMPAIGNS_READ)
async def list_(call: Call, query: CampaignsQuery) -> Page[CampaignRow]:
    """Campaigns, newest first."""
    after = decode(query.cursor, int)
    rows = await call.app[CAMPAIGNS].campaigns(
        call.actor, status=query.status, before=after[0] if after else None, limit=query.limit + 1
    )
    page, following = cut(rows, query.limit, _id)
    return Page[CampaignRow](items=[CampaignRow.model_validate(row) for row in page], next=following)


def _id(row: Campaign) -> tuple[int]:
    return (row.id,)


@routes.post("/campaigns", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Conflict,))
async def create(call: Call, body: CampaignIn) -> CampaignOut:
    """Make a draft, with the default dispositions."""
    return CampaignOut.of(await call.app[CAMPAIGNS].create(call.actor, body), call.locale)


@routes.get("/campaigns/{campaign_id}", right=Right.CAMPAIGNS_READ)
async def get(call: Call, campaign_id: int) -> CampaignOut:
    """One campaign, with its leads by status and what keeps it from starting."""
    return CampaignOut.of(await call.app[CAMPAIGNS].campaign(call.actor, campaign_id), call.locale)


@routes.patch(
    "/campaigns/{campaign_id}", right=Right.CAMPAIGNS_EDIT, errors=(CampaignNotReady, Conflict, WrongState)
)
async def edit(call: Call, campaign_id: int, body: CampaignEdit) -> CampaignOut:
    """Change a draft or paused campaign, of one that runs its pace; fields that are left out stay."""
    return CampaignOut.of(await call.app[CAMPAIGNS].edit(call.actor, campaign_id, body), call.locale)


@routes.delete("/campaigns/{campaign_id}", right=Right.CAMPAIGNS_EDIT, errors=(WrongState,))
async def delete(call: Call, campaign_id: int) -> None:
    """Remove a draft with its leads."""
    await call.app[CAMPAIGNS].delete(call.actor, campaign_id)


@routes.post(
    "/campaigns/{campaign_id}/start",
    right=Right.CAMPAIGNS_RUN,
    errors=(CampaignNotReady, WrongState, Conflict),
)
async def start(call: Call, campaign_id: int) -> CampaignOut:
    """Begin to dial a draft; a refusal names every reason.

    A campaign that starts and has nobody to dial, or nobody to talk with them, says so in `warnings`.
    """
    return CampaignOut.of(await call.app[CAMPAIGNS].start(call.actor, campaign_id), call.locale)


@routes.post("/campaigns/{campaign_id}/pause", right=Right.CAMPAIGNS_RUN, errors=(WrongState,))
async def pause(call: Call, campaign_id: int) -> CampaignOut:
    """Place no more calls. Ringing ones finish or are dropped, as the campaign says."""
    return CampaignOut.of(await call.app[CAMPAIGNS].pause(call.actor, campaign_id), call.locale)


@routes.post(
    "/campaigns/{campaign_id}/resume",
    right=Right.CAMPAIGNS_RUN,
    errors=(CampaignNotReady, WrongState, Conflict),
)
async def resume(call: Call, campaign_id: int) -> CampaignOut:
    """Dial again after a pause.

    `warnings` as for a start.
    """
    return CampaignOut.of(await call.app[CAMPAIGNS].resume(call.actor, campaign_id), call.locale)


@routes.post("/campaigns/{campaign_id}/stop", right=Right.CAMPAIGNS_RUN, errors=(WrongState,))
async def stop(call: Call, campaign_id: int) -> CampaignOut:
    """End the campaign for good; its calls and figures stay."""
    return CampaignOut.of(await call.app[CAMPAIGNS].stop(call.actor, campaign_id), call.locale)


# -- its parts ---------------------------------------------------------------------------------------------


@routes.get("/campaigns/{campaign_id}/dispositions")
async def dispositions(call: Call, campaign_id: int) -> list[DispositionOut]:
    """What its talks may come to, in the order agents see it."""
    rows = await call.app[CAMPAIGNS].dispositions(call.actor, campaign_id)
    return [DispositionOut.model_validate(row) for row in rows]


@routes.get("/campaigns/{campaign_id}/outcomes")
async def outcomes(call: Call, campaign_id: int) -> list[OutcomeOut]:
    """Its dispositions in the order agents see them, each with how many calls came to it: by the word of an
    agent, or of the flow where there is none."""
    rows = await call.app[CAMPAIGNS].outcomes(call.actor, campaign_id)
    return [OutcomeOut.model_validate(row) for row in rows]


@routes.put(
    "/campaigns/{campaign_id}/dispositions", right=Right.CAMPAIGNS_EDIT, errors=(Conflict, WrongState)
)
async def set_dispositions(call: Call, campaign_id: int, body: DispositionsIn) -> list[DispositionOut]:
    """Replace the dispositions. Codes that stand on talks cannot go."""
    rows = await call.app[CAMPAIGNS].set_dispositions(call.actor, campaign_id, body)
    return [DispositionOut.model_validate(row) for row in rows]


@routes.get("/campaigns/{campaign_id}/leads", right=Right.CONTACTS_READ)
async def leads(call: Call, campaign_id: int, query: LeadsQuery) -> Page[LeadOut]:
    """Its leads in the order of their numbers."""
    after = decode(query.cursor, str)
    rows = await call.app[CAMPAIGNS].leads(
        call.actor,
        campaign_id,
        status=query.status,
        after_number=after[0] if after else None,
        limit=query.limit + 1,
    )
    page, following = cut(rows, query.limit, lambda row: (row.e164,))
    return Page[LeadOut](items=[LeadOut.model_validate(row) for row in page], next=following)


@routes.get("/pause-codes")
async def pause_codes(call: Call) -> list[PauseCodeOut]:
    """The pauses that agents can choose from, in order."""
    return [PauseCodeOut.model_validate(code) for code in await call.app[CAMPAIGNS].pause_codes(call.actor)]


@routes.put("/pause-codes", right=Right.AGENTS_EDIT)
async def set_pause_codes(call: Call, body: PauseCodesIn) -> list[PauseCodeOut]:
    """Replace the pause codes."""
    codes = await call.app[CAMPAIGNS].set_pause_codes(call.actor, body)
    return [PauseCodeOut.model_validate(code) for code in codes]
