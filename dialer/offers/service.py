"""What can be done with offers: keep them, make one to a caller, write the answer down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.db.uses import Uses, check_unused, unused
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.offers import store
from dialer.offers.model import Answer, Offer, Tally, choose
from ivr_flows.naming import Named


class OfferService:
    """The offers of a tenant, for whoever keeps them."""

    def __init__(self, database: Database, uses: Uses = unused) -> None:
        self._database = database
        self._uses = uses

    async def offers(self, actor: Actor) -> list[Offer]:
        """All, by place and in their order."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.offers(conn, actor.tenant_id)

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> Offer:
        """A new offer. Raises Invalid."""
        actor.require(Right.CAMPAIGNS_EDIT)
        _check(values)
        async with self._database.tenant(actor.tenant_id) as conn:
            offer_id = await store.add(conn, actor.tenant_id, values)
            return await _told(conn, actor, "offer.add", offer_id)

    async def change(
        self, actor: Actor, offer_id: int, values: Mapping[str, Any], *, even_if_used: bool = False
    ) -> Offer:
        """Write an offer anew. Raises Invalid, NotFound, InUse where it was the last of a place of flows."""
        actor.require(Right.CAMPAIGNS_EDIT)
        _check(values)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, offer_id)
            if values["place"] != now.place and not even_if_used:
                await self._check_place(conn, actor, now)
            await store.change(conn, actor.tenant_id, offer_id, values)
            return await _told(conn, actor, "offer.change", offer_id)

    async def remove(self, actor: Actor, offer_id: int, *, even_if_used: bool = False) -> None:
        """Forget an offer that was never made; others are switched off. Raises NotFound, Conflict, and InUse
        where it is the last of a place of flows."""
        actor.require(Right.CAMPAIGNS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                now = await _found(conn, actor, offer_id)
                if not even_if_used:
                    await self._check_place(conn, actor, now)
                await store.remove(conn, actor.tenant_id, offer_id)
                await audit.record(conn, actor, "offer.remove", f"offer:{offer_id}")
        except IntegrityError:
            raise Conflict(reason="it was made to somebody: switch it off") from None

    async def _check_place(self, conn: AsyncConnection, actor: Actor, going: Offer) -> None:
        if all(one.id == going.id for one in await store.offers(conn, actor.tenant_id, going.place)):
            await check_unused(conn, self._uses, actor.tenant_id, Named.PLACE, going.place)

    async def tallies(self, actor: Actor, since: datetime, until: datetime) -> Mapping[int, Tally]:
        """What became of the offers that were made from one moment to another, by their ids."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.tallies(conn, actor.tenant_id, since, until)

    async def answers(self, actor: Actor, *, before: int | None, limit: int) -> list[Row[Any]]:
        """What was said to offers, newest first."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.answers(conn, actor.tenant_id, before=before, limit=limit)


class ListedOffers:
    """Decides by the tenant's list: the first in order that the person has not answered with yes or no."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def offer(
        self, tenant_id: int, place: str, call_id: UUID, contact_id: int | None, language: str
    ) -> tuple[str, str] | None:
        """What is offered to the person at the place, as (id, words); None: nothing. It is written down as
        shown, with its reason."""
        async with self._database.tenant(tenant_id) as conn:
            accepted, declined = frozenset[int](), frozenset[int]()
            if contact_id is not None:
                accepted = await store.answered_by(conn, tenant_id, contact_id, Answer.ACCEPTED)
                declined = await store.answered_by(conn, tenant_id, contact_id, Answer.DECLINED)
            now = utc_now()
            chosen = choose(await store.offers(conn, tenant_id, place), accepted, declined, now)
            if chosen.offer is None:
                return None
            await store.shown(conn, tenant_id, call_id, contact_id, chosen, now)
        return str(chosen.offer.id), chosen.offer.text(language)

    async def answered(self, tenant_id: int, call_id: UUID, offer: str, answer: str) -> bool:
        """Write down what was said in the call; False: nothing was offered there."""
        if not offer.isdecimal():
            return False
        async with self._database.tenant(tenant_id) as conn:
            return await store.answered(conn, tenant_id, call_id, int(offer), Answer(answer), utc_now())


def _check(values: Mapping[str, Any]) -> None:
    if not values["text_ru"] and not values["text_en"]:
        raise Invalid(field="text_ru", reason="is missing: an offer has words in one language at least")
    since, until = values["active_from"], values["active_until"]
    if since is not None and until is not None and since >= until:
        raise Invalid(field="active_until", reason="must be later than the beginning")


async def _told(conn: AsyncConnection, actor: Actor, action: str, offer_id: int) -> Offer:
    await audit.record(conn, actor, action, f"offer:{offer_id}")
    return await _found(conn, actor, offer_id)


async def _found(conn: AsyncConnection, actor: Actor, offer_id: int) -> Offer:
    for one in await store.offers(conn, actor.tenant_id):
        if one.id == offer_id:
            return one
    raise NotFound(what="offer", key=offer_id)
