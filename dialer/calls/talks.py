"""The SQL of what a desk shows of a talk under way."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Third
from dialer.calls.thirds import third_of
from dialer.db.prepared import Prepared
from dialer.prompts.model import WORDS

_THIRD = Prepared(
    """
    SELECT third, agent_id FROM attempt WHERE tenant_id = :tenant_id AND id = :call_id
     UNION ALL
    SELECT third, agent_id FROM inbound_call WHERE tenant_id = :tenant_id AND id = :call_id
    """
)
_MESSAGES = Prepared(
    """
    SELECT name, language, length_s FROM prompt
     WHERE tenant_id = :tenant_id AND NOT starts_with(name, :words)
     ORDER BY name, language
    """
)


@dataclass(frozen=True, slots=True)
class Message:
    """A recorded message."""

    name: str
    #: ru, en
    language: str
    #: seconds
    length_s: float


async def third(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, *, agent_id: int | None = None
) -> Third | None:
    """Who takes part besides the customer, or did until now; `agent_id`: only in a call in which this agent
    takes part."""
    row = await _THIRD.row(conn, tenant_id=tenant_id, call_id=call_id)
    found = third_of(row.third) if row is not None else None
    asked = found.agent.agent_id if found is not None and found.agent is not None else None
    return found if row is not None and agent_id in (None, row.agent_id, asked) else None


async def messages(conn: AsyncConnection, tenant_id: int) -> list[Message]:
    """The tenant's own prompts, but for words."""
    rows = await _MESSAGES.rows(conn, tenant_id=tenant_id, words=WORDS)
    return [Message(*row) for row in rows]
