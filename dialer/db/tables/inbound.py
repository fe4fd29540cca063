"""Calls that come in: the numbers they come to, the flows that speak with the callers, the calls."""

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

from dialer.db.tables.base import id_column, money, now_at, one_of, ref, tenant_table, time_at
from dialer.db.tables.calls import CALL_STATES

# The words of the state columns; the rules over them live in the model.py of their features.
DESTINATION_KINDS = ("phone", "number")
OFFER_ANSWERS = ("shown", "accepted", "declined")
FLOW_STATES = ("draft", "test", "live", "retired")
INBOUND_RESULTS = (
    "answered",
    "abandoned",
    "contained",
    "left",
    "voicemail",
    "callback",
    "transferred",
    "failed",
    "unknown",
)
MISSED_RULES = ("off", "queue", "all")
# null: not decided yet
MISSED_FATES = ("task", "came_back", "promised", "reached", "refused")

#: What callers go through, by its name.
flow = tenant_table(
    "flow",
    id_column(),
    Column("name", Text, nullable=False),
    Column("live_version", Integer),  # null: none has been published
    Column("test_version", Integer),
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: What a flow says in a version; never changed once it is no draft any more.
flow_version = tenant_table(
    "flow_version",
    Column("flow_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", JSONB, nullable=False),  # see ivr_flows
    Column("source", Text, nullable=False, server_default=""),  # the YAML that was written; empty: none was
    Column("state", Text, nullable=False, server_default="draft"),
    Column("made_by", BigInteger),  # the user; null: the server
    now_at("made_at"),
    ref("flow", "flow_id", on_delete="CASCADE"),
    one_of("state", FLOW_STATES),
    key=("flow_id", "version"),
)

#: A server that flows may ask.
allowed_host = tenant_table(
    "allowed_host",
    id_column(),
    Column("host", Text, nullable=False),  # example.org, example.org:8080
    # It is in our own network: addresses that the world does not have are right.
    Column("inside", Boolean, nullable=False, server_default=text("false")),
    Column("header", Text, nullable=False, server_default=""),  # goes with each request
    Column("secret", Text, nullable=False, server_default=""),  # its value; never given out
    now_at(),
    UniqueConstraint("tenant_id", "host"),
    CheckConstraint("(header = '') = (secret = '')", name="header"),
)

#: When it is open, under a name that flows look at; see dialer/hours.
opening_hours = tenant_table(
    "opening_hours",
    id_column(),
    Column("name", Text, nullable=False),
    Column("week", JSONB, nullable=False, server_default="{}"),  # mon-fri -> 09:00-18:00
    Column("exceptions", JSONB, nullable=False, server_default="{}"),  # 2026-12-31 -> 09:00-15:00
    Column("holidays", Text, nullable=False, server_default=""),  # RU, DE-BY; empty: none
    Column("zone", Text, nullable=False, server_default=""),  # IANA name; empty: the tenant's
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: What flows offer to callers at a place; see dialer/offers.
offer = tenant_table(
    "offer",
    id_column(),
    Column("place", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("text_ru", Text, nullable=False, server_default=""),
    Column("text_en", Text, nullable=False, server_default=""),
    time_at("active_from"),
    time_at("active_until"),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("position", Integer, nullable=False, server_default=text("100")),
    now_at(),
    Index(None, "tenant_id", "place", "position"),
)

#: An offer that was made in a call, and what was said to it.
offer_answer = tenant_table(
    "offer_answer",
    id_column(),
    Column("call_id", UUID(as_uuid=True), nullable=False),
    Column("contact_id", BigInteger),  # null: nobody knew who it was
    Column("place", Text, nullable=False),
    Column("offer_id", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Column("reason", JSONB, nullable=False),  # why this one: those that came before it, each with why not
    time_at("at", null=False),
    ref("offer", "offer_id"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    one_of("answer", OFFER_ANSWERS),
    Index(None, "tenant_id", "call_id"),
    Index(None, "tenant_id", "contact_id"),
    Index(None, "tenant_id", "at"),
)

#: A phone or number that flows may ring.
destination = tenant_table(
    "destination",
    id_column(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),  # a PJSIP endpoint's name; a number, E.164
    now_at(),
    UniqueConstraint("tenant_id", "name"),
    one_of("kind", DESTINATION_KINDS),
)

#: A call over a trunk that puts a caller through to an outside number. Its columns that an attempt has too
#: are named so and mean the same: its line is given back as an attempt's is.
forward = tenant_table(
    "forward",
    Column("id", UUID(as_uuid=True), nullable=False),
    Column("call_id", UUID(as_uuid=True), nullable=False),  # of the caller
    Column("e164", Text, nullable=False),
    Column("trunk_id", BigInteger, nullable=False),
    Column("holds_line", Boolean, nullable=False, server_default=text("false")),
    Column("probe", Boolean, nullable=False, server_default=text("false")),
    Column("trunk_fault", Boolean, nullable=False, server_default=text("false")),
    money("rate_per_minute"),
    money("rate_per_call"),
    money("reserved"),
    Column("reserved_on", Date),
    money("cost"),
    time_at("created_at", null=False),
    time_at("answered_at"),
    time_at("ended_at"),
    ref("trunk", "trunk_id"),
    Index("forward_open_idx", "tenant_id", "call_id", postgresql_where=text("ended_at IS NULL")),
    Index(None, "tenant_id", "call_id"),
)

#: A number of ours that people call, and what becomes of who does.
inbound_number = tenant_table(
    "inbound_number",
    id_column(),
    Column("number", Text, nullable=False),  # as the trunk sends it, without a plus
    Column("name", Text, nullable=False, server_default=""),
    Column("flow_id", BigInteger, nullable=False),
    # Whose dispositions, recording, wrap-up limit and, where the flow names no queue, skill its talks have.
    Column("campaign_id", BigInteger, nullable=False),
    Column("queue", Text, nullable=False, server_default=""),  # where the flow names none
    Column("test", Boolean, nullable=False, server_default=text("false")),  # to try a version out
    Column("active", Boolean, nullable=False, server_default=text("true")),
    # Which callers whom nobody served are called back by themselves, and after how long a wait at least.
    Column("missed_rule", Text, nullable=False, server_default="usual"),  # as `missed_default` says
    Column("missed_after_s", Integer, nullable=False, server_default=text("10")),
    now_at(),
    # Who is called is found by the number alone, before the tenant is known.
    UniqueConstraint("number"),
    ref("flow", "flow_id"),
    ref("campaign", "campaign_id"),
    one_of("missed_rule", ("usual", *MISSED_RULES)),
    CheckConstraint("missed_after_s >= 0", name="missed_after_s"),
    Index(None, "tenant_id", "campaign_id"),
)

#: Which missed callers are called back by numbers that say nothing of it. No row: none are.
missed_default = tenant_table(
    "missed_default",
    Column("rule", Text, nullable=False),
    Column("after_s", Integer, nullable=False),
    one_of("rule", MISSED_RULES),
    CheckConstraint("after_s >= 0", name="after_s"),
    key=(),
)

#: A call that came in. Its columns that an attempt has too are named so and mean the same; it is committed
#: before anything is played. `channel` is Asterisk's Uniqueid of the caller's channel.
inbound_call = tenant_table(
    "inbound_call",
    Column("id", UUID(as_uuid=True), nullable=False),  # version 7: ordered by time
    Column("number_id", BigInteger, nullable=False),
    Column("dialled", Text, nullable=False),  # our number, as the trunk sent it
    Column("flow_id", BigInteger, nullable=False),
    Column("flow_version", Integer, nullable=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger),
    Column("e164", Text, nullable=False),  # the caller's number; empty: it was withheld
    Column("node", Text, nullable=False),  # the Asterisk server that has the channel
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("result", Text),
    Column("outcome", Text),  # what it comes to if it ends in the flow; null: nothing was done yet
    Column("queue", Text),  # where the caller waited, the last time
    Column("reason", Text),  # of the call, in words of the flow or of the agent
    Column("collected", JSONB, nullable=False, server_default="{}"),  # what the caller has pressed, by name
    Column("cause", SmallInteger),  # Q.850
    Column("sip_code", SmallInteger),
    Column("detail", Text),
    Column("session_id", UUID(as_uuid=True)),  # the agent's shift
    Column("agent_id", BigInteger),
    Column("hung_up_by", Text),
    time_at("created_at", null=False),
    time_at("answered_at", null=False),
    time_at("queued_at"),  # the last time that the flow let the caller wait
    time_at("assigned_at"),
    time_at("connected_at"),
    time_at("hung_up_at"),
    time_at("ended_at"),
    time_at("held_at"),  # on hold since
    Column("hold_s", Float, nullable=False, server_default=text("0")),  # of the holds that are over
    Column("muted", Boolean, nullable=False, server_default=text("false")),  # the agent
    Column("third", JSONB),  # as of an attempt, with what follows
    time_at("let_go_at"),
    time_at("handed_at"),
    Column("join_ms", Float),
    Column("answer_to_agent_ms", Float),
    Column("disposition_id", BigInteger),
    Column("disposition_note", Text),
    time_at("disposed_at"),
    Column("disposed_by", BigInteger),
    ref("inbound_number", "number_id"),
    ref("flow", "flow_id"),
    ref("campaign", "campaign_id"),
    ref("disposition", "disposition_id"),
    ref("agent", "agent_id"),
    one_of("state", CALL_STATES),
    one_of("result", INBOUND_RESULTS),
    one_of("outcome", INBOUND_RESULTS),
    CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended"),
    CheckConstraint("state <> 'ended' OR result IS NOT NULL", name="ended_result"),
    Index(None, "tenant_id", "campaign_id", "created_at"),
    Index(None, "tenant_id", "e164", "created_at"),
    Index(None, "tenant_id", "agent_id", "created_at"),
    # The call log goes by this key; figures of a span of time are counted from it alone.
    Index(None, "tenant_id", "created_at", "id", postgresql_include=["flow_id", "result", "reason"]),
    Index(
        "inbound_call_contact_idx",
        "tenant_id",
        "contact_id",
        "created_at",
        postgresql_where=text("contact_id IS NOT NULL"),
    ),
    Index("inbound_call_open_idx", "tenant_id", "id", postgresql_where=text("ended_at IS NULL")),
    # Asked at each change of a shift: is a disposition owed?
    Index(
        "inbound_call_owed_idx",
        "tenant_id",
        "session_id",
        postgresql_where=text("connected_at IS NOT NULL AND disposed_at IS NULL"),
    ),
)

#: Why people call: what agents may choose from. A call keeps its reason in its own words.
call_reason = tenant_table(
    "call_reason",
    Column("name", Text, nullable=False),
    Column("place", Integer, nullable=False),  # in the list, from 1
    key=("name",),
)

#: The way of a call through its flow, a row a state.
flow_step = tenant_table(
    "flow_step",
    Column("call_id", UUID(as_uuid=True), nullable=False),  # that has come in, or an attempt's
    Column("attempt_id", UUID(as_uuid=True)),  # the same, where it is one
    Column(
        "inbound_call_id",
        UUID(as_uuid=True),
        Computed("CASE WHEN attempt_id IS NULL THEN call_id ELSE NULL::uuid END", persisted=True),
    ),
    Column("n", Integer, nullable=False),
    Column("flow", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event", Text),  # by which it was left; null: the call is there, or ended there
    time_at("at", null=False),
    Column("collected", JSONB, nullable=False, server_default="{}"),  # what the caller pressed in it, by name
    ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
    ref("attempt", "attempt_id", on_delete="CASCADE"),
    CheckConstraint("attempt_id = call_id", name="whose"),
    # How many came to which state, and how they left, in a span of time: read from the index alone.
    Index(None, "tenant_id", "flow", "at", postgresql_include=["state", "event"]),
    key=("call_id", "n"),
)

#: A call whose caller nobody served, and who is called back by the rule of the number; written with the
#: call's end.
missed_call = tenant_table(
    "missed_call",
    Column("call_id", UUID(as_uuid=True), nullable=False),
    time_at("due_at", null=False),  # then it is decided: the caller may come back before
    Column("fate", Text),
    Column("reason", Text),  # why nobody calls
    Column("callback_id", BigInteger),  # the promised call that was made of it
    time_at("decided_at"),
    ref("inbound_call", "call_id", on_delete="CASCADE"),
    one_of("fate", MISSED_FATES),
    Index("missed_call_open_idx", "tenant_id", "due_at", postgresql_where=text("fate IS NULL")),
    Index(
        "missed_call_callback_idx",
        "tenant_id",
        "callback_id",
        postgresql_where=text("callback_id IS NOT NULL"),
    ),
    key=("call_id",),
)

#: A message that somebody on the line has left; its file is a `recording`.
voicemail = tenant_table(
    "voicemail",
    id_column(),
    Column("call_id", UUID(as_uuid=True), nullable=False),  # that has come in, or an attempt's
    Column("attempt_id", UUID(as_uuid=True)),  # the same, where it is one
    Column(
        "inbound_call_id",
        UUID(as_uuid=True),
        Computed("CASE WHEN attempt_id IS NULL THEN call_id ELSE NULL::uuid END", persisted=True),
    ),
    Column("box", Text, nullable=False),
    time_at("began_at", null=False),
    time_at("heard_at"),  # null: nobody has heard it
    Column("heard_by", BigInteger),  # the user
    time_at("deleted_at"),
    Column("deleted_by", BigInteger),  # the user
    ref("inbound_call", "inbound_call_id", on_delete="CASCADE"),
    ref("attempt", "attempt_id", on_delete="CASCADE"),
    CheckConstraint("attempt_id = call_id", name="whose"),
    Index(None, "tenant_id", "call_id"),
    Index("voicemail_page_idx", "tenant_id", "id", postgresql_where=text("deleted_at IS NULL")),
)
