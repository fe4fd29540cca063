"""How good a base of contacts is: who may stand in it twice, what was merged, cleaned and found dead."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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

# The words of the state columns; the rules over them live in the model.py of their features.
PAIR_STATUSES = ("open", "merged", "different")
CLEANING_STATUSES = ("queued", "running", "done", "failed")

#: When a number counts as dead, and how far calls were looked at for it. No row: the default.
dead_number_rule = tenant_table(
    "dead_number_rule",
    Column("invalid_in_a_row", SmallInteger, nullable=False, server_default="2"),
    time_at("looked_until"),  # every attempt made before it was looked at when it had ended
    CheckConstraint("invalid_in_a_row BETWEEN 1 AND 10", name="invalid_in_a_row"),
    key=(),
)

#: By what contacts meet those who may be the same person; see dialer.contacts.persons.
contact_key = tenant_table(
    "contact_key",
    Column("key", Text(collation="C"), nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    ref("contact", "contact_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "contact_id"),
    key=("key", "contact_id"),
)

#: How far contacts were looked at for duplicates: every contact up to `done_id` has its keys.
duplicate_state = tenant_table(
    "duplicate_state", Column("done_id", BigInteger, nullable=False, server_default="0"), key=()
)

#: Contacts that were changed after that; triggers write it (migration 0004).
duplicate_todo = tenant_table(
    "duplicate_todo", Column("contact_id", BigInteger, nullable=False), key=("contact_id",)
)

#: Two contacts that may be one person. No reference to them: of a merged pair one is gone until it is undone.
duplicate_pair = tenant_table(
    "duplicate_pair",
    id_column(),
    Column("first_id", BigInteger, nullable=False),  # the smaller id
    Column("second_id", BigInteger, nullable=False),
    Column("score", Float, nullable=False),  # 0 to 1
    Column("reasons", JSONB, nullable=False),  # [{field, kind, weight}], the heaviest first
    Column("status", Text, nullable=False, server_default="open"),
    now_at("found_at"),
    time_at("decided_at"),
    Column("decided_by", BigInteger),
    one_of("status", PAIR_STATUSES),
    CheckConstraint("first_id < second_id", name="order"),
    UniqueConstraint("tenant_id", "first_id", "second_id"),
    Index(None, "tenant_id", "second_id"),
    Index("duplicate_pair_open_idx", "tenant_id", "score", "id", postgresql_where=text("status = 'open'")),
)

#: Two contacts that were made one, with all that is needed to make them two again.
contact_merge = tenant_table(
    "contact_merge",
    id_column(),
    Column("survivor_id", BigInteger, nullable=False),
    Column("merged_id", BigInteger, nullable=False),  # its row is gone until the merge is undone
    now_at("at"),
    Column("by_user", BigInteger),
    Column("record", JSONB, nullable=False),  # see dialer.contacts.merging
    time_at("undone_at"),
    Column("undone_by", BigInteger),
    # The merge by which the survivor became part of somebody itself: whoever forgets that one forgets this.
    Column("inside_id", BigInteger),
    ref("contact_merge", "inside_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "inside_id", postgresql_where=text("inside_id IS NOT NULL")),
    Index(None, "tenant_id", "survivor_id"),
    Index(None, "tenant_id", "merged_id"),
)

#: A pass over the base that brings values to one form, or only says what it would change.
cleaning_run = tenant_table(
    "cleaning_run",
    id_column(),
    Column("dry", Boolean, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("done_id", BigInteger, nullable=False, server_default="0"),  # contacts up to it were looked at
    Column("looked", Integer, nullable=False, server_default="0"),
    Column("changed", Integer, nullable=False, server_default="0"),  # contacts
    Column("counts", JSONB, nullable=False, server_default="{}"),  # {what: values}
    Column("examples", JSONB, nullable=False, server_default="{}"),  # {what: [[contact, old, new]]}
    Column("created_by", BigInteger),
    now_at(),
    time_at("finished_at"),
    one_of("status", CLEANING_STATUSES),
)
