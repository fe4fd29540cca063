"""What a person agrees to, written down and taken back. A part of the service of people."""

from __future__ import annotations

from datetime import datetime

from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents, people_store
from dialer.contacts.agreed import NewConsent
from dialer.contacts.people_base import People, Person
from dialer.db.events import wake
from dialer.errors import Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor


class Consents(People):
    """Consents of the people of a tenant."""

    async def add_consent(
        self,
        actor: Actor,
        contact_id: int,
        purpose: Purpose,
        source: str,
        *,
        proof: str = "",
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
    ) -> Person:
        """Write down that the person agrees. Raises NotFound, Forbidden, Invalid."""
        start = valid_from or utc_now()
        if valid_until is not None and valid_until <= start:
            raise Invalid(field="valid_until", reason="must be later than the beginning")
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._to_change(conn, actor, contact_id)
            new = NewConsent(contact_id, purpose, source, start, valid_until, proof)
            for consent_id in await consents.add_many(conn, actor.tenant_id, [new], actor.user_id):
                await audit.record(
                    conn, actor, "consent.add", f"contact:{contact_id}", consent=consent_id, purpose=purpose
                )
            await people_store.look_again(conn, actor.tenant_id, [contact_id], "consent", utc_now())
            await wake(conn, "campaigns", tenant_id=actor.tenant_id)
            return await self._person(conn, actor, contact_id)

    async def withdraw_consent(self, actor: Actor, contact_id: int, consent_id: int) -> Person:
        """The person agrees no more, from now on; a second withdrawal changes nothing. Raises NotFound."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._to_change(conn, actor, contact_id)
            purpose = await consents.withdraw(conn, actor.tenant_id, contact_id, consent_id, actor.user_id)
            if purpose is not None:
                await audit.record(
                    conn,
                    actor,
                    "consent.withdraw",
                    f"contact:{contact_id}",
                    consent=consent_id,
                    purpose=purpose,
                )
            found = await self._person(conn, actor, contact_id)
            if all(one.consent.id != consent_id for one in found.consents):
                raise NotFound(what="consent", key=consent_id)
            return found
