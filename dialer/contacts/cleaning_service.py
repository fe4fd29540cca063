"""What can be done to bring a whole base to one form: see what would change, then have it done.

A pass goes along the ids of contacts, in batches of one transaction each, in the process for long work (or at
the command line). A dry one counts and keeps examples; a real one writes, with each old value in the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import fields_store, history
from dialer.contacts.tidying import NAMES, Tidied, tidy
from dialer.db import tables as t
from dialer.db.events import emit
from dialer.db.session import Database
from dialer.errors import Conflict, DatabaseUnavailable, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right

log = structlog.stdlib.get_logger(__name__)

#: Between two looks for a pass that somebody has asked for.
EVERY_S = 3.0
#: Contacts of one transaction.
BATCH = 1000
#: Examples of each kind that are kept.
EXAMPLES = 5
_OPEN: Final = ("queued", "running")
_C: Final = t.cleaning_run.c


@dataclass(frozen=True, slots=True)
class CleaningRun:
    """A pass over the base."""

    id: int
    #: it only says what would change
    dry: bool
    #: queued, running, done, failed
    status: str
    #: contacts looked at so far
    looked: int
    #: of these the ones with a value that is (would be) changed
    changed: int
    #: word of `tidying.WHAT` or `MARKS` -> values
    counts: Mapping[str, int]
    #: the same word -> (contact, old, new), the first few
    examples: Mapping[str, Sequence[tuple[int, str, str]]]
    created_at: datetime
    finished_at: datetime | None


def _run(row: Any) -> CleaningRun:
    examples = {what: [tuple(one) for one in some] for what, some in row.examples.items()}
    return CleaningRun(
        row.id,
        row.dry,
        row.status,
        row.looked,
        row.changed,
        row.counts,
        examples,
        row.created_at,
        row.finished_at,
    )


class CleaningService:
    """The passes of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, actor: Actor, *, dry: bool) -> CleaningRun:
        """Ask for a pass. Raises Conflict while there is one under way."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            under_way = select(_C.id).where(_C.tenant_id == actor.tenant_id, _C.status.in_(_OPEN))
            if await conn.scalar(under_way.limit(1)) is not None:
                raise Conflict(reason="contacts are being looked through already")
            new = insert(t.cleaning_run).values(tenant_id=actor.tenant_id, dry=dry, created_by=actor.user_id)
            row = (await conn.execute(new.returning(t.cleaning_run))).one()
            await audit.record(conn, actor, "contacts.clean", f"cleaning:{row.id}", dry=dry)
        return _run(row)

    async def get(self, actor: Actor, run_id: int) -> CleaningRun:
        """A pass. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        query = select(t.cleaning_run).where(_C.tenant_id == actor.tenant_id, _C.id == run_id)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = (await conn.execute(query)).one_or_none()
        if row is None:
            raise NotFound(what="pass", key=run_id)
        return _run(row)

    async def latest(self, actor: Actor) -> CleaningRun | None:
        """The last pass that somebody has asked for."""
        actor.require(Right.CONTACTS_READ)
        query = select(t.cleaning_run).where(_C.tenant_id == actor.tenant_id)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = (await conn.execute(query.order_by(_C.id.desc()).limit(1))).one_or_none()
        return _run(row) if row else None


class Cleaning:
    """Does the passes that were asked for, of every tenant."""

    def __init__(self, database: Database, *, batch: int = BATCH) -> None:
        self._database = database
        self._batch = batch

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again later."""
        while True:
            try:
                for tenant_id in await self._database.tenants():
                    while await self.step(tenant_id) is not None:  # noqa: ASYNC110 - nothing to wait for
                        await asyncio.sleep(0.05)  # leaves the database to the calls
            except DatabaseUnavailable as error:
                log.warning("cleaning_waits", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def step(self, tenant_id: int) -> CleaningRun | None:
        """Do the next batch of the pass that is under way; how far it is then. None: there is none, or
        another server does it."""
        query = (
            select(t.cleaning_run)
            .where(_C.tenant_id == tenant_id, _C.status.in_(_OPEN))
            .order_by(_C.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._database.tenant(tenant_id) as conn:
            row = (await conn.execute(query)).one_or_none()
            return await self._batch_of(conn, tenant_id, row) if row else None

    async def _batch_of(self, conn: AsyncConnection, tenant_id: int, run: Any) -> CleaningRun:
        c = t.contact.c
        query = (
            select(c.id, c.last_name, c.first_name, c.middle_name, c.email, c.custom)
            .where(c.tenant_id == tenant_id, c.id > run.done_id, c.erased_at.is_(None))
            .order_by(c.id)
            .limit(self._batch)
        )
        if not run.dry:
            query = query.with_for_update()
        rows = (await conn.execute(query)).all()
        tidied = [
            (row, tidy({name: getattr(row, name) for name in NAMES}, row.email, row.custom)) for row in rows
        ]
        if not run.dry:
            await _write(conn, tenant_id, tidied)
        counts, examples = dict(run.counts), {what: list(some) for what, some in run.examples.items()}
        for row, found in tidied:
            for one in found.findings:
                counts[one.what] = counts.get(one.what, 0) + 1
                if len(kept := examples.setdefault(one.what, [])) < EXAMPLES:
                    kept.append([row.id, one.old, one.new])
        values = {
            "status": "running" if rows else "done",
            "done_id": rows[-1].id if rows else run.done_id,
            "looked": run.looked + len(rows),
            "changed": run.changed + sum(bool(found.changes) for _, found in tidied),
            "counts": counts,
            "examples": examples,
            "finished_at": None if rows else utc_now(),
        }
        done = (
            await conn.execute(
                update(t.cleaning_run)
                .where(_C.tenant_id == tenant_id, _C.id == run.id)
                .values(values)
                .returning(t.cleaning_run)
            )
        ).one()
        payload = {name: values[name] for name in ("status", "looked", "changed")}
        await emit(conn, "cleaning.progress", {"cleaning_id": run.id, **payload}, tenant_id=tenant_id)
        return _run(done)


async def _write(conn: AsyncConnection, tenant_id: int, tidied: Sequence[tuple[Any, Tidied]]) -> None:
    """Write what is changed, with its old values in the history."""
    changed = [(row, found.changes) for row, found in tidied if found.changes]
    c = t.contact.c
    for row, changes in changed:
        await conn.execute(
            update(t.contact).where(c.tenant_id == tenant_id, c.id == row.id).values(dict(changes))
        )
    await history.add_all(
        conn,
        tenant_id,
        [(row.id, history.Kind.CLEANED, None, _told(row, changes)) for row, changes in changed],
    )
    await fields_store.rewrite_values(
        conn, tenant_id, [row.id for row, found in changed if "custom" in found]
    )


def _told(row: Any, changes: Mapping[str, object]) -> dict[str, list[object]]:
    """{field: [old, new]}, custom values one by one."""
    told: dict[str, list[object]] = {}
    for name, new in changes.items():
        if name == "custom":
            assert isinstance(new, dict)
            told |= {
                f"custom.{key}": [row.custom[key], new[key]] for key in new if new[key] != row.custom[key]
            }
        else:
            told[name] = [getattr(row, name), new]
    return told
