"""Duplicates over HTTP: pairs, merges, and who a person may be."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.contacts.duplicates import SUGGEST_FROM, Kind
from dialer.contacts.duplicates_service import Asked, DuplicateService, PairView
from dialer.contacts.duplicates_store import PairStatus
from dialer.contacts.http import ContactOut
from dialer.errors import Conflict, Merged, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

DUPLICATES = web.AppKey("duplicates", DuplicateService)

routes = Routes("contacts")


class ReasonOut(Out):
    """What speaks for a pair or against it."""

    field: str = Field(description="phone, email, vin, plate, address, birth, last_name, first_name, ...")
    kind: Kind
    weight: float = Field(description="what it adds to the logarithm of the odds")


class PairOut(Out):
    """Two contacts that may be one person."""

    id: int
    score: float = Field(description="0 to 1")
    reasons: list[ReasonOut] = Field(description="the heaviest first")
    status: PairStatus
    found_at: datetime
    first: ContactOut
    second: ContactOut


class PairQuery(PageQuery):
    """Which pairs."""

    least: float = Field(SUGGEST_FROM, ge=0, le=1, description="lowest score")


class CountsOut(Out):
    """How many pairs there are."""

    open: int
    merged: int
    different: int
    left: int = Field(description="contacts that are still to be looked at")


class MergeIn(In):
    """Two contacts to be made one."""

    survivor_id: int = Field(ge=1, le=MAX_ID, description="the contact that stays")
    merged_id: int = Field(ge=1, le=MAX_ID, description="the contact that becomes part of it")
    take: list[Line] = Field(
        [],
        max_length=200,
        description="fields whose value is taken from the other contact: `email`, `custom.VIN`; what the"
        " survivor lacks is taken anyway",
    )


class MergeOut(Out):
    """Two contacts that were made one."""

    id: int
    survivor_id: int
    merged_id: int = Field(description="there is no such contact until the merge is undone")
    at: datetime
    undone_at: datetime | None


class MergeQuery(PageQuery):
    """Which merges."""

    contact_id: int | None = Field(None, alias="contact", ge=1, le=MAX_ID, description="of this contact only")


class AskedIn(In):
    """What is known of a person who may be in the base; a number, an e-mail or a full name at least."""

    last_name: Line = Field("", max_length=100)
    first_name: Line = Field("", max_length=100)
    middle_name: Line = Field("", max_length=100)
    email: Line = Field("", max_length=254)
    phones: list[Line] = Field([], max_length=10, description="written in any way")
    custom: dict[str, Line] = Field({}, max_length=50, description="VIN, number plate, address, birthday")
    least: float = Field(0.5, ge=0, le=1, description="lowest score")


class CandidateOut(Out):
    """A contact who may be the person asked for."""

    contact: ContactOut
    score: float = Field(description="0 to 1")
    reasons: list[ReasonOut] = Field(description="the heaviest first")


def pair_out(view: PairView) -> PairOut:
    """A pair as the API shows it."""
    pair = view.pair
    return PairOut(
        id=pair.id,
        score=pair.score.value,
        reasons=[ReasonOut.model_validate(one) for one in pair.score.reasons],
        status=pair.status,
        found_at=pair.found_at,
        first=ContactOut.model_validate(view.first),
        second=ContactOut.model_validate(view.second),
    )


@routes.get("/duplicates", right=Right.CONTACTS_READ)
async def duplicates(call: Call, query: PairQuery) -> Page[PairOut]:
    """Contacts that may be one person, the likeliest first; found as contacts come and change."""
    found = await call.app[DUPLICATES].page(
        call.actor, least=query.least, after=decode(query.cursor, float, int), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.pair.score.value, one.pair.id))
    return Page[PairOut](items=[pair_out(one) for one in page], next=following)


@routes.get("/duplicates/counts", right=Right.CONTACTS_READ)
async def duplicate_counts(call: Call) -> CountsOut:
    """How many pairs are open and decided, and how many contacts are still to be looked at."""
    counts, left = await call.app[DUPLICATES].counts(call.actor)
    return CountsOut(**{status.value: many for status, many in counts.items()}, left=left)


@routes.get("/duplicates/{pair_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def duplicate(call: Call, pair_id: int) -> PairOut:
    """One pair."""
    return pair_out(await call.app[DUPLICATES].get(call.actor, pair_id))


@routes.post("/duplicates/{pair_id}/different", right=Right.CONTACTS_EDIT, errors=(NotFound,))
async def different(call: Call, pair_id: int) -> None:
    """They are two people: the pair is not shown again."""
    await call.app[DUPLICATES].differ(call.actor, pair_id)


@routes.post("/merges", right=Right.CONTACTS_EDIT, status=201, errors=(Merged, NotFound))
async def merge(call: Call, body: MergeIn) -> MergeOut:
    """Make two contacts one.

    Numbers, lists, leads, calls, recordings, consents and history move to the survivor. Of two leads in one
    campaign one is closed as a duplicate.
    """
    service = call.app[DUPLICATES]
    merge_id = await service.merge(call.actor, body.survivor_id, body.merged_id, body.take)
    return MergeOut.model_validate(await service.get_merge(call.actor, merge_id))


@routes.get("/merges", right=Right.CONTACTS_READ)
async def merges(call: Call, query: MergeQuery) -> Page[MergeOut]:
    """Merges, the newest first."""
    after = decode(query.cursor, int)
    found = await call.app[DUPLICATES].merges(
        call.actor, contact_id=query.contact_id, before=after[0] if after else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[MergeOut](items=[MergeOut.model_validate(one) for one in page], next=following)


@routes.post("/merges/{merge_id}/undo", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def undo_merge(call: Call, merge_id: int) -> MergeOut:
    """Make the two contacts of a merge two again; what happened to the survivor since stays with it."""
    return MergeOut.model_validate(await call.app[DUPLICATES].undo(call.actor, merge_id))


@routes.post("/contacts/duplicates", right=None, idempotent=False)
async def check_duplicates(call: Call, body: AskedIn) -> list[CandidateOut]:
    """Who in the base may be this person, the likeliest first: ask before a client is entered."""
    asked = Asked(
        body.last_name, body.first_name, body.middle_name, body.email, tuple(body.phones), body.custom
    )
    found = await call.app[DUPLICATES].check_duplicates(call.actor, asked, least=body.least)
    return [
        CandidateOut(
            contact=ContactOut.model_validate(one.contact),
            score=one.score.value,
            reasons=[ReasonOut.model_validate(each) for each in one.score.reasons],
        )
        for one in found
    ]
