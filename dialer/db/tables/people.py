"""What is known of a person besides their card: what happened, what they agreed to, whom to leave alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
CONSENT_PURPOSES = ("service", "advertising", "collection", "survey", "any")

#: What was done to a person's card: see dialer.contacts.history. Calls are no rows of it, they are attempts.
contact_event = tenant_table(
    "contact_event",
    id_column(),
    Column("contact_id", BigInteger, nullable=False),
    time_at("at", null=False),
    Column("kind", Text, nullable=False),  # a word of dialer.contacts.history.Kind
    Column("by_user", BigInteger),  # null: the server itself
    Column("detail", JSONB, nullable=False, server_default="{}"),
    ref("contact", "contact_id", on_delete="CASCADE"),
    Index(None, "tenant_id", "contact_id", "at"),
)

#: What a person agreed to be called for. A row is never changed but for its withdrawal: it is a proof.
consent = tenant_table(
    "consent",
    id_column(),
    Column("contact_id", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("source", Text, nullable=False),  # where it was given: "form on the site", "call of 2 March"
    Column("proof", Text, nullable=False, server_default=""),  # what shows it: an address, a number, words
    time_at("valid_from", null=False),
    time_at("valid_until"),  # not at that moment any more; null: until it is withdrawn
    time_at("withdrawn_at"),
    Column("withdrawn_by", BigInteger),
    Column("by_user", BigInteger),  # who wrote it down; null: the server itself
    now_at(),
    ref("contact", "contact_id", on_delete="CASCADE"),
    one_of("purpose", CONSENT_PURPOSES),
    Index(None, "tenant_id", "contact_id"),
)

#: With what the digests of a tenant's forgotten numbers are made.
forgotten_salt = tenant_table("forgotten_salt", Column("salt", LargeBinary, nullable=False), key=())

#: Numbers of erased people who asked not to be called again: a salted hash each.
forgotten_number = tenant_table(
    "forgotten_number",
    Column("digest", LargeBinary, nullable=False),  # see dialer.contacts.forgotten
    now_at("at"),
    key=("digest",),
)
