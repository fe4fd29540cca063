"""What the database knows of numbers that are to be dialled, and what the rules say to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import store
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.compliance.filters import Answer, Subject, stopped
from dialer.donotcall import store as donotcall
from scheduler import quotas

#: The longest look back that any policy needs.
HISTORY = timedelta(days=31)


async def subjects(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Subject]:
    """What the rules of a campaign need to know of each target, in their order."""
    tenant_id, campaign_id = terms.tenant_id, terms.campaign_id
    people = {target.e164: target.lead.contact_id if target.lead else None for target in targets}
    unwanted = await donotcall.covering(conn, tenant_id, list(people), campaign_id, now)
    tried = await store.tried(conn, tenant_id, people, now - HISTORY)
    full = await quotas.full_for(conn, tenant_id, campaign_id, people) if terms.has_quotas else {}
    return [
        Subject(
            target.timezones,
            tried.get(target.e164, ()),
            unwanted.get(target.e164),
            full.get(target.e164, ""),
        )
        for target in targets
    ]


async def judge(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Answer | None]:
    """For each target the filter that forbids a call now; None: it may be dialled.

    Who dials holds the locks of the numbers before (`donotcall.store.numbers_to_dial`).
    """
    known = await subjects(conn, terms, targets, now)
    return [stopped(subject, terms.rules, now) for subject in known]
