"""The log of changes: who changed what, written in the transaction of the change, and read by supervisors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import tables
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.keys import DATABASE
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out

routes = Routes("audit")


async def record(conn: AsyncConnection, actor: Actor, action: str, subject: str, **details: object) -> None:
    """Note that `actor` did `action` ("campaign.pause") to `subject` ("campaign:12").

    `details` are JSON values: never a password, a token or a whole phone number.
    """
    await conn.execute(
        insert(tables.audit).values(
            tenant_id=actor.tenant_id, user_id=actor.user_id, action=action, subject=subject, details=details
        )
    )


async def read(
    conn: AsyncConnection, tenant_id: int, *, subject: str, before: int | None, limit: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Changes of what `subject` begins, newest first; `before` is the id of the last one seen."""
    log, user = tables.audit, tables.app_user
    query = (
        select(log.c.id, log.c.at, log.c.user_id, user.c.name, log.c.action, log.c.subject, log.c.details)
        .outerjoin_from(log, user, (user.c.tenant_id == log.c.tenant_id) & (user.c.id == log.c.user_id))
        .where(log.c.tenant_id == tenant_id, log.c.subject.startswith(subject, autoescape=True))
        .order_by(log.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(log.c.id < before)
    return (await conn.execute(query)).all()


class ChangeOut(Out):
    """One change."""

    id: int
    at: datetime
    user_id: int | None = Field(description="who made it; null: the server itself")
    name: str | None = Field(description="the user's present name")
    action: str = Field(description="what was done, as `campaign.pause`")
    subject: str = Field(description="to what, as `campaign:12`")
    details: Mapping[str, Any]


class ChangesQuery(PageQuery):
    """Which changes."""

    subject: str = Field(
        "", max_length=100, description="what the subject begins with: `campaign:`, `user:7`"
    )


@routes.get("/audit", right=Right.AUDIT_READ)
async def changes(call: Call, query: ChangesQuery) -> Page[ChangeOut]:
    """Who changed what, newest first."""
    after = decode(query.cursor, int)
    async with call.app[DATABASE].tenant(call.actor.tenant_id) as conn:
        rows = await read(
            conn,
            call.actor.tenant_id,
            subject=query.subject,
            before=after[0] if after else None,
            limit=query.limit + 1,
        )
    page, following = cut(rows, query.limit, lambda row: (row.id,))
    return Page[ChangeOut](items=[ChangeOut.model_validate(row) for row in page], next=following)
