"""The SQL of pauses in recordings: what was said meanwhile (a card's number) is silence in the file.

The row has each pause in seconds from the beginning of the recording; one that has no end lasts, or went on
until the call was over.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

_OF_CALL = """
     WHERE tenant_id = :tenant_id AND status = 'writing'
       AND (attempt_id = :call_id OR inbound_call_id = :call_id)
"""
_LASTS = "pauses -> -1 -> 'until_s' = 'null'"
_NOW_S = """
    to_jsonb(round(CAST(extract(epoch FROM greatest(CAST(:at AS timestamptz), started_at) - started_at)
                        AS numeric), 2))
"""
_IS_WRITTEN = Prepared(f"SELECT id FROM recording {_OF_CALL} FOR UPDATE")  # noqa: S608 - a constant
_BEGIN = Prepared(
    f"""
    UPDATE recording
       SET pauses = pauses || jsonb_build_array(jsonb_build_object('from_s', {_NOW_S}, 'until_s', NULL))
    {_OF_CALL} AND ({_LASTS}) IS NOT TRUE
    """  # noqa: S608 - constants
)
_END = Prepared(
    f"UPDATE recording SET pauses = jsonb_set(pauses, '{{-1,until_s}}', {_NOW_S}) {_OF_CALL} AND {_LASTS}"  # noqa: S608
)


async def mark(conn: AsyncConnection, tenant_id: int, call_id: UUID, at: datetime, *, on: bool) -> bool:
    """A pause begins or ends now, if it has not already; False: the call is not being recorded."""
    asked = {"tenant_id": tenant_id, "call_id": call_id}
    if await _IS_WRITTEN.row(conn, **asked) is None:
        return False
    await (_BEGIN if on else _END).run(conn, **asked, at=at)
    return True
