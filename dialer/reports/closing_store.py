"""The SQL of closing hours."""

# ruff: noqa: S608 - statements are put together from texts of ours; values are bound

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import attempt, report_state
from dialer.reports import attempt_facts as facts
from dialer.reports.attempt_facts import COUNTS, NO_KEY, SPREADS
from dialer.reports.model import BEGINNING, DAY, HOUR, day_of, hour_number, hour_of
from dialer.reports.time_store import BUSY, LASTED, OF_CAMPAIGN

# -- marking -----------------------------------------------------------------------------------------------

#: Hours of another place are counted anew; agents' time too, where its rows are still there.
_MARK: Final = text("""
    INSERT INTO report_state AS s (tenant_id, timezone, closed_until, marked_until)
    SELECT t.id, t.timezone, CAST(:beginning AS timestamptz), m.until
      FROM tenant t,
           (SELECT date_trunc('hour', clock_timestamp() - CAST(:grace AS interval), 'UTC')) m (until)
     WHERE t.id = :tenant
    ON CONFLICT (tenant_id) DO UPDATE
       SET timezone = excluded.timezone,
           closed_until = CASE WHEN s.timezone = excluded.timezone THEN s.closed_until
                               ELSE excluded.closed_until END,
           reopened = s.reopened + CASE WHEN s.timezone = excluded.timezone THEN 0 ELSE 1 END,
           marked_until = greatest(s.marked_until, excluded.marked_until)
     WHERE s.marked_until < excluded.marked_until OR s.timezone <> excluded.timezone
""")
_NEXT_TRANSACTION: Final = text(
    "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
)
_OLDEST_TRANSACTION: Final = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
)


@dataclass(frozen=True, slots=True)
class Marked:
    """What may be closed."""

    closed_until: datetime
    marked_until: datetime
    #: grows with each change of what was marked
    reopened: int
    timezone: str


async def mark(conn: AsyncConnection, tenant_id: int, grace: timedelta) -> None:
    """Mark the hours that ended `grace` ago: whoever changes them from now on says so."""
    await conn.execute(_MARK, {"tenant": tenant_id, "beginning": BEGINNING, "grace": grace})


async def marked(conn: AsyncConnection, tenant_id: int, *, lock: bool = False) -> Marked | None:
    """How far it is marked and closed; with `lock` nobody moves it meanwhile. None: another closes now."""
    s = report_state.c
    query = select(s.closed_until, s.marked_until, s.reopened, s.timezone).where(s.tenant_id == tenant_id)
    row = (await conn.execute(query.with_for_update(skip_locked=True) if lock else query)).one_or_none()
    return Marked(*row) if row else None


async def next_transaction(conn: AsyncConnection) -> int:
    """The number of the next transaction that writes."""
    return int((await conn.execute(_NEXT_TRANSACTION)).scalar_one())


async def oldest_transaction(conn: AsyncConnection) -> int:
    """The number of the oldest one that has not ended."""
    return int((await conn.execute(_OLDEST_TRANSACTION)).scalar_one())


# -- closing -----------------------------------------------------------------------------------------------

#: By what figures are closed; inside a statement by its number here.
GROUPS: Final = ("all", *facts.KEYS)
_GROUPS: Final = ", ".join(
    [f"(1, CAST({NO_KEY} AS bigint))", *(f"({n}, x.key_{group})" for n, group in enumerate(facts.KEYS, 2))]
)
_KEYED: Final = ", ".join(f"CAST({key} AS bigint) AS key_{group}" for group, key in facts.KEYS.items())
#: What is counted of an attempt by each of these keys.
_WIDE: Final = "x.person, x.known, x.live, x.result, x.answered, x.connected, x.join_ms, x.answer_to_agent_ms"
_IN_HOUR: Final = "a.created_at >= CAST(:hour AS timestamptz) AND a.created_at < CAST(:until AS timestamptz)"


def _seen(what: str, rows: str) -> str:
    """Contacts by the hour in which they were last seen: of each group and key the first, the hours, and how
    many up to each. `rows`: grp, key, at (null: never), n."""
    return f"""
        SELECT grp, key, coalesce(sum(n) FILTER (WHERE at IS NULL), 0) AS {what}_first,
               coalesce(array_agg(at ORDER BY at) FILTER (WHERE at IS NOT NULL), '{{}}') AS {what}_before,
               coalesce(array_agg(upto ORDER BY at) FILTER (WHERE at IS NOT NULL), '{{}}') AS {what}_upto
          FROM (SELECT grp, key, at, n, sum(n) OVER (PARTITION BY grp, key ORDER BY at NULLS LAST) AS upto
                  FROM ({rows}) r) c
         GROUP BY grp, key"""


