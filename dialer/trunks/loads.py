"""The SQL of what trunks and tenants carry: lines are taken and given back by one UPDATE each.

Campaigns on different servers share trunks, so no server's memory says what a trunk carries: the row of
`trunk_load` does, and over all trunks that of `tenant_load`. A line is taken in the transaction that writes
its attempt, and the attempt says so itself (`holds_line`); it is given back in the transaction that turns
this mark off, which can happen once only. So the count is right after any crash, and nothing is ever counted
anew.

Time is the database's: one clock for all servers. The rows are locked in one order, the tenant's first and
the trunks' by their ids, so that two transactions do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.trunks.caps import (
    IDLE,
    NOTHING,
    PROBE_MOST_S,
    TYPED_PER_HOUR,
    Caps,
    Load,
    Rate,
    prefixes,
    rate_of,
)
from dialer.trunks.health import Health, Said, Verdict, after
from dialer.trunks.model import Book, Trunk

#: Of the tenant, and of each of the trunks that there are.
_READ = Prepared(
    """
    SELECT c.at, (c.at AT TIME ZONE z.timezone)::date AS today,
           k.max_channels AS all_channels, k.max_cps AS all_cps, k.max_spend_per_day AS all_spend,
           s.tenant_id IS NOT NULL AS tenant_known, s.channels AS s_channels, s.tokens AS s_tokens,
           s.filled_at AS s_filled_at, s.spent AS s_spent, s.spend_day AS s_spend_day,
           t.id, t.enabled, t.allowed_prefixes, t.max_channels, t.max_cps, t.max_spend_per_day,
           EXISTS (SELECT FROM trunk_rate r WHERE r.tenant_id = t.tenant_id AND r.trunk_id = t.id) AS priced,
           l.trunk_id IS NOT NULL AS known, l.channels, l.tokens, l.filled_at, l.spent, l.spend_day,
           l.health, l.probe_at, l.probe_every_s
      FROM (SELECT clock_timestamp() AS at OFFSET 0) c
      JOIN tenant z ON z.id = :tenant_id
      LEFT JOIN tenant_cap k ON k.tenant_id = z.id
      LEFT JOIN tenant_load s ON s.tenant_id = z.id
      LEFT JOIN trunk t ON t.tenant_id = z.id AND t.id = ANY(CAST(:trunk_ids AS bigint[]))
      LEFT JOIN trunk_load l ON l.tenant_id = t.tenant_id AND l.trunk_id = t.id
     ORDER BY t.id
    """
)
_KNOW_TENANT = Prepared("INSERT INTO tenant_load (tenant_id) VALUES (:tenant_id) ON CONFLICT DO NOTHING")
_KNOW_TRUNK = Prepared(
    """
    INSERT INTO trunk_load (tenant_id, trunk_id) VALUES (:tenant_id, :trunk_id) ON CONFLICT DO NOTHING
    """
)


def _take(load: str, caps: str, where: str, *, bad: str, probes: str) -> Prepared:
    """The UPDATE that takes lines. The row's new values come from one inner SELECT, so that it reads the
    clock once, and after it has waited for the row: an earlier time would be counted twice."""
    columns = "granted, channels, tokens, filled_at, spent, spend_day"
    return Prepared(
        f"""
        UPDATE {load} l SET ({columns}{", probe_at, probe_every_s" if probes else ""}) = (
            SELECT g.n, l.channels + g.n, b.tokens - g.n, b.filled_at,
                   b.spent + CASE WHEN g.n > 0 THEN (CAST(:sums AS numeric[]))[g.n] ELSE 0 END, b.today
                   {probes}
              FROM (SELECT coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS at OFFSET 0) c
             CROSS JOIN LATERAL (
                SELECT CASE
                         WHEN k.max_cps IS NULL THEN NULL
                         WHEN l.tokens IS NULL OR l.filled_at IS NULL THEN 1 + k.max_cps / 4
                         WHEN l.filled_at > c.at + interval '1 second'
                         THEN greatest(1, least(1 + k.max_cps / 4, l.tokens))
                         ELSE least(
                             1 + k.max_cps / 4,
                             l.tokens + k.max_cps
                                 * greatest(0, CAST(extract(epoch FROM c.at - l.filled_at) AS float8))
                         )
                       END AS tokens,
                       CASE
                         WHEN l.filled_at > c.at + interval '1 second' THEN c.at
                         ELSE greatest(l.filled_at, c.at)
                       END AS filled_at,
                       greatest(l.spend_day, d.day) AS today,
                       CASE WHEN d.day > l.spend_day THEN 0 ELSE l.spent END AS spent
                  FROM (SELECT (c.at AT TIME ZONE z.timezone)::date AS day) d
                OFFSET 0
             ) b
             CROSS JOIN LATERAL (
                SELECT greatest(0, least(  -- what is null sets no bound
                    cardinality(CAST(:sums AS numeric[])),
                    k.max_channels - l.channels,
                    CAST(floor(b.tokens + 1e-9) AS integer),
                    {bad}
                    (SELECT count(*) FROM unnest(CAST(:sums AS numeric[])) AS s
                      WHERE k.max_spend_per_day IS NULL OR b.spent + s <= k.max_spend_per_day)::integer
                )) AS n OFFSET 0
             ) g
        )
        FROM {caps} k, tenant z
        WHERE l.tenant_id = :tenant_id AND z.id = l.tenant_id AND {where}
          AND (k.max_channels IS NULL OR l.channels < k.max_channels)
        RETURNING l.granted
        """  # noqa: S608 - the parts are the two constants below
    )


_TAKE_TENANT = _take(
    "tenant_load",
    """(SELECT c.max_channels, c.max_cps, c.max_spend_per_day
          FROM tenant y LEFT JOIN tenant_cap c ON c.tenant_id = y.id WHERE y.id = :tenant_id)""",
    "true",
    bad="",
    probes="",
)
_TAKE_TRUNK = _take(
    "trunk_load",
    "trunk",
    "l.trunk_id = :trunk_id AND k.tenant_id = l.tenant_id AND k.id = l.trunk_id AND k.enabled",
    bad="CASE WHEN l.health = 'bad' THEN CASE WHEN c.at < l.probe_at THEN 0 ELSE 1 END END,",
    probes=f""",
                   CASE WHEN l.health = 'bad' AND g.n > 0
                        THEN c.at + make_interval(secs => l.probe_every_s) ELSE l.probe_at END,
                   CASE WHEN l.health = 'bad' AND g.n > 0
                        THEN least(l.probe_every_s * 2, {PROBE_MOST_S}) ELSE l.probe_every_s END""",
)
#: Of lines that were just taken and not used after all: the other row, a trunk's, gave fewer.
_UNTAKE_TENANT = Prepared(
    """
    UPDATE tenant_load SET channels = channels - :many, tokens = tokens + :many, spent = spent - :reserved
     WHERE tenant_id = :tenant_id
    """
)


async def read(conn: AsyncConnection, tenant_id: int, trunks: Sequence[Trunk]) -> tuple[list[Trunk], Book]:
    """The trunks as they are set at this moment, and what they and the tenant carry; one that is no longer
    there is left out. Without a lock: whoever goes by it asks the UPDATE again."""
    asked = {"tenant_id": tenant_id, "trunk_ids": sorted(trunk.id for trunk in trunks)}
    rows = await _READ.rows(conn, **asked)
    of_all = rows[0]
    if not of_all.tenant_known:
        await _KNOW_TENANT.run(conn, tenant_id=tenant_id)
    found = {row.id: row for row in rows if row.id is not None}
    for row in found.values():
        if not row.known:
            await _KNOW_TRUNK.run(conn, tenant_id=tenant_id, trunk_id=row.id)
    book = Book(
        of_all.at,
        of_all.today,
        {row.id: _load(row) for row in found.values()},
        Caps(of_all.all_channels, of_all.all_cps, of_all.all_spend),
        _load_of_tenant(of_all),
    )
    return [_set(trunk, found[trunk.id]) for trunk in trunks if trunk.id in found], book


def _load(row: Any) -> Load:
    if not row.known:
        return IDLE
    return Load(
        row.channels,
        row.tokens,
        row.filled_at,
        row.spent,
        row.spend_day,
        bad=row.health == "bad",
        probe_at=row.probe_at,
        probe_every_s=row.probe_every_s,
    )


def _load_of_tenant(row: Any) -> Load:
    if not row.tenant_known:
        return IDLE
    return Load(row.s_channels, row.s_tokens, row.s_filled_at, row.s_spent, row.s_spend_day)


def _set(trunk: Trunk, row: Any) -> Trunk:
    return replace(
        trunk,
        enabled=row.enabled,
        allowed_prefixes=tuple(row.allowed_prefixes),
        max_channels=row.max_channels,
        max_cps=row.max_cps,
        max_spend_per_day=row.max_spend_per_day,
        priced=row.priced,
    )


async def rates(
    conn: AsyncConnection, tenant_id: int, trunks: Sequence[Trunk], numbers: Sequence[str]
) -> dict[str, dict[int, Rate | None]]:
    """The tariff of each number at each trunk that has any; None where no prefix is the number's."""
    ids = sorted(trunk.id for trunk in trunks if trunk.priced)
    if not ids:
        return {}
    begun = sorted({prefix for number in numbers for prefix in prefixes(number)})
    rows = await conn.execute(
        text(
            """
            SELECT trunk_id, prefix, per_minute, per_call FROM trunk_rate
             WHERE tenant_id = :tenant_id AND trunk_id = ANY(CAST(:trunk_ids AS bigint[]))
               AND prefix = ANY(CAST(:prefixes AS text[]))
            """
        ),
        {"tenant_id": tenant_id, "trunk_ids": ids, "prefixes": begun},
    )
    of_trunk: dict[int, dict[str, Rate]] = {trunk_id: {} for trunk_id in ids}
    for row in rows:
        of_trunk[row.trunk_id][row.prefix] = Rate(row.per_minute, row.per_call)
    return {
        number: {trunk_id: rate_of(tariff, number) for trunk_id, tariff in of_trunk.items()}
        for number in numbers
    }


