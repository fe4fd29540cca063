"""What is known of people beyond their names, and the segments that are chosen by it."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
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

# The words of the type column; the rules over them live in dialer.contacts.fields.
FIELD_TYPES = ("text", "number", "money", "date", "choice", "yes_no")

#: A field that a tenant has given to its contacts. The values are in `contact.custom` as they were written.
custom_field = tenant_table(
    "custom_field",
    id_column(),
    Column("key", Text, nullable=False),
    Column("label_ru", Text, nullable=False),
    Column("label_en", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("names", ARRAY(Text), nullable=False, server_default="{}"),  # more headers that it goes by
    Column("choices", ARRAY(Text), nullable=False, server_default="{}"),
    Column("required", Boolean, nullable=False, server_default=text("false")),
    Column("pattern", Text),
    Column("minimum", Float),
    Column("maximum", Float),
    Column("position", SmallInteger, nullable=False, server_default="0"),
    Column("archived", Boolean, nullable=False, server_default=text("false")),
    # The typing of the contacts that there were at its last change: all up to here are done ...
    Column("typed_upto", BigInteger, nullable=False, server_default="0"),
    Column("type_until", BigInteger, nullable=False, server_default="0"),  # ... of these
    now_at(),
    UniqueConstraint("tenant_id", "key"),
    one_of("type", FIELD_TYPES),
)

#: The value of a field as what it is: a number, a day or a text, made from `contact.custom`. Doubles, not
#: numerics: under row security only leakproof comparisons use an index.
contact_value = tenant_table(
    "contact_value",
    Column("contact_id", BigInteger, nullable=False),
    Column("field_id", BigInteger, nullable=False),
    Column("number", Float),  # number and money; yes is 1, no is 0
    Column("day", Date),
    Column("text", Text),  # text and choice, in small letters
    ref("contact", "contact_id", on_delete="CASCADE"),
    ref("custom_field", "field_id", on_delete="CASCADE"),
    Index(
        "contact_value_number_idx",
        "tenant_id",
        "field_id",
        "number",
        "contact_id",
        postgresql_where=text("number IS NOT NULL"),
    ),
    Index(
        "contact_value_day_idx",
        "tenant_id",
        "field_id",
        "day",
        "contact_id",
        postgresql_where=text("day IS NOT NULL"),
    ),
    Index(
        "contact_value_text_idx",
        "tenant_id",
        "field_id",
        "text",
        "contact_id",
        postgresql_where=text("text IS NOT NULL"),
    ),
    key=("contact_id", "field_id"),
)

#: What a contact has in a field and cannot be read as the field's type.
contact_misfit = tenant_table(
    "contact_misfit",
    Column("contact_id", BigInteger, nullable=False),
    Column("field_id", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("value", Text, nullable=False),
    ref("contact", "contact_id", on_delete="CASCADE"),
    ref("custom_field", "field_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "field_id", "contact_id"),
    key=("contact_id", "field_id"),
)

#: What a contact's attempts came to, counted from them (see dialer.contacts.activity).
contact_activity = tenant_table(
    "contact_activity",
    Column("contact_id", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),  # that have ended
    Column("talks", Integer, nullable=False),
    time_at("last_attempt_at"),
    time_at("last_talk_at"),
    Column("last_result", Text),
    Column("last_code", Text),  # of the last disposition
    Column("last_kind", Text),
    ref("contact", "contact_id", on_delete="CASCADE"),
    key=("contact_id",),
)

#: Up to which event `contact_activity` has been told.
activity_state = tenant_table(
    "activity_state",
    Column("seq", BigInteger, nullable=False),
    key=(),
)

#: A saved choice of contacts. Its list is what campaigns call, and is on no page of lists.
segment = tenant_table(
    "segment",
    id_column(),
    Column("name", Text, nullable=False),
    Column("expression", JSONB, nullable=False),
    Column("list_id", BigInteger),  # made with the first campaign that calls it
    Column("grid_id", BigInteger),  # it is a cell of this grid ...
    Column("cell", ARRAY(SmallInteger)),  # ... its row and column, from 1
    now_at(),
    time_at("filled_at"),  # when the list was last made like the segment
    UniqueConstraint("tenant_id", "name"),
    ref("contact_list", "list_id"),
    ref("rfm_grid", "grid_id"),
)

#: A segment that a campaign calls.
campaign_segment = tenant_table(
    "campaign_segment",
    Column("campaign_id", BigInteger, nullable=False),
    Column("segment_id", BigInteger, nullable=False),
    Column("frozen", Boolean, nullable=False),  # who was in it at the start; else it is followed
    now_at("added_at"),
    time_at("led_at"),  # leads were last made of it; null: soon
    time_at("frozen_at"),  # frozen: they were for the last time
    ref("campaign", "campaign_id", on_delete="CASCADE"),
    ref("segment", "segment_id"),
    Index(None, "tenant_id", "segment_id"),
    key=("campaign_id", "segment_id"),
)

#: People by what they have brought and when they last came: bands of equal size, and how many are in each.
rfm_grid = tenant_table(
    "rfm_grid",
    id_column(),
    Column("name", Text, nullable=False),
    Column("money_field_id", BigInteger, nullable=False),
    Column("day_field_id", BigInteger, nullable=False),
    Column("money_bands", SmallInteger, nullable=False),
    Column("day_bands", SmallInteger, nullable=False),
    Column("money_bounds", ARRAY(Float), nullable=False, server_default="{}"),  # between the bands
    Column("day_bounds", ARRAY(Date), nullable=False, server_default="{}"),
    Column("counts", JSONB, nullable=False, server_default="[]"),  # [[...] a band of money, lowest first]
    Column("without", Integer, nullable=False, server_default="0"),  # contacts that lack one of the two
    time_at("counted_at"),
    now_at(),
    UniqueConstraint("tenant_id", "name"),
    ref("custom_field", "money_field_id"),
    ref("custom_field", "day_field_id"),
)
