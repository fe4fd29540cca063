"""Lists of contacts over HTTP."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dialer.contacts.keys import CONTACTS, only
from dialer.errors import Conflict, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

routes = Routes("contacts")


class ListIn(In):
    """A list to be made, or its new name."""

    name: Line = Field(min_length=1, max_length=100)


class ListOut(Out):
    """A list of contacts."""

    id: int
    name: str
    created_at: datetime
    contacts: int = Field(description="how many it holds")


class ListQuery(PageQuery):
    """Which lists."""

    name: Line = Field("", max_length=100, description="what the name has in it, in small or capital letters")


class CampaignLeadsOut(Out):
    """What has become of a list in a campaign."""

    campaign_id: int
    name: str
    leads: dict[str, int] = Field(description="how many leads are in each status")


class FunnelOut(Out):
    """A list from its contacts to what campaigns made of them."""

    contacts: int
    phones: int
    campaigns: list[CampaignLeadsOut] = Field(description="that have leads of it, the newest first")


class LeadsIn(In):
    """The campaign that shall call a list."""

    campaign_id: int = Field(ge=1, le=MAX_ID)


class LeadsOut(Out):
    """What was added to a campaign."""

    added: int = Field(description="numbers that the campaign did not have")


@routes.post("/lists", right=Right.CONTACTS_EDIT, status=201, errors=(Conflict,))
async def create_list(call: Call, body: ListIn) -> ListOut:
    """Make an empty list."""
    return ListOut.model_validate(await call.app[CONTACTS].add_list(call.actor, body.name))


@routes.get("/lists", right=Right.CONTACTS_READ)
async def lists(call: Call, query: ListQuery) -> Page[ListOut]:
    """All lists, the newest first."""
    found = await call.app[CONTACTS].lists(
        call.actor, name=query.name, before=only(decode(query.cursor, int)), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ListOut](items=[ListOut.model_validate(one) for one in page], next=following)


@routes.get("/lists/{list_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_list(call: Call, list_id: int) -> ListOut:
    """One list."""
    return ListOut.model_validate(await call.app[CONTACTS].get_list(call.actor, list_id))


@routes.patch("/lists/{list_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def rename_list(call: Call, list_id: int, body: ListIn) -> ListOut:
    """Give a list another name."""
    return ListOut.model_validate(await call.app[CONTACTS].rename_list(call.actor, list_id, body.name))


@routes.delete("/lists/{list_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def remove_list(call: Call, list_id: int) -> None:
    """Remove an empty list."""
    await call.app[CONTACTS].remove_list(call.actor, list_id)


@routes.get("/lists/{list_id}/funnel", right=Right.CONTACTS_READ, errors=(NotFound,))
async def funnel(call: Call, list_id: int) -> FunnelOut:
    """A list from its contacts to what campaigns made of them."""
    return FunnelOut.model_validate(await call.app[CONTACTS].funnel(call.actor, list_id))


@routes.post("/lists/{list_id}/leads", right=Right.CAMPAIGNS_EDIT, errors=(NotFound,))
async def add_leads(call: Call, list_id: int, body: LeadsIn) -> LeadsOut:
    """Have a campaign call a list: a lead of each contact's first number that it does not have."""
    added = await call.app[CONTACTS].add_list_to_campaign(call.actor, list_id, body.campaign_id)
    return LeadsOut(added=added)
