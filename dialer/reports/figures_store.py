"""The SQL of figures: counts over attempts, from the closed hours and what is not in them."""

# ruff: noqa: S608 - statements are put together from texts of ours; values are bound

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import RESULTS, agent, campaign, contact_list, report_state, trunk
from dialer.reports import attempt_facts as facts
from dialer.reports.attempt_facts import COUNTS, NO_KEY, SPREADS
from dialer.reports.figures import NOTHING, Counts, Group, Spread
from dialer.reports.model import hour_number, parts, percentile_ms


@dataclass(frozen=True, slots=True)
class Scope:
    """Which attempts and which time."""

    tenant_id: int
    #: Made at or after it; None: from the beginning.
    since: datetime | None
    #: Made before it.
    until: datetime
    campaign_id: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """How far a tenant's past is closed."""

    #: every hour before it; None: nothing is
    closed_until: datetime | None
    #: whose hours of the day were counted
    timezone: str | None
    #: how often it was opened again; what was read under another number has to be read anew
    reopened: int | None


async def past(conn: AsyncConnection, tenant_id: int) -> Past:
    """How far it is closed now."""
    s = report_state.c
    found = await conn.execute(select(s.closed_until, s.timezone, s.reopened).where(s.tenant_id == tenant_id))
    row = found.one_or_none()
    return Past(*row) if row else Past(None, None, None)


#: The spans of the closed tables that a report reads, as rows of r.
CLOSED_SPANS: Final = """
    (VALUES (24, CAST(:first_day AS timestamptz), CAST(:last_day AS timestamptz)),
            (1, CAST(:first AS timestamptz), CAST(:first_day AS timestamptz)),
            (1, CAST(:last_day AS timestamptz), CAST(:last AS timestamptz))) AS r (hours, since, until)
"""
#: The number under which all of a statement was read, beside its rows; one row at least.
UNDER: Final = """
    SELECT s.reopened, f.*
      FROM (SELECT (SELECT reopened FROM report_state WHERE tenant_id = :tenant)) s (reopened)
      LEFT JOIN {rows} f ON true
"""


def _new_in_span(what: str) -> str:
    # Those who were never seen before, and those last seen before the span's first hour.
    before = f"u.{what}_upto[width_bucket(CAST(:first_hour AS integer) - 1, u.{what}_before)]"
    return f"sum(u.{what}_first + coalesce({before}, 0)) AS {what}"


def _by_key(columns: str, rows: str, more: str = "", *, grouped: bool) -> str:
    """Aggregates of rows over all of them, and by their key where there is a group."""
    also = f", {more}" if more else ""
    if not grouped:
        tail = f"GROUP BY {more}" if more else ""
        return f"SELECT true AS total, {NO_KEY} AS key{also}, {columns} FROM {rows} {tail}"
    sets = f"({more}), (key{also})"
    return f"""SELECT grouping(key) = 1 AS total, coalesce(key, {NO_KEY}) AS key{also}, {columns} FROM {rows}
                GROUP BY GROUPING SETS ({sets})"""


