"""Which flows name a row: asked before the row, or its name, goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import InUse
from ivr_flows.naming import Named

#: The flows of a tenant that callers are led by and that name this; that of the inbound room.
Uses = Callable[[AsyncConnection, int, Named, str], Awaitable[Sequence[str]]]


async def unused(_conn: AsyncConnection, _tenant_id: int, _kind: Named, _name: str) -> Sequence[str]:
    """Where there are no flows."""
    return ()


async def check_unused(conn: AsyncConnection, uses: Uses, tenant_id: int, kind: Named, name: str) -> None:
    """Raises InUse with the flows that name it."""
    if flows := await uses(conn, tenant_id, kind, name):
        raise InUse(flows)
