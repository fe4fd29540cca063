"""Where callers wait for an agent."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Float,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of dialer/queues/model.py, which owns the rules.
QUEUE_RULES = ("longest_idle", "least_busy", "highest_level")
QUEUE_OVERFLOWS = ("queue", "flow", "voicemail")
STAY_ENDS = (
    "answered",
    "abandoned",
    "timeout",
    "full",
    "empty",
    "overflow",
    "voicemail",
    "callback",
    "key",
    "lost",
)

#: How a queue serves; flows and numbers name it by its name.
queue = tenant_table(
    "queue",
    id_column(),
    Column("name", Text, nullable=False),
    Column("skill", Text),  # null: any agent
    Column("least_level", SmallInteger, nullable=False, server_default=text("1")),
    Column("relax_every_s", Integer),  # each so often one level less is asked for; null: never
    Column("lowest_level", SmallInteger, nullable=False, server_default=text("1")),
    Column("rule", Text, nullable=False, server_default="longest_idle"),
    Column("priority", SmallInteger, nullable=False, server_default=text("5")),
    Column("last_agent_s", Integer, nullable=False, server_default=text("0")),
    Column("max_wait_s", Integer),
    Column("max_waiting", Integer),
    Column("needs_agents", Boolean, nullable=False, server_default=text("false")),
    Column("overflow", Text, nullable=False, server_default="flow"),
    Column("overflow_queue_id", BigInteger),
    Column("music", Text, nullable=False, server_default="default"),  # class of music on hold in Asterisk
    Column("announce_first_s", Integer, server_default=text("20")),  # null: nothing is announced
    Column("announce_every_s", Integer, server_default=text("60")),
    Column("announce_position", Boolean, nullable=False, server_default=text("true")),
    Column("announce_wait", Boolean, nullable=False, server_default=text("true")),
    Column("announce_most_position", SmallInteger, nullable=False, server_default=text("10")),
    Column("offer_callback_s", Integer),  # null: none is offered
    Column("short_abandon_s", Integer, nullable=False, server_default=text("5")),
    Column("target_share", Float, nullable=False, server_default=text("0.8")),
    Column("target_s", Integer, nullable=False, server_default=text("20")),
    Column("wrap_up_s", Integer),  # null: as the campaign of the number says
    now_at(),
    UniqueConstraint("tenant_id", "name"),
    ref("queue", "overflow_queue_id"),
    one_of("rule", QUEUE_RULES),
    one_of("overflow", QUEUE_OVERFLOWS),
    CheckConstraint("least_level BETWEEN 1 AND 9 AND lowest_level BETWEEN 1 AND least_level", name="levels"),
    CheckConstraint("priority BETWEEN 1 AND 9", name="priority"),
    CheckConstraint("(overflow = 'queue') = (overflow_queue_id IS NOT NULL)", name="overflow_queue"),
)

#: One stay of one caller in one queue; who moves on to another queue has a row in each. Who was not let in
#: has left as they came.
queue_stay = tenant_table(
    "queue_stay",
    id_column(),
    Column("call_id", UUID(as_uuid=True), nullable=False),  # that has come in, or an attempt's
    Column("attempt_id", UUID(as_uuid=True)),  # the same, where it is one
    Column(
        "inbound_call_id",
        UUID(as_uuid=True),
        Computed("CASE WHEN attempt_id IS NULL THEN call_id ELSE NULL::uuid END", persisted=True),
    ),
    Column("n", Integer, nullable=False),  # of the call, from 1
    Column("queue_id", BigInteger),  # null: there is no such queue (any more), only its name
    Column("queue", Text, nullable=False),  # its name at that time
    Column("priority", SmallInteger, nullable=False),
    time_at("since", null=False),  # when the wait began, in whichever queue: the turn goes by it
    time_at("entered_at", null=False),
    time_at("left_at"),  # with an agent: when the two met
    Column("ended", Text),  # null: the caller waits
    Column("agent_id", BigInteger),  # who has answered
    UniqueConstraint("tenant_id", "call_id", "n"),
    ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
    ref("attempt", "attempt_id", on_delete="CASCADE"),
    ref("queue", "queue_id", on_delete="SET NULL (queue_id)"),
    ref("agent", "agent_id"),
    one_of("ended", STAY_ENDS),
    CheckConstraint("attempt_id = call_id", name="whose"),
    CheckConstraint("(ended IS NULL) = (left_at IS NULL)", name="left"),
    CheckConstraint("(ended = 'answered') = (agent_id IS NOT NULL)", name="answered"),
    Index(None, "tenant_id", "entered_at", "queue"),
    Index(
        "queue_stay_queue_idx",
        "tenant_id",
        "queue_id",
        "entered_at",
        postgresql_where=text("queue_id IS NOT NULL"),
    ),
    Index("queue_stay_open_idx", "tenant_id", "call_id", postgresql_where=text("left_at IS NULL")),
)