def _spread(name: str, rows: str) -> str:
    """`rows`: grp, key, bucket, n."""
    return f"""
        SELECT grp, key, array_agg(bucket ORDER BY bucket) AS {name}_buckets,
               array_agg(n ORDER BY bucket) AS {name}_calls FROM ({rows}) b GROUP BY grp, key"""


_SUMS: Final = tuple(COUNTS)
_ARRAYS: Final = {
    **{f"{what}_{part}": "{}" if part != "first" else "0"
       for what in ("dialled", "reached") for part in ("first", "before", "upto")},
    **{f"{name}_{part}": "{}" for name in SPREADS for part in ("buckets", "calls")},
}  # fmt: skip
_LONGEST: Final = tuple(f"{name}_max" for name in SPREADS)
_COLUMNS: Final = ", ".join([*_SUMS, *_LONGEST, *_ARRAYS])


def _insert(with_: dict[str, str], hours: int) -> str:
    """The statement that puts `sums`, `dialled`, `reached` and the spreads together."""
    joined = " ".join(
        f"LEFT JOIN {name} ON {name}.grp = s.grp AND {name}.key = s.key" for name in ("dialled", "reached")
    ) + "".join(f" LEFT JOIN {name} ON {name}.grp = s.grp AND {name}.key = s.key" for name in _SPREAD_OF)
    chosen = ", ".join(
        [
            *(f"s.{name}" for name in (*_SUMS, *_LONGEST)),
            *(f"coalesce({name}, '{none}')" for name, none in _ARRAYS.items()),
        ]
    )
    made = ", ".join(f"{name} AS MATERIALIZED ({query})" for name, query in with_.items())
    return f"""
        WITH {made}
        INSERT INTO report_figures (tenant_id, by, hours, start, key, {_COLUMNS})
        SELECT :tenant, (CAST(:groups AS text[]))[s.grp], {hours}, CAST(:hour AS timestamptz), s.key, {chosen}
          FROM sums s {joined}"""


#: The query of each duration's buckets.
_SPREAD_OF: Final = {f"of_{name}": name for name in SPREADS}

_CLOSE: Final = text(
    _insert(
        {
            "one": f"""
                SELECT {_KEYED}, {facts.FACTS} FROM attempt a WHERE a.tenant_id = :tenant AND {_IN_HOUR}""",
            # A person is a number: contacts have one, others get one below nought.
            "typed": """
                SELECT typed, -row_number() OVER () AS person
                  FROM (SELECT DISTINCT typed FROM one WHERE typed IS NOT NULL) t""",
            "fact": """
                SELECT one.*, coalesce(one.contact_id, typed.person) AS person
                  FROM one LEFT JOIN typed ON typed.typed = one.typed""",
            "wide": f"""
                SELECT g.grp, g.key, {_WIDE} FROM fact x
                 CROSS JOIN LATERAL (VALUES {_GROUPS}) g (grp, key)""",
            "sums": f"SELECT grp, key, {facts.counted()}, {facts.longest()} FROM wide GROUP BY grp, key",
            # When each contact was last dialled, and last reached, by every thing that reports compare.
            "try": facts.tries_of_people(
                "(SELECT DISTINCT person, contact_id, typed FROM fact WHERE known)",
                "person",
                "a.created_at < CAST(:hour AS timestamptz)",
                f"""{_KEYED}, {facts.LIVE} AS live,
                    CAST(floor(extract(epoch FROM a.created_at) / 3600) AS integer) AS at""",
            ),
            "last": f"""
                SELECT g.grp, g.key, x.person,
                       max(x.at) AS dialled, max(x.at) FILTER (WHERE x.live) AS reached
                  FROM try x CROSS JOIN LATERAL (VALUES {_GROUPS}) g (grp, key) GROUP BY 1, 2, 3""",
            "met": """
                SELECT m.grp, m.key, m.reached, b.dialled AS dialled_at, b.reached AS reached_at
                  FROM (SELECT grp, key, person, bool_or(live) AS reached FROM wide WHERE known
                         GROUP BY grp, key, person) m
                  LEFT JOIN last b USING (grp, key, person)""",
            "dialled": _seen(
                "dialled", "SELECT grp, key, dialled_at AS at, count(*) AS n FROM met GROUP BY 1, 2, 3"
            ),
            "reached": _seen(
                "reached",
                "SELECT grp, key, reached_at AS at, count(*) AS n FROM met WHERE reached GROUP BY 1, 2, 3",
            ),
            **{
                query: _spread(
                    name,
                    f"""SELECT grp, key, {facts.bucket(name)} AS bucket, count(*) AS n FROM wide
                         WHERE known AND {name} IS NOT NULL GROUP BY 1, 2, 3""",
                )
                for query, name in _SPREAD_OF.items()
            },
        },
        1,
    )
)


