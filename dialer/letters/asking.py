"""How a letter comes to be: whether it can."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.errors import Conflict, Invalid
from dialer.letters import store
from dialer.letters.model import LONGEST_SUBJECT, Wanted, is_address

_EMAIL = Prepared("SELECT email FROM contact WHERE tenant_id = :tenant_id AND id = :contact_id")


async def ask(conn: AsyncConnection, tenant_id: int, wanted: Wanted, *, by: int | None, now: datetime) -> int:
    """Have a letter sent to the address that is named, else to the person's; its id. It goes out when the
    transaction is over. Raises Conflict, Invalid."""
    to = wanted.to or await _EMAIL.value(conn, tenant_id=tenant_id, contact_id=wanted.contact_id)
    if not to:
        raise Conflict(reason="the card has no e-mail address to send the letter to")
    if not is_address(to):
        raise Invalid(field="to", reason="must be an e-mail address")
    subject = " ".join(wanted.subject.split())
    if not subject or len(subject) > LONGEST_SUBJECT:
        raise Invalid(field="subject", reason="does not have the right form")
    return await store.add(conn, tenant_id, replace(wanted, to=to, subject=subject), by, now)
