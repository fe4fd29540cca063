"""What PostgreSQL knows of the sizes of tables, after a file has filled them.

It looks by itself, a minute or so after. Until then it plans as if the tables were what they were, and a
connection keeps such a plan for as long as it lives: claims and the questions before a call, which were
prepared when there was nobody, would go through a million rows. Whoever has brought many rows in has
it look at once, which also ends the plans that are kept.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

_LOOK = Prepared("SELECT analyze_grown(:grown)")


async def refresh(conn: AsyncConnection, grown: int) -> int:
    """Have PostgreSQL look at the tables that files fill, where so many rows are a tenth of what it knows.

    In a transaction of its own; it takes a second or two for a million rows, and nobody waits for it. A table
    that is being looked at already is left. How many it was asked for.
    """
    return int(await _LOOK.value(conn, grown=grown))