def _before_day(what: str) -> str:
    """Of the contacts of a day's hours, those that none of its earlier hours has."""
    return f"""
        SELECT grp, key, at, sum(n) AS n FROM (
            SELECT grp, key, CAST(NULL AS integer) AS at, {what}_first AS n FROM hour
             UNION ALL
            SELECT grp, key, e.at,
                   e.upto - lag(e.upto, 1, 0) OVER (PARTITION BY grp, key, start ORDER BY e.at)
              FROM hour CROSS JOIN LATERAL unnest({what}_before, {what}_upto) e (at, upto)
        ) e WHERE at IS NULL OR at < :hour_number GROUP BY 1, 2, 3"""


_CLOSE_DAY: Final = text(
    _insert(
        {
            "hour": """
                SELECT array_position(CAST(:groups AS text[]), by) AS grp, f.* FROM report_figures f
                 WHERE tenant_id = :tenant AND by = ANY (CAST(:groups AS text[])) AND hours = 1
                   AND start >= CAST(:hour AS timestamptz) AND start < CAST(:until AS timestamptz)""",
            "sums": f"""
                SELECT grp, key, {", ".join(f"sum({name}) AS {name}" for name in _SUMS)},
                       {", ".join(f"max({name}) AS {name}" for name in _LONGEST)}
                  FROM hour GROUP BY grp, key""",
            "dialled": _seen("dialled", _before_day("dialled")),
            "reached": _seen("reached", _before_day("reached")),
            **{
                query: _spread(
                    name,
                    f"""SELECT grp, key, e.bucket, sum(e.n) AS n FROM hour
                         CROSS JOIN LATERAL unnest({name}_buckets, {name}_calls) e (bucket, n)
                         GROUP BY 1, 2, 3""",
                )
                for query, name in _SPREAD_OF.items()
            },
        },
        24,
    )
)

