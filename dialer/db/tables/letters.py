"""Letters that were asked for in talks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the state column; the rules over them live in the model.py of the feature.
LETTER_STATES = ("waiting", "sent", "failed")

#: A letter to a person, by e-mail.
letter = tenant_table(
    "letter",
    id_column(),
    Column("contact_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("call_id", UUID(as_uuid=True), nullable=False),  # an attempt's, or of a call that came in
    Column("agent_id", BigInteger),  # who has talked
    Column("address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),  # why the last try came to nothing
    Column("asked_by", BigInteger),  # the user; null: the server
    now_at("asked_at"),
    time_at("next_at", null=False),  # it is tried from here
    time_at("sent_at"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("agent", "agent_id"),
    one_of("state", LETTER_STATES),
    Index("letter_due_idx", "tenant_id", "next_at", "id", postgresql_where=text("state = 'waiting'")),
    Index(None, "tenant_id", "contact_id"),
)
