"""Whom not to call, and the registries and files that said so."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from dialer.db.tables.base import id_column, now_at, one_of, ref, tenant_table, time_at

# The words of the columns; the rules over them live in dialer.donotcall.model.
DNC_KINDS = ("number", "prefix")
DNC_SOURCES = ("operator", "disposition", "key_press", "api", "import", "registry")
DNC_IMPORT_STATUSES = ("queued", "running", "done", "failed")

#: A register of numbers that others keep; each import of its file replaces what it held.
registry = tenant_table(
    "registry",
    id_column(),
    Column("name", Text, nullable=False),
    time_at("renew_by"),  # whoever keeps it wants it fetched again until then
    time_at("imported_at"),  # when its last file was in; null: none yet
    now_at(),
    UniqueConstraint("tenant_id", "name"),
)

#: A file of numbers: of a registry, or somebody's own list.
do_not_call_import = tenant_table(
    "do_not_call_import",
    id_column(),
    Column("registry_id", BigInteger),  # null: a list of one's own
    Column("campaign_id", BigInteger),  # null: for all campaigns
    Column("filename", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of the file
    Column("reason", Text, nullable=False, server_default=""),
    time_at("valid_until"),
    Column("fewer", Boolean, nullable=False, server_default=text("false")),  # may hold half as many as before
    Column("status", Text, nullable=False, server_default="queued"),
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("added", Integer, nullable=False, server_default="0"),
    Column("known", Integer, nullable=False, server_default="0"),
    Column("removed", Integer, nullable=False, server_default="0"),  # a registry's, no longer in its file
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("rejects", JSONB, nullable=False, server_default="[]"),  # the first: [row, code, value]
    Column("error", Text),
    Column("added_by", BigInteger),
    now_at(),
    time_at("finished_at"),
    ref("registry", "registry_id"),
    ref("campaign", "campaign_id"),
    one_of("status", DNC_IMPORT_STATUSES),
)

#: Somebody is not to be called. A row is never changed but for its removal: it is a proof.
do_not_call = tenant_table(
    "do_not_call",
    id_column(),
    Column("kind", Text, nullable=False),
    # What is looked up: a number in E.164 or, of a prefix, its beginning and an asterisk ("+7495*").
    Column("mark", Text, nullable=False),
    Column("campaign_id", BigInteger),  # null: by no campaign
    Column("source", Text, nullable=False),
    Column("registry_id", BigInteger),
    Column("import_id", BigInteger),  # the last file that had it
    Column("attempt_id", UUID(as_uuid=True)),  # the call in which it was asked for
    Column("reason", Text, nullable=False, server_default=""),
    time_at("valid_from"),  # null: from the commit on, whatever a clock says
    time_at("valid_until"),  # not at that moment any more; null: until it is removed
    Column("added_by", BigInteger),
    now_at("added_at"),
    time_at("removed_at"),
    Column("removed_by", BigInteger),
    Column("removed_reason", Text),
    ref("registry", "registry_id"),
    ref("do_not_call_import", "import_id"),
    ref("campaign", "campaign_id"),
    one_of("kind", DNC_KINDS),
    one_of("source", DNC_SOURCES),
    # Asked for each number before it is dialled.
    Index(None, "tenant_id", "mark"),
    Index(
        "do_not_call_registry_idx",
        "tenant_id",
        "registry_id",
        "mark",
        unique=True,
        postgresql_where=text("removed_at IS NULL AND registry_id IS NOT NULL"),
    ),
)
