"""The next leads to dial: one claim that no two schedulers can win for the same lead.

The calendar's and the retry rule's answers stand on the lead itself (`open_from`, `open_until`), so the claim
is one indexed statement with SKIP LOCKED. A lead whose time is still to come rests: it is out of that index,
which else would have all that wait before those that can be dialled, and is put back when its time has come.
Whoever claims must settle: `dialling` in the same transaction as the attempt, or `postpone` for a lead that
the rules turn out to forbid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import lead
from scheduler.holds import Hold
from scheduler.refused import NOT_REFUSED
from scheduler.retry import Again, Close


@dataclass(frozen=True, slots=True)
class ClaimedLead:
    """A lead, locked by this transaction."""

    id: int
    list_id: int
    contact_id: int
    e164: str
    #: all zones that the number or its record may be in
    timezones: tuple[str, ...]
    #: attempts made so far
    attempts: int
    #: what the last of them came to
    last_result: str | None = None
    #: of the number: mobile, fixed_line, ...
    kind: str | None = None


_LEAD = """
    id, list_id, contact_id, e164, timezones, attempts, last_result,
    (SELECT p.kind FROM contact_phone p
      WHERE p.tenant_id = lead.tenant_id AND p.contact_id = lead.contact_id AND p.e164 = lead.e164) AS kind
"""
_NEXT = f"""
    SELECT {_LEAD}
      FROM lead
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id
       AND status IN ('new', 'waiting') AND hold IS NULL AND open_from <= :now AND open_until > :now
       AND NOT EXISTS (SELECT FROM active_number n WHERE n.tenant_id = lead.tenant_id AND n.e164 = lead.e164)
       AND {NOT_REFUSED}
     ORDER BY sort_key, id
     LIMIT :wanted
"""  # noqa: S608 - no value is put in
_PEEK = Prepared(_NEXT)
_AWAKE = f"{_NEXT} FOR UPDATE SKIP LOCKED"
#: Public for the bench, which asks the database how it goes about it.
CLAIM = Prepared(_AWAKE)
#: The same, and leads whose time has come are woken: how many that were, and the claimed ones. It does not
#: see what it has woken itself. A wave of them (the morning) is taken in pieces: the claim goes on with those
#: that are awake.
_WAKE_AND_CLAIM = Prepared(
    f"""
    WITH woken AS (
        UPDATE lead SET hold = NULL
         WHERE tenant_id = :tenant_id AND id = ANY (ARRAY(
               SELECT id FROM lead
                WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id
                  AND hold IS NOT NULL AND open_from <= :now
                ORDER BY open_from
                LIMIT 500
                  FOR UPDATE SKIP LOCKED))
        RETURNING id
    )
    SELECT w.many, c.*
      FROM (SELECT count(*) AS many FROM woken) w LEFT JOIN LATERAL ({_AWAKE}) c ON true
    """  # noqa: S608 - no value is put in
)

_CLAIM_ONE = Prepared(
    f"""
    SELECT {_LEAD}
      FROM lead
     WHERE tenant_id = :tenant_id AND id = :lead_id AND campaign_id = :campaign_id
       AND status IN ('new', 'waiting', 'offered')
       FOR UPDATE SKIP LOCKED
    """  # noqa: S608 - texts of ours
)


_DIALLING = Prepared(
    """
    UPDATE lead SET status = 'dialling', hold = NULL, attempts = attempts + 1, last_attempt_at = :now
     WHERE tenant_id = :tenant_id AND id = ANY (CAST(:lead_ids AS bigint[]))
    """
)
#: A lead that waits rests until its time comes.
_FATE = """
    status = CAST(:status AS text), hold = CAST(:hold AS text),
    open_from = coalesce(CAST(:open_from AS timestamptz), open_from), closed_reason = CAST(:reason AS text)
"""
_SETTLE = Prepared(
    f"""
    UPDATE lead SET last_result = :result, attempts = attempts - CAST(:spared AS integer), {_FATE}
     WHERE tenant_id = :tenant_id AND id = :lead_id AND status = 'dialling' AND last_attempt_at = :made_at
    """  # noqa: S608 - no value is put in
)
_TALKED = Prepared(
    f"""
    UPDATE lead SET last_result = 'answered', {_FATE}
     WHERE tenant_id = :tenant_id AND id = :lead_id AND status <> 'offered' AND last_attempt_at = :made_at
    """  # noqa: S608 - no value is put in
)


def _claimed(row: Any) -> ClaimedLead:
    id_, list_id, contact_id, e164, timezones, attempts, last_result, kind = row
    return ClaimedLead(id_, list_id, contact_id, e164, tuple(timezones), attempts, last_result, kind)


async def claim(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, wanted: int, now: datetime
) -> list[ClaimedLead]:
    """Lock up to `wanted` leads that may be dialled now, in the campaign's order."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "now": now}
    found = [(many, row) for many, *row in await _WAKE_AND_CLAIM.rows(conn, **whose, wanted=wanted)]
    if found[0][0]:  # they may come before those that were awake
        return [_claimed(row) for row in await CLAIM.rows(conn, **whose, wanted=wanted)]
    return [_claimed(row) for _, row in found if row[0] is not None]


