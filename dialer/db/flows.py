"""What a published flow says, for every room that goes by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

_LIVE = Prepared(
    """
    SELECT v.document FROM flow f
      JOIN flow_version v ON v.tenant_id = f.tenant_id AND v.flow_id = f.id AND v.version = f.live_version
     WHERE f.tenant_id = :tenant_id AND f.name = :name
    """
)


async def live_document(conn: AsyncConnection, tenant_id: int, name: str) -> Mapping[str, Any] | None:
    """What the flow of that name says now, as it was written; None: nothing is published."""
    found: Mapping[str, Any] | None = await _LIVE.value(conn, tenant_id=tenant_id, name=name)
    return found