def sums(reserves: Iterable[Decimal]) -> list[Decimal]:
    """What the first, the first two, ... of these reserve."""
    total, found = NOTHING, []
    for reserve in reserves:
        total += reserve
        found.append(total)
    return found


async def take_of_tenant(
    conn: AsyncConnection, tenant_id: int, reserves: Sequence[Decimal], *, now: datetime | None = None
) -> int:
    """Take a line of the tenant for each of these calls, the first ones first; how many there were.

    `now` is for tests: else the database's clock.
    """
    taken: int | None = await _TAKE_TENANT.value(conn, tenant_id=tenant_id, sums=sums(reserves), now=now)
    return taken or 0


async def take_of_trunk(
    conn: AsyncConnection,
    tenant_id: int,
    trunk_id: int,
    reserves: Sequence[Decimal],
    *,
    now: datetime | None = None,
) -> int:
    """The same of one trunk: of a bad one a single line, when its probe is due."""
    asked = {"tenant_id": tenant_id, "trunk_id": trunk_id, "sums": sums(reserves), "now": now}
    taken: int | None = await _TAKE_TRUNK.value(conn, **asked)
    return taken or 0


async def untake_of_tenant(conn: AsyncConnection, tenant_id: int, reserves: Sequence[Decimal]) -> None:
    """In the transaction that took them: give lines of the tenant back that no trunk had a line for."""
    if reserves:
        reserved = sum(reserves, NOTHING)
        await _UNTAKE_TENANT.run(conn, tenant_id=tenant_id, many=len(reserves), reserved=reserved)


