"""The next leads to dial: one claim that no two schedulers can win for the same lead.

The calendar's and the retry rule's answers stand on the lead itself (`open_from`, `open_until`), so the claim
is one indexed statement with SKIP LOCKED. A lead whose time is still to come rests: it is out of that index,
which else would have all that wait before those that can be dialled, and is put back when its time has come.
A campaign that dials its lists by shares claims from each as many as `scheduler.mix` says, by an index that
has the list in it. Whoever claims must settle: `dialling` in the same transaction as the attempt, or
`postpone` for a lead that the rules turn out to forbid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.db.session import driver_of
from dialer.db.tables import lead
from scheduler import promised
from scheduler.holds import Hold
from scheduler.mix import Share, deal
from scheduler.refused import NOT_REFUSED
from scheduler.retry import Again, Close, Phone

#: Until something is mended, a lead rests for so long: whoever mends it opens it again.
FOR_LONG = timedelta(days=3650)


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
    #: the callback that it is claimed for
    callback_id: int | None = None


_LEAD = """
    lead.id, lead.list_id, lead.contact_id, lead.e164, lead.timezones, lead.attempts, lead.last_result,
    (SELECT p.kind FROM contact_phone p
      WHERE p.tenant_id = lead.tenant_id AND p.contact_id = lead.contact_id AND p.e164 = lead.e164) AS kind
"""
_OPEN = f"""
    tenant_id = :tenant_id AND campaign_id = :campaign_id
       AND status IN ('new', 'waiting') AND hold IS NULL AND open_from <= :now AND open_until > :now
       AND NOT EXISTS (SELECT FROM active_number n WHERE n.tenant_id = lead.tenant_id AND n.e164 = lead.e164)
       AND {NOT_REFUSED}
"""
_NEXT = f"""
    SELECT {_LEAD}
      FROM lead
     WHERE {_OPEN}
     ORDER BY sort_key, id
     LIMIT :wanted
"""  # noqa: S608 - no value is put in
_PEEK = Prepared(_NEXT)
_PROMISED, _PROMISED_BY = promised.claims(_LEAD)
_AWAKE = f"{_NEXT} FOR UPDATE SKIP LOCKED"
#: Public for the bench, which asks the database how it goes about it.
CLAIM = Prepared(_AWAKE)
_WOKEN = """
        UPDATE lead SET hold = NULL
         WHERE tenant_id = :tenant_id AND id = ANY (ARRAY(
               SELECT id FROM lead
                WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id
                  AND hold IS NOT NULL AND hold <> 'callback' AND open_from <= :now
                ORDER BY open_from
                LIMIT 500
                  FOR UPDATE SKIP LOCKED))
"""
_WAKE = Prepared(_WOKEN)
#: The same, and leads whose time has come are woken: how many that were, and the claimed ones. It does not
#: see what it has woken itself. A wave of them (the morning) is taken in pieces: the claim goes on with those
#: that are awake.
_WAKE_AND_CLAIM = Prepared(
    f"""
    WITH woken AS ({_WOKEN} RETURNING id)
    SELECT w.many, c.*
      FROM (SELECT count(*) AS many FROM woken) w LEFT JOIN LATERAL ({_AWAKE}) c ON true
    """  # noqa: S608 - no value is put in
)

#: As many of each list as `many` says, but for those that are claimed already: SKIP LOCKED skips what others
#: have locked, not what this transaction has.
_OF_LISTS = f"""
    SELECT c.*
      FROM unnest(CAST(:lists AS bigint[]), CAST(:many AS integer[])) AS n (list, many)
     CROSS JOIN LATERAL (
        SELECT {_LEAD}
          FROM lead
         WHERE {_OPEN} AND list_id = n.list AND id <> ALL (CAST(:but AS bigint[]))
         ORDER BY sort_key, id
         LIMIT n.many
         {{lock}}) c
"""  # noqa: S608 - no value is put in
_PEEK_LISTS, CLAIM_LISTS = (Prepared(_OF_LISTS.format(lock=lock)) for lock in ("", "FOR UPDATE SKIP LOCKED"))
#: Of lists that have no share.
_OF_OTHERS = f"""
    SELECT {_LEAD}
      FROM lead
     WHERE {_OPEN} AND list_id <> ALL (CAST(:lists AS bigint[]))
     ORDER BY sort_key, id
     LIMIT :wanted
