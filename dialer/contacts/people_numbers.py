"""The numbers of a person: one more, one less, another order; leads follow. A part of the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dialer.compliance.policy import Hours
from dialer.contacts import people_store
from dialer.contacts.history import Kind
from dialer.contacts.model import MAX_PHONES
from dialer.contacts.people_base import People, Person, card_of
from dialer.contacts.people_model import Card, Number
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.said import Said


class Numbers(People):
    """Numbers of the people of a tenant."""

    async def add_number(
        self,
        actor: Actor,
        contact_id: int,
        written: str,
        *,
        label: str = "",
        good: Hours | None = None,
        first: bool = False,
    ) -> Person:
        """One number more, the last, or the first to be dialled. Raises NotFound, BadNumber, Conflict."""
        number = self._read(written)
        async with self._database.tenant(actor.tenant_id) as conn:
            card = await self._to_change(conn, actor, contact_id)
            if any(one.e164 == number.e164 for one in card.numbers):
                raise Conflict(reason="the person has this number already")
            if len(card.numbers) >= MAX_PHONES:
                raise Conflict(reason=Said("a person has {most} numbers at most", most=MAX_PHONES))
            place = len(card.numbers) + 1
            await people_store.add_phone(
                conn, actor.tenant_id, contact_id, number, position=place, label=label, good=good
            )
            await self._noted(
                conn, actor, contact_id, Kind.PHONE_ADDED, {"e164": number.e164, "label": label}
            )
            if first:
                card = await card_of(conn, actor, contact_id)
                ids = [one.id for one in card.numbers]
                await people_store.put_in_order(conn, actor.tenant_id, [ids[-1], *ids[:-1]])
                await self._refit(conn, actor, contact_id, reordered=True)
            return await self._person(conn, actor, contact_id)

    async def change_number(
        self,
        actor: Actor,
        contact_id: int,
        phone_id: int,
        *,
        written: str | None = None,
        label: str | None = None,
        good: Hours | bool | None = False,
    ) -> Person:
        """Correct a number, name it, or say at which hours the person wants to be called on it.

        None leaves the number and its name as they are, False the hours. Leads that wait go on with the
        corrected number. Raises NotFound, BadNumber, Conflict.
        """
        actor_number = self._read(written) if written is not None else None
        async with self._database.tenant(actor.tenant_id) as conn:
            card = await self._to_change(conn, actor, contact_id, Right.CONTACTS_EDIT)
            was = _number(card, phone_id)
            values: dict[str, Any] = {}
            changed: dict[str, Any] = {}
            if actor_number is not None and actor_number.e164 != was.e164:
                if any(one.e164 == actor_number.e164 for one in card.numbers):
                    raise Conflict(reason="the person has this number already")
                values |= {
                    "e164": actor_number.e164,
                    "kind": actor_number.kind,
                    "timezones": list(actor_number.timezones),
                    **dict.fromkeys(("dead_since", "dead_reason", "revived_at")),
                }
                changed["number"] = [was.e164, actor_number.e164]
            if label is not None and label != was.label:
                values["label"] = label
                changed["label"] = [was.label, label]
            if not isinstance(good, bool) and good != was.good:
                values |= people_store.good_columns(good)
                changed["good"] = [str(was.good) if was.good else None, str(good) if good else None]
            if changed:
                await people_store.change_phone(conn, actor.tenant_id, phone_id, values)
                await self._noted(
                    conn,
                    actor,
                    contact_id,
                    Kind.PHONE_CHANGED,
                    {"e164": values.get("e164", was.e164), **changed},
                    sorted(changed),
                )
            if "e164" in values:
                await self._refit(conn, actor, contact_id, renamed={was.e164: values["e164"]})
            return await self._person(conn, actor, contact_id)

    async def remove_number(self, actor: Actor, contact_id: int, phone_id: int) -> Person:
        """Take a number off the card; leads that wait for it go on with another one.

        Raises NotFound, Conflict for the last number.
        """
        async with self._database.tenant(actor.tenant_id) as conn:
            card = await self._to_change(conn, actor, contact_id, Right.CONTACTS_EDIT)
            gone = _number(card, phone_id)
            if len(card.numbers) == 1:
                raise Conflict(reason="a person keeps one number at least")
            await people_store.remove_phone(conn, actor.tenant_id, phone_id)
            left = [one.id for one in card.numbers if one.id != phone_id]
            await people_store.put_in_order(conn, actor.tenant_id, left)
            await self._noted(conn, actor, contact_id, Kind.PHONE_REMOVED, {"e164": gone.e164})
            await self._refit(conn, actor, contact_id)
            return await self._person(conn, actor, contact_id)

    async def order_numbers(self, actor: Actor, contact_id: int, phone_ids: Sequence[int]) -> Person:
        """Put the numbers into this order; what nobody has called yet begins with the first of them.

        Raises NotFound, Invalid unless each number is named once.
        """
        async with self._database.tenant(actor.tenant_id) as conn:
            card = await self._to_change(conn, actor, contact_id, Right.CONTACTS_EDIT)
            if sorted(phone_ids) != sorted(one.id for one in card.numbers):
                raise Invalid(field="phones", reason="name each number of the person once")
            if list(phone_ids) != [one.id for one in card.numbers]:
                await people_store.put_in_order(conn, actor.tenant_id, phone_ids)
                numbers = {one.id: one.e164 for one in card.numbers}
                await self._noted(
                    conn,
                    actor,
                    contact_id,
                    Kind.PHONES_ORDERED,
                    {"e164": [numbers[one] for one in phone_ids]},
                )
                await self._refit(conn, actor, contact_id, reordered=True)
            return await self._person(conn, actor, contact_id)


def _number(card: Card, phone_id: int) -> Number:
    for one in card.numbers:
        if one.id == phone_id:
            return one
    raise NotFound(what="number", key=phone_id)
