"""What is the same in all that is done with a person: who may, the card under a lock, the leads after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import consents, fields_store, history, people_store
from dialer.contacts.consents import Record
from dialer.contacts.fields import Field
from dialer.contacts.history import Kind
from dialer.contacts.numbers import PhoneNumber, number_of
from dialer.contacts.people_model import Card, LeadOf, Membership, refit
from dialer.db.events import wake
from dialer.db.session import Database
from dialer.errors import Conflict, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.settings import Settings
from dialer.telemetry import mask_number


@dataclass(frozen=True, slots=True)
class Person:
    """All about a person that the reader may see; numbers are masked for who may not see whole ones."""

    card: Card
    lists: Sequence[Membership]
    leads: Sequence[LeadOf]
    consents: Sequence[Record]
    #: the tenant's own fields in their order, without archived ones
    fields: Sequence[Field]
    #: numbers are whole
    whole: bool


class People:
    """The people of a tenant: what its parts share."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._region = settings.default_region

    def _read(self, written: str) -> PhoneNumber:
        return number_of(written, self._region)

    async def _reach(self, conn: AsyncConnection, actor: Actor, contact_id: int, right: Right) -> None:
        """Raise Forbidden unless the actor has the right, or has the person on their own desk."""
        if actor.may(right):
            return
        own = actor.user_id is not None and actor.may(Right.WORK)
        if not own or not await people_store.on_desk(conn, actor.tenant_id, actor.user_id or 0, contact_id):
            actor.require(right)

    async def _to_change(
        self, conn: AsyncConnection, actor: Actor, contact_id: int, right: Right | None = None
    ) -> Card:
        """The card, locked. `right` is needed of everybody; without it the person on the line will do."""
        if right is not None:
            actor.require(right)
        else:
            await self._reach(conn, actor, contact_id, Right.CONTACTS_EDIT)
        card = await card_of(conn, actor, contact_id, lock=True)
        if card.erased_at is not None:
            raise WrongState(what="The person", state="erased", allowed="kept")
        return card

    async def _noted(
        self,
        conn: AsyncConnection,
        actor: Actor,
        contact_id: int,
        kind: Kind,
        detail: Mapping[str, Any],
        fields: Sequence[str] = (),
    ) -> None:
        """In the person's history with values, in the log of changes without: that outlives the person."""
        await history.add(conn, actor.tenant_id, contact_id, kind, actor.user_id, detail)
        await audit.record(conn, actor, f"contact.{kind}", f"contact:{contact_id}", fields=list(fields))

    async def _refit(
        self,
        conn: AsyncConnection,
        actor: Actor,
        contact_id: int,
        *,
        renamed: Mapping[str, str] | None = None,
        reordered: bool = False,
    ) -> None:
        """Have the leads that wait follow the card."""
        card = await card_of(conn, actor, contact_id)
        leads = await people_store.waiting(conn, actor.tenant_id, contact_id)
        if not leads:
            return
        taken = await people_store.taken(
            conn,
            actor.tenant_id,
            {lead.campaign_id for lead in leads},
            {number.e164 for number in card.numbers},
        )
        refits = refit(
            leads, card.numbers, card.timezone, renamed=renamed or {}, taken=taken, reordered=reordered
        )
        try:
            await people_store.write_refits(conn, actor.tenant_id, refits, utc_now())
        except IntegrityError:  # a campaign got the number in the same moment
            raise Conflict(reason="the leads of the person were changed just now; try again") from None
        if refits:
            await wake(conn, "campaigns", tenant_id=actor.tenant_id)

    async def _person(self, conn: AsyncConnection, actor: Actor, contact_id: int) -> Person:
        tenant_id, whole = actor.tenant_id, sees_numbers(actor)
        card = await card_of(conn, actor, contact_id)
        leads = await people_store.leads_of(conn, tenant_id, contact_id)
        if not whole:
            card = replace(card, numbers=[replace(one, e164=mask_number(one.e164)) for one in card.numbers])
            leads = [replace(one, e164=mask_number(one.e164)) for one in leads]
        return Person(
            card=card,
            lists=await people_store.lists_of(conn, tenant_id, contact_id),
            leads=leads,
            consents=await consents.records_of(conn, tenant_id, contact_id),
            fields=await fields_store.shown(conn, tenant_id),
            whole=whole,
        )


async def card_of(conn: AsyncConnection, actor: Actor, contact_id: int, *, lock: bool = False) -> Card:
    """A person's card. Raises NotFound, Merged."""
    found = await people_store.card(conn, actor.tenant_id, contact_id, lock=lock)
    if found is None:
        raise await people_store.missing(conn, actor.tenant_id, contact_id)
    return found


def sees_numbers(actor: Actor) -> bool:
    """Whether numbers are shown whole."""
    return actor.may(Right.CONTACTS_READ)
