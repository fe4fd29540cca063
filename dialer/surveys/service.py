"""What customers have said of talks: by call, and as figures of agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.errors import BadFlow
from dialer.httpkit.access import Actor, Right
from dialer.surveys import fitting, model, store
from dialer.surveys.model import Figure, Survey, Which
from ivr_flows import after_talk, loader


class SurveyService:
    """The surveys of a tenant. Who reads what talks were scored reads them too; agents do not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def choices(self, actor: Actor) -> list[str]:
        """The names of the flows that customers could go through after a talk."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            says = await store.all_documents(conn, actor.tenant_id)
        return sorted(name for name, document in says.items() if fitting.fits(document))

    async def of_call(self, actor: Actor, call_id: UUID) -> Survey | None:
        """What the customer of a call has said of the talk; None: they were not asked."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.of_call(conn, actor.tenant_id, call_id)

    async def surveys(
        self, actor: Actor, which: Which, *, after: tuple[datetime, UUID] | None = None, limit: int = 50
    ) -> list[Survey]:
        """Surveys, newest first."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page(conn, actor.tenant_id, which, after=after, limit=limit)

    async def figures(self, actor: Actor, which: Which) -> list[Figure]:
        """What customers have said, by flow and agent."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            totals = await store.totals(conn, actor.tenant_id, which)
            return model.figures(totals, await store.counts(conn, actor.tenant_id, which))

    async def titles(self, actor: Actor, flows: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """What the questions of flows are called, in their order: flow -> variable -> title. A question that
        the flow asks no more is not in it."""
        actor.require(Right.REVIEWS_READ)
        if not flows:
            return {}
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _titles(conn, actor.tenant_id, flows)


async def _titles(
    conn: AsyncConnection, tenant_id: int, flows: Collection[str]
) -> Mapping[str, Mapping[str, str]]:
    found = {}
    for name, document in (await store.documents(conn, tenant_id, flows)).items():
        try:
            found[name] = after_talk.questions(loader.from_document(document, checked=False))
        except BadFlow:  # of an earlier release
            continue
    return found