_STRETCHES: Final = """
    SELECT t.id, t.agent_id, t.state, t.attempt_id, t.started_at, t.ended_at FROM agent_time t
     WHERE t.tenant_id = :tenant AND t.state <> 'offline'
       AND t.started_at >= CAST(:hour AS timestamptz) AND t.started_at < CAST(:until AS timestamptz)
     UNION ALL
    SELECT t.id, t.agent_id, t.state, t.attempt_id, t.started_at, t.ended_at FROM agent_time t
     WHERE t.tenant_id = :tenant AND t.state <> 'offline'
       AND t.id = ANY (SELECT unnest(o.agent_time_ids) FROM report_over o
                        WHERE o.tenant_id = :tenant AND o.hour = CAST(:hour AS timestamptz))
"""
_CUT: Final = {
    "since": "greatest(t.started_at, CAST(:hour AS timestamptz))",
    "until": "least(coalesce(t.ended_at, CAST(:until AS timestamptz)), CAST(:until AS timestamptz))",
}
#: What is there stays: it was counted when all rows were.
_CLOSE_TIME: Final = text(f"""
    INSERT INTO report_time (tenant_id, campaign_id, hours, start, agent_id, logged_in_us, busy_us)
    SELECT :tenant, c.id, 1, CAST(:hour AS timestamptz), s.agent_id, sum(lasted),
           coalesce(sum(lasted) FILTER (WHERE busy), 0)
      FROM (SELECT t.agent_id, {BUSY} AS busy, {LASTED.format(**_CUT)} AS lasted, {OF_CAMPAIGN} AS campaign_id
              FROM ({_STRETCHES}) t WHERE {_CUT["until"]} > {_CUT["since"]}) s
     CROSS JOIN LATERAL (VALUES (CAST({NO_KEY} AS bigint)), (s.campaign_id)) c (id)
     WHERE c.id IS NOT NULL
     GROUP BY c.id, s.agent_id
    ON CONFLICT DO NOTHING
""")
_CLOSE_DAYS_TIME: Final = text("""
    INSERT INTO report_time (tenant_id, campaign_id, hours, start, agent_id, logged_in_us, busy_us)
    SELECT :tenant, campaign_id, 24, CAST(:hour AS timestamptz), agent_id, sum(logged_in_us), sum(busy_us)
      FROM report_time
     WHERE tenant_id = :tenant AND hours = 1
       AND start >= CAST(:hour AS timestamptz) AND start < CAST(:until AS timestamptz)
     GROUP BY campaign_id, agent_id
    ON CONFLICT DO NOTHING
""")
_KEEP_OVER: Final = text(f"""
    INSERT INTO report_over (tenant_id, hour, agent_time_ids)
    SELECT :tenant, CAST(:until AS timestamptz), array_agg(t.id)
      FROM ({_STRETCHES}) t
     WHERE t.ended_at IS NULL OR t.ended_at > CAST(:until AS timestamptz)
    HAVING count(*) > 0
""")
_NEXT_HOUR: Final = text("""
    SELECT least((SELECT min(created_at) FROM attempt WHERE tenant_id = :tenant AND created_at >= :since),
                 (SELECT min(started_at) FROM agent_time WHERE tenant_id = :tenant AND started_at >= :since),
                 (SELECT hour FROM report_over WHERE tenant_id = :tenant AND hour = :since))
""")
#: What was closed before it was opened again: of hours, and of days.
_CLEAR: Final = (
    text("DELETE FROM report_over WHERE tenant_id = :tenant AND hour > :since AND hour <= :until"),
    *(
        text(f"""
            DELETE FROM {table} WHERE tenant_id = :tenant AND start < :until {by} AND (
                   hours = 1 AND start >= {since}
                OR hours = 24 AND start >= date_trunc('day', {since}, 'UTC'))
        """)
        for table, since, by in (
            ("report_figures", "CAST(:since AS timestamptz)", "AND by = ANY (CAST(:groups AS text[]))"),
            ("report_time", "CAST(:time_since AS timestamptz)", ""),
        )
    ),
)


#: An hour of a large floor, some 20,000 attempts by six keys, is sorted in memory.
_ROOM: Final = text("SELECT set_config('work_mem', '64MB', true)")


async def close_next(
    conn: AsyncConnection, tenant_id: int, until: datetime, reopened: int, time_since: datetime
) -> bool:
    """Close the next hour before `until` that has anything in it, and with it what is empty before it.

    False: nothing is left to be closed now, an attempt of the hour has not ended, somebody else closes, or
    the past was opened again after the number `reopened`. Agents' time of hours before `time_since` stays as
    it was once counted.
    """
    state = await marked(conn, tenant_id, lock=True)
    if state is None or state.reopened != reopened or state.closed_until >= until:
        return False
    since = state.closed_until
    found = await conn.scalar(_NEXT_HOUR, {"tenant": tenant_id, "since": since})
    hour = hour_of(found) if found is not None else until
    closed = min(hour + HOUR, until)
    if hour < until:
        a = attempt.c
        if await conn.scalar(
            select(exists().where(a.tenant_id == tenant_id, a.ended_at.is_(None), a.created_at < closed))
        ):
            return False
    await conn.execute(_ROOM)
    about = {"tenant": tenant_id, "until": closed, "groups": list(GROUPS)}
    for clear in _CLEAR:
        await conn.execute(clear, {**about, "since": since, "time_since": max(since, time_since)})
    if hour < until:
        about["hour"] = hour
        await conn.execute(_CLOSE, {**about, "zone": state.timezone})
        await conn.execute(_CLOSE_TIME, about)
        await conn.execute(_KEEP_OVER, about)
    for day in {day_of(since), day_of(hour)}:
        if day + DAY <= closed:
            whole = {**about, "hour": day, "until": day + DAY}
            await conn.execute(_CLOSE_DAY, {**whole, "hour_number": hour_number(day)})
            await conn.execute(_CLOSE_DAYS_TIME, whole)
    await conn.execute(
        report_state.update().where(report_state.c.tenant_id == tenant_id).values(closed_until=closed)
    )
    return closed < until
