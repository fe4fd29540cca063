"""SQL of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import app_user, prompt
from dialer.prompts.model import OwnPrompt

p = prompt.c


def _select() -> Select[Any]:
    return select(
        p.id, p.name, p.language, p.path, p.length_s, p.size_bytes, p.checksum, p.filename, p.text,
        p.made_at, app_user.c.name.label("made_by"),
    ).select_from(
        prompt.outerjoin(app_user, and_(app_user.c.tenant_id == p.tenant_id, app_user.c.id == p.made_by))
    )  # fmt: skip


def _one(row: Row[Any]) -> OwnPrompt:
    return OwnPrompt(**row._mapping)


async def page(
    conn: AsyncConnection, tenant_id: int, *, after: str | None, limit: int, language: str | None = None
) -> list[OwnPrompt]:
    """Prompts by name, each with all its languages: `limit` counts names."""
    names = select(p.name).where(p.tenant_id == tenant_id).distinct().order_by(p.name).limit(limit)
    if after is not None:
        names = names.where(p.name > after)
    if language is not None:
        names = names.where(p.language == language)
    rows = await conn.execute(
        _select().where(p.tenant_id == tenant_id, p.name.in_(names)).order_by(p.name, p.language)
    )
    return [_one(row) for row in rows]


async def get(conn: AsyncConnection, tenant_id: int, prompt_id: int) -> OwnPrompt | None:
    """A prompt."""
    rows = await conn.execute(_select().where(p.tenant_id == tenant_id, p.id == prompt_id))
    row = rows.one_or_none()
    return _one(row) if row is not None else None


async def put(conn: AsyncConnection, tenant_id: int, values: dict[str, object]) -> int:
    """Write a prompt, in place of one of its name and language; its id."""
    given = insert(prompt).values(tenant_id=tenant_id, **values)
    written = given.on_conflict_do_update(
        index_elements=[p.tenant_id, p.name, p.language],
        set_={name: given.excluded[name] for name in values} | {"made_at": func.now()},
    ).returning(p.id)
    return int((await conn.execute(written)).scalar_one())


async def remove(conn: AsyncConnection, tenant_id: int, prompt_id: int) -> None:
    """Remove a prompt; its files stay until they are swept."""
    await conn.execute(delete(prompt).where(p.tenant_id == tenant_id, p.id == prompt_id))


async def paths(conn: AsyncConnection, tenant_id: int) -> Sequence[tuple[str, str, str]]:
    """Name, language and path of all."""
    rows = await conn.execute(select(p.name, p.language, p.path).where(p.tenant_id == tenant_id))
    return [(row.name, row.language, row.path) for row in rows]
