"""What can be done with one person: find, see, change, number by number and field by field, with history.

Supervisors may do it with everybody; an agent with the person on the line, without seeing whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store, history, people_store
from dialer.contacts.history import Entry, Kind, Place
from dialer.contacts.model import MAX_PHONES
from dialer.contacts.numbers import number_of
from dialer.contacts.people_base import Person, card_of, sees_numbers
from dialer.contacts.people_consents import Consents
from dialer.contacts.people_model import Card
from dialer.contacts.people_numbers import Numbers
from dialer.contacts.rows import clean
from dialer.errors import Conflict, Invalid
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from dialer.telemetry import mask_number

#: Columns of a card that people write.
FIELDS = ("last_name", "first_name", "middle_name", "email", "timezone", "external_id")
#: Longest search, in characters.
MAX_SEARCH = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search."""

    cards: Sequence[Card]
    #: where the next page begins: sort key and id; None on the last
    following: tuple[str, int] | None


class PersonService(Numbers, Consents):
    """The people of a tenant, one at a time."""

    async def search(
        self, actor: Actor, text: str, *, after: tuple[str, int] | None = None, limit: int = 50
    ) -> Found:
        """People by number, by the beginning of an e-mail, or by beginnings of the words of their name; the
        newest ones for an empty text. Raises BadNumber for what is neither."""
        actor.require(Right.CONTACTS_READ)
        wanted = _folded(text)[:MAX_SEARCH]
        async with self._database.tenant(actor.tenant_id) as conn:
            keys = await self._keys(conn, actor.tenant_id, wanted, after, limit + 1)
            found = await people_store.cards(conn, actor.tenant_id, [one for _, one in keys[:limit]])
        return Found(found, keys[limit - 1] if len(keys) > limit else None)

    async def _keys(
        self, conn: AsyncConnection, tenant_id: int, text: str, after: tuple[str, int] | None, limit: int
    ) -> list[tuple[str, int]]:
        if not text:
            before = after[1] if after else 2**63 - 1
            return [("", one) for one in await people_store.newest(conn, tenant_id, before, limit)]
        if "@" in text:
            return await people_store.by_email(conn, tenant_id, text.replace(" ", ""), after, limit)
        if any(map(str.isdigit, text)):
            number = number_of(text, self._region)
            last = after[1] if after else 0
            return [
                ("", one) for one in await people_store.by_number(conn, tenant_id, number.e164, last, limit)
            ]
        words = text.split()
        found: set[tuple[str, int]] = set()
        # Any of the words may be the one that the name begins with.
        for start in words:
            others = [word for word in words if word != start]
            found.update(await people_store.by_name(conn, tenant_id, start, others, after, limit))
        return sorted(found)[:limit]

    async def person(self, actor: Actor, contact_id: int) -> Person:
        """All about a person. It is written down that they were looked at. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._reach(conn, actor, contact_id, Right.CONTACTS_READ)
            found = await self._person(conn, actor, contact_id)
            await audit.record(conn, actor, "contact.read", f"contact:{contact_id}")
        return found

    async def history(
        self, actor: Actor, contact_id: int, *, after: Place | None = None, limit: int = 50
    ) -> list[Entry]:
        """What happened to a person, newest first. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._reach(conn, actor, contact_id, Right.CONTACTS_READ)
            await card_of(conn, actor, contact_id)
            found = await history.page(conn, actor.tenant_id, contact_id, after=after, limit=limit)
        return found if sees_numbers(actor) else [_masked_entry(one) for one in found]

    async def add(
        self,
        actor: Actor,
        fields: Mapping[str, str | None],
        numbers: Sequence[str],
        custom: Mapping[str, str] | None = None,
        *,
        even_if_known: bool = False,
    ) -> Person:
        """Make a card by hand, of numbers however written. Raises BadNumber, Invalid, Conflict when somebody
        has one of the numbers, unless `even_if_known`."""
        if not actor.may(Right.WORK):
            actor.require(Right.CONTACTS_EDIT)
        read = {number.e164: number for number in map(self._read, numbers)}
        if not read:
            raise Invalid(field="numbers", reason="is missing")
        if len(read) > MAX_PHONES:
            raise Invalid(
                field="numbers", reason=Said("a person has {most} numbers at most", most=MAX_PHONES)
            )
        values = {name: value for name, value in fields.items() if value is not None}
        async with self._database.tenant(actor.tenant_id) as conn:
            if not even_if_known:
                await _check_unknown(conn, actor, list(read))
            contact_id = await people_store.make(
                conn, actor.tenant_id, {**values, "custom": dict(custom or {})}
            )
            for position, number in enumerate(read.values(), start=1):
                await people_store.add_phone(conn, actor.tenant_id, contact_id, number, position=position)
            await fields_store.rewrite_values(conn, actor.tenant_id, [contact_id])
            await history.add(conn, actor.tenant_id, contact_id, Kind.CREATED, actor.user_id)
            await audit.record(conn, actor, "contact.create", f"contact:{contact_id}")
            return await self._person(conn, actor, contact_id)

    async def change(
        self,
        actor: Actor,
        contact_id: int,
        fields: Mapping[str, str | None],
        custom: Mapping[str, str | None] | None = None,
    ) -> Person:
        """Write these fields of a card; of `custom` None takes a field away. Each change is in the history.

        Another zone holds for the leads that wait too. Raises NotFound, Forbidden, WrongState when erased.
        """
        async with self._database.tenant(actor.tenant_id) as conn:
            card = await self._to_change(conn, actor, contact_id)
            empty = {"timezone": None, "external_id": None}
            values: dict[str, Any] = {
                name: value or empty.get(name, "") for name, value in fields.items() if name in FIELDS
            }
            changed = {
                name: [getattr(card, name), value]
                for name, value in values.items()
                if getattr(card, name) != value
            }
            kept = dict(card.custom)
            for name, text in (custom or {}).items():
                was = kept.pop(name, None)
                if text:
                    kept[name] = text
                if (was or None) != (text or None):
                    changed[f"custom.{name}"] = [was, text or None]
            if changed:
                await people_store.change(conn, actor.tenant_id, contact_id, {**values, "custom": kept})
                await fields_store.rewrite_values(conn, actor.tenant_id, [contact_id])
                await self._noted(conn, actor, contact_id, Kind.CHANGED, changed, sorted(changed))
                if "timezone" in changed:
                    await self._refit(conn, actor, contact_id)
            return await self._person(conn, actor, contact_id)


async def _check_unknown(conn: AsyncConnection, actor: Actor, numbers: Sequence[str]) -> None:
    known = await people_store.owners(conn, actor.tenant_id, numbers)
    if known:
        owner = min(known.values())
        raise Conflict(reason=Said("contact {contact} has one of the numbers already", contact=owner))


def _folded(text: str) -> str:
    """As `contact.name_key` and `email_key` are written."""
    return clean(text).lower().replace("ё", "е").replace(",", " ").strip()


def _masked_entry(entry: Entry) -> Entry:
    """As who may not see whole numbers sees it."""
    detail = dict(entry.detail)
    for name in detail.keys() & {"e164", "number"}:
        told = detail[name]
        detail[name] = [mask_number(one) for one in told] if isinstance(told, list) else mask_number(told)
    return replace(entry, detail=detail)
