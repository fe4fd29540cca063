"""What can be done with visits: look who comes, and say who came."""

from __future__ import annotations

from datetime import datetime

from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.visits import booking, store
from dialer.visits.model import State, Visit

#: Visits of one reply.
MOST = 500


class VisitService:
    """The visits of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def visits(self, actor: Actor, since: datetime, until: datetime) -> list[Visit]:
        """From one moment to another, by when they are; MOST of them."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.between(conn, actor.tenant_id, since, until, MOST)

    async def set_state(self, actor: Actor, visit_id: int, state: State) -> Visit:
        """Say what became of a visit. Raises NotFound."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.set_state(conn, actor.tenant_id, visit_id, state, actor.user_id):
                raise NotFound(what="visit", key=visit_id)
            await audit.record(conn, actor, "visit.state", f"visit:{visit_id}", state=state.value)
            found = await store.find(conn, actor.tenant_id, visit_id)
            assert found is not None
            await booking.tell(conn, actor.tenant_id, visit_id, found.campaign_id)
            return found
