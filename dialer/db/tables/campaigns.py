"""Campaigns, and their leads."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at
from dialer.db.tables.callbacks import CALLBACK_AWAY

# The words of the state columns; the rules over them live in the model.py of their features.
CAMPAIGN_STATUSES = ("draft", "running", "paused", "stopped")
DIAL_MODES = ("manual", "preview", "progressive", "power", "predictive", "flow")
LEAD_STATUSES = ("new", "offered", "dialling", "waiting", "closed")
CAMPAIGN_PURPOSES = ("service", "advertising", "collection", "survey")
LEAD_HOLDS = (
    "do_not_call",
    "consent",
    "zone",
    "hours",
    "limits",
    "redial",
    "trunk",
    "retry",
    "callback",
    "quota",
)
LEAD_ORDERS = ("oldest", "newest", "priority", "random", "fewest_attempts", "best_hour")
DISPOSITION_KINDS = (
    "sale",
    "interest",
    "callback",
    "refusal",
    "wrong_person",
    "no_contact",
    "do_not_call",
    "other",
)

campaign = tenant_table(
    "campaign",
    id_column(),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="draft"),
    Column("mode", Text, nullable=False, server_default="progressive"),
    Column("ratio", Float, nullable=False, server_default="1.5"),  # power: calls for each ready agent
    Column("abandon_target", Float),  # predictive: share of abandoned calls, 0 to 1; null: the policy's cap
    Column("take_back_ringing", Boolean, nullable=False, server_default=text("false")),  # predictive
    # Without agents: the flow that speaks with who answers (its name), lines at once, calls a second, and
    # whether an answering machine is left the message.
    Column("flow", Text),
    Column("flow_lines", Integer, nullable=False, server_default="10"),
    Column("flow_rate", Float, nullable=False, server_default="1"),
    Column("message_to_machines", Boolean, nullable=False, server_default=text("false")),
    Column("script", Text),  # by which agents talk (its name); null: none
    Column("survey", Text),  # the flow (its name) that customers go through after the talk; null: none
    Column("policy", Text, nullable=False),  # code of dialer.compliance.policies or of the table `policy`
    Column("policy_version", Integer),  # null: the newest
    Column("purpose", Text, nullable=False, server_default="service"),
    Column("skill", Text),  # only agents with it; null: any agent
    Column("priority", Integer, nullable=False, server_default="0"),  # higher gets agents first
    Column("ring_timeout_s", Integer, nullable=False, server_default="25"),
    Column("detect_machines", Boolean, nullable=False, server_default=text("false")),
    Column("amd", JSONB, nullable=False, server_default="{}"),  # overrides of the measured AMD settings
    Column("record", Boolean, nullable=False, server_default=text("true")),
    Column("wrap_up_limit_s", Integer, nullable=False, server_default="60"),
    Column("crm_url", Text, nullable=False, server_default=""),  # a template, see dialer.calls.crm
    Column("crm_frame", Boolean, nullable=False, server_default=text("false")),  # in the desk; else in a tab
    Column("caller_name", Text, nullable=False, server_default=""),  # who calls, as the message says it
    Column("abandon_message", Text, nullable=False, server_default=""),  # words; names the caller
    Column("abandon_sound", Text),  # sound file (without its ending) under the prompts folder
    Column("drop_ringing_on_pause", Boolean, nullable=False, server_default=text("false")),
    Column("call_from", Text, nullable=False, server_default="09:00"),  # local time at the called person
    Column("call_until", Text, nullable=False, server_default="21:00"),
    Column("week", JSONB, nullable=False, server_default="{}"),  # {"sat": ["10:00-14:00"]}: other hours
    Column("exceptions", JSONB, nullable=False, server_default="{}"),  # {"2026-12-31": []}: of a date
    Column("on_holidays", Boolean, nullable=False, server_default=text("true")),  # as far as the policy does
    # The calendar's writer: the rules that its leads' windows are of, and the number up to which they are;
    # null: all of them.
    Column("calendar_stamp", Text),
    Column("calendar_done", Text),
    Column("max_attempts", Integer, nullable=False, server_default="3"),
    Column("retries", JSONB, nullable=False, server_default="{}"),  # see scheduler.retry; else its defaults
    Column("most_per_day", Integer),  # attempts at a person, in any campaign; null: the policy alone counts
    Column("most_per_week", Integer),
    Column("most_per_month", Integer),
    Column("lead_order", Text, nullable=False, server_default="oldest"),  # which lead is next
    # Callbacks: what happens when their agent is away, and how long they wait for that; how often and how
    # soon one is tried again that was not answered.
    Column("callback_away", Text, nullable=False, server_default="anyone"),
    Column("callback_wait_s", Integer, nullable=False, server_default="600"),
    Column("callback_tries", SmallInteger, nullable=False, server_default="3"),
    Column("callback_retry_s", Integer, nullable=False, server_default="600"),
    now_at(),
    time_at("started_at"),
    time_at("ended_at"),
    UniqueConstraint("tenant_id", "name"),
    one_of("status", CAMPAIGN_STATUSES),
    one_of("mode", DIAL_MODES),
    one_of("lead_order", LEAD_ORDERS),
    one_of("purpose", CAMPAIGN_PURPOSES),
    one_of("callback_away", CALLBACK_AWAY),
)

#: The trunks of a campaign in the order they are tried.
campaign_trunk = tenant_table(
    "campaign_trunk",
    Column("campaign_id", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("trunk_id", BigInteger, nullable=False),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("trunk", "trunk_id"),
    key=("campaign_id", "position"),
)

#: What an agent says a talk came to; each campaign has its own.
disposition = tenant_table(
    "disposition",
    id_column(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("label_ru", Text, nullable=False),
    Column("label_en", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("position", SmallInteger, nullable=False, server_default="0"),
    UniqueConstraint("tenant_id", "campaign_id", "code"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    one_of("kind", DISPOSITION_KINDS),
)

#: A person to be reached for a campaign, by the number that is tried next: one row a person a campaign, and
#: one a number a campaign. The retry rule may go on to the person's next number; the row is the same then.
lead = tenant_table(
    "lead",
    id_column(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("list_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("e164", Text, nullable=False),
    Column("timezones", ARRAY(Text), nullable=False),
    Column("status", Text, nullable=False, server_default="new"),
    Column("priority", Integer, nullable=False, server_default="0"),  # higher is dialled first, by that order
    Column("sort_key", BigInteger, nullable=False, server_default="0"),  # lowest first: db/sort_key.py
    time_at("open_from", null=False),  # may be dialled from here (calendar, retry) ...
    # What it rests for until `open_from`, out of the index of the claim; null: it does not rest.
    Column("hold", Text),
    time_at("open_until", null=False),  # ... until here; then the calendar writes the next window
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_result", Text),
    time_at("last_attempt_at"),
    Column("closed_reason", Text),
    now_at(),
    UniqueConstraint("tenant_id", "campaign_id", "e164"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("contact_list", "list_id"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    one_of("status", LEAD_STATUSES),
    one_of("hold", LEAD_HOLDS),
    # A person's leads: on their card, when two contacts are made one, when a contact is deleted.
    Index(None, "tenant_id", "contact_id"),
    Index(
        "lead_hopper_idx",
        "tenant_id",
        "campaign_id",
        "sort_key",
        "id",
        postgresql_where=text("status IN ('new', 'waiting') AND hold IS NULL"),
    ),
    # The same, of one list: campaigns that dial lists by shares.
    Index(
        "lead_list_idx",
        "tenant_id",
        "campaign_id",
        "list_id",
        "sort_key",
        "id",
        postgresql_where=text("status IN ('new', 'waiting') AND hold IS NULL"),
    ),
    # What the calendar owes a window to.
    Index(
        "lead_window_idx",
        "tenant_id",
        "campaign_id",
        "open_until",
        postgresql_where=text("status IN ('new', 'waiting')"),
    ),
    # What is woken when its time has come. What rests for a callback is not: that is claimed by itself.
    Index(
        "lead_resting_idx",
        "tenant_id",
        "campaign_id",
        "open_from",
        postgresql_where=text("hold IS NOT NULL AND hold <> 'callback'"),
    ),
    Index("lead_promised_idx", "tenant_id", "id", postgresql_where=text("hold = 'callback'")),
)
