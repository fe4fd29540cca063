"""Every table of the first version; its text is in 0001_tables.sql (see ../README.md)."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    text = Path(__file__).with_suffix(".sql").read_text()
    for statement in text.split(";\n\n"):
        # Straight to the driver: a colon in it is no bound parameter.
        op.get_bind().exec_driver_sql(statement)