# -- giving back ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended:
    """A call whose channel is gone."""

    attempt_id: UUID
    #: seconds from its answer to its end; None: it was not answered
    answered_s: float | None = None
    #: what it says of its trunk, if it was not answered (an answer speaks when it comes)
    said: Said | None = None


_HEALTH = "l.health, l.health_since, l.health_why, l.faults, l.fault_share, l.probe_at, l.probe_every_s"
_LOCK_TRUNK = Prepared(
    f"""
    SELECT clock_timestamp() AS at, {_HEALTH} FROM trunk_load l
     WHERE l.tenant_id = :tenant_id AND l.trunk_id = :trunk_id FOR UPDATE
    """  # noqa: S608 - a constant list of columns
)
#: Attempts over trunks that are not known to work.
_ANSWERED = Prepared(
    """
    SELECT a.probe, l.trunk_id
      FROM attempt a JOIN trunk_load l ON l.tenant_id = a.tenant_id AND l.trunk_id = a.trunk_id
     WHERE a.tenant_id = :tenant_id AND a.id = ANY(CAST(:attempt_ids AS uuid[]))
       AND (l.health = 'bad' OR l.faults > 0 OR l.fault_share > 0)
    """
)
#: What has ended, added up.
_SUMS = """
    count(*)::integer AS many, sum(e.cost) AS cost,
    array_agg(e.reserved_on) AS days, array_agg(e.reserved) AS reserved
"""
#: The new values of a row `l`, from what has ended, `o`. They come from one inner SELECT, so that it reads
#: the clock once, and after it has waited for the row.
_FREED = """
    SELECT greatest(0, l.channels - o.many),
           greatest(0, b.spent + o.cost - coalesce((
               SELECT sum(u.reserved) FROM unnest(o.days, o.reserved) AS u (day, reserved)
                WHERE u.day = b.today), 0)),
           b.today
      FROM (SELECT greatest(l.spend_day, d.day) AS today,
                   CASE WHEN d.day > l.spend_day THEN 0 ELSE l.spent END AS spent
              FROM (SELECT (clock_timestamp() AT TIME ZONE z.timezone)::date AS day OFFSET 0) d
            OFFSET 0) b
"""
#: The attempts give up their lines, then the tenant's row is freed, then the trunks' by their ids; those that
#: calls say something of, `heard`, are locked in that order too. Each part waits for the one before, since it
#: reads it. What comes back: the attempts, with their trunks as these are now.
_GIVE_BACK = """
    WITH ended AS (
        UPDATE {calls} a SET holds_line = false, trunk_fault = n.fault,
               cost = CASE WHEN a.rate_per_minute IS NULL THEN NULL
                           WHEN n.answered_s IS NULL THEN 0
                           ELSE ceil((a.rate_per_call
                                      + a.rate_per_minute * CAST(ceil(n.answered_s) AS numeric) / 60
                                     ) * 10000) / 10000 END
          FROM unnest(CAST(:ids AS uuid[]), CAST(:answered_s AS float8[]), CAST(:faults AS boolean[]))
               AS n (id, answered_s, fault)
         WHERE a.tenant_id = :tenant_id AND a.id = n.id AND a.holds_line
        RETURNING a.id, a.trunk_id, a.probe, coalesce(a.cost, 0) AS cost, coalesce(a.reserved, 0) AS reserved,
                  a.reserved_on
    ), of_tenant AS (
        UPDATE tenant_load l SET (channels, spent, spend_day) = ({freed})
          FROM tenant z, (SELECT {sums} FROM ended e HAVING count(*) > 0) o
         WHERE l.tenant_id = :tenant_id AND z.id = l.tenant_id
        RETURNING l.tenant_id
    ), locked AS (
        SELECT l.trunk_id
          FROM (SELECT count(*) FROM of_tenant) t,
               (SELECT trunk_id FROM ended UNION SELECT unnest(CAST(:heard AS bigint[]))) w (trunk_id),
               trunk_load l
         WHERE l.tenant_id = :tenant_id AND l.trunk_id = w.trunk_id
         ORDER BY l.trunk_id
           FOR UPDATE OF l
    ), of_trunk AS (
        UPDATE trunk_load l SET (channels, spent, spend_day) = ({freed})
          FROM tenant z, locked, (SELECT e.trunk_id, {sums} FROM ended e GROUP BY e.trunk_id) o
         WHERE l.tenant_id = :tenant_id AND z.id = l.tenant_id
           AND l.trunk_id = o.trunk_id AND locked.trunk_id = o.trunk_id
        RETURNING clock_timestamp() AS at, l.trunk_id, {health}
    )
    SELECT e.id, e.probe, l.at, l.trunk_id, {health} FROM ended e JOIN of_trunk l ON l.trunk_id = e.trunk_id
    """
