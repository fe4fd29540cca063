"""What engines say of the nodes they drive, written as they write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from dialer.db import tables as t
from dialer.db.session import Database


async def says(database: Database, server: str, **nodes: Mapping[str, Any]) -> None:
    """Have the engine of a server say this of its nodes."""
    key = {"server": server, "name": "engine"}
    values = {"started_at": func.now(), "seen_at": func.now(), "status": {"nodes": nodes}}
    async with database.system() as conn:
        await conn.execute(
            insert(t.process_status)
            .values(**key, **values)
            .on_conflict_do_update(index_elements=["server", "name"], set_=values)
        )
