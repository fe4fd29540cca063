"""The SQL of articles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import rows
from dialer.db.prepared import Prepared
from dialer.db.tables import article

_ARTICLE = "SELECT id, title, body, changed_at FROM article WHERE tenant_id = :tenant_id AND {which}"
_ALL = Prepared(_ARTICLE.format(which="true ORDER BY title LIMIT :most"))
_ONE = Prepared(_ARTICLE.format(which="id = :article_id"))
#: Any of the words, in the forms of either language; who has more of them, nearer together, comes first.
_FOUND = Prepared(
    """
    SELECT a.id, a.title, a.body, a.changed_at
      FROM article a,
           (SELECT (replace(plainto_tsquery('russian', :query)::text, '&', '|'))::tsquery
                || (replace(plainto_tsquery('english', :query)::text, '&', '|'))::tsquery AS asked) q
     WHERE a.tenant_id = :tenant_id AND a.words @@ q.asked
     ORDER BY ts_rank_cd(a.words, q.asked) DESC, a.title LIMIT :most
    """
)


@dataclass(frozen=True, slots=True)
class Article:
    """An article."""

    id: int
    title: str
    #: plain text
    body: str
    changed_at: datetime


async def articles(conn: AsyncConnection, tenant_id: int, most: int) -> list[Article]:
    """All, by title."""
    return [Article(**row) for row in await _ALL.rows(conn, tenant_id=tenant_id, most=most)]


async def found(conn: AsyncConnection, tenant_id: int, query: str, most: int) -> list[Article]:
    """Those with these words, the best first."""
    return [Article(**row) for row in await _FOUND.rows(conn, tenant_id=tenant_id, query=query, most=most)]


async def find(conn: AsyncConnection, tenant_id: int, article_id: int) -> Article | None:
    """One article."""
    row = await _ONE.row(conn, tenant_id=tenant_id, article_id=article_id)
    return Article(**row) if row else None


async def write(
    conn: AsyncConnection, tenant_id: int, article_id: int | None, title: str, body: str, by: int | None
) -> int | None:
    """A new one, or one written anew; its id, None: there is none. A title that is taken breaks a unique
    constraint."""
    values: dict[str, Any] = {"title": title, "body": body, "changed_by": by}
    if article_id is None:
        return await rows.add(conn, article, tenant_id, values)
    values["changed_at"] = func.now()
    return article_id if await rows.change(conn, article, tenant_id, article_id, values) else None


async def remove(conn: AsyncConnection, tenant_id: int, article_id: int) -> bool:
    """Forget one; False: there is none."""
    return await rows.remove(conn, article, tenant_id, article_id)
