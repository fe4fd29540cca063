"""Write the first migration anew from `dialer.db.tables`: `python -m dialer.db.migrations.regenerate`.

Only until the first release. From then on a released migration never changes, a change of tables is a new
migration, and this module is deleted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from dialer.db.tables import metadata

TARGET = Path(__file__).with_name("versions") / "0001_tables.sql"


def statements() -> str:
    """The tables of today as SQL, one statement a paragraph, in the order of their references."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    parts = []
    for table in metadata.sorted_tables:
        parts.append(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            parts.append(CreateIndex(index).compile(dialect=dialect))
    lines = (
        line.rstrip()
        for part in parts
        for line in f"{str(part).strip()};\n".replace("\t", "    ").split("\n")
    )
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(statements())
    sys.stdout.write(f"{TARGET}\n")
