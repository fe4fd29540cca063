"""What dialplans of others have told the server."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text, UniqueConstraint

from dialer.db.tables.base import id_column, now_at, ref, tenant_table

#: What became of a call that somebody's dialplan had. The last word of a call counts.
hook_outcome = tenant_table(
    "hook_outcome",
    id_column(),
    Column("channel", Text, nullable=False),  # Asterisk's Uniqueid
    Column("outcome", Text, nullable=False),  # a word of the dialplan's own
    Column("note", Text, nullable=False, server_default=""),
    Column("e164", Text),  # as the call said; null: it said none
    Column("contact_id", BigInteger),  # who has the number; null: nobody, or several
    now_at("at"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    UniqueConstraint("tenant_id", "channel"),
    Index(None, "tenant_id", "contact_id", "at"),
    Index(None, "tenant_id", "at"),
)

#: An answer to a question of a survey; who goes back and answers again has said the last.
survey_answer = tenant_table(
    "survey_answer",
    id_column(),
    Column("survey", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("channel", Text, nullable=False),  # of the call in which it was given
    Column("e164", Text),
    Column("contact_id", BigInteger),
    now_at("at"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    UniqueConstraint("tenant_id", "channel", "survey", "question"),
    Index(None, "tenant_id", "survey", "question", "at"),
    Index(None, "tenant_id", "contact_id"),
)

#: A call token that was used: none is good twice. Gone when its time is over anyway.
hook_token = tenant_table(
    "hook_token",
    Column("digest", Text, nullable=False),  # SHA-256
    Column("channel", Text, nullable=False),  # a call has few changes of numbers that are not its own
    now_at("used_at"),
    Index(None, "tenant_id", "channel"),
    Index(None, "tenant_id", "used_at"),
    key=("digest",),
)
