"""Articles that agents look into while they talk."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Computed, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR

from dialer.db.tables.base import id_column, now_at, tenant_table

# Both languages: articles and questions are in either, and names in neither.
_WORDS = " || ".join(
    f"setweight(to_tsvector('{language}'::regconfig, {column}), '{weight}')"
    for language in ("russian", "english")
    for column, weight in (("title", "A"), ("body", "B"))
)

#: An article; a tenant has some hundreds, so that a search reads them all (row security allows no GIN).
article = tenant_table(
    "article",
    id_column(),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("words", TSVECTOR, Computed(_WORDS, persisted=True)),
    now_at("changed_at"),
    Column("changed_by", BigInteger),  # the user; null: the server
    UniqueConstraint("tenant_id", "title"),
)