"""  # noqa: S608 - no value is put in
_PEEK_OTHERS, _CLAIM_OTHERS = Prepared(_OF_OTHERS), Prepared(f"{_OF_OTHERS} FOR UPDATE SKIP LOCKED")
_TODAY = "(SELECT CAST(now() AT TIME ZONE z.timezone AS date) FROM tenant z WHERE z.id = :tenant_id)"
_SHARES = Prepared(
    f"""
    SELECT list_id, share, CASE WHEN dialled_on = {_TODAY} THEN dialled ELSE 0 END
      FROM campaign_list
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id
     ORDER BY list_id
    """  # noqa: S608 - no value is put in
)
_COUNT_DIALLED = Prepared(
    f"""
    UPDATE campaign_list c
       SET dialled = n.many + CASE WHEN c.dialled_on = d.today THEN c.dialled ELSE 0 END,
           dialled_on = d.today
      FROM unnest(CAST(:lists AS bigint[]), CAST(:many AS integer[])) AS n (list, many),
           (SELECT {_TODAY} AS today) d
     WHERE c.tenant_id = :tenant_id AND c.campaign_id = :campaign_id AND c.list_id = n.list
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

#: The place of a lead whose attempts are counted anew, in the one order that goes by them.
_PLACE = """
    sort_key = CASE WHEN (SELECT k.lead_order FROM campaign k
                           WHERE k.tenant_id = lead.tenant_id AND k.id = lead.campaign_id) = 'fewest_attempts'
                    THEN {attempts} ELSE sort_key END
"""
_DIALLING = Prepared(
    f"""
    UPDATE lead SET status = 'dialling', hold = NULL, attempts = attempts + 1, last_attempt_at = :now,
           {_PLACE.format(attempts="attempts + 1")}
     WHERE tenant_id = :tenant_id AND id = ANY (CAST(:lead_ids AS bigint[]))
    """  # noqa: S608 - no value is put in
)
#: The lead goes on to another number of its person: to the one after its own, or the first of all. A number
#: that is the campaign's already, of somebody else, is passed over.
_MOVE = Prepared(
    """
    UPDATE lead l SET e164 = n.e164, timezones = n.timezones
      FROM (SELECT p.e164,
                   CASE WHEN k.timezone IS NULL THEN p.timezones ELSE ARRAY[k.timezone] END AS timezones
              FROM lead o
              JOIN contact k ON k.tenant_id = o.tenant_id AND k.id = o.contact_id
              JOIN contact_phone c
                ON c.tenant_id = o.tenant_id AND c.contact_id = o.contact_id AND c.e164 = o.e164
              JOIN contact_phone p ON p.tenant_id = o.tenant_id AND p.contact_id = o.contact_id
             WHERE o.tenant_id = :tenant_id AND o.id = :lead_id
               AND (p.position > c.position OR (CAST(:first AS boolean) AND p.position < c.position))
               AND p.dead_since IS NULL
               AND NOT EXISTS (SELECT FROM do_not_call d
                                WHERE d.tenant_id = o.tenant_id AND d.mark = p.e164 AND d.removed_at IS NULL
                                  AND (d.campaign_id IS NULL OR d.campaign_id = o.campaign_id))
               AND NOT EXISTS (SELECT FROM lead x
                                WHERE x.tenant_id = o.tenant_id AND x.campaign_id = o.campaign_id
                                  AND x.e164 = p.e164)
             ORDER BY p.position
             LIMIT 1) n
     WHERE l.tenant_id = :tenant_id AND l.id = :lead_id AND l.last_attempt_at = :made_at
       AND l.status <> 'offered'
    """
)
#: A lead that waits rests until its time comes.
_FATE = """
    status = CAST(:status AS text), hold = CAST(:hold AS text),
    open_from = coalesce(CAST(:open_from AS timestamptz), open_from), closed_reason = CAST(:reason AS text)
"""
_SETTLE = Prepared(
    f"""
    UPDATE lead SET last_result = :result, attempts = attempts - CAST(:spared AS integer), {_FATE},
           {_PLACE.format(attempts="attempts - CAST(:spared AS integer)")}
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
    id_, list_id, contact_id, e164, timezones, *others = row  # in the order of ClaimedLead
    return ClaimedLead(id_, list_id, contact_id, e164, tuple(timezones), *others)


async def claim(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    wanted: int,
    now: datetime,
    *,
    mixed: bool = False,
    callbacks: bool = False,
) -> list[ClaimedLead]:
    """Lock up to `wanted` leads that may be dialled now, in the campaign's order. `mixed`: its lists have
    shares. `callbacks`: before them those who were promised a call, by nobody in particular."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "now": now}
    if callbacks:
        rows = await _PROMISED.rows(conn, **whose, wanted=wanted)
        others = wanted - len(rows)
        more = await claim(conn, tenant_id, campaign_id, others, now, mixed=mixed) if others else []
        return [*map(_claimed, rows), *more]
    if mixed:
        await _WAKE.run(conn, **whose)
        return await _by_shares(conn, whose, wanted, CLAIM_LISTS, _CLAIM_OTHERS)
    found = [(many, row) for many, *row in await _WAKE_AND_CLAIM.rows(conn, **whose, wanted=wanted)]
    if found[0][0]:  # they may come before those that were awake
        return [_claimed(row) for row in await CLAIM.rows(conn, **whose, wanted=wanted)]
    return [_claimed(row) for _, row in found if row[0] is not None]


async def claim_promised(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, agent_id: int, now: datetime
) -> ClaimedLead | None:
    """Lock the lead that this agent has promised to call by now, the first of them."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "agent_id": agent_id, "now": now}
    row = await _PROMISED_BY.row(conn, **whose, wanted=1)
    return _claimed(row) if row else None


async def peek(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    wanted: int,
    now: datetime,
    *,
    mixed: bool = False,
) -> list[ClaimedLead]:
    """The leads that a claim would give next; nothing is locked, and any of them may be gone by then."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "now": now}
    if mixed:
        return await _by_shares(conn, whose, wanted, _PEEK_LISTS, _PEEK_OTHERS)
    return [_claimed(row) for row in await _PEEK.rows(conn, **whose, wanted=wanted)]


async def _by_shares(
    conn: AsyncConnection, whose: Mapping[str, Any], wanted: int, of_lists: Prepared, of_others: Prepared
) -> list[ClaimedLead]:
    """Up to `wanted` leads of the lists by their shares. What a list has not the others make up for, and at
    last the lists that have no share."""
    tenant_id, campaign_id = whose["tenant_id"], whose["campaign_id"]
    every = [Share(*row) for row in await _SHARES.rows(conn, tenant_id=tenant_id, campaign_id=campaign_id)]
    found: list[ClaimedLead] = []
    giving = every
    while giving and len(found) < wanted:
        dealt = deal(wanted - len(found), giving)
        asked = {"lists": list(dealt), "many": list(dealt.values()), "but": [one.id for one in found]}
        more = [_claimed(row) for row in await of_lists.rows(conn, **whose, **asked)]
        found += more
        got = Counter(one.list_id for one in more)
        giving = [
            replace(one, dialled=one.dialled + got[one.list_id])
            for one in giving
            if got[one.list_id] == dealt.get(one.list_id, 0)  # the others have no more
        ]
    if len(found) < wanted:
        lists = [one.list_id for one in every]
        rows = await of_others.rows(conn, **whose, lists=lists, wanted=wanted - len(found))
        found += [_claimed(row) for row in rows]
    return found


async def count_dialled(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, leads: Sequence[ClaimedLead]
) -> None:
    """The leads are dialled (by this same transaction): count them for their lists' shares."""
    of_list = sorted(Counter(one.list_id for one in leads).items())
    await _COUNT_DIALLED.run(
        conn,
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        lists=[list_id for list_id, _ in of_list],
        many=[many for _, many in of_list],
    )


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
    """The agent passed an offered lead on: it waits, behind all others; one that was promised a call, for a
    few minutes."""
    await promised.pass_on(conn, tenant_id, lead_id, utc_now())
    # By the index of the claim, from its other end.
    last = (
        select(lead.c.sort_key + 1)
        .where(
            lead.c.tenant_id == tenant_id,
            lead.c.campaign_id
            == select(lead.c.campaign_id)
            .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id)
            .scalar_subquery(),
            lead.c.status.in_(("new", "waiting")),
            lead.c.hold.is_(None),
        )
        .order_by(lead.c.sort_key.desc(), lead.c.id.desc())
        .limit(1)
    )
    await conn.execute(
        update(lead)
        .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id, lead.c.status == "offered")
        .values(status="waiting", sort_key=func.coalesce(last.scalar_subquery(), lead.c.sort_key))
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
        case Again(at, spared, hold, phone):
            await _move(conn, tenant_id, lead_id, made_at, phone)
            what = _fate("waiting", open_from=at, spared=spared, hold=hold)
        case Close(reason):
            what = _fate("closed", reason=reason)
    await _SETTLE.run(conn, tenant_id=tenant_id, lead_id=lead_id, made_at=made_at, result=result, **what)


async def _move(conn: AsyncConnection, tenant_id: int, lead_id: int, made_at: datetime, phone: Phone) -> None:
    """Have the lead tried by another number of its person from now on."""
    if phone is Phone.SAME:
        return
    driver = driver_of(conn)
    await driver.execute("SAVEPOINT move")
    try:
        await _MOVE.run(
            conn, tenant_id=tenant_id, lead_id=lead_id, made_at=made_at, first=phone is Phone.FIRST
        )
    except asyncpg.UniqueViolationError:
        # Somebody else has been brought in with that number in this moment: the lead keeps its own.
        await driver.execute("ROLLBACK TO SAVEPOINT move")


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
        case Again(at, _, hold, phone):
            await _move(conn, tenant_id, lead_id, made_at, phone)
            what = _fate("waiting", open_from=at, hold=hold)
        case Close(reason):
            what = _fate("closed", reason=reason)
    await _TALKED.run(conn, tenant_id=tenant_id, lead_id=lead_id, made_at=made_at, **what)