@cache
def _query(group: Group | None, *, of_campaign: bool, closed: bool) -> TextClause:
    """The statement. One pass over the attempts that are not closed, and over the closed spans."""
    grouped = group is not None
    key = facts.KEYS[group] if group is not None else str(NO_KEY)
    key = f"CAST({key} AS bigint)"
    mine = "AND a.campaign_id = :campaign" if of_campaign else ""
    attempts = f"SELECT {key} AS key, {facts.FACTS} FROM attempt a WHERE a.tenant_id = :tenant {mine}"
    between = "a.created_at >= CAST(:{} AS timestamptz) AND a.created_at < CAST(:{} AS timestamptz)".format
    counted = {"open": "result IS NULL", "unfinished": "unfinished", **COUNTS}
    sums = ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in counted.items())
    spreads = ", ".join(f"({number}, {name})" for number, name in enumerate(SPREADS))
    bucket = facts.bucket("d.ms")
    steps = f"CROSS JOIN LATERAL (VALUES {spreads}) d (what, ms) WHERE known AND d.ms IS NOT NULL"
    one = "AND u.key = :campaign" if of_campaign else ""
    with_ = {
        "live": f"""{attempts} AND {between("since", "first")}
                    UNION ALL {attempts} AND {between("last", "until")}""",
        "units": f"""
            SELECT u.by = :whole AS total, u.* FROM {CLOSED_SPANS}
              JOIN report_figures u ON u.tenant_id = :tenant AND u.by = ANY (CAST(:by AS text[]))
                                   AND u.hours = r.hours AND u.start >= r.since AND u.start < r.until
                                   {one}""",
        "parts": _by_key(f"{sums}, {facts.longest()}", "live", grouped=grouped),
        "met": "SELECT key, who, bool_or(live) AS reached FROM live WHERE known GROUP BY key, who",
        "earlier": "SELECT key, who, reached FROM met WHERE false",
        "durations": _by_key(
            "CAST(sum(n) AS integer) AS n",
            f"(SELECT key, d.what, {bucket} AS bucket, count(*) AS n FROM live {steps} GROUP BY 1, 2, 3) b",
            "what, bucket",
            grouped=grouped,
        ),
    }
    new = """count(*) FILTER (WHERE e.who IS NULL) AS dialled,
             count(*) FILTER (WHERE m.reached AND e.reached IS NOT TRUE) AS reached"""
    by_who = "(SELECT who, bool_or(reached) AS reached FROM {} GROUP BY who)".format
    people = [
        f"""SELECT true AS total, CAST({NO_KEY} AS bigint) AS key, {new}
              FROM {by_who("met")} m LEFT JOIN {by_who("earlier")} e USING (who)"""
    ]
    if grouped:
        people.append(
            f"SELECT false, key, {new} FROM met m LEFT JOIN earlier e USING (key, who) GROUP BY key"
        )
    if not closed:
        del with_["units"]
    else:
        # Who of the rest is counted in a closed hour already.
        within = f"{between('first', 'last')} {mine}"
        tries = facts.tries_of_people(
            "(SELECT DISTINCT who, contact_id, typed FROM live WHERE known)",
            "who",
            within,
            f"{key} AS key, {facts.LIVE} AS live",
        )
        with_["earlier"] = f"SELECT key, who, bool_or(live) AS reached FROM ({tries}) seen GROUP BY key, who"
        keyed = f"total, CASE WHEN total THEN {NO_KEY} ELSE u.key END AS key"
        none = {"open": "0", "unfinished": "0"}
        add = ", ".join(none.get(name) or f"sum(u.{name})" for name in counted)
        most = ", ".join(f"max(u.{name}_max)" for name in SPREADS)
        with_["parts"] += f" UNION ALL SELECT {keyed}, {add}, {most} FROM units u GROUP BY 1, 2"
        people.append(
            f"SELECT {keyed}, {_new_in_span('dialled')}, {_new_in_span('reached')} FROM units u GROUP BY 1, 2"
        )
        for number, name in enumerate(SPREADS):
            with_["durations"] += f"""
                UNION ALL SELECT {keyed}, {number}, b.bucket, CAST(sum(b.n) AS integer)
                  FROM units u CROSS JOIN LATERAL unnest(u.{name}_buckets, u.{name}_calls) b (bucket, n)
                 GROUP BY 1, 2, b.bucket"""
    with_["people"] = " UNION ALL ".join(people)
    with_["ranked"] = """
        SELECT total, key, what, bucket, sum(n) OVER (PARTITION BY total, key, what ORDER BY bucket) AS upto,
               sum(n) OVER (PARTITION BY total, key, what) AS many
          FROM (SELECT total, key, what, bucket, CAST(sum(n) AS integer) AS n FROM durations
                 GROUP BY total, key, what, bucket) d"""
    ranks = (
        f"min(bucket) FILTER (WHERE upto > {edge}(CAST({share} AS float8) * (many - 1))) AS {edge}_{name}"
        for name, share in SHARES.items()
        for edge in ("floor", "ceil")
    )
    with_["percentiles"] = f"""
        SELECT total, key, what, max(many) AS many, {", ".join(ranks)}
          FROM ranked GROUP BY total, key, what"""
    of_spread = ("many", *(f"{edge}_{name}" for name in SHARES for edge in ("floor", "ceil")))
    columns = [
        *(f"p.{name}" for name in counted),
        "coalesce(w.dialled, 0) AS contacts_dialled",
        "coalesce(w.reached, 0) AS contacts_reached",
        *(f"p.{name}_max" for name in SPREADS),
        *(f"d{n}.{column} AS {name}_{column}" for n, name in enumerate(SPREADS) for column in of_spread),
    ]
    all_parts = ", ".join(
        [*(f"sum({name}) AS {name}" for name in counted), *(f"max({n}_max) AS {n}_max" for n in SPREADS)]
    )
    rows = f"""(
        SELECT p.total, p.key, {", ".join(columns)}
          FROM (SELECT total, key, {all_parts} FROM parts GROUP BY total, key) p
          LEFT JOIN (SELECT total, key, sum(dialled) AS dialled, sum(reached) AS reached FROM people
                      GROUP BY total, key) w ON w.total = p.total AND w.key = p.key
          {
        "".join(
            f"LEFT JOIN percentiles d{n} ON d{n}.total = p.total AND d{n}.key = p.key AND d{n}.what = {n} "
            for n in range(len(SPREADS))
        )
    })"""
    made = ", ".join(f"{name} AS MATERIALIZED ({query})" for name, query in with_.items())
    return text(f"WITH {made} {UNDER.format(rows=rows)}")


