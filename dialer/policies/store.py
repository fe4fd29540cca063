"""The SQL of policies: a tenant's own ones, beside those that come with the server, and who follows which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.compliance.filters import Rules
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import Limits, Policy, Purpose
from dialer.compliance.timetable import Timetable
from dialer.db.prepared import Prepared
from dialer.db.tables import policy as table
from dialer.policies.fields import PolicyBody

_NEWEST = Prepared(
    """
    SELECT DISTINCT ON (code) code, version, body FROM policy
     WHERE tenant_id = :tenant_id ORDER BY code, version DESC
    """
)
_FIND = Prepared(
    """
    SELECT code, version, body FROM policy
     WHERE tenant_id = :tenant_id AND code = :code AND version = coalesce(:version, version)
     ORDER BY version DESC LIMIT 1
    """
)
_STAMPED = Prepared(
    """
    SELECT code, version, body FROM policy
     WHERE tenant_id = :tenant_id AND code || '/' || version = ANY (CAST(:stamps AS text[]))
    """
)
_RULES = Prepared(
    """
    SELECT id, mode, purpose, policy, policy_version, call_from, call_until, week, exceptions, on_holidays,
           most_per_day, most_per_week, most_per_month
      FROM campaign
     WHERE tenant_id = :tenant_id AND id = ANY (CAST(:campaign_ids AS bigint[]))
    """
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a policy, and who made it."""

    policy: Policy
    #: None: it came with the server
    created_at: datetime | None
    by: str | None


def _policy(row: Any) -> Policy:
    return PolicyBody.model_validate(row.body).policy(row.code, row.version)


async def newest(conn: AsyncConnection, tenant_id: int) -> dict[str, Policy]:
    """Every policy that a campaign can choose, by code: the server's, then the tenant's own."""
    own = [_policy(row) for row in await _NEWEST.rows(conn, tenant_id=tenant_id)]
    return {**POLICIES, **{each.code: each for each in own if each.code not in POLICIES}}


async def find(conn: AsyncConnection, tenant_id: int, code: str, version: int | None = None) -> Policy | None:
    """The newest version of a policy, or that one; None: there is none, so nobody may be called by it."""
    if code in POLICIES:
        found = POLICIES[code]
        return found if version in (None, found.version) else None
    row = await _FIND.row(conn, tenant_id=tenant_id, code=code, version=version)
    return _policy(row) if row else None


async def by_stamp(conn: AsyncConnection, tenant_id: int, stamps: Collection[str]) -> Mapping[str, Policy]:
    """The policies that attempts were made under; a version that a newer server has dropped is not in it."""
    found = {each.stamp: each for each in POLICIES.values()}
    if missing := set(stamps) - found.keys():
        rows = await _STAMPED.rows(conn, tenant_id=tenant_id, stamps=sorted(missing))
        found |= {each.stamp: each for each in map(_policy, rows)}
    return found


async def versions(conn: AsyncConnection, tenant_id: int, code: str) -> list[Version]:
    """All versions of a policy, the newest first; none: there is no such policy."""
    if code in POLICIES:
        return [Version(POLICIES[code], None, None)]
    rows = await conn.execute(
        text(
            """
            SELECT p.code, p.version, p.body, p.created_at, u.name AS by
              FROM policy p LEFT JOIN app_user u ON u.tenant_id = p.tenant_id AND u.id = p.created_by
             WHERE p.tenant_id = :tenant_id AND p.code = :code ORDER BY p.version DESC
            """
        ),
        {"tenant_id": tenant_id, "code": code},
    )
    return [Version(_policy(row), row.created_at, row.by) for row in rows]


async def add(conn: AsyncConnection, tenant_id: int, new: Policy, user_id: int | None) -> None:
    """Write a version. IntegrityError when there is one of its number."""
    body = PolicyBody.of(new).model_dump(mode="json")
    await conn.execute(
        insert(table).values(
            tenant_id=tenant_id, code=new.code, version=new.version, body=body, created_by=user_id
        )
    )


async def followers(conn: AsyncConnection, tenant_id: int, code: str) -> list[tuple[int, str, int | None]]:
    """Campaigns that follow a policy and are not stopped: id, name, the version that they keep to."""
    rows = await conn.execute(
        text(
            """
            SELECT id, name, policy_version FROM campaign
             WHERE tenant_id = :tenant_id AND policy = :code AND status <> 'stopped' ORDER BY id DESC
            """
        ),
        {"tenant_id": tenant_id, "code": code},
    )
    return [tuple(row) for row in rows]


async def rules(conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]) -> dict[int, Rules]:
    """What these campaigns and their policies lay down; one whose policy is not known is left out: nothing
    may be dialled by it."""
    rows = await _RULES.rows(conn, tenant_id=tenant_id, campaign_ids=list(campaign_ids))
    policies = {
        key: await find(conn, tenant_id, *key) for key in {(row.policy, row.policy_version) for row in rows}
    }
    return {
        row.id: Rules(policy, timetable_of(row), row.mode, limits_of(row), Purpose(row.purpose))
        for row in rows
        if (policy := policies[row.policy, row.policy_version]) is not None
    }


def limits_of(row: Any) -> Limits:
    """The campaign's own limits of attempts at a person."""
    return Limits(row.most_per_day, row.most_per_week, row.most_per_month)


def timetable_of(row: Any) -> Timetable:
    """The hours of a campaign's row."""
    return Timetable.read(
        row.call_from, row.call_until, row.week, row.exceptions, on_holidays=row.on_holidays
    )
