"""Figures of hours that are over."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
)

from dialer.db.tables.base import metadata, one_of, tenant_table, time_at
from dialer.db.tables.calls import RESULTS

REPORT_GROUPS = ("all", "campaign", "list", "hour", "trunk", "agent")

#
# Made from attempts and agents' time by dialer.reports.closing, never written by anybody else, and made anew
# where an attempt of them changes. Nothing is in them that could not be counted again.

#: How far a tenant's past is closed. Whoever changes what is older than `marked_until` moves both back (the
#: triggers of migration 0003).
report_state = Table(
    "report_state",
    metadata,
    Column("tenant_id", Integer, ForeignKey("tenant.id"), primary_key=True, autoincrement=False),
    Column("timezone", Text, nullable=False),  # whose hours of the day stand in report_figures
    time_at("closed_until", null=False),  # every hour before is in the tables below
    time_at("marked_until", null=False),  # every hour before may be closed: a change of it must be told
    Column("reopened", BigInteger, nullable=False, server_default="0"),  # how often it was moved back
)


def _seen(what: str) -> tuple[Column[object], ...]:
    """Contacts of a span: so many for the first time, and of the others how many were last seen in which
    hour before it. So a contact of several spans is counted in the first of them only."""
    return (
        Column(f"{what}_first", Integer, nullable=False),
        Column(f"{what}_before", ARRAY(Integer), nullable=False),  # hours since 1970, ascending
        Column(f"{what}_upto", ARRAY(Integer), nullable=False),  # contacts last seen up to that hour
    )


def _spread(what: str) -> tuple[Column[object], ...]:
    """A duration over the calls of a span, in the buckets of dialer.reports.model."""
    return (
        Column(f"{what}_max", Float),
        Column(f"{what}_buckets", ARRAY(SmallInteger), nullable=False),
        Column(f"{what}_calls", ARRAY(Integer), nullable=False),  # in each of these buckets
    )


#: What the attempts of an hour, or of a day (UTC), came to: all of them, and by each thing that reports
#: compare. What each figure is: dialer.reports.figures.FORMULAS. All of them have ended.
report_figures = tenant_table(
    "report_figures",
    Column("by", Text, nullable=False),
    Column("hours", SmallInteger, nullable=False),  # how long the span is: 1 or 24
    time_at("start", null=False),
    Column("key", BigInteger, nullable=False),  # id of what it is by, hour of the day; -1: all, or none
    Column("not_sent", Integer, nullable=False),
    *(Column(f"result_{result}", Integer, nullable=False) for result in RESULTS),
    Column("answered", Integer, nullable=False),
    Column("answered_live", Integer, nullable=False),
    Column("connected", Integer, nullable=False),
    *_seen("dialled"),
    *_seen("reached"),
    *_spread("join_ms"),
    *_spread("answer_to_agent_ms"),
    one_of("by", REPORT_GROUPS),
    CheckConstraint("hours IN (1, 24)", name="hours"),
    key=("by", "hours", "start", "key"),
)

#: Time of agents in an hour, or a day (UTC): all of it, and again what went into the calls of a campaign.
report_time = tenant_table(
    "report_time",
    Column("campaign_id", BigInteger, nullable=False),  # -1: all
    Column("hours", SmallInteger, nullable=False),
    time_at("start", null=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("logged_in_us", BigInteger, nullable=False),
    Column("busy_us", BigInteger, nullable=False),  # talking and wrapping up
    CheckConstraint("hours IN (1, 24)", name="hours"),
    Index(None, "tenant_id", "start"),
    key=("campaign_id", "hours", "start", "agent_id"),
)

#: Rows of `agent_time` that go on over the beginning of an hour: who reads from there needs them too.
report_over = tenant_table(
    "report_over",
    time_at("hour", null=False),
    Column("agent_time_ids", ARRAY(BigInteger), nullable=False),
    key=("hour",),
)
