"""The API of which leads of a campaign come when."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.campaigns.leads import LeadService, PriorityIn, QuotasIn, RecycleIn, SharesIn
from dialer.errors import WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out

LEADS = web.AppKey("campaign_leads", LeadService)
routes = Routes("campaigns")


class ShareOut(Out):
    """A list of a campaign."""

    list_id: int
    name: str
    share: int | None = Field(description="of the sum of all shares; null: it has none")
    dialled: int = Field(description="leads of it dialled today, where it has a share")
    leads: int = Field(description="leads that the campaign has of it")


class QuotaOut(Out):
    """A quota of a campaign."""

    field: str
    value: str
    wanted: int
    counts: list[str] = Field(description="kinds of dispositions that count")
    reached: int = Field(description="talks so far")
    full: bool = Field(description="nobody more is dialled for it")


class ChangedOut(Out):
    """How many leads were changed."""

    leads: int


class RecycleOut(Out):
    """How many closed leads would begin anew."""

    leads: int


class RecyclingOut(Out):
    """A recycling, under way or done."""

    id: int
    changed: int = Field(description="leads that have begun anew so far")
    created_at: datetime
    finished_at: datetime | None = Field(description="null: it goes on")


class RecycledOut(RecyclingOut):
    """A recycling that was asked for."""

    leads: int = Field(description="leads that it is about")


@routes.get("/campaigns/{campaign_id}/lists", right=Right.CAMPAIGNS_READ)
async def shares(call: Call, campaign_id: int) -> list[ShareOut]:
    """Its lists, each with its share of the calls."""
    return [ShareOut.model_validate(one) for one in await call.app[LEADS].shares(call.actor, campaign_id)]


@routes.put("/campaigns/{campaign_id}/lists", right=Right.CAMPAIGNS_EDIT, errors=(WrongState,))
async def set_shares(call: Call, campaign_id: int, body: SharesIn) -> list[ShareOut]:
    """Replace the shares; none: the lists are dialled as one. Lists without a share are dialled when those
    that have one have no lead to be dialled now."""
    found = await call.app[LEADS].set_shares(call.actor, campaign_id, body)
    return [ShareOut.model_validate(one) for one in found]


@routes.get("/campaigns/{campaign_id}/quotas", right=Right.CAMPAIGNS_READ)
async def quotas(call: Call, campaign_id: int) -> list[QuotaOut]:
    """Its quotas, with the talks so far."""
    return [QuotaOut.model_validate(one) for one in await call.app[LEADS].quotas(call.actor, campaign_id)]


@routes.put("/campaigns/{campaign_id}/quotas", right=Right.CAMPAIGNS_EDIT, errors=(WrongState,))
async def set_quotas(call: Call, campaign_id: int, body: QuotasIn) -> list[QuotaOut]:
    """Replace the quotas. Leads under a full one rest; raised, it opens them again."""
    found = await call.app[LEADS].set_quotas(call.actor, campaign_id, body)
    return [QuotaOut.model_validate(one) for one in found]


@routes.post("/campaigns/{campaign_id}/leads/priority", right=Right.CAMPAIGNS_EDIT, errors=(WrongState,))
async def set_priority(call: Call, campaign_id: int, body: PriorityIn) -> ChangedOut:
    """Give leads of it a priority; it counts where the campaign goes by priority."""
    return ChangedOut(leads=await call.app[LEADS].set_priority(call.actor, campaign_id, body))


@routes.post("/campaigns/{campaign_id}/recycle/preview", right=Right.CAMPAIGNS_READ)
async def would_recycle(call: Call, campaign_id: int, body: RecycleIn) -> RecycleOut:
    """How many closed leads would begin anew by the rule; nothing is changed."""
    return RecycleOut(leads=await call.app[LEADS].would_recycle(call.actor, campaign_id, body))


@routes.post("/campaigns/{campaign_id}/recycle", right=Right.CAMPAIGNS_EDIT, status=202, errors=(WrongState,))
async def recycle(call: Call, campaign_id: int, body: RecycleIn) -> RecycledOut:
    """Have closed leads begin anew, some thousand at a time."""
    made, leads = await call.app[LEADS].recycle(call.actor, campaign_id, body)
    return RecycledOut(**RecyclingOut.model_validate(made).model_dump(), leads=leads)


@routes.get("/campaigns/{campaign_id}/recycle", right=Right.CAMPAIGNS_READ)
async def recycling(call: Call, campaign_id: int) -> list[RecyclingOut]:
    """The latest recyclings, under way or done, the last first."""
    found = await call.app[LEADS].recycled(call.actor, campaign_id)
    return [RecyclingOut.model_validate(one) for one in found]
