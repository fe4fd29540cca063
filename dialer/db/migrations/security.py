"""Row security and rights of a table, for any migration that makes one.

A migration that was released relies on these texts: they may be replaced in the database by a later
migration, never here.
"""

from __future__ import annotations

from alembic import op

APP = "dozvon_app"

#: The tenant that the transaction names; no name shows nothing (null equals nothing).
NAMED_TENANT = "nullif(current_setting('dozvon.tenant', true), '')::integer"


def secure(table: str, *, rights: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Admit the app to `table`, and only to rows of the tenant that its transaction names.

    FORCE binds the owner too. The owner has a policy of its own all the same, so that the functions that it
    lends (SECURITY DEFINER) can cross tenants.
    """
    for statement in (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_isolation ON {table} USING (tenant_id = {NAMED_TENANT})",
        f"CREATE POLICY owner_all ON {table} TO CURRENT_USER USING (true)",
        f"GRANT {rights} ON {table} TO {APP}",
    ):
        op.execute(statement)


def lend(signature: str) -> None:
    """Let the app, and nobody else, call a function that runs with the owner's rights."""
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {APP}")
