"""What supervisors are called for."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Text, text

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of dialer/boards/alerting.py, which owns the rules.
ALERT_KINDS = (
    "abandon_share",
    "wait",
    "no_agent",
    "list_ends",
    "service_level",
    "trunk_bad",
    "pause_over",
)

#: When a supervisor is called; campaign and queue null: each.
alert_rule = tenant_table(
    "alert_rule",
    id_column(),
    Column("kind", Text, nullable=False),
    Column("threshold", Float, nullable=False),  # its unit is the kind's
    Column("campaign_id", BigInteger),
    Column("queue_id", BigInteger),
    now_at(),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("queue", "queue_id", on_delete="CASCADE"),
    one_of("kind", ALERT_KINDS),
)

#: Something met a rule: one row from the first moment until it does so no more.
alert = tenant_table(
    "alert",
    id_column(),
    Column("rule_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),  # what it is, `campaign:7`
    Column("about", Text, nullable=False),  # its name at that time
    Column("campaign_id", BigInteger),
    Column("value", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    time_at("since", null=False),
    time_at("raised_at"),  # null: it is not so for long enough yet
    time_at("ended_at"),
    ref("alert_rule", "rule_id", on_delete="CASCADE"),
    Index(
        "alert_open_key",
        "tenant_id",
        "rule_id",
        "key",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
)
