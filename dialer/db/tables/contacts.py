"""Whom to call: contacts, their lists, and the files that brought them."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
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
IMPORT_STATUSES = ("preview", "queued", "running", "done", "failed")
DEAD_REASONS = ("invalid", "confirmed")
WINNERS = ("base", "file")

contact_list = tenant_table(
    "contact_list",
    id_column(),
    Column("name", Text, nullable=False),
    Column("of_segment", Boolean, nullable=False, server_default=text("false")),  # see the table `segment`
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: A person that can be called. There is one row of a person however many lists they are in.
contact = tenant_table(
    "contact",
    id_column(),
    Column("external_id", Text),  # the key of an outside CRM
    Column("last_name", Text, nullable=False, server_default=""),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("middle_name", Text, nullable=False, server_default=""),
    Column("email", Text, nullable=False, server_default=""),
    Column("timezone", Text),  # IANA name on the record; wins over the number's prefix
    Column("custom", JSONB, nullable=False, server_default="{}"),  # car, loan, visit...: what the file had
    now_at(),
    time_at("erased_at"),  # the row stays for the calls that name it, with nothing of the person in it
    # What is searched by, from its beginning: small letters, ё as е. Real columns, since row security lets no
    # index be used through a function. Collation C: an index of it serves a search by beginnings.
    Column(
        "name_key",
        Text(collation="C"),
        Computed(
            "translate(lower(ltrim(last_name || ' '::text || first_name || ' '::text || middle_name)),"
            " chr(1105), chr(1077))",
            persisted=True,
        ),
    ),
    Column("email_key", Text(collation="C"), Computed("lower(email)", persisted=True)),
    Index("contact_name_idx", "tenant_id", "name_key", "id"),
    Index("contact_email_idx", "tenant_id", "email_key", "id"),
    Index(
        "contact_external_idx",
        "tenant_id",
        "external_id",
        "id",
        postgresql_where=text("external_id IS NOT NULL"),
    ),
    Index("contact_erased_idx", "tenant_id", "id", postgresql_where=text("erased_at IS NOT NULL")),
    Index("contact_created_idx", "tenant_id", "created_at", "id"),
)

#: Who is in which list.
list_contact = tenant_table(
    "list_contact",
    Column("list_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    now_at("added_at"),
    ref("contact_list", "list_id"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "contact_id"),
    key=("list_id", "contact_id"),
)

contact_phone = tenant_table(
    "contact_phone",
    id_column(),
    Column("contact_id", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),  # 1 is tried first
    Column("e164", Text, nullable=False),
    Column("kind", Text, nullable=False),  # mobile, fixed_line, ...: phonenumbers' own words
    Column("timezones", ARRAY(Text), nullable=False),  # all candidate zones of the number
    Column("label", Text, nullable=False, server_default=""),  # as people call it: "work", "of the wife"
    # The hours at which the person asked to be called on it: "HH:MM" by their clock, both or neither.
    Column("good_from", Text),
    Column("good_until", Text),
    time_at("dead_since"),  # it leads to nobody, and is not dialled; see dialer.contacts.dead_numbers
    Column("dead_reason", Text),
    time_at("revived_at"),  # a person said that it is alive: calls before that say nothing of it
    ref("contact", "contact_id", on_delete="CASCADE"),
    CheckConstraint("(good_from IS NULL) = (good_until IS NULL)", name="good_hours"),
    CheckConstraint("(dead_since IS NULL) = (dead_reason IS NULL)", name="dead"),
    one_of("dead_reason", DEAD_REASONS),
    UniqueConstraint("tenant_id", "contact_id", "e164"),
    Index(None, "tenant_id", "e164"),
    Index("contact_phone_dead_idx", "tenant_id", "e164", postgresql_where=text("dead_since IS NOT NULL")),
)

#: One file brought in: its rows are counted here, its bad rows are in `import_reject`.
import_job = tenant_table(
    "import_job",
    id_column(),
    Column("list_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger),  # leads are made for it as well
    Column("filename", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of the file
    Column("status", Text, nullable=False, server_default="queued"),
    Column("reading", JSONB, nullable=False, server_default="{}"),  # what a person has decided of its form
    Column("about_rows", Integer),  # by its line ends; only progress is told by it
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("loaded", Integer, nullable=False, server_default="0"),
    Column("joined", Integer, nullable=False, server_default="0"),
    Column("duplicates", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("filled", Integer, nullable=False, server_default="0"),  # rows that changed a known person
    Column("consents", Integer, nullable=False, server_default="0"),  # written down
    Column("wins", Text, nullable=False, server_default="base"),  # where the file and the base differ
    Column("error", Text),
    Column("created_by", BigInteger),
    now_at(),
    time_at("finished_at"),
    one_of("status", IMPORT_STATUSES),
    one_of("wins", WINNERS),
    ref("contact_list", "list_id"),
)

import_reject = tenant_table(
    "import_reject",
    id_column(),
    Column("import_id", BigInteger, nullable=False),
    Column("row", Integer, nullable=False),  # 1 is the line after the header
    Column("column", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("value", Text, nullable=False),
    ref("import_job", "import_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "import_id"),
)

#: Whom a batch of a file has written and owes a lead still: made by the next transaction, and struck off.
import_owed = tenant_table(
    "import_owed",
    Column("import_id", BigInteger, nullable=False),
    Column("last_row", Integer, nullable=False),  # of the batch
    Column("contact_ids", ARRAY(BigInteger), nullable=False),
    ref("import_job", "import_id", on_delete="CASCADE"),
    key=("import_id", "last_row"),
)

#: What columns are, by their headers, as a person has saved it for files of one kind.
import_mapping = tenant_table(
    "import_mapping",
    id_column(),
    Column("name", Text, nullable=False),
    Column("columns", JSONB, nullable=False),  # header -> field, "custom:<key>" or "skip"
    Column("created_by", BigInteger),
    now_at(),
    time_at("used_at"),  # the last used one that fits a file is proposed
    UniqueConstraint("tenant_id", "name"),
)
