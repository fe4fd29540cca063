"""Tenants and who may do what."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from dialer.db.tables.base import id_column, metadata, now_at, one_of, ref, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
ROLES = ("operator", "quality", "analyst", "supervisor", "administrator")
TOKEN_SCOPES = ("all", "hooks")

#: A client company that an outsourcer works for. One default tenant (id 1), so that a single company never
#: sees the word.
tenant = Table(
    "tenant",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("timezone", Text, nullable=False, server_default="Europe/Moscow"),
    now_at(),
)

#: A person who logs in.
app_user = tenant_table(
    "app_user",
    id_column(),
    Column("login", Text, nullable=False),  # unique over all tenants: one log-in page serves all
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # argon2id
    Column("locale", Text, nullable=False, server_default="ru"),
    # action -> key, of the desk's keys that are not the usual ones; see dialer.users.shortcuts
    Column("shortcuts", JSONB, nullable=False, server_default="{}"),
    time_at("disabled_at"),
    now_at(),
    UniqueConstraint("login"),
    one_of("role", ROLES),
)

#: A browser that is logged in. The cookie holds the token, the table only its SHA-256.
user_session = tenant_table(
    "user_session",
    Column("token_hash", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("csrf_token", Text, nullable=False),
    now_at(),
    time_at("expires_at", null=False),
    UniqueConstraint("token_hash"),
    ref("app_user", "user_id", on_delete="CASCADE"),
    key=("token_hash",),
)

#: A program that calls the API. Shown once when made; the table keeps its SHA-256.
api_token = tenant_table(
    "api_token",
    id_column(),
    Column("name", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),  # whose rights it has
    Column("token_hash", Text, nullable=False),
    Column("scope", Text, nullable=False, server_default="all"),  # what of these rights
    Column("call_key", Text),  # scope hooks: what call tokens are signed with; never leaves the server
    now_at(),
    time_at("last_used_at"),
    time_at("revoked_at"),
    UniqueConstraint("token_hash"),
    ref("app_user", "user_id", on_delete="CASCADE"),
    one_of("scope", TOKEN_SCOPES),
)

#: Who changed what, and when; written in the transaction of the change.
audit = tenant_table(
    "audit",
    id_column(),
    now_at("at"),
    Column("user_id", BigInteger),
    Column("action", Text, nullable=False),  # campaign.pause, agent.create, ...
    Column("subject", Text, nullable=False),  # campaign:12
    Column("details", JSONB, nullable=False, server_default="{}"),
    Index(None, "tenant_id", "action", "at"),
)

#: An answer already given to a POST with an Idempotency-Key, so that a repeated POST gets it again.
idempotency = tenant_table(
    "idempotency",
    Column("user_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of method, path and body
    Column("status", SmallInteger),  # null while the first request is still at work
    Column("reply", JSONB),
    now_at(),
    key=("user_id", "key"),
)
