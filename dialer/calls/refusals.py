"""Calls by hand that were refused: noted for whoever watches, and slowed down when they do not end.

A session that was stolen, or an agent who looks for what the lines let through, shows in tries that are
refused: numbers that no trunk may call, another's lead, a campaign that is not theirs. Each is in the log of
changes with its reason; who was refused too often in an hour waits before the next try.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db.session import Database
from dialer.db.tables import app_user, audit
from dialer.errors import DozvonError, TooManyRequests
from dialer.httpkit import audit as log_of_changes
from dialer.httpkit.access import Actor
from dialer.telemetry import mask_number

ACTION = "call.refused"
#: Refused tries of a user in an hour, after which the next ones wait.
MOST, HOUR_S = 30, 3600


@dataclass(frozen=True, slots=True)
class Refusals:
    """Tries of one user that were refused for one reason."""

    name: str
    #: the error's text, in English
    reason: str
    many: int
    last: datetime


@asynccontextmanager
async def noted(database: Database, actor: Actor, subject: str, number: str = "") -> AsyncIterator[None]:
    """Around a try to dial by hand: a refusal is written down. Raises TooManyRequests after too many."""
    async with database.tenant(actor.tenant_id) as conn:
        wait_s = await _wait_s(conn, actor)
    if wait_s > 0:
        raise TooManyRequests(seconds=wait_s)
    try:
        yield
    except DozvonError as error:
        if error.status < 500:
            async with database.tenant(actor.tenant_id) as conn:
                await _note(conn, actor, subject, number, error)
        raise


async def _wait_s(conn: AsyncConnection, actor: Actor) -> int:
    """Seconds until the oldest of the last `MOST` refusals is an hour old; 0: there were fewer."""
    if actor.user_id is None:
        return 0
    left = func.extract("epoch", audit.c.at - func.clock_timestamp()) + HOUR_S
    found = await conn.scalar(
        select(func.ceil(left))
        .where(
            audit.c.tenant_id == actor.tenant_id,
            audit.c.action == ACTION,
            audit.c.user_id == actor.user_id,
            audit.c.at > func.clock_timestamp() - text(f"interval '{HOUR_S} s'"),
        )
        .order_by(audit.c.at.desc())
        .offset(MOST - 1)
        .limit(1)
    )
    return int(found) if found is not None else 0


async def _note(conn: AsyncConnection, actor: Actor, subject: str, number: str, error: DozvonError) -> None:
    reason = error.details.get("reason")
    about = {"error": error.id, "reason": str(error if reason is None else reason)}
    if number:
        # As it was written: it may hold anything, also what the database keeps in no text.
        about["number"] = "".join(filter(str.isprintable, mask_number(number[:40])))
    await log_of_changes.record(conn, actor, ACTION, subject, **about)
    payload = {"user_id": actor.user_id, "subject": subject, **about}
    await events.emit(conn, ACTION, payload, tenant_id=actor.tenant_id)


async def of_last_day(conn: AsyncConnection, tenant_id: int) -> Sequence[Refusals]:
    """Those of the last 24 hours, by user and reason, the most frequent first."""
    reason = audit.c.details["reason"].astext
    rows = await conn.execute(
        select(
            app_user.c.name,
            reason.label("reason"),
            func.count().label("many"),
            func.max(audit.c.at).label("last"),
        )
        .join(app_user, (app_user.c.tenant_id == audit.c.tenant_id) & (app_user.c.id == audit.c.user_id))
        .where(
            audit.c.tenant_id == tenant_id,
            audit.c.action == ACTION,
            audit.c.at > func.clock_timestamp() - text("interval '1 day'"),
        )
        .group_by(app_user.c.name, reason)
        .order_by(func.count().desc(), app_user.c.name)
        .limit(50)
    )
    return [Refusals(row.name, row.reason, row.many, row.last) for row in rows]
