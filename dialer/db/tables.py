"""Every table, in one place: what the server knows.

The rules that all of them follow:

- Every primary key begins with `tenant_id`, and so does every foreign key between business tables. Row
  security (see `migrations/`) admits only the rows of the tenant that the transaction names.
- An *attempt* and its `active_number` are committed before anything is dialled (see `attempt`).
- Times are `timestamptz`. Durations that are kept say their unit in their name.
- Enumerations are text with a CHECK made from the Python enumeration that owns the rule, so a new member is
  a one-line migration and a reader of the table needs no key.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

# -- the words of the state columns; the rules over them live in the model.py of their features -----------

ROLES = ("operator", "supervisor", "administrator")
CAMPAIGN_STATUSES = ("draft", "running", "paused", "stopped")
DIAL_MODES = ("manual", "preview", "progressive", "power", "predictive")
LEAD_STATUSES = ("new", "offered", "dialling", "waiting", "closed")
CALL_STATES = ("dialling", "ringing", "answered", "screening", "waiting", "connected", "wrap_up", "ended")
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
AGENT_STATES = ("calling", "paused", "ready", "reserved", "talking", "wrap_up", "lost", "offline")
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
IMPORT_STATUSES = ("queued", "running", "done", "failed")
LEASE_KINDS = ("campaign", "phones")
RECORDING_STATUSES = ("writing", "whole", "lost")
TRUNK_HEALTH = ("good", "bad")
REPORT_GROUPS = ("all", "campaign", "list", "hour", "trunk", "agent")


def _one_of(column: str, words: Sequence[str], name: str | None = None) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=name or column)


def _time(name: str, *, null: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=null)


def _now(name: str = "created_at") -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _tenant_table(
    name: str, *columns: SchemaItem, key: Sequence[str] = ("id",), fillfactor: int | None = None
) -> Table:
    """A business table: `tenant_id` first, and first in the primary key.

    `fillfactor` leaves room in each page for the new versions of rows that are written all the time.
    """
    return Table(
        name,
        metadata,
        Column("tenant_id", Integer, ForeignKey("tenant.id"), nullable=False),
        *columns,
        PrimaryKeyConstraint("tenant_id", *key),
        postgresql_with={"fillfactor": fillfactor} if fillfactor else {},
    )


def _money(name: str, *, null: bool = True, default: str | None = None) -> Column[object]:
    """An amount in the currency of the tariffs; wide enough for any sum of what the API takes."""
    return Column(name, Numeric(20, 4), nullable=null, server_default=default)


def _carried() -> tuple[Column[object], ...]:
    """What is carried now: counted by the one conditional UPDATE of `dialer.trunks.loads`."""
    return (
        Column("channels", Integer, nullable=False, server_default="0"),  # calls that hold a line
        Column("tokens", Float),  # calls that might be placed at `filled_at`; null: as many as the burst
        _time("filled_at"),
        _money("spent", null=False, default="0"),  # of `spend_day`: booked, and reserved by calls on the line
        Column("spend_day", Date),  # by the tenant's clock
        Column("granted", Integer, nullable=False, server_default="0"),  # how many the last UPDATE took
    )


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(), nullable=False)


def _ref(table: str, column: str, *, on_delete: str | None = None) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=on_delete
    )


#: What each process of a server says of itself, once a second: the pages and `/metrics` show it.
process_status = Table(
    "process_status",
    metadata,
    Column("server", Text, nullable=False, server_default="main"),
    Column("name", Text, nullable=False),  # engine, jobs
    _time("started_at", null=False),
    _time("seen_at", null=False),
    Column("status", JSONB, nullable=False),
    PrimaryKeyConstraint("server", "name"),
)

# -- servers ----------------------------------------------------------------------------------------------

#: A server of the installation: its engine counts `beat` up while it lives. See dialer.servers.model.
server = Table(
    "server",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # the how manieth start it is
    Column("beat", BigInteger, nullable=False),
    Column("ami_user", Text, nullable=False),  # its user at each Asterisk: who takes over ends its sessions
    _now("started_at"),
    _now("seen_at"),
    _time("stopped_at"),  # it has said that it ends
)

#: An Asterisk server that the engines drive.
node = Table(
    "node",
    metadata,
    Column("name", Text, primary_key=True),
    Column("ami_host", Text, nullable=False),
    Column("ami_port", Integer, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=text("false")),
    _now(),
)

#: Which server paces a campaign and answers for its calls, or keeps a tenant's phones up. Whoever writes for
#: it reads this row FOR SHARE in the same transaction and goes by `fence`.
lease = _tenant_table(
    "lease",
    Column("kind", Text, nullable=False),
    Column("key", BigInteger, nullable=False),  # the campaign's id; 0 for phones
    Column("server", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),  # grows with each change of hands
    Column("wants", Boolean, nullable=False, server_default=text("true")),  # a campaign that asks for agents
    _now("taken_at"),
    _one_of("kind", LEASE_KINDS),
    key=("kind", "key"),
)

# -- who ------------------------------------------------------------------------------------------------

#: A client company that an outsourcer works for. One default tenant (id 1), so that a single company never
#: sees the word.
tenant = Table(
    "tenant",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("timezone", Text, nullable=False, server_default="Europe/Moscow"),
    _now(),
)

#: A person who logs in.
app_user = _tenant_table(
    "app_user",
    _id(),
    Column("login", Text, nullable=False),  # unique over all tenants: one log-in page serves all
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # argon2id
    Column("locale", Text, nullable=False, server_default="ru"),
    _time("disabled_at"),
    _now(),
    UniqueConstraint("login"),
    _one_of("role", ROLES),
)

#: A browser that is logged in. The cookie holds the token, the table only its SHA-256.
user_session = _tenant_table(
    "user_session",
    Column("token_hash", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("csrf_token", Text, nullable=False),
    _now(),
    _time("expires_at", null=False),
    UniqueConstraint("token_hash"),
    _ref("app_user", "user_id", on_delete="CASCADE"),
    key=("token_hash",),
)

#: A program that calls the API. Shown once when made; the table keeps its SHA-256.
api_token = _tenant_table(
    "api_token",
    _id(),
    Column("name", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),  # whose rights it has
    Column("token_hash", Text, nullable=False),
    _now(),
    _time("last_used_at"),
    _time("revoked_at"),
    UniqueConstraint("token_hash"),
    _ref("app_user", "user_id", on_delete="CASCADE"),
)

#: Who changed what, and when; written in the transaction of the change.
audit = _tenant_table(
    "audit",
    _id(),
    _now("at"),
    Column("user_id", BigInteger),
    Column("action", Text, nullable=False),  # campaign.pause, agent.create, ...
    Column("subject", Text, nullable=False),  # campaign:12
    Column("details", JSONB, nullable=False, server_default="{}"),
    Index(None, "tenant_id", "action", "at"),
)

#: An answer already given to a POST with an Idempotency-Key, so that a repeated POST gets it again.
idempotency = _tenant_table(
    "idempotency",
    Column("user_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of method, path and body
    Column("status", SmallInteger),  # null while the first request is still at work
    Column("reply", JSONB),
    _now(),
    key=("user_id", "key"),
)

# -- lines ------------------------------------------------------------------------------------------------

#: A way out to the telephone network: a PJSIP endpoint of Asterisk and what may be asked of it.
trunk = _tenant_table(
    "trunk",
    _id(),
    Column("name", Text, nullable=False),
    Column("endpoint", Text, nullable=False),  # the PJSIP endpoint's name in Asterisk
    Column("caller_id", Text, nullable=False),  # E.164
    Column("max_channels", Integer, nullable=False, server_default="30"),
    Column("max_cps", Float, nullable=False, server_default="5"),  # new calls a second
    Column("allowed_prefixes", ARRAY(Text), nullable=False),  # E.164 prefixes, "+7"; empty allows nothing
    Column("dial_format", Text, nullable=False, server_default="{e164}"),  # {e164} +7..., {digits} 7...
    # For a managed Asterisk the endpoint is made from these; for an external one they are null.
    Column("sip_host", Text),
    Column("sip_port", Integer),
    Column("sip_user", Text),
    Column("sip_secret", Text),
    Column("codecs", ARRAY(Text), nullable=False, server_default="{alaw}"),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    _money("max_spend_per_day"),  # null: no cap
    _now(),
    UniqueConstraint("tenant_id", "name"),
)

#: What a trunk carries now, and how it is: shared by all servers, whose calls take its lines by one
#: conditional UPDATE. Made when the first call is to be placed. No column but the key is indexed, so an
#: update stays in its page.
trunk_load = _tenant_table(
    "trunk_load",
    Column("trunk_id", BigInteger, nullable=False),
    *_carried(),
    Column("health", Text, nullable=False, server_default="good"),
    _time("health_since"),
    Column("health_why", Text),  # a SIP code, or what the engine saw: no_response, ...
    Column("faults", Integer, nullable=False, server_default="0"),  # in a row, by the carrier
    Column("fault_share", Float, nullable=False, server_default="0"),  # of late calls, 0 to 1
    _time("probe_at"),  # bad: when one call may try it
    Column("probe_every_s", Integer, nullable=False, server_default="0"),
    _ref("trunk", "trunk_id", on_delete="CASCADE"),
    _one_of("health", TRUNK_HEALTH),
    key=("trunk_id",),
    fillfactor=50,
)

#: What a carrier takes for a call to numbers that begin so; the longest prefix wins.
trunk_rate = _tenant_table(
    "trunk_rate",
    Column("trunk_id", BigInteger, nullable=False),
    Column("prefix", Text, nullable=False),  # E.164, "+7495"
    _money("per_minute", null=False),
    _money("per_call", null=False, default="0"),  # of an answered call
    _ref("trunk", "trunk_id", on_delete="CASCADE"),
    key=("trunk_id", "prefix"),
)

#: The caps of a tenant over all its trunks; no row, or null: no cap.
tenant_cap = _tenant_table(
    "tenant_cap",
    Column("max_channels", Integer),
    Column("max_cps", Float),
    _money("max_spend_per_day"),
    Column("max_typed_per_hour", Integer),  # calls to numbers typed by hand, of one agent; null: the default
    key=(),
)

#: What all trunks of a tenant carry now.
tenant_load = _tenant_table("tenant_load", *_carried(), key=(), fillfactor=50)

# -- whom to call -----------------------------------------------------------------------------------------

contact_list = _tenant_table(
    "contact_list",
    _id(),
    Column("name", Text, nullable=False),
    _now(),
    UniqueConstraint("tenant_id", "name"),
)

#: A person that can be called. There is one row of a person however many lists they are in.
contact = _tenant_table(
    "contact",
    _id(),
    Column("external_id", Text),  # the key of an outside CRM
    Column("last_name", Text, nullable=False, server_default=""),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("middle_name", Text, nullable=False, server_default=""),
    Column("email", Text, nullable=False, server_default=""),
    Column("timezone", Text),  # IANA name on the record; wins over the number's prefix
    Column("custom", JSONB, nullable=False, server_default="{}"),  # car, loan, visit...: what the file had
    _now(),
)

#: Who is in which list.
list_contact = _tenant_table(
    "list_contact",
    Column("list_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    _now("added_at"),
    _ref("contact_list", "list_id"),
    _ref("contact", "contact_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "contact_id"),
    key=("list_id", "contact_id"),
)

contact_phone = _tenant_table(
    "contact_phone",
    _id(),
    Column("contact_id", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),  # 1 is tried first
    Column("e164", Text, nullable=False),
    Column("kind", Text, nullable=False),  # mobile, fixed_line, ...: phonenumbers' own words
    Column("timezones", ARRAY(Text), nullable=False),  # all candidate zones of the number
    _ref("contact", "contact_id", on_delete="CASCADE"),
    UniqueConstraint("tenant_id", "contact_id", "e164"),
    Index(None, "tenant_id", "e164"),
)

#: One file brought in: its rows are counted here, its bad rows are in `import_reject`.
import_job = _tenant_table(
    "import_job",
    _id(),
    Column("list_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger),  # leads are made for it as well
    Column("filename", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of the file
    Column("status", Text, nullable=False, server_default="queued"),
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("loaded", Integer, nullable=False, server_default="0"),
    Column("joined", Integer, nullable=False, server_default="0"),
    Column("duplicates", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    Column("created_by", BigInteger),
    _now(),
    _time("finished_at"),
    _one_of("status", IMPORT_STATUSES),
    _ref("contact_list", "list_id"),
)

import_reject = _tenant_table(
    "import_reject",
    _id(),
    Column("import_id", BigInteger, nullable=False),
    Column("row", Integer, nullable=False),  # 1 is the line after the header
    Column("column", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("value", Text, nullable=False),
    _ref("import_job", "import_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "import_id"),
)

# -- campaigns --------------------------------------------------------------------------------------------

campaign = _tenant_table(
    "campaign",
    _id(),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="draft"),
    Column("mode", Text, nullable=False, server_default="progressive"),
    Column("ratio", Float, nullable=False, server_default="1.5"),  # power: calls for each ready agent
    Column("abandon_target", Float),  # predictive: share of abandoned calls, 0 to 1; null: the policy's cap
    Column("take_back_ringing", Boolean, nullable=False, server_default=text("false")),  # predictive
    Column("policy", Text, nullable=False),  # code of dialer.compliance.model.POLICIES
    Column("skill", Text),  # only agents with it; null: any agent
    Column("priority", Integer, nullable=False, server_default="0"),  # higher gets agents first
    Column("ring_timeout_s", Integer, nullable=False, server_default="25"),
    Column("detect_machines", Boolean, nullable=False, server_default=text("false")),
    Column("amd", JSONB, nullable=False, server_default="{}"),  # overrides of the measured AMD settings
    Column("record", Boolean, nullable=False, server_default=text("true")),
    Column("wrap_up_limit_s", Integer, nullable=False, server_default="60"),
    Column("caller_name", Text, nullable=False, server_default=""),  # who calls, as the message says it
    Column("abandon_message", Text, nullable=False, server_default=""),  # words; names the caller
    Column("abandon_sound", Text),  # sound file (without its ending) under the prompts folder
    Column("drop_ringing_on_pause", Boolean, nullable=False, server_default=text("false")),
    Column("call_from", Text, nullable=False, server_default="09:00"),  # local time at the called person
    Column("call_until", Text, nullable=False, server_default="21:00"),
    Column("max_attempts", Integer, nullable=False, server_default="3"),
    Column("retry_after_s", JSONB, nullable=False, server_default="{}"),  # {result: seconds}; else defaults
    _now(),
    _time("started_at"),
    _time("ended_at"),
    UniqueConstraint("tenant_id", "name"),
    _one_of("status", CAMPAIGN_STATUSES),
    _one_of("mode", DIAL_MODES),
)

#: The trunks of a campaign in the order they are tried.
campaign_trunk = _tenant_table(
    "campaign_trunk",
    Column("campaign_id", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("trunk_id", BigInteger, nullable=False),
    _ref("campaign", "campaign_id", on_delete="CASCADE"),
    _ref("trunk", "trunk_id"),
    key=("campaign_id", "position"),
)

#: What an agent says a talk came to; each campaign has its own.
disposition = _tenant_table(
    "disposition",
    _id(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("label_ru", Text, nullable=False),
    Column("label_en", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("position", SmallInteger, nullable=False, server_default="0"),
    UniqueConstraint("tenant_id", "campaign_id", "code"),
    _ref("campaign", "campaign_id", on_delete="CASCADE"),
    _one_of("kind", DISPOSITION_KINDS),
)

#: A number of a contact to be reached for a campaign. One row a number a campaign.
lead = _tenant_table(
    "lead",
    _id(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("list_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("e164", Text, nullable=False),
    Column("timezones", ARRAY(Text), nullable=False),
    Column("status", Text, nullable=False, server_default="new"),
    Column("sort_key", BigInteger, nullable=False, server_default="0"),  # lowest is dialled first
    _time("open_from", null=False),  # may be dialled from here (calendar, retry) ...
    # `open_from` is still to come, and the lead is out of the index of the claim until then
    Column("resting", Boolean, nullable=False, server_default=text("false")),
    _time("open_until", null=False),  # ... until here; then the calendar writes the next window
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_result", Text),
    _time("last_attempt_at"),
    Column("closed_reason", Text),
    _now(),
    UniqueConstraint("tenant_id", "campaign_id", "e164"),
    _ref("campaign", "campaign_id", on_delete="CASCADE"),
    _ref("contact_list", "list_id"),
    _ref("contact", "contact_id", on_delete="CASCADE"),
    _one_of("status", LEAD_STATUSES),
    Index(
        "lead_hopper_idx",
        "tenant_id",
        "campaign_id",
        "sort_key",
        "id",
        postgresql_where=text("status IN ('new', 'waiting') AND NOT resting"),
    ),
    Index("lead_resting_idx", "tenant_id", "campaign_id", "open_from", postgresql_where=text("resting")),
)

# -- agents -----------------------------------------------------------------------------------------------

#: A person at a phone. `user_id` is who logs in; the phone is a PJSIP endpoint of Asterisk.
agent = _tenant_table(
    "agent",
    _id(),
    Column("user_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("endpoint", Text, nullable=False),  # the PJSIP endpoint's name in Asterisk; unique over tenants
    Column("sip_ha1", Text),  # MD5(user:realm:password), for a managed Asterisk; null: made elsewhere
    Column("skills", ARRAY(Text), nullable=False, server_default="{}"),
    Column(
        "rank", SmallInteger, nullable=False, server_default=text("5")
    ),  # of the free ones the highest first
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    _now(),
    CheckConstraint("rank BETWEEN 1 AND 9", name="rank"),
    UniqueConstraint("endpoint"),
    UniqueConstraint("tenant_id", "user_id"),
    _ref("app_user", "user_id"),
)

#: One shift of an agent: from log-in to log-out. Its state is the single truth of who can take a call; the
#: engine reserves an agent by one conditional UPDATE of this row.
agent_session = _tenant_table(
    "agent_session",
    Column("id", UUID(as_uuid=True), nullable=False),  # also the channel id of the phone's leg
    Column("agent_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    _time("state_since", null=False),
    Column("pause_code", Text),
    Column("next_state", Text),  # asked for while in a talk: paused or offline after the wrap-up
    Column("next_pause_code", Text),
    Column("attempt_id", UUID(as_uuid=True)),  # reserved, talking, wrap_up: of which attempt
    Column("lead_id", BigInteger),  # preview: the lead that is shown and not yet dialled
    _time("idle_since", null=False),  # end of the last talk or log-in: of one rank the longest idle first
    Column("leg", UUID(as_uuid=True)),  # channel id of the phone's leg that is up now
    Column("node", Text),  # the Asterisk server that has, or had, the leg
    _time("logged_in_at", null=False),
    _time("logged_out_at"),
    _ref("agent", "agent_id"),
    _one_of("state", AGENT_STATES),
    CheckConstraint("next_state IN ('paused', 'offline')", name="next_state"),
    Index(
        "agent_session_open_key",
        "tenant_id",
        "agent_id",
        unique=True,
        postgresql_where=text("logged_out_at IS NULL"),
    ),
)

#: Time spent in each state: what occupancy and shift reports are computed from.
agent_time = _tenant_table(
    "agent_time",
    _id(),
    Column("session_id", UUID(as_uuid=True), nullable=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("pause_code", Text),
    Column("attempt_id", UUID(as_uuid=True)),
    _time("started_at", null=False),
    _time("ended_at"),
    _ref("agent_session", "session_id"),
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

pause_code = _tenant_table(
    "pause_code",
    Column("code", Text, nullable=False),
    Column("label_ru", Text, nullable=False),
    Column("label_en", Text, nullable=False),
    Column("limit_s", Integer),
    Column("position", SmallInteger, nullable=False, server_default="0"),
    key=("code",),
)

# -- calls ------------------------------------------------------------------------------------------------

#: One try to reach a number. Committed before the call is asked of Asterisk; `id` is its channel id there.
attempt = _tenant_table(
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
    _money("rate_per_minute"),  # the tariff it was placed at; null: its trunk has none
    _money("rate_per_call"),
    _money("reserved"),  # counted as spent until the end, on the day ...
    Column("reserved_on", Date),
    _money("cost"),  # by that tariff, since the end
    Column("mode", Text, nullable=False),
    Column("traits", ARRAY(Text)),  # predictive: name=value, what its chance of an answer was told from
    Column("policy", Text, nullable=False),  # code and version of the policy it was made under
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
    _time("created_at", null=False),
    _time("sent_at"),  # Asterisk has accepted the Originate
    _time("ringing_at"),
    _time("answered_at"),
    _time("screened_at"),
    _time("assigned_at"),
    _time("connected_at"),
    _time("hung_up_at"),  # the customer's channel ended
    _time("ended_at"),  # nothing is owed any more: channel gone and, after a talk, wrapped up
    Column("join_ms", Float),  # agent chosen -> both in one bridge
    Column("answer_to_agent_ms", Float),  # answered -> both in one bridge
    Column("disposition_id", BigInteger),
    Column("disposition_note", Text),
    _time("disposed_at"),
    Column("disposed_by", BigInteger),
    _ref("campaign", "campaign_id"),
    _ref("trunk", "trunk_id"),
    _ref("lead", "lead_id"),
    _ref("disposition", "disposition_id"),
    _ref("agent", "agent_id"),
    _one_of("state", CALL_STATES),
    _one_of("result", RESULTS),
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
active_number = _tenant_table(
    "active_number",
    Column("e164", Text, nullable=False),
    Column("attempt_id", UUID(as_uuid=True), nullable=False),
    _now("since"),
    UniqueConstraint("tenant_id", "attempt_id"),
    key=("e164",),
)

recording = _tenant_table(
    "recording",
    _id(),
    Column("attempt_id", UUID(as_uuid=True), nullable=False),
    Column("path", Text, nullable=False),  # under the recordings folder, server-made
    Column("status", Text, nullable=False, server_default="writing"),
    Column("size_bytes", BigInteger),
    Column("duration_s", Float),
    _time("started_at", null=False),
    _time("ended_at"),
    UniqueConstraint("tenant_id", "path"),
    _ref("attempt", "attempt_id"),
    _one_of("status", RECORDING_STATUSES),
    Index(None, "tenant_id", "attempt_id"),
)

# -- figures of hours that are over -------------------------------------------------------------------------
#
# Made from attempts and agents' time by dialer.reports.closing, never written by anybody else, and made anew
# where an attempt of them changes. Nothing is in them that could not be counted again.

#: How far a tenant's past is closed. Whoever changes what is older than `marked_until` moves both back (the
#: triggers of migration 0003).
report_state = Table(
    "report_state",
    metadata,
    Column("tenant_id", Integer, ForeignKey("tenant.id"), primary_key=True, autoincrement=False),
    Column("timezone", Text, nullable=False),  # whose hours of the day stand in report_figures
    _time("closed_until", null=False),  # every hour before is in the tables below
    _time("marked_until", null=False),  # every hour before may be closed: a change of it must be told
    Column("reopened", BigInteger, nullable=False, server_default="0"),  # how often it was moved back
)


def _seen(what: str) -> tuple[Column[object], ...]:
    """Contacts of a span: so many for the first time, and of the others how many were last seen in which
    hour before it. So a contact of several spans is counted in the first of them only."""
    return (
        Column(f"{what}_first", Integer, nullable=False),
        Column(f"{what}_before", ARRAY(Integer), nullable=False),  # hours since 1970, ascending
        Column(f"{what}_upto", ARRAY(Integer), nullable=False),  # contacts last seen up to that hour
    )


def _spread(what: str) -> tuple[Column[object], ...]:
    """A duration over the calls of a span, in the buckets of dialer.reports.model."""
    return (
        Column(f"{what}_max", Float),
        Column(f"{what}_buckets", ARRAY(SmallInteger), nullable=False),
        Column(f"{what}_calls", ARRAY(Integer), nullable=False),  # in each of these buckets
    )


#: What the attempts of an hour, or of a day (UTC), came to: all of them, and by each thing that reports
#: compare. What each figure is: dialer.reports.figures.FORMULAS. All of them have ended.
report_figures = _tenant_table(
    "report_figures",
    Column("by", Text, nullable=False),
    Column("hours", SmallInteger, nullable=False),  # how long the span is: 1 or 24
    _time("start", null=False),
    Column("key", BigInteger, nullable=False),  # id of what it is by, hour of the day; -1: all, or none
    Column("not_sent", Integer, nullable=False),
    *(Column(f"result_{result}", Integer, nullable=False) for result in RESULTS),
    Column("answered", Integer, nullable=False),
    Column("answered_live", Integer, nullable=False),
    Column("connected", Integer, nullable=False),
    *_seen("dialled"),
    *_seen("reached"),
    *_spread("join_ms"),
    *_spread("answer_to_agent_ms"),
    _one_of("by", REPORT_GROUPS),
    CheckConstraint("hours IN (1, 24)", name="hours"),
    key=("by", "hours", "start", "key"),
)

#: Time of agents in an hour, or a day (UTC): all of it, and again what went into the calls of a campaign.
report_time = _tenant_table(
    "report_time",
    Column("campaign_id", BigInteger, nullable=False),  # -1: all
    Column("hours", SmallInteger, nullable=False),
    _time("start", null=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("logged_in_us", BigInteger, nullable=False),
    Column("busy_us", BigInteger, nullable=False),  # talking and wrapping up
    CheckConstraint("hours IN (1, 24)", name="hours"),
    Index(None, "tenant_id", "start"),
    key=("campaign_id", "hours", "start", "agent_id"),
)

#: Rows of `agent_time` that go on over the beginning of an hour: who reads from there needs them too.
report_over = _tenant_table(
    "report_over",
    _time("hour", null=False),
    Column("agent_time_ids", ARRAY(BigInteger), nullable=False),
    key=("hour",),
)

# -- how the processes talk -------------------------------------------------------------------------------

#: Something asked of the engine by another process (log a phone in, hang up, dial a number by hand).
command = _tenant_table(
    "command",
    _id(),
    Column("kind", Text, nullable=False),
    Column("campaign_id", BigInteger),  # its owner does it; null, or a campaign without one: any server
    Column("payload", JSONB, nullable=False),
    Column("created_by", BigInteger),
    _now(),
    Column("taken_by", Text),  # the server that does it
    _time("done_at"),
    Column("reply", JSONB),
    Column("error", JSONB),  # {id, details} of a DozvonError
    Index("command_open_idx", "tenant_id", "id", postgresql_where=text("done_at IS NULL")),
)

#: What happened, written in the transaction of the fact. `seq` is given after the commit by one writer, so a
#: reader that has seen seq n has seen all before it; it is the id of server-sent events.
event = _tenant_table(
    "event",
    _id(),
    Column("seq", BigInteger),
    _now("at"),
    Column("kind", Text, nullable=False),  # call.connected, agent.state, campaign.status, import.progress ...
    Column("campaign_id", BigInteger),
    Column("agent_id", BigInteger),
    Column("payload", JSONB, nullable=False),
    Index("event_seq_key", "seq", unique=True),
    Index("event_unnumbered_idx", "id", postgresql_where=text("seq IS NULL")),
)

#: A pacing decision that changed something, with its reasons: "why was nothing dialled at 10:02?".
pacing_tick = _tenant_table(
    "pacing_tick",
    _id(),
    Column("campaign_id", BigInteger, nullable=False),
    _now("at"),
    Column("node", Text, nullable=False, server_default="main"),  # where the agents are whom it was for
    Column("dial", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("inputs", JSONB, nullable=False),
    _ref("campaign", "campaign_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "campaign_id", "at"),
)
