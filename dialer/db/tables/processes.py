"""How the processes talk."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from dialer.db.tables.base import id_column, metadata, now_at, ref, tenant_table, time_at

#: What each process of a server says of itself, once a second: the pages and `/metrics` show it.
process_status = Table(
    "process_status",
    metadata,
    Column("server", Text, nullable=False, server_default="main"),
    Column("name", Text, nullable=False),  # engine, jobs
    time_at("started_at", null=False),
    time_at("seen_at", null=False),
    Column("status", JSONB, nullable=False),
    PrimaryKeyConstraint("server", "name"),
)

#: Something asked of the engine by another process (log a phone in, hang up, dial a number by hand).
command = tenant_table(
    "command",
    id_column(),
    Column("kind", Text, nullable=False),
    Column("campaign_id", BigInteger),  # its owner does it; null, or a campaign without one: any server
    Column("payload", JSONB, nullable=False),
    Column("created_by", BigInteger),
    now_at(),
    Column("taken_by", Text),  # the server that does it
    time_at("done_at"),
    Column("reply", JSONB),
    Column("error", JSONB),  # {id, details} of a DozvonError
    Index("command_open_idx", "tenant_id", "id", postgresql_where=text("done_at IS NULL")),
)

#: What happened, written in the transaction of the fact. `seq` is given after the commit by one writer, so a
#: reader that has seen seq n has seen all before it; it is the id of server-sent events.
event = tenant_table(
    "event",
    id_column(),
    Column("seq", BigInteger),
    now_at("at"),
    Column("kind", Text, nullable=False),  # call.connected, agent.state, campaign.status, import.progress ...
    Column("campaign_id", BigInteger),
    Column("agent_id", BigInteger),
    Column("payload", JSONB, nullable=False),
    Index("event_seq_key", "seq", unique=True),
    Index("event_unnumbered_idx", "id", postgresql_where=text("seq IS NULL")),
)

#: A pacing decision that changed something, with its reasons: "why was nothing dialled at 10:02?".
pacing_tick = tenant_table(
    "pacing_tick",
    id_column(),
    Column("campaign_id", BigInteger, nullable=False),
    now_at("at"),
    Column("node", Text, nullable=False, server_default="main"),  # where the agents are whom it was for
    Column("dial", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("inputs", JSONB, nullable=False),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "campaign_id", "at"),
)
