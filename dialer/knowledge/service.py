"""What can be done with articles: written by supervisors, found by whoever talks."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from dialer.db.session import Database
from dialer.errors import Conflict, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.knowledge import store
from dialer.knowledge.store import Article
from dialer.said import told

#: Articles of a list, and of what was found.
MOST, MOST_FOUND = 1000, 10


class KnowledgeService:
    """The articles of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def articles(self, actor: Actor) -> list[Article]:
        """All, by title."""
        _check(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.articles(conn, actor.tenant_id, MOST)

    async def search(self, actor: Actor, query: str) -> list[Article]:
        """Those with these words in any of their forms, Russian or English, the best first."""
        _check(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.found(conn, actor.tenant_id, query, MOST_FOUND)

    async def article(self, actor: Actor, article_id: int) -> Article:
        """One article. Raises NotFound."""
        _check(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.find(conn, actor.tenant_id, article_id)
        if found is None:
            raise NotFound(what="article", key=article_id)
        return found

    async def write(self, actor: Actor, title: str, body: str, article_id: int | None = None) -> Article:
        """A new one, or one anew. Raises NotFound, Conflict where the title is taken."""
        actor.require(Right.CAMPAIGNS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                written = await store.write(conn, actor.tenant_id, article_id, title, body, actor.user_id)
                if written is None:
                    raise NotFound(what="article", key=article_id)
                await audit.record(conn, actor, "article.write", f"article:{written}", title=title)
        except IntegrityError:
            raise Conflict(reason=told("there is an article {title} already", title=title)) from None
        return await self.article(actor, written)

    async def remove(self, actor: Actor, article_id: int) -> None:
        """Forget one. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.remove(conn, actor.tenant_id, article_id):
                raise NotFound(what="article", key=article_id)
            await audit.record(conn, actor, "article.remove", f"article:{article_id}")


def _check(actor: Actor) -> None:
    """Agents read them, and who sets campaigns up."""
    actor.require(Right.WORK if actor.may(Right.WORK) else Right.CAMPAIGNS_READ)
