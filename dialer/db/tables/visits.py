"""Visits that people were booked for in talks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the state column; the rules over them live in the model.py of the feature.
VISIT_STATES = ("booked", "kept", "missed", "canceled")

#: A visit that was agreed in a talk; one a talk: said anew, it is moved.
visit = tenant_table(
    "visit",
    id_column(),
    Column("contact_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("call_id", UUID(as_uuid=True), nullable=False),  # an attempt's, or of a call that came in
    Column("agent_id", BigInteger),  # who has talked
    time_at("at", null=False),
    Column("place", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False, server_default="booked"),
    Column("booked_by", BigInteger),  # the user; null: the server
    now_at("booked_at"),
    time_at("changed_at"),
    Column("changed_by", BigInteger),
    ref("contact", "contact_id", on_delete="CASCADE"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("agent", "agent_id"),
    one_of("state", VISIT_STATES),
    UniqueConstraint("tenant_id", "call_id"),
    Index(None, "tenant_id", "at"),
    Index(None, "tenant_id", "contact_id", "at"),
)
