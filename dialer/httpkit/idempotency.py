"""A POST with an Idempotency-Key is done once: its repetition gets the first reply again.

The key is taken in the database before the work begins, so of two requests at once only one works. A reply
of status 500 and more frees the key. If the server dies in the middle, or the database goes away, nobody
knows whether the work was done (a commit may have happened of which nobody was told): the key stays taken,
repetitions get StillAtWork, and the caller looks before it asks anew.
Keys are the user's own and are kept for a day.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiohttp import web
from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.db.tables import idempotency
from dialer.errors import BadRequest, DatabaseUnavailable, DozvonError, KeyReused, StillAtWork
from dialer.httpkit.access import Actor
from dialer.httpkit.keys import DATABASE
from dialer.httpkit.problems import locale_of, problem_reply

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)

Work = Callable[[], Awaitable[web.StreamResponse]]


async def once(
    request: web.Request, actor: Actor, key: str, fingerprint: str, work: Work
) -> web.StreamResponse:
    """Do `work` unless this user's `key` was used before; then give the first reply again.

    Raises KeyReused when the first request was another one, StillAtWork while it has not ended.
    """
    if not 1 <= len(key) <= 200 or not key.isprintable():
        raise BadRequest(reason="the Idempotency-Key must be 1 to 200 printable characters")
    if actor.user_id is None:
        raise BadRequest(reason="this request takes no Idempotency-Key")
    database = request.app[DATABASE]
    mine = _mine(actor, key)
    async with database.tenant(actor.tenant_id) as conn:
        taken = await conn.execute(
            insert(idempotency)
            .values(tenant_id=actor.tenant_id, user_id=actor.user_id, key=key, fingerprint=fingerprint)
            .on_conflict_do_nothing()
        )
        first = None if taken.rowcount else (await conn.execute(select(idempotency).where(mine))).one()
    if first is not None:
        if first.fingerprint != fingerprint:
            raise KeyReused
        if first.status is None:
            raise StillAtWork
        return _again(first.status, first.reply)
    try:
        reply = await _worked(request, work)
    except DatabaseUnavailable:
        raise
    except Exception:
        await _free(database, actor, key)
        raise
    # A cancelled request (the server is stopped) is no Exception: whether its work was done is not known.
    if not isinstance(reply, web.Response) or reply.status >= 500:
        await _free(database, actor, key)
        return reply
    body = json.loads(reply.text) if reply.text else None
    async with database.tenant(actor.tenant_id) as conn:
        await conn.execute(update(idempotency).where(mine).values(status=reply.status, reply=body))
    return reply


async def _worked(request: web.Request, work: Work) -> web.StreamResponse:
    try:
        return await work()
    except DozvonError as error:
        if error.status >= 500:
            raise
        # A refusal is an answer like any other: the repetition gets it too.
        return problem_reply(error, locale_of(request))


async def _free(database: Database, actor: Actor, key: str) -> None:
    async with database.tenant(actor.tenant_id) as conn:
        await conn.execute(delete(idempotency).where(_mine(actor, key)))


def _mine(actor: Actor, key: str) -> ColumnElement[bool]:
    return and_(
        idempotency.c.tenant_id == actor.tenant_id,
        idempotency.c.user_id == actor.user_id,
        idempotency.c.key == key,
    )


def _again(status: int, body: object) -> web.Response:
    kind = "application/problem+json" if status >= 400 else "application/json"
    headers = {"Idempotent-Replayed": "true", "Cache-Control": "no-store"}
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(
        status=status, text=json.dumps(body, ensure_ascii=False), content_type=kind, headers=headers
    )


async def forget_old(conn: AsyncConnection) -> None:
    """Drop the tenant's keys that are older than `KEPT`."""
    await conn.execute(delete(idempotency).where(idempotency.c.created_at < func.now() - KEPT))