#: Percentiles of a duration, by their names here.
SHARES: Final[Mapping[str, float]] = {"p50": 0.5, "p95": 0.95}


async def counts(
    conn: AsyncConnection, scope: Scope, group: Group | None, zone: str
) -> tuple[Counts, dict[int | None, Counts]]:
    """Counts of all, and by the group's key (None: those that have none); without a group of all alone."""
    while True:
        before = await past(conn, scope.tenant_id)
        usable = before.closed_until
        if (group is Group.HOUR and before.timezone != zone) or (group and scope.campaign_id is not None):
            usable = None  # closed by the hours of another place; closed by one thing at a time
        span = parts(scope.since, scope.until, usable)
        whole = "all" if scope.campaign_id is None else Group.CAMPAIGN.value
        query = _query(group, of_campaign=scope.campaign_id is not None, closed=span.closed)
        values = {
            "tenant": scope.tenant_id,
            "campaign": scope.campaign_id,
            "zone": zone,
            "whole": whole,
            "by": [whole, group.value] if group else [whole],
            "first_hour": hour_number(span.first),
            **{name: getattr(span, name) for name in span.__slots__},
        }
        rows = (await conn.execute(query, values)).all()
        if rows[0].reopened == before.reopened:
            break
    found = [row for row in rows if row.total is not None]
    total = next((_counts(row) for row in found if row.total), NOTHING)
    keyed = {
        None if row.key == NO_KEY else row.key: _counts(row)
        for row in sorted(found, key=lambda row: int(row.key))
        if not row.total
    }
    return total, keyed


def _counts(row: Any) -> Counts:
    def spread(name: str) -> Spread | None:
        longest = getattr(row, f"{name}_max")
        if longest is None:
            return None
        many = int(getattr(row, f"{name}_many"))
        p50, p95 = (
            percentile_ms(
                share, many, getattr(row, f"{name}_floor_{short}"), getattr(row, f"{name}_ceil_{short}")
            )
            for short, share in SHARES.items()
        )
        return Spread(min(p50, longest), min(p95, longest), longest)

    by_result = {result: int(getattr(row, f"result_{result}")) for result in RESULTS}
    return Counts(
        attempts=sum(by_result.values()),
        open=int(row.open),
        unfinished=int(row.unfinished),
        not_sent=int(row.not_sent),
        by_result=by_result,
        answered=int(row.answered),
        answered_live=int(row.answered_live),
        connected=int(row.connected),
        contacts_dialled=int(row.contacts_dialled),
        contacts_reached=int(row.contacts_reached),
        join_ms=spread("join_ms"),
        answer_to_agent_ms=spread("answer_to_agent_ms"),
    )


async def labels(conn: AsyncConnection, tenant_id: int, group: Group, keys: Sequence[int]) -> dict[int, str]:
    """Names of the rows, for people."""
    if group is Group.HOUR:
        return {hour: f"{hour:02}:00" for hour in keys}
    table = {
        Group.CAMPAIGN: campaign,
        Group.LIST: contact_list,
        Group.TRUNK: trunk,
        Group.AGENT: agent,
    }[group]
    rows = await conn.execute(
        select(table.c.id, table.c.name).where(table.c.tenant_id == tenant_id, table.c.id.in_(keys))
    )
    return {row.id: row.name for row in rows}


async def campaign_exists(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> bool:
    """Whether the tenant has it."""
    query = select(campaign.c.id).where(campaign.c.tenant_id == tenant_id, campaign.c.id == campaign_id)
    return (await conn.execute(query)).one_or_none() is not None
