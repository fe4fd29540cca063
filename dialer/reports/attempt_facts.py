"""What figures see in a row of `attempt`, as SQL: one text for counting anew and for closing an hour."""

# ruff: noqa: S608 - statements are put together from texts of ours; values are bound

from __future__ import annotations

from typing import Final

from dialer.db.tables import RESULTS
from dialer.reports.figures import Group
from dialer.reports.model import LEAST_MS, STEPS

#: A key that is none: all attempts together, or those that have none (a number typed by hand has no list).
NO_KEY: Final = -1

#: Its result is known, and Asterisk was asked to call, or may have been. What ended before that is no attempt
#: to reach anybody.
KNOWN: Final = """(a.result IS NOT NULL AND (a.sent_at IS NOT NULL OR a.ringing_at IS NOT NULL
                   OR a.answered_at IS NOT NULL OR a.result = 'unknown'))"""
LIVE: Final = f"({KNOWN} AND a.answered_at IS NOT NULL AND a.result <> 'machine')"
#: What each row of a report is of. Hours of the day are those of the zone :zone.
KEYS: Final = {
    Group.CAMPAIGN: "a.campaign_id",
    Group.LIST: "coalesce(a.list_id, -1)",
    Group.HOUR: "CAST(extract(hour FROM timezone(:zone, a.created_at)) AS bigint)",
    Group.TRUNK: "a.trunk_id",
    Group.AGENT: "coalesce(a.agent_id, -1)",
}

#: A contact has several numbers and is reached once; a number typed by hand stands for itself.
FACTS: Final = f"""
    a.contact_id, CASE WHEN a.contact_id IS NULL THEN a.e164 END AS typed,
    coalesce(CAST(a.contact_id AS text), a.e164) AS who,
    {KNOWN} AS known, {LIVE} AS live, a.result, a.ended_at IS NULL AS unfinished,
    a.answered_at IS NOT NULL AS answered, a.connected_at IS NOT NULL AS connected,
    a.join_ms, a.answer_to_agent_ms
"""

#: Counts of such rows: column, condition.
COUNTS: Final = {
    "not_sent": "result IS NOT NULL AND NOT known",
    **{f"result_{result}": f"known AND result = '{result}'" for result in RESULTS},
    "answered": "known AND answered",
    "answered_live": "live",
    "connected": "known AND connected",
}
#: Durations of such rows.
SPREADS: Final = ("join_ms", "answer_to_agent_ms")


def counted() -> str:
    """The counts of a group as columns."""
    return ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in COUNTS.items())


def longest() -> str:
    """The longest of each duration of a group as columns."""
    return ", ".join(f"max({name}) FILTER (WHERE known) AS {name}_max" for name in SPREADS)


def bucket(name: str) -> str:
    """The bucket of a duration (see `model.middle_ms`)."""
    least = f"CAST({LEAST_MS} AS float8)"
    return f"CAST(ceil({STEPS} * ln(greatest({name}, {least}) / {least})) AS smallint)"


def tries_of_people(people: str, name: str, span: str, columns: str) -> str:
    """Known attempts of others than those in hand at the same people: `people` (contact_id, typed, and a name
    for each) joined with `columns` of each attempt in the span (a condition). An index finds each."""
    return f"""
        SELECT w.{name}, e.* FROM {people} w CROSS JOIN LATERAL (
            SELECT {columns} FROM attempt a
             WHERE a.tenant_id = :tenant AND a.contact_id = w.contact_id AND {span} AND {KNOWN}
             UNION ALL
            SELECT {columns} FROM attempt a
             WHERE a.tenant_id = :tenant AND a.e164 = w.typed AND a.contact_id IS NULL AND {span} AND {KNOWN}
            OFFSET 0
        ) e
    """
