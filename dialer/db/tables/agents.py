"""Agents, their shifts and pauses."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
AGENT_TAKES = ("both", "inbound", "outbound")
AGENT_STATES = ("calling", "paused", "ready", "reserved", "talking", "wrap_up", "lost", "offline")

#: A person at a phone. `user_id` is who logs in; the phone is a PJSIP endpoint of Asterisk.
agent = tenant_table(
    "agent",
    id_column(),
    Column("user_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("endpoint", Text, nullable=False),  # the PJSIP endpoint's name in Asterisk; unique over tenants
    Column("sip_ha1", Text),  # MD5(user:realm:password), for a managed Asterisk; null: made elsewhere
    Column("skills", ARRAY(Text), nullable=False, server_default="{}"),
    Column("levels", JSONB, nullable=False, server_default="{}"),  # skill -> 1 to 9, where it is not 5
    Column(
        "rank", SmallInteger, nullable=False, server_default=text("5")
    ),  # of the free ones the highest first
    Column("takes", Text, nullable=False, server_default="both"),  # who calls us, whom we call, or both
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    now_at(),
    one_of("takes", AGENT_TAKES),
    CheckConstraint("rank BETWEEN 1 AND 9", name="rank"),
    CheckConstraint("levels - skills = '{}'", name="levels"),  # of a skill that the agent has
    UniqueConstraint("endpoint"),
    UniqueConstraint("tenant_id", "user_id"),
    ref("app_user", "user_id"),
)

#: One shift of an agent: from log-in to log-out. Its state is the single truth of who can take a call; the
#: engine reserves an agent by one conditional UPDATE of this row.
agent_session = tenant_table(
    "agent_session",
    Column("id", UUID(as_uuid=True), nullable=False),  # also the channel id of the phone's leg
    Column("agent_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    time_at("state_since", null=False),
    Column("pause_code", Text),
    Column("next_state", Text),  # asked for while in a talk: paused or offline after the wrap-up
    Column("next_pause_code", Text),
    Column("attempt_id", UUID(as_uuid=True)),  # reserved, talking, wrap_up: of which attempt or inbound call
    Column("lead_id", BigInteger),  # preview: the lead that is shown and not yet dialled
    time_at("idle_since", null=False),  # end of the last talk or log-in: of one rank the longest idle first
    Column("leg", UUID(as_uuid=True)),  # channel id of the phone's leg that is up now
    Column("node", Text),  # the Asterisk server that has, or had, the leg
    Column("browser", Boolean, nullable=False, server_default=text("false")),  # the phone is the browser
    time_at("logged_in_at", null=False),
    time_at("logged_out_at"),
    ref("agent", "agent_id"),
    one_of("state", AGENT_STATES),
    CheckConstraint("next_state IN ('paused', 'offline')", name="next_state"),
    Index(
        "agent_session_open_key",
        "tenant_id",
        "agent_id",
        unique=True,
        postgresql_where=text("logged_out_at IS NULL"),
    ),
)

#: The browser that is an agent's or a supervisor's phone: the secret of its SIP registration, made anew for
#: each page. It is good for as long as the page is connected, and two minutes more.
browser_phone = tenant_table(
    "browser_phone",
    Column("user_id", BigInteger, nullable=False),
    Column("sip_ha1", Text, nullable=False),  # MD5(user:realm:password)
    time_at("made_at", null=False),
    time_at("expires_at", null=False),
    ref("app_user", "user_id"),
    key=("user_id",),
)

#: Time spent in each state: what occupancy and shift reports are computed from.
agent_time = tenant_table(
    "agent_time",
    id_column(),
    Column("session_id", UUID(as_uuid=True), nullable=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("pause_code", Text),
    Column("attempt_id", UUID(as_uuid=True)),
    time_at("started_at", null=False),
    time_at("ended_at"),
    ref("agent_session", "session_id"),
    Index(None, "tenant_id", "agent_id", "started_at"),
    Index(None, "tenant_id", "started_at"),
    Index(
        "agent_time_open_key",
        "tenant_id",
        "session_id",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
)

pause_code = tenant_table(
    "pause_code",
    Column("code", Text, nullable=False),
    Column("label_ru", Text, nullable=False),
    Column("label_en", Text, nullable=False),
    Column("limit_s", Integer),
    Column("position", SmallInteger, nullable=False, server_default="0"),
    key=("code",),
)

#: What a supervisor has written to an agent: shown on the desk until the agent confirms it.
agent_message = tenant_table(
    "agent_message",
    id_column(),
    Column("agent_id", BigInteger, nullable=False),
    Column("text", Text, nullable=False),  # empty: what the sender did is told
    Column("state", Text),  # into which the sender has put the agent, with the code of a pause
    Column("pause_code", Text),
    Column("sent_by", BigInteger),  # the user; null: the server
    time_at("sent_at", null=False),
    time_at("seen_at"),
    time_at("confirmed_at"),
    ref("agent", "agent_id"),
    ref("app_user", "sent_by"),
    one_of("state", ("ready", "paused", "offline")),
    Index(None, "tenant_id", "agent_id", "id"),
)
