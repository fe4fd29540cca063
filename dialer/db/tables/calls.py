"""Attempts, from before they are dialled."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from dialer.db.tables.base import id_column, money, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
CALL_STATES = (
    "dialling",
    "ringing",
    "answered",
    "screening",
    "flow",
    "waiting",
    "connected",
    "wrap_up",
    "ended",
)
RESULTS = (
    "answered",
    "busy",
    "no_answer",
    "invalid",
    "congestion",
    "declined",
    "machine",
    "abandoned",
    "caller_hung_up",
    "failed",
    "canceled",
    "unknown",
)
# erasing: its file is being deleted, the row goes after it
RECORDING_STATUSES = ("writing", "whole", "lost", "erasing")

#: One try to reach a number. Committed before the call is asked of Asterisk; `id` is its channel id there.
attempt = tenant_table(
    "attempt",
    Column("id", UUID(as_uuid=True), nullable=False),  # version 7: ordered by time
    Column("campaign_id", BigInteger, nullable=False),
    Column("list_id", BigInteger),  # null: a number typed by hand
    Column("lead_id", BigInteger),
    Column("contact_id", BigInteger),
    Column("e164", Text, nullable=False),
    Column("trunk_id", BigInteger, nullable=False),
    Column("node", Text, nullable=False, server_default="main"),  # the Asterisk server that dials
    Column("caller_id", Text, nullable=False),
    # Whether it is counted in `trunk_load` and `tenant_load`: taken off once, with the change to false.
    Column("holds_line", Boolean, nullable=False, server_default=text("false")),
    Column("probe", Boolean, nullable=False, server_default=text("false")),  # it tried a trunk that was bad
    Column("trunk_fault", Boolean, nullable=False, server_default=text("false")),  # the carrier failed it
    money("rate_per_minute"),  # the tariff it was placed at; null: its trunk has none
    money("rate_per_call"),
    money("reserved"),  # counted as spent until the end, on the day ...
    Column("reserved_on", Date),
    money("cost"),  # by that tariff, since the end
    Column("mode", Text, nullable=False),
    Column("traits", ARRAY(Text)),  # predictive: name=value, what its chance of an answer was told from
    Column("policy", Text, nullable=False),  # code and version of the policy it was made under
    Column("evidence", JSONB),  # what showed that it might be made, see dialer.compliance.evidence
    Column("clicked_by", BigInteger),  # preview and manual: the user who started it
    Column("state", Text, nullable=False),
    Column("result", Text),  # set with `ended_at` or when a talk ends, never changed afterwards
    Column("cause", SmallInteger),  # Q.850
    Column("sip_code", SmallInteger),
    Column("detail", Text),  # why, where cause and code do not say: asterisk_lost, server_was_away ...
    Column("machine_status", Text),  # AMDSTATUS
    Column("machine_cause", Text),  # AMDCAUSE
    Column("session_id", UUID(as_uuid=True)),  # the agent's shift
    Column("agent_id", BigInteger),
    Column("hung_up_by", Text),  # customer, agent, server
    # Of a campaign without agents; named and meant as in `inbound_call`.
    Column("flow_id", BigInteger),
    Column("flow_version", Integer),
    Column("outcome", Text),
    Column("queue", Text),
    Column("reason", Text),
    Column("collected", JSONB),
    time_at("queued_at"),
    time_at("created_at", null=False),
    time_at("sent_at"),  # Asterisk has accepted the Originate
    time_at("ringing_at"),
    time_at("answered_at"),
    time_at("screened_at"),
    time_at("assigned_at"),
    time_at("connected_at"),
    time_at("hung_up_at"),  # the customer's channel ended
    time_at("ended_at"),  # nothing is owed any more: channel gone and, after a talk, wrapped up
    time_at("held_at"),  # on hold since
    Column("hold_s", Float, nullable=False, server_default=text("0")),  # of the holds that are over
    Column("muted", Boolean, nullable=False, server_default=text("false")),  # the agent
    Column("third", JSONB),  # whom the agent has called besides, see dialer.calls.thirds
    time_at("let_go_at"),  # the agent's talk is over, the customer stays on the line without an agent
    time_at("handed_at"),  # handed over to a queue that has no agent for them yet: nobody owes a disposition
    Column("join_ms", Float),  # agent chosen -> both in one bridge
    Column("answer_to_agent_ms", Float),  # answered -> both in one bridge
    Column("disposition_id", BigInteger),
    Column("disposition_note", Text),
    time_at("disposed_at"),
    Column("disposed_by", BigInteger),
    ref("campaign", "campaign_id"),
    ref("trunk", "trunk_id"),
    ref("lead", "lead_id"),
    ref("disposition", "disposition_id"),
    ref("agent", "agent_id"),
    ref("flow", "flow_id"),
    one_of("state", CALL_STATES),
    one_of("result", RESULTS),
    CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended"),
    CheckConstraint("state <> 'ended' OR result IS NOT NULL", name="ended_result"),
    Index(None, "tenant_id", "campaign_id", "created_at"),
    Index(None, "tenant_id", "e164", "created_at"),
    Index(None, "tenant_id", "lead_id"),
    Index(None, "tenant_id", "agent_id", "created_at"),
    # The call log goes by this key.
    Index(None, "tenant_id", "created_at", "id"),
    # Reports ask whether a contact was dialled before.
    Index(
        "attempt_contact_idx",
        "tenant_id",
        "contact_id",
        "created_at",
        postgresql_where=text("contact_id IS NOT NULL"),
    ),
    # What the calls of a campaign came to is counted in it alone.
    Index(
        "attempt_disposition_idx",
        "tenant_id",
        "campaign_id",
        "disposition_id",
        postgresql_where=text("disposition_id IS NOT NULL"),
    ),
    Index("attempt_open_idx", "tenant_id", "id", postgresql_where=text("ended_at IS NULL")),
    # Asked at each change of a shift: is a disposition owed?
    Index(
        "attempt_owed_idx",
        "tenant_id",
        "session_id",
        postgresql_where=text("connected_at IS NOT NULL AND disposed_at IS NULL"),
    ),
)

#: A number with an attempt under way, from the claim to the end of its channel: one call a number.
active_number = tenant_table(
    "active_number",
    Column("e164", Text, nullable=False),
    Column("attempt_id", UUID(as_uuid=True), nullable=False),
    now_at("since"),
    UniqueConstraint("tenant_id", "attempt_id"),
    key=("e164",),
)

recording = tenant_table(
    "recording",
    id_column(),
    Column("attempt_id", UUID(as_uuid=True)),  # whose talk it is: an attempt's ...
    Column("inbound_call_id", UUID(as_uuid=True)),  # ... or an inbound call's
    Column("voicemail_id", BigInteger),  # ... or it is a message
    Column("path", Text, nullable=False),  # under the recordings folder, server-made; in a store the key
    Column("place", Text),  # of a store that has it, or is being sent it: bucket, or bucket/prefix
    Column(
        "here", Boolean, nullable=False, server_default=text("true")
    ),  # on the disk; else in the store alone
    Column("status", Text, nullable=False, server_default="writing"),
    Column("size_bytes", BigInteger),
    Column("duration_s", Float),
    # [{"from_s": 12.5, "until_s": 20.1}]: silence that was asked for; until_s null: to the end
    Column("pauses", JSONB, nullable=False, server_default="[]"),
    Column("sha256", Text),  # of the file when it became whole, hex
    Column("peaks", LargeBinary),  # how loud it is along its length, since somebody has looked
    time_at("held_at"),  # kept past its term ...
    Column("held_by", BigInteger),  # ... the user ...
    Column("hold_reason", Text, nullable=False, server_default=""),  # ... and why
    time_at("started_at", null=False),
    time_at("ended_at"),
    UniqueConstraint("tenant_id", "path"),
    ref("attempt", "attempt_id"),
    ref("inbound_call", "inbound_call_id"),
    ref("voicemail", "voicemail_id"),
    CheckConstraint("num_nonnulls(attempt_id, inbound_call_id, voicemail_id) = 1", name="whose"),
    one_of("status", RECORDING_STATUSES),
    Index(None, "tenant_id", "attempt_id"),
    Index(None, "tenant_id", "inbound_call_id"),
    Index(None, "tenant_id", "voicemail_id"),
    # What is to be moved to a store.
    Index("recording_here_idx", "tenant_id", "id", postgresql_where=text("status = 'whole' AND here")),
    # Searches and retention go by this key.
    Index(None, "tenant_id", "started_at", "id"),
)

#: A moment of a recording that somebody has marked.
recording_mark = tenant_table(
    "recording_mark",
    id_column(),
    Column("recording_id", BigInteger, nullable=False),
    Column("at_s", Float, nullable=False),  # from its beginning
    Column("text", Text, nullable=False),
    Column("made_by", BigInteger),  # the user
    now_at("made_at"),
    ref("recording", "recording_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "recording_id"),
)
