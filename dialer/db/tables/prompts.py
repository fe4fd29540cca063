"""What callers hear: recordings and spoken texts of the tenants' own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, Text, UniqueConstraint

from dialer.db.tables.base import id_column, now_at, one_of, tenant_table

PROMPT_LANGUAGES = ("ru", "en")

#: A prompt in one language. Its file is never changed: another sound is another file.
prompt = tenant_table(
    "prompt",
    id_column(),
    Column("name", Text(collation="C"), nullable=False),
    Column("language", Text, nullable=False),
    Column("path", Text, nullable=False),  # below the prompts folder, without an ending; made by the server
    Column("length_s", Float, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("checksum", Text, nullable=False),  # SHA-256 of what came, hex
    Column("filename", Text, nullable=False, server_default=""),  # empty: spoken by the server
    Column("text", Text, nullable=False, server_default=""),  # the words, where they are known
    Column("made_by", BigInteger),
    now_at("made_at"),
    one_of("language", PROMPT_LANGUAGES),
    UniqueConstraint("tenant_id", "name", "language"),
)
