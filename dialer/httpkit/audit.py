"""The log of changes: who changed what, written in the transaction of the change."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import tables
from dialer.httpkit.access import Actor


async def record(conn: AsyncConnection, actor: Actor, action: str, subject: str, **details: object) -> None:
    """Note that `actor` did `action` ("campaign.pause") to `subject` ("campaign:12").

    `details` are JSON values: never a password, a token or a whole phone number.
    """
    await conn.execute(
        insert(tables.audit).values(
            tenant_id=actor.tenant_id, user_id=actor.user_id, action=action, subject=subject, details=details
        )
    )