#: The calls that hold lines: attempts, and those that put callers through (`forwards`).
ATTEMPTS, FORWARDS = (
    Prepared(_GIVE_BACK.format(calls=calls, freed=_FREED, sums=_SUMS, health=_HEALTH))
    for calls in ("attempt", "forward")
)


async def give_back(
    conn: AsyncConnection,
    tenant_id: int,
    ended: Sequence[Ended],
    answered: Sequence[UUID] = (),
    *,
    of: Prepared = ATTEMPTS,
) -> None:
    """Give back the lines of calls that have ended, book what they cost, and hear what calls say of their
    trunks: the `answered` ones, attempts that were just answered, and those that ended without.

    `of`: which calls these are. Of a call that holds no line (any more) nothing is done. An answer costs next
    to nothing while its trunk is known to work.
    """
    said: dict[int, list[Said]] = {}
    if answered:
        asked: dict[str, Any] = {"tenant_id": tenant_id, "attempt_ids": list(answered)}
        for row in await _ANSWERED.rows(conn, **asked):
            said.setdefault(row.trunk_id, []).append(Said(Verdict.WORKS, probe=row.probe))
    locked: dict[int, Any] = {}
    if ended:
        asked = {
            "tenant_id": tenant_id,
            "ids": [one.attempt_id for one in ended],
            "answered_s": [one.answered_s for one in ended],
            "faults": [one.said is not None and one.said.verdict is Verdict.FAULT for one in ended],
            "heard": list(said),
        }
        over = {row.id: row for row in await of.rows(conn, **asked)}
        for one in ended:  # in the order in which they ended
            if (gone := over.get(one.attempt_id)) is None:
                continue
            locked[gone.trunk_id] = gone
            if one.said is not None:
                said.setdefault(gone.trunk_id, []).append(replace(one.said, probe=gone.probe))
    for trunk_id in sorted(said):
        if trunk_id not in locked:
            locked[trunk_id] = await _LOCK_TRUNK.row(conn, tenant_id=tenant_id, trunk_id=trunk_id)
        await _judge(conn, tenant_id, trunk_id, locked[trunk_id], said[trunk_id])


