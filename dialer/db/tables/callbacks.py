"""Calls that people were promised."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the columns; the rules over them live in scheduler.callbacks.
CALLBACK_STATES = ("waiting", "dialling", "done", "missed", "canceled")
CALLBACK_AWAY = ("anyone", "wait", "supervisor")

#: A call that somebody was promised. A lead has one that is open at most; while it waits the lead rests for
#: it (`lead.hold`). A row is never deleted: what became of it stands on it.
callback = tenant_table(
    "callback",
    id_column(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("agent_id", BigInteger),  # who has promised to call; null: any agent
    time_at("from_at", null=False),  # as it was promised: at this moment, or from here ...
    time_at("until_at"),  # ... until here
    Column("zone", Text, nullable=False),  # in whose clock it was promised
    time_at("due_at", null=False),  # is dialled from here: moved by hours, limits and retries
    Column("moved", Text),  # the filter that has put it off; null: none did
    time_at("open_at"),  # from here any agent may have it; null: its own alone
    Column("away", Text, nullable=False),  # what happens when its agent is not there
    Column("note", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("reason", Text),  # of the end: a result, do_not_call, or what a person wrote
    Column("made_in", UUID(as_uuid=True)),  # the call in which it was promised; null: by hand
    Column("made_by", BigInteger),  # the user; null: the server
    now_at("made_at"),
    time_at("ended_at"),
    Column("ended_by", BigInteger),  # the user who took it back; null: nobody did
    Column("attempt_id", UUID(as_uuid=True)),  # the latest attempt at it
    time_at("reminded_at"),  # its agent was told that it comes
    time_at("told_at"),  # ... and that it is due
    time_at("late_told_at"),  # supervisors were told that its agent is not there
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("lead", "lead_id", on_delete="CASCADE"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    ref("agent", "agent_id"),
    one_of("state", CALLBACK_STATES),
    one_of("away", CALLBACK_AWAY),
    Index(
        "callback_open_idx",
        "tenant_id",
        "lead_id",
        unique=True,
        postgresql_where=text("state IN ('waiting', 'dialling')"),
    ),
    # The claim, and what is due soon.
    Index(
        "callback_claim_idx",
        "tenant_id",
        "campaign_id",
        "due_at",
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("callback_due_idx", "tenant_id", "due_at", "id"),
    Index("callback_waiting_idx", "tenant_id", "due_at", postgresql_where=text("state = 'waiting'")),
    # What was promised in a talk.
    Index("callback_made_in_idx", "tenant_id", "made_in", postgresql_where=text("made_in IS NOT NULL")),
    Index("callback_attempt_idx", "tenant_id", "attempt_id", postgresql_where=text("state = 'dialling'")),
    Index(None, "tenant_id", "contact_id"),
)
