"""Where the recording of a talk is, for whom may listen to it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from sqlalchemy import and_, select

from dialer.db.session import Database
from dialer.db.tables import agent, attempt, inbound_call, recording
from dialer.errors import NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right


class RecordingService:
    """The recordings of a tenant, below one folder."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def file(self, actor: Actor, attempt_id: UUID) -> Path:
        """The file of a talk's recording. Raises NotFound, Forbidden, WrongState while it is written."""
        row = None
        async with self._database.tenant(actor.tenant_id) as conn:
            for table, whose in (
                (attempt, recording.c.attempt_id),
                (inbound_call, recording.c.inbound_call_id),
            ):
                c = table.c
                found = await conn.execute(
                    select(recording.c.path, recording.c.status, agent.c.user_id)
                    .select_from(table)
                    .join(recording, and_(recording.c.tenant_id == c.tenant_id, whose == c.id))
                    .outerjoin(agent, and_(agent.c.tenant_id == c.tenant_id, agent.c.id == c.agent_id))
                    .where(c.tenant_id == actor.tenant_id, c.id == attempt_id)
                    .order_by(recording.c.id)
                    .limit(1)
                )
                row = row or found.one_or_none()
            own = row is not None and row.user_id is not None and row.user_id == actor.user_id
            actor.require(Right.WORK if own else Right.RECORDINGS_LISTEN)
            if row is None or row.status in {"lost", "erasing"}:
                raise NotFound(what="recording of the call", key=attempt_id)
            if row.status != "whole":
                raise WrongState(what="The recording", state="being written", allowed="whole")
            await audit.record(conn, actor, "recording.listen", f"attempt:{attempt_id}")
        return inside(self._folder, row.path, "recording of the call", attempt_id)


def inside(folder: Path, path: str, what: str, key: object) -> Path:
    """The file, if it is one and lies below the folder, whatever the row says. Raises NotFound of `what`."""
    root = folder.resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        raise NotFound(what=what, key=key)
    return file
