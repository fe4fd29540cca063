"""What the database knows of numbers that are to be dialled, and what the rules say to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import store
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.compliance.filters import Answer, Subject, stopped

#: The longest look back that any policy needs.
HISTORY = timedelta(days=31)


async def subjects(
    conn: AsyncConnection, tenant_id: int, targets: Sequence[Target], now: datetime
) -> list[Subject]:
    """What the rules need to know of each target, in their order."""
    tried = await store.tried(conn, tenant_id, [target.e164 for target in targets], now - HISTORY)
    return [Subject(target.timezones, tried.get(target.e164, ())) for target in targets]


async def judge(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Answer | None]:
    """For each target the filter that forbids a call now; None: it may be dialled."""
    known = await subjects(conn, terms.tenant_id, targets, now)
    return [stopped(subject, terms.rules, now) for subject in known]