async def peek(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, wanted: int, now: datetime
) -> list[ClaimedLead]:
    """The leads that a claim would give next; nothing is locked, and any of them may be gone by then."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "now": now}
    return [_claimed(row) for row in await _PEEK.rows(conn, **whose, wanted=wanted)]


async def claim_one(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, lead_id: int
) -> ClaimedLead | None:
    """Lock one lead that a person has chosen; None when it is taken, dialled or closed."""
    row = await _CLAIM_ONE.row(conn, tenant_id=tenant_id, campaign_id=campaign_id, lead_id=lead_id)
    return _claimed(row) if row else None


async def lock(conn: AsyncConnection, tenant_id: int, lead_id: int) -> None:
    """Let nobody else claim, dial or give back the lead before the transaction ends."""
    await conn.execute(
        select(lead.c.id).where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id).with_for_update()
    )


async def dialling(conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int], now: datetime) -> None:
    """The leads have an attempt now (committed by this same transaction)."""
    await _DIALLING.run(conn, tenant_id=tenant_id, lead_ids=list(lead_ids), now=now)


async def offered(conn: AsyncConnection, tenant_id: int, lead_id: int) -> None:
    """The lead is shown to an agent, who may dial it."""
    await conn.execute(
        update(lead).where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id).values(status="offered")
    )


async def offered_leads(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[int]:
    """The campaign's leads that are shown to agents; locked."""
    rows = await conn.execute(
        select(lead.c.id)
        .where(lead.c.tenant_id == tenant_id, lead.c.campaign_id == campaign_id, lead.c.status == "offered")
        .order_by(lead.c.id)
        .with_for_update()
    )
    return list(rows.scalars())


async def showing(conn: AsyncConnection, tenant_id: int) -> set[int]:
    """The campaigns that have leads shown to agents."""
    rows = await conn.execute(
        select(lead.c.campaign_id).where(lead.c.tenant_id == tenant_id, lead.c.status == "offered").distinct()
    )
    return set(rows.scalars())


async def give_back(conn: AsyncConnection, tenant_id: int, lead_id: int) -> None:
    """An offered lead was not dialled: it waits for its turn again."""
    await conn.execute(
        update(lead)
        .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id, lead.c.status == "offered")
        .values(status="waiting")
    )


async def skip(conn: AsyncConnection, tenant_id: int, lead_id: int) -> None:
    """The agent passed an offered lead on: it waits, behind all others."""
    last = select(func.max(lead.c.sort_key) + 1).where(
        lead.c.tenant_id == tenant_id,
        lead.c.campaign_id == select(lead.c.campaign_id).where(lead.c.id == lead_id).scalar_subquery(),
    )
    await conn.execute(
        update(lead)
        .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id, lead.c.status == "offered")
        .values(status="waiting", sort_key=last.scalar_subquery())
    )


async def postpone(conn: AsyncConnection, tenant_id: int, lead_id: int, until: datetime, hold: Hold) -> None:
    """The rules forbid the lead until then."""
    await conn.execute(
        update(lead)
        .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id)
        .values(status="waiting", open_from=until, hold=hold)
    )


async def settle(
    conn: AsyncConnection, tenant_id: int, lead_id: int, made_at: datetime, result: str, fate: Again | Close
) -> None:
    """The lead's attempt of `made_at` has ended with `result`; `fate` is what the retry rule says.

    A lead that was dialled again since keeps its course: what is said twice is done once.
    """
    match fate:
        case Again(at, spared, hold):
            what = _fate("waiting", open_from=at, spared=spared, hold=hold)
        case Close(reason):
            what = _fate("closed", reason=reason)
    await _SETTLE.run(conn, tenant_id=tenant_id, lead_id=lead_id, made_at=made_at, result=result, **what)


def _fate(
    status: str,
    *,
    open_from: datetime | None = None,
    spared: bool = False,
    reason: str | None = None,
    hold: Hold | None = None,
) -> dict[str, Any]:
    return {"status": status, "open_from": open_from, "spared": int(spared), "reason": reason, "hold": hold}


async def talked(
    conn: AsyncConnection, tenant_id: int, lead_id: int, made_at: datetime, fate: Again | Close
) -> None:
    """The agent has said what the talk came to; `fate` is what the rule makes of it.

    `made_at` names the attempt: a lead that was dialled again since, or is shown to an agent, keeps its
    course. While the talk goes on the hold on its number keeps an open lead from being dialled.
    """
    match fate:
        case Again(at, _, hold):
            what = _fate("waiting", open_from=at, hold=hold)
        case Close(reason):
            what = _fate("closed", reason=reason)
    await _TALKED.run(conn, tenant_id=tenant_id, lead_id=lead_id, made_at=made_at, **what)
