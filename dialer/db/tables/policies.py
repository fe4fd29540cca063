"""Rules of calling that a tenant has made; those that come with the server are code."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB

from dialer.db.tables.base import now_at, tenant_table

#: A version is never changed: attempts name the one that they were made under. The newest is the policy.
policy = tenant_table(
    "policy",
    Column("code", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSONB, nullable=False),  # every parameter, see dialer.policies.fields
    Column("created_by", BigInteger),
    now_at(),
    key=("code", "version"),
)
