"""Trunks: what they may carry, cost, and carry now."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Date, Float, Integer, Text, UniqueConstraint, text

from dialer.db.tables.base import id_column, money, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
TRUNK_HEALTH = ("good", "bad")


def _carried() -> tuple[Column[object], ...]:
    """What is carried now: counted by the one conditional UPDATE of `dialer.trunks.loads`."""
    return (
        Column("channels", Integer, nullable=False, server_default="0"),  # calls that hold a line
        Column("tokens", Float),  # calls that might be placed at `filled_at`; null: as many as the burst
        time_at("filled_at"),
        money("spent", null=False, default="0"),  # of `spend_day`: booked, and reserved by calls on the line
        Column("spend_day", Date),  # by the tenant's clock
        Column("granted", Integer, nullable=False, server_default="0"),  # how many the last UPDATE took
    )


#: A way out to the telephone network: a PJSIP endpoint of Asterisk and what may be asked of it.
trunk = tenant_table(
    "trunk",
    id_column(),
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
    money("max_spend_per_day"),  # null: no cap
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: What a trunk carries now, and how it is: shared by all servers, whose calls take its lines by one
#: conditional UPDATE. Made when the first call is to be placed. No column but the key is indexed, so an
#: update stays in its page.
trunk_load = tenant_table(
    "trunk_load",
    Column("trunk_id", BigInteger, nullable=False),
    *_carried(),
    Column("health", Text, nullable=False, server_default="good"),
    time_at("health_since"),
    Column("health_why", Text),  # a SIP code, or what the engine saw: no_response, ...
    Column("faults", Integer, nullable=False, server_default="0"),  # in a row, by the carrier
    Column("fault_share", Float, nullable=False, server_default="0"),  # of late calls, 0 to 1
    time_at("probe_at"),  # bad: when one call may try it
    Column("probe_every_s", Integer, nullable=False, server_default="0"),
    ref("trunk", "trunk_id", on_delete="CASCADE"),
    one_of("health", TRUNK_HEALTH),
    key=("trunk_id",),
    fillfactor=50,
)

#: What a carrier takes for a call to numbers that begin so; the longest prefix wins.
trunk_rate = tenant_table(
    "trunk_rate",
    Column("trunk_id", BigInteger, nullable=False),
    Column("prefix", Text, nullable=False),  # E.164, "+7495"
    money("per_minute", null=False),
    money("per_call", null=False, default="0"),  # of an answered call
    ref("trunk", "trunk_id", on_delete="CASCADE"),
    key=("trunk_id", "prefix"),
)

#: The caps of a tenant over all its trunks; no row, or null: no cap.
tenant_cap = tenant_table(
    "tenant_cap",
    Column("max_channels", Integer),
    Column("max_cps", Float),
    money("max_spend_per_day"),
    Column("max_typed_per_hour", Integer),  # calls to numbers typed by hand, of one agent; null: the default
    key=(),
)

#: What all trunks of a tenant carry now.
tenant_load = tenant_table("tenant_load", *_carried(), key=(), fillfactor=50)
