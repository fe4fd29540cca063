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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

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

PLACE_STAGES = ("kept", "calling", "back", "task", "dropped")

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
    Column("offer_callback_wait_s", Integer),  # ... where the expected wait is as long; null: however long
    Column("offer_callback_key", Text, nullable=False, server_default="1"),
    Column("callback_tries", SmallInteger, nullable=False, server_default=text("2")),
    Column("callback_again_s", Integer, nullable=False, server_default=text("300")),
    Column("short_abandon_s", Integer, nullable=False, server_default=text("5")),
    Column("target_share", Float, nullable=False, server_default=text("0.8")),
    Column("target_s", Integer, nullable=False, server_default=text("20")),
    Column("wrap_up_s", Integer),  # null: as the campaign of the number says
    Column("survey", Text),  # the flow after its talks; null: as the campaign of the number says
    now_at(),
    UniqueConstraint("tenant_id", "name"),
    ref("queue", "overflow_queue_id"),
    one_of("rule", QUEUE_RULES),
    one_of("overflow", QUEUE_OVERFLOWS),
    CheckConstraint("least_level BETWEEN 1 AND 9 AND lowest_level BETWEEN 1 AND least_level", name="levels"),
    CheckConstraint("priority BETWEEN 1 AND 9", name="priority"),
    CheckConstraint("callback_tries BETWEEN 1 AND 5 AND callback_again_s >= 60", name="callback"),
    CheckConstraint("offer_callback_key ~ '^[0-9*#]$'", name="offer_callback_key"),
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
    Column("callback_offered", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("tenant_id", "call_id", "n"),
    ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
    ref("attempt", "attempt_id", on_delete="CASCADE"),
    ref("queue", "queue_id", on_delete="SET NULL (queue_id)"),
    ref("agent", "agent_id"),
    one_of("ended", STAY_ENDS),
    CheckConstraint("attempt_id = call_id", name="whose"),
    CheckConstraint("(ended IS NULL) = (left_at IS NULL)", name="left"),
    CheckConstraint("(ended = 'answered') = (agent_id IS NOT NULL)", name="answered"),
    # Figures of a span of time are counted from it alone.
    Index(
        None,
        "tenant_id",
        "entered_at",
        "queue",
        postgresql_include=["queue_id", "left_at", "ended", "callback_offered"],
    ),
    Index(
        "queue_stay_queue_idx",
        "tenant_id",
        "queue_id",
        "entered_at",
        postgresql_where=text("queue_id IS NOT NULL"),
    ),
    Index("queue_stay_open_idx", "tenant_id", "call_id", postgresql_where=text("left_at IS NULL")),
)

#: A place in a queue that is kept for somebody who has hung up, and is called when its turn comes.
kept_place = tenant_table(
    "kept_place",
    Column("call_id", UUID(as_uuid=True), nullable=False),  # in which it was asked for: as in `queue_stay`
    Column("flow_attempt_id", UUID(as_uuid=True)),  # the same, where it is an attempt's
    Column(
        "inbound_call_id",
        UUID(as_uuid=True),
        Computed("CASE WHEN flow_attempt_id IS NULL THEN call_id ELSE NULL::uuid END", persisted=True),
    ),
    Column("queue_id", BigInteger),  # null: the queue is gone
    Column("queue", Text, nullable=False),  # its name at that time
    Column("campaign_id", BigInteger, nullable=False),  # under whose rules, and over whose trunks, is called
    Column("contact_id", BigInteger),
    Column("e164", Text, nullable=False),
    Column("timezones", ARRAY(Text), nullable=False, server_default="{}"),  # where the person may be
    Column("priority", SmallInteger, nullable=False),
    Column("skills", JSONB, nullable=False, server_default="{}"),  # skill -> level, asked by the flow
    Column("reason", Text, nullable=False, server_default=""),  # why they have called
    time_at("since", null=False),  # when the wait began: the turn goes by it
    time_at("kept_at", null=False),
    Column("stage", Text, nullable=False, server_default="kept"),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    time_at("not_before"),
    Column("attempt_id", UUID(as_uuid=True)),  # the latest call of the place
    Column("callback_id", BigInteger),  # the promised call that was made of it
    Column("why", Text),  # how it ended
    time_at("ended_at"),
    ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
    ref("attempt", "flow_attempt_id", on_delete="CASCADE"),
    ref("queue", "queue_id", on_delete="SET NULL (queue_id)"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    one_of("stage", PLACE_STAGES),
    CheckConstraint("flow_attempt_id = call_id", name="whose"),
    CheckConstraint("(stage IN ('kept', 'calling')) = (ended_at IS NULL)", name="ended"),
    CheckConstraint("stage <> 'calling' OR attempt_id IS NOT NULL", name="calling"),
    # One open place a number: who asks twice is called once.
    Index("kept_place_open_idx", "tenant_id", "e164", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index(
        "kept_place_task_idx",
        "tenant_id",
        "call_id",
        postgresql_where=text("stage = 'task' AND callback_id IS NULL AND why IS NULL"),
    ),
    Index(None, "tenant_id", "attempt_id"),
    Index(None, "tenant_id", "kept_at", "queue"),
    Index(None, "tenant_id", "contact_id"),
    key=("call_id",),
)