# -- health -----------------------------------------------------------------------------------------------


async def _judge(
    conn: AsyncConnection, tenant_id: int, trunk_id: int, row: Any, said: Sequence[Said]
) -> None:
    """Hear what calls say of a trunk, whose row is locked; tell when that changes its state."""
    before = health_of(row)
    now = after(before, said, row.at)
    if now == before:
        return
    await conn.execute(
        text(
            """
            UPDATE trunk_load
               SET health = :health, health_since = :since, health_why = :why, faults = :faults,
                   fault_share = :share, probe_at = :probe_at, probe_every_s = :probe_every_s
             WHERE tenant_id = :tenant_id AND trunk_id = :trunk_id
            """
        ),
        {
            "tenant_id": tenant_id,
            "trunk_id": trunk_id,
            "health": "bad" if now.bad else "good",
            "since": now.since,
            "why": now.why,
            "faults": now.faults,
            "share": now.share,
            "probe_at": now.probe_at,
            "probe_every_s": now.probe_every_s,
        },
    )
    if now.bad is not before.bad:
        payload = {"trunk_id": trunk_id, "health": "bad" if now.bad else "good", "why": now.why}
        await events.emit(conn, "trunk.state", payload, tenant_id=tenant_id)


def health_of(row: Any) -> Health:
    """The health of a row that has the columns of `trunk_load`."""
    return Health(
        bad=row.health == "bad",
        since=row.health_since,
        why=row.health_why,
        faults=row.faults,
        share=row.fault_share,
        probe_at=row.probe_at,
        probe_every_s=row.probe_every_s,
    )


async def faults_at(conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int]) -> Mapping[int, int]:
    """The trunk whose fault ended the last call to a lead, by lead."""
    rows = await conn.execute(
        text(
            """
            SELECT l.id, a.trunk_id
              FROM lead l JOIN attempt a ON a.tenant_id = l.tenant_id AND a.lead_id = l.id
                   AND a.created_at = l.last_attempt_at
             WHERE l.tenant_id = :tenant_id AND l.id = ANY(CAST(:lead_ids AS bigint[])) AND a.trunk_fault
            """
        ),
        {"tenant_id": tenant_id, "lead_ids": list(lead_ids)},
    )
    return {row.id: row.trunk_id for row in rows}


async def typed_cap(conn: AsyncConnection, tenant_id: int) -> int:
    """How many numbers an agent may type by hand in an hour."""
    asked = {"tenant_id": tenant_id}
    found = await conn.scalar(
        text("SELECT max_typed_per_hour FROM tenant_cap WHERE tenant_id = :tenant_id"), asked
    )
    return TYPED_PER_HOUR if found is None else int(found)
