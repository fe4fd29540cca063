"""What Alembic runs: the migrations, on the connection that `dialer.db.migrate` opened."""

from __future__ import annotations

from alembic import context

from dialer.db.tables import metadata

# The transaction is the caller's: all migrations of an upgrade, and its lock, are in one.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
