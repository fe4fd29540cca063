"""Which leads of a campaign come when: shares of its lists, quotas, and changes of very many leads."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the modules of `scheduler`.
LEAD_CHANGES = ("order", "quota", "recycle", "refuse", "allow")

#: The share of a campaign's calls that a list gets. A campaign without such rows dials all its lists as one.
campaign_list = tenant_table(
    "campaign_list",
    Column("campaign_id", BigInteger, nullable=False),
    Column("list_id", BigInteger, nullable=False),
    Column("share", Integer, nullable=False),  # of the sum of all shares
    Column("dialled", Integer, nullable=False, server_default="0"),  # leads dialled on the day ...
    Column("dialled_on", Date),  # ... of the tenant's place
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("contact_list", "list_id", on_delete="CASCADE"),
    CheckConstraint("share > 0", name="share"),
    key=("campaign_id", "list_id"),
)

#: How many talks of a kind are wanted of people with a value. A full one stops their leads.
campaign_quota = tenant_table(
    "campaign_quota",
    id_column(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("field", Text, nullable=False),  # a key of contact.custom
    Column("value", Text, nullable=False),  # compared in small letters
    Column("wanted", Integer, nullable=False),
    Column("counts", ARRAY(Text), nullable=False),  # kinds of dispositions
    Column("reached", Integer, nullable=False, server_default="0"),  # talks with one of them
    now_at(),
    UniqueConstraint("tenant_id", "campaign_id", "field", "value"),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    CheckConstraint("wanted >= 0", name="wanted"),
)

#: A change of many leads of a campaign, made in pieces by the jobs process in the order of their numbers.
lead_change = tenant_table(
    "lead_change",
    id_column(),
    Column("campaign_id", BigInteger, nullable=False),
    Column("what", Text, nullable=False),
    Column("rule", JSONB, nullable=False, server_default="{}"),
    Column("after_e164", Text, nullable=False, server_default=""),  # done up to this number
    Column("looked", Integer, nullable=False, server_default="0"),
    Column("changed", Integer, nullable=False, server_default="0"),
    now_at(),
    time_at("finished_at"),
    one_of("what", LEAD_CHANGES),
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    Index("lead_change_open_idx", "tenant_id", "id", postgresql_where=text("finished_at IS NULL")),
)
