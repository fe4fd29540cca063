"""A campaign's row and its trunks as the terms of its calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Table, bindparam, exists, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.terms import CallTerms
from dialer.compliance.policy import Policy, Purpose
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.db.tables import campaign, campaign_list, campaign_quota
from dialer.errors import NotFound
from dialer.pacing.model import DialMode
from dialer.policies import store as policies
from dialer.trunks import store as trunks
from dialer.trunks.model import Trunk
from scheduler.order import Order

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DatabaseTermsBook:
    """Reads the terms from the database each time: the engine keeps what it needs."""

    database: Database
    #: where sounds are put for Asterisk
    prompts_dir: Path

    async def running(self, tenant_id: int) -> list[CallTerms]:
        """The terms of the tenant's running campaigns."""
        async with self.database.tenant(tenant_id) as conn:
            return await self._read(conn, await _RUNNING.rows(conn, tenant_id=tenant_id))

    async def terms(self, tenant_id: int, campaign_id: int) -> CallTerms:
        """The terms of one campaign, running or not. Raises NotFound."""
        async with self.database.tenant(tenant_id) as conn:
            return await self.read(conn, tenant_id, campaign_id)

    async def read(self, conn: AsyncConnection, tenant_id: int, campaign_id: int) -> CallTerms:
        """As `terms`, in the transaction of `conn`."""
        row = await _ONE.row(conn, tenant_id=tenant_id, campaign_id=campaign_id)
        found = await self._read(conn, [row] if row else [])
        if not found:
            raise NotFound(what="campaign", key=campaign_id)
        return found[0]

    async def drops_ringing(self, tenant_id: int, campaign_id: int) -> bool:
        """Whether a pause takes the campaign's ringing calls back."""
        async with self.database.tenant(tenant_id) as conn:
            found = await conn.scalar(
                select(campaign.c.drop_ringing_on_pause).where(
                    campaign.c.tenant_id == tenant_id, campaign.c.id == campaign_id
                )
            )
        return bool(found)

    async def _read(self, conn: AsyncConnection, rows: Iterable[Any]) -> list[CallTerms]:
        found = []
        for row in rows:
            policy = await policies.find(conn, row.tenant_id, row.policy, row.policy_version)
            if policy is None:  # a version that this server does not have: nothing may be dialled by it
                log.error("policy_unknown", campaign=row.id, policy=row.policy, version=row.policy_version)
                continue
            found.append(self._terms(row, policy, await trunks.trunks_of(conn, row.tenant_id, row.id)))
        return found

    def _terms(self, row: Any, policy: Policy, lines: list[Trunk]) -> CallTerms:
        return CallTerms(
            tenant_id=row.tenant_id,
            campaign_id=row.id,
            mode=DialMode(row.mode),
            ratio=row.ratio,
            priority=row.priority,
            policy=policy,
            purpose=Purpose(row.purpose),
            skill=row.skill,
            ring_timeout_s=row.ring_timeout_s,
            screens=row.detect_machines,
            amd=row.amd,
            record=row.record,
            wrap_up_limit_s=row.wrap_up_limit_s,
            abandon_sound=str(self.prompts_dir / row.abandon_sound) if row.abandon_sound else "",
            window=policies.timetable_of(row),
            trunks=lines,
            abandon_target=row.abandon_target,
            take_back_ringing=row.take_back_ringing,
            lead_order=Order(row.lead_order),
            mixed=row.mixed,
            has_quotas=row.has_quotas,
            limits=policies.limits_of(row),
            flow=row.flow or "",
            survey=row.survey or "",
            flow_lines=row.flow_lines,
            flow_rate=row.flow_rate,
            message_to_machines=row.message_to_machines,
        )


def _has(table: Table) -> ColumnElement[bool]:
    """Whether the campaign has rows of the table."""
    its_own = table.c.tenant_id == campaign.c.tenant_id, table.c.campaign_id == campaign.c.id
    return exists().where(*its_own).correlate(campaign)


_CAMPAIGNS = (
    select(campaign, _has(campaign_list).label("mixed"), _has(campaign_quota).label("has_quotas"))
    .where(campaign.c.tenant_id == bindparam("tenant_id"))
    .order_by(campaign.c.id)
)
_ONE = Prepared(_CAMPAIGNS.where(campaign.c.id == bindparam("campaign_id")))
_RUNNING = Prepared(_CAMPAIGNS.where(campaign.c.status == text("'running'")))
