"""What the database knows of numbers that may be dialled, and what the rules say to it.

Who dials takes the locks of a batch by one statement (`lock`) and asks all that the filters need by the next,
which therefore sees whatever was committed before. Who only wants to know asks without any lock: `subjects`
gives what is known of numbers, `compliance.filters.answers` what each filter says to it, and neither changes
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.store import TRIED
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.compliance.evidence import evidence
from dialer.compliance.filters import Answer, Subject, Tried, stopped
from dialer.compliance.policy import good_day
from dialer.contacts import consents
from dialer.db.prepared import Prepared
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import lock_of
from scheduler import quotas

#: The longest look back that the limits need; a policy may ask for more.
HISTORY = timedelta(days=31)

#: One after the other: the numbers' locks are tried for, the people's are waited for, each placer in the
#: order of their ids. The keys that were had.
_LOCK = Prepared(
    f"""
    {donotcall.TRY}
     UNION ALL
    SELECT id FROM unnest(CAST(:people AS bigint[])) AS p (id)
     WHERE pg_advisory_xact_lock(
               hashtextextended('dozvon.person:' || CAST(:tenant_id AS bigint) || ':' || id, 0)) IS NULL
    """  # noqa: S608 - texts of ours
)
_OWNERS = Prepared(
    """
    SELECT min(contact_id) FROM contact_phone
     WHERE tenant_id = :tenant_id AND e164 = ANY (CAST(:numbers AS text[])) GROUP BY e164
    """
)
#: Each feature says by itself what it knows of a number n.e164 of a contact n.contact_id. A number that was
#: typed by hand is of the oldest contact that has it, and has no hours of its own.
#: Its values are subselects, which hides them from the planner: it would else find that it can do better for
#: so few numbers, and plan anew for each batch, which costs ten times what the answer does.
_KNOWN = Prepared(
    f"""
    SELECT n.contact_id, n.dead, n.good_from, n.good_until,
           {donotcall.SAID} AS said, {donotcall.VERSION} AS version, {TRIED} AS tried,
           CASE WHEN (SELECT CAST(:has_quotas AS boolean)) THEN {quotas.FULL} END AS full_quota,
           CASE WHEN (SELECT CAST(:asks_consent AS boolean)) THEN {consents.AGREED} END AS agreed
      FROM unnest((SELECT CAST(:numbers AS text[])), (SELECT CAST(:contacts AS bigint[])),
                  (SELECT CAST(:marks AS text[])))
           WITH ORDINALITY AS t (e164, contact_id, marks, place)
     CROSS JOIN LATERAL (
        SELECT t.e164, t.marks, coalesce(t.contact_id, min(p.contact_id)) AS contact_id,
               coalesce(bool_or(p.dead_since IS NOT NULL), false) AS dead,
               min(p.good_from) FILTER (WHERE p.contact_id = t.contact_id) AS good_from,
               min(p.good_until) FILTER (WHERE p.contact_id = t.contact_id) AS good_until
          FROM contact_phone p
         WHERE p.tenant_id = :tenant_id AND p.e164 = t.e164) AS n
     ORDER BY t.place
    """  # noqa: S608 - texts of ours
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say to one target."""

    #: the filter that forbids a call now; None: it may be dialled
    answer: Answer | None
    #: what the rules were put to
    subject: Subject
    #: what showed that; None where it may not
    evidence: Mapping[str, Any] | None = None


async def lock(conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target]) -> frozenset[str]:
    """Before anything is asked about numbers that this transaction is to dial: those of them (E.164) for
    which nobody commits an entry of do-not-call before it has ended.

    A number that is missing has an entry under way; all are while one for many numbers is. Where attempts at
    a person are limited, nobody else counts them meanwhile: of two campaigns that would call two numbers of
    one person at the same moment, the second counts the first's call.
    """
    if not targets:
        return frozenset()
    tenant_id, everybody = terms.tenant_id, lock_of(terms.tenant_id)
    keys = {target.e164: lock_of(tenant_id, target.e164) for target in targets}
    people = {target.person for target in targets if target.person is not None}
    typed = [target.e164 for target in targets if target.person is None]
    if typed and terms.rules.counts:
        people.update(await _OWNERS.column(conn, tenant_id=tenant_id, numbers=typed))
    had = set(
        await _LOCK.column(
            conn,
            tenant_id=tenant_id,
            keys=[everybody, *sorted(set(keys.values()))],
            people=sorted(people) if terms.rules.counts else [],
        )
    )
    return frozenset(number for number, key in keys.items() if key in had and everybody in had)


async def subjects(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Subject]:
    """What the rules need to know of each target, in their order. One statement, no lock: anybody may ask,
    of leads (their number, their contact) or of mere numbers, `Target(e164, zones)`."""
    if not targets:
        return []
    policy, numbers = terms.policy, [target.e164 for target in targets]
    rows = await _KNOWN.rows(
        conn,
        tenant_id=terms.tenant_id,
        campaign_id=terms.campaign_id,
        numbers=numbers,
        contacts=[target.person for target in targets],
        marks=donotcall.marks_of(numbers),
        since=now - max(HISTORY, timedelta(seconds=policy.redial_after_refusal_s)),
        has_quotas=terms.has_quotas,
        asks_consent=terms.rules.asks_consent,
    )
    return [_subject(*each, terms.campaign_id, now) for each in zip(targets, rows, strict=True)]


def _subject(target: Target, row: Any, campaign_id: int, now: datetime) -> Subject:
    return Subject(
        target.timezones,
        [Tried(*one) for one in row.tried],
        donotcall.unwanted(row.said, campaign_id, now),
        row.full_quota or "",
        [consents.read(one) for one in row.agreed or ()],
        contact=row.contact_id,
        good=good_day(row.good_from, row.good_until),
        dead=row.dead,
        version=row.version,
    )


async def judge(
    conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], now: datetime
) -> list[Judged]:
    """What the rules say to each target, in their order: those before it are taken for dialled.

    Who dials has taken the locks before (`lock`), in a statement of its own.
    """
    rules, found = terms.rules, []
    #: contact -> calls that this batch is about to make to them
    begun: dict[int, list[Tried]] = {}
    for subject in await subjects(conn, terms, targets, now):
        more = begun.get(subject.contact, []) if subject.contact is not None else []
        asked = replace(subject, tried=[*more, *subject.tried]) if more else subject
        answer = stopped(asked, rules, now)
        if answer is not None:
            found.append(Judged(answer, asked))
            continue
        found.append(Judged(None, asked, evidence(asked, rules, now)))
        if subject.contact is not None:
            begun.setdefault(subject.contact, []).append(Tried(now, None, None))
    return found
