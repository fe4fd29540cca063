"""How good talks were: as people score them by forms, as customers say; calls drawn for it, calibration."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Float,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.schema import SchemaItem

from dialer.db.tables.base import id_column, now_at, ref, tenant_table, time_at


def _of_call() -> tuple[SchemaItem, ...]:
    """Which call a row is of: one that has come in, or an attempt."""
    return (
        Column("call_id", UUID(as_uuid=True), nullable=False),
        Column("attempt_id", UUID(as_uuid=True)),  # the same, where it is one
        Column(
            "inbound_call_id",
            UUID(as_uuid=True),
            Computed("CASE WHEN attempt_id IS NULL THEN call_id ELSE NULL::uuid END", persisted=True),
        ),
        ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
        ref("attempt", "attempt_id", on_delete="CASCADE"),
        CheckConstraint("attempt_id = call_id", name="whose"),
    )


#: By what talks are scored.
review_form = tenant_table(
    "review_form",
    id_column(),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),  # that new scores are by
    Column("active", Boolean, nullable=False, server_default=text("true")),
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: The criteria of a form in a version; never changed.
review_form_version = tenant_table(
    "review_form_version",
    Column("form_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("criteria", JSONB, nullable=False),  # see dialer/reviews/model.py
    Column("made_by", BigInteger),  # the user
    now_at("made_at"),
    ref("review_form", "form_id", on_delete="CASCADE"),
    key=("form_id", "version"),
)

#: A call that several people score, blind to each other until it is closed.
calibration = tenant_table(
    "calibration",
    id_column(),
    *_of_call(),
    Column("form_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("opened_by", BigInteger),  # the user
    now_at("opened_at"),
    time_at("closed_at"),
    ref("review_form", "form_id"),
)

#: What one person has scored one call.
review = tenant_table(
    "review",
    id_column(),
    *_of_call(),
    Column("agent_id", BigInteger),  # who had the talk
    Column("form_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("calibration_id", BigInteger),  # null: it counts for the agent
    Column("scorer_id", BigInteger, nullable=False),  # the user
    Column("scores", JSONB, nullable=False),  # {criterion: points, or null: it did not come up}
    Column("total", Float, nullable=False),  # 0 to 100
    Column("comment", Text, nullable=False, server_default=""),
    now_at("made_at"),
    time_at("changed_at"),
    ref("review_form", "form_id"),
    ref("agent", "agent_id"),
    ref("app_user", "scorer_id"),
    ref("calibration", "calibration_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "agent_id", "made_at"),
    Index(None, "tenant_id", "made_at", "id"),
    Index(
        "review_once_idx",
        "tenant_id",
        "call_id",
        "form_id",
        "scorer_id",
        unique=True,
        postgresql_where=text("calibration_id IS NULL"),
    ),
    Index(
        "review_calibration_idx",
        "tenant_id",
        "calibration_id",
        "scorer_id",
        unique=True,
        postgresql_where=text("calibration_id IS NOT NULL"),
    ),
)

#: How many calls of each agent are drawn each week to be scored.
review_plan = tenant_table(
    "review_plan",
    id_column(),
    Column("form_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger),  # null: of all
    Column("calls", SmallInteger, nullable=False),  # of an agent, a week
    Column("least_s", Integer, nullable=False, server_default="0"),  # shorter recordings are not drawn
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("drawn_week", Date),  # the last week that was drawn from: its Monday
    now_at(),
    ref("review_form", "form_id"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    CheckConstraint("calls > 0", name="calls"),
)

#: A call that was drawn. It is done when somebody has scored it by the plan's form.
review_task = tenant_table(
    "review_task",
    Column("plan_id", BigInteger, nullable=False),
    *_of_call(),
    Column("agent_id", BigInteger, nullable=False),
    Column("week", Date, nullable=False),  # from which it was drawn: its Monday
    now_at("drawn_at"),
    ref("review_plan", "plan_id", on_delete="CASCADE"),
    ref("agent", "agent_id"),
    Index(None, "tenant_id", "week"),
    key=("plan_id", "call_id"),
)

#: What the customer of a talk has said of it, in the flow that they went through after it.
talk_survey = tenant_table(
    "talk_survey",
    *_of_call(),
    Column("agent_id", BigInteger, nullable=False),  # who had the talk
    Column("flow", Text, nullable=False),  # its name
    Column("version", Integer, nullable=False),
    Column("answers", JSONB, nullable=False, server_default="{}"),  # by variable
    Column("finished", Boolean, nullable=False, server_default=text("false")),  # else: they hung up in it
    time_at("began_at", null=False),
    ref("agent", "agent_id"),
    Index(None, "tenant_id", "began_at", "call_id"),
    Index(None, "tenant_id", "agent_id", "began_at"),
    key=("call_id",),
)
