"""What can be done with contacts, their lists and imports."""

from __future__ import annotations

from dialer.contacts import people_store, store
from dialer.contacts.imports import Imports
from dialer.contacts.lists import Lists
from dialer.contacts.model import Contact
from dialer.contacts.numbers import number_of
from dialer.httpkit.access import Actor, Right


class ContactService(Lists, Imports):
    """Lists, contacts and imports of a tenant; operators have no right here, they see their call's card."""

    async def get_contact(self, actor: Actor, contact_id: int) -> Contact:
        """A contact. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.get_contact(conn, actor.tenant_id, contact_id)
            if found is None:
                raise await people_store.missing(conn, actor.tenant_id, contact_id)
        return found

    async def contacts(
        self,
        actor: Actor,
        *,
        list_id: int | None = None,
        number: str | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> list[Contact]:
        """Contacts in the order they came; of a list, or with a number however written. Raises BadNumber."""
        actor.require(Right.CONTACTS_READ)
        e164 = None
        if number is not None:
            read = number_of(number, self._settings.default_region)
            e164 = read.e164
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page_of_contacts(
                conn, actor.tenant_id, list_id=list_id, e164=e164, after=after, limit=limit
            )
