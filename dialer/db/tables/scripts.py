"""Scripts of talks: what agents say and ask, in versions, and how far each talk has come."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Computed, Index, Integer, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
SCRIPT_STATES = ("draft", "live", "retired")

#: A script, by its name.
script = tenant_table(
    "script",
    id_column(),
    Column("name", Text, nullable=False),
    Column("live_version", Integer),  # null: none has been published
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: What a script says in a version; never changed once it is no draft any more.
script_version = tenant_table(
    "script_version",
    Column("script_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", JSONB, nullable=False),  # see dialer/scripts
    Column("source", Text, nullable=False, server_default=""),  # the YAML that was written; empty: none was
    Column("state", Text, nullable=False, server_default="draft"),
    Column("made_by", BigInteger),  # the user; null: the server
    now_at("made_at"),
    ref("script", "script_id", on_delete="CASCADE"),
    one_of("state", SCRIPT_STATES),
    key=("script_id", "version"),
)

#: A talk that is led by a script; written with each answer. It keeps the version that it began with.
script_run = tenant_table(
    "script_run",
    Column("call_id", UUID(as_uuid=True), nullable=False),  # that has come in, or an attempt's
    Column("attempt_id", UUID(as_uuid=True)),  # the same, where it is one
    Column(
        "inbound_call_id",
        UUID(as_uuid=True),
        Computed("CASE WHEN attempt_id IS NULL THEN call_id ELSE NULL::uuid END", persisted=True),
    ),
    Column("script_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("step", Text, nullable=False),  # where the talk is
    Column("waits", JSONB, nullable=False, server_default="[]"),  # steps that exits will return to
    Column("trail", JSONB, nullable=False, server_default="[]"),  # where it was: [step, waits]
    Column("answers", JSONB, nullable=False, server_default="{}"),  # by name
    Column("done", JSONB, nullable=False, server_default="[]"),  # steps whose action was carried out
    Column("required", Integer, nullable=False),  # questions that the talk is about
    Column("collected", Integer, nullable=False),  # of these, answered
    time_at("began_at", null=False),
    time_at("changed_at", null=False),
    time_at("ended_at"),  # the last words were reached
    ref("script", "script_id"),
    ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
    ref("attempt", "attempt_id", on_delete="CASCADE"),
    CheckConstraint("attempt_id = call_id", name="whose"),
    Index(None, "tenant_id", "script_id", "began_at"),
    key=("call_id",),
)
