"""Alerts: their rules, what supervisors are called for, and the watch that calls them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.boards import alerts_store as store
from dialer.boards.alerting import MOST, OF_CAMPAIGN, OF_QUEUE, Alert, AlertRule, Kind, met
from dialer.boards.service import BoardService
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import Conflict, DatabaseUnavailable, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said, told

log = structlog.get_logger(__name__)

#: How often the board is looked at for those who are not looking, seconds.
EVERY_S: Final = 5.0
#: Rules of a tenant: each costs the database some statements each time.
MOST_RULES: Final = 100


class AlertService:
    """Rules and alerts of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rules(self, actor: Actor) -> list[AlertRule]:
        """The rules. Raises Forbidden."""
        actor.require(Right.REPORTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.rules(conn, actor.tenant_id)

    async def add(
        self,
        actor: Actor,
        kind: Kind,
        threshold: float,
        *,
        campaign_id: int | None = None,
        queue_id: int | None = None,
    ) -> AlertRule:
        """Watch over something more. Raises Invalid, NotFound, Conflict, Forbidden."""
        actor.require(Right.CAMPAIGNS_EDIT)
        most = MOST[kind]
        if not 0 <= threshold <= most:
            raise Invalid(field="threshold", reason=Said("must be 0 to {most}", most=f"{most:g}"))
        if campaign_id is not None and kind not in OF_CAMPAIGN:
            raise Invalid(field="campaign_id", reason="is not what this kind looks at")
        if queue_id is not None and kind not in OF_QUEUE:
            raise Invalid(field="queue_id", reason="is not what this kind looks at")
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                if len(await store.rules(conn, actor.tenant_id)) >= MOST_RULES:
                    raise Conflict(reason=told("there are {most} rules already: remove one", most=MOST_RULES))
                rule_id = await store.add_rule(conn, actor.tenant_id, kind, threshold, campaign_id, queue_id)
                about: dict[str, Any] = {"kind": kind.value, "threshold": threshold}
                about |= {"campaign_id": campaign_id, "queue_id": queue_id}
                await audit.record(conn, actor, "alert_rule.create", f"alert_rule:{rule_id}", **about)
                return next(one for one in await store.rules(conn, actor.tenant_id) if one.id == rule_id)
        except IntegrityError as error:
            what, key = ("queue", queue_id) if "queue_id" in str(error.orig) else ("campaign", campaign_id)
            raise NotFound(what=what, key=key) from None

    async def remove(self, actor: Actor, rule_id: int) -> None:
        """Watch over it no more; its alerts go with it. Raises NotFound, Forbidden."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.drop_rule(conn, actor.tenant_id, rule_id):
                raise NotFound(what="rule", key=rule_id)
            await audit.record(conn, actor, "alert_rule.delete", f"alert_rule:{rule_id}")
            await events.emit(conn, "alert.cleared", {"rule_id": rule_id}, tenant_id=actor.tenant_id)

    async def now(self, actor: Actor) -> list[Alert]:
        """What supervisors are called for. Raises Forbidden."""
        actor.require(Right.REPORTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.raised_now(conn, actor.tenant_id)

    async def latest(self, actor: Actor, *, before: int | None = None, limit: int = 50) -> list[Alert]:
        """What they were called for, newest first, with ids below `before`. Raises Forbidden."""
        actor.require(Right.REPORTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.latest(conn, actor.tenant_id, before=before, limit=limit)


class AlertWatch:
    """The task of the jobs process: looks at the board of each tenant that has rules."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._boards = BoardService(database)

    async def run(self) -> None:
        """Until cancelled, every few seconds; a database that is away is asked again."""
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("alerts_wait", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def round(self) -> None:
        """Raise and clear what is to be raised and cleared now, in every tenant."""
        for tenant_id in await self._database.tenants():
            async with self._database.tenant(tenant_id) as conn:
                rules = await store.rules(conn, tenant_id)
            if rules:
                await self._look(tenant_id, rules)

    async def _look(self, tenant_id: int, rules: list[AlertRule]) -> None:
        server = Actor.server(tenant_id)
        counted = await self._boards.counted(server)
        now = await self._boards.now(server)
        async with self._database.tenant(tenant_id) as conn:
            # Not those that were removed meanwhile.
            kept = {one.id for one in await store.rules(conn, tenant_id)}
            for rule in rules:
                if rule.id not in kept:
                    continue
                raised, ended = await store.note(conn, tenant_id, rule, met(rule, now, counted), now.at)
                await _tell(conn, tenant_id, "alert.raised", raised)
                await _tell(conn, tenant_id, "alert.cleared", ended)


async def _tell(conn: AsyncConnection, tenant_id: int, kind: str, alerts: list[dict[str, Any]]) -> None:
    for one in alerts:
        campaign_id = one.pop("campaign_id")
        await events.emit(conn, kind, one, tenant_id=tenant_id, campaign_id=campaign_id)
        log.info(kind.replace(".", "_"), alert=one["kind"], key=one["key"])
