"""What the agent's screen says of a caller: who they are, the way through the flow, what was pressed, why
they call, how long they have waited.

The event of the screen pop (`call.assigned`) has ids in its row, as every event; what is a person's is told
to each reader as it is sent, with the number as that reader may see it, and is gone with the person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.card import shown_number
from dialer.calls.model import Direction
from dialer.db.events import EventRow
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.httpkit.access import Actor, Right
from dialer.inbound import store
from dialer.inbound.titles import Step, Told, told

_SCREEN = Prepared(
    """
    SELECT c.contact_id AS customer_id,
           coalesce(concat_ws(' ', nullif(p.last_name, ''), nullif(p.first_name, ''),
                              nullif(p.middle_name, '')), '') AS customer,
           c.e164 AS number, c.dialled, n.name AS line, f.name AS flow,
           ARRAY(SELECT s.state FROM flow_step s
                  WHERE s.tenant_id = c.tenant_id AND s.call_id = c.id ORDER BY s.n) AS path,
           c.collected, c.reason, c.queue,
           extract(epoch FROM coalesce(c.connected_at, c.assigned_at, c.hung_up_at) - c.queued_at)
               AS waited_s,
           c.hung_up_at IS NULL AS current
      FROM inbound_call c
      JOIN flow f ON f.tenant_id = c.tenant_id AND f.id = c.flow_id
      JOIN inbound_number n ON n.tenant_id = c.tenant_id AND n.id = c.number_id
      LEFT JOIN contact p ON p.tenant_id = c.tenant_id AND p.id = c.contact_id
     WHERE c.tenant_id = :tenant_id AND c.id = :call_id
    """
)


#: The states that a call has been in, each as the version of its flow has it: the one that led the call, of a
#: flow jumped to the live one.
_STEPS = Prepared(
    """
    SELECT s.flow, s.state AS name, f.id = c.flow_id AS main, v.document ->> 'title' AS title,
           jsonb_path_query_first(v.document, '$.states[*] ? (@.name == $name)',
                                  jsonb_build_object('name', s.state)) AS state
      FROM inbound_call c
      JOIN flow_step s ON s.tenant_id = c.tenant_id AND s.call_id = c.id
      LEFT JOIN flow f ON f.tenant_id = s.tenant_id AND f.name = s.flow
      LEFT JOIN flow_version v ON v.tenant_id = f.tenant_id AND v.flow_id = f.id
           AND v.version = CASE WHEN f.id = c.flow_id THEN c.flow_version ELSE f.live_version END
     WHERE c.tenant_id = :tenant_id AND c.id = :call_id
     ORDER BY s.n
    """
)


@dataclass(frozen=True, slots=True)
class Screen:
    """A caller, as the reader may see them."""

    customer_id: int | None
    #: empty: not known
    customer: str
    #: E.164, or what the reader may see of it; empty: withheld
    number: str
    #: our number that they called, and what it is called
    dialled: str
    line: str
    flow: str
    #: the states of the flow that they have been in
    path: Sequence[str]
    #: what they have pressed, by name
    collected: Mapping[str, Any]
    #: why they call; None: neither the flow nor an agent has said
    reason: str | None
    queue: str | None
    #: how long they waited, the last time; None: they did not, or still do
    waited_s: float | None


class Screens:
    """Tells who is calling."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_call(self, actor: Actor, call_id: UUID) -> Screen:
        """The caller of a call, for its agent and for who may read all calls. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            own = await store.is_own(conn, actor.tenant_id, call_id, actor.user_id)
            actor.require(Right.WORK if own else Right.CALLS_READ)
            found = await _screen(conn, actor, call_id)
        if found is None:
            raise NotFound(what="call", key=call_id)
        return found

    async def told(self, actor: Actor, call_id: UUID, screen: Screen) -> Told:
        """Its way in the words of its flows, for who may see the `screen`."""
        async with self._database.tenant(actor.tenant_id) as conn:
            rows = await _STEPS.rows(conn, tenant_id=actor.tenant_id, call_id=call_id)
        title = next((row.title for row in rows if row.main and row.title), screen.flow)
        steps = [Step(row.flow, row.name, row.state or {}) for row in rows]
        return told(title, steps, screen.collected, screen.reason)

    async def tell(self, actor: Actor, row: EventRow) -> EventRow:
        """The event of a screen pop with what its reader may see of the caller. Others stay as they are, and
        so do all for who neither works with callers nor may read calls."""
        if row.payload.get("direction") != Direction.INBOUND:
            return row
        if not (actor.may(Right.WORK) or actor.may(Right.CALLS_READ)):
            return row
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await _screen(conn, actor, UUID(row.payload["attempt_id"]))
        if found is None:  # deleted since
            return row
        seen = {name: value for name, value in asdict(found).items() if name != "waited_s"}
        return replace(row, payload={**row.payload, **seen})


async def _screen(conn: AsyncConnection, actor: Actor, call_id: UUID) -> Screen | None:
    row = await _SCREEN.row(conn, tenant_id=actor.tenant_id, call_id=call_id)
    if row is None:
        return None
    values = dict(row)
    current = values.pop("current")
    values["number"] = shown_number(row.number, whole=actor.may(Right.CALLS_READ), current=current)
    values["waited_s"] = None if row.waited_s is None else float(row.waited_s)
    return Screen(**values)
