"""What the database knows of numbers that are to be dialled, and what the rules say to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import people, store
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.compliance.consent import Consent
from dialer.compliance.evidence import evidence
from dialer.compliance.filters import Answer, Subject, Tried, stopped
from dialer.compliance.policy import ALL_DAY
from dialer.contacts.consents import consents_of
from dialer.donotcall import store as donotcall
from scheduler import quotas

#: The longest look back that the limits need; a policy may ask for more.
HISTORY = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say to one target."""

    #: the filter that forbids a call now; None: it may be dialled
    answer: Answer | None
    #: what showed that; None where it may not
    evidence: Mapping[str, Any] | None = None


async def subjects(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Subject]:
    """What the rules need to know of each target, in their order."""
    tenant_id, campaign_id, policy = terms.tenant_id, terms.campaign_id, terms.policy
    since = now - max(HISTORY, timedelta(seconds=policy.redial_after_refusal_s))
    whose = await people.contacts(conn, tenant_id, targets)
    if terms.rules.counts:
        await people.lock(conn, tenant_id, whose.values())
    unwanted = await donotcall.covering(conn, tenant_id, list(whose), campaign_id, now)
    tried = await store.tried(conn, tenant_id, whose, since)
    full = await quotas.full_for(conn, tenant_id, campaign_id, whose) if terms.has_quotas else {}
    agreed: Mapping[int, Sequence[Consent]] = {}
    if policy.asks_consent:
        agreed = await consents_of(conn, tenant_id, {one for one in whose.values() if one is not None})
    good = await people.good_hours(conn, tenant_id, targets)
    return [
        Subject(
            target.timezones,
            tried.get(target.e164, ()),
            unwanted.get(target.e164),
            full.get(target.e164, ""),
            agreed.get(whose[target.e164] or 0, ()),
            contact=whose[target.e164],
            good=good.get((target.lead.contact_id, target.e164), ALL_DAY) if target.lead else ALL_DAY,
        )
        for target in targets
    ]


async def judge(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Judged]:
    """What the rules say to each target, in their order: those before it are taken for dialled.

    Who dials holds the locks of the numbers before (`donotcall.store.numbers_to_dial`).
    """
    rules, found = terms.rules, []
    #: contact -> calls that this batch is about to make to them
    begun: dict[int, list[Tried]] = {}
    seen = await donotcall.version(conn, terms.tenant_id) if targets else 0
    for subject in await subjects(conn, terms, targets, now):
        more = begun.get(subject.contact, []) if subject.contact is not None else []
        asked = replace(subject, tried=[*more, *subject.tried]) if more else subject
        answer = stopped(asked, rules, now)
        if answer is not None:
            found.append(Judged(answer))
            continue
        found.append(Judged(None, evidence(asked, rules, now) | {"dnc": seen}))
        if subject.contact is not None:
            begun.setdefault(subject.contact, []).append(Tried(now, None, None))
    return found
