"""What can be done with dead numbers, and the job that finds them in what calls came to.

Nothing of it is on the way of a call: the process for long work reads attempts when they have ended. Who
dials asks `dead_numbers_store.dead_numbers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import dead_numbers_store as store
from dialer.contacts import history
from dialer.contacts.dead_numbers import DeadNumber, DeadReason, ListCount, is_dead
from dialer.contacts.numbers import number_of
from dialer.db.events import emit, wake
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.settings import Settings

log = structlog.stdlib.get_logger(__name__)

#: Between two looks at calls.
EVERY_S = 20.0
#: How far back the first look goes.
FIRST_LOOK = timedelta(days=90)
#: Numbers of one transaction.
BATCH = 500


class DeadNumberService:
    """Dead numbers of a tenant."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def page(
        self,
        actor: Actor,
        *,
        list_id: int | None = None,
        reason: DeadReason | None = None,
        after: tuple[str, int] | None = None,
        limit: int = 50,
    ) -> list[DeadNumber]:
        """Dead numbers in their order, of a list and for a reason, from after (number, id)."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page(
                conn,
                actor.tenant_id,
                list_id=list_id,
                reason=reason.value if reason else None,
                after=after,
                limit=limit,
            )

    async def by_list(self, actor: Actor) -> list[ListCount]:
        """How many dead numbers each list has, most first."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.by_list(conn, actor.tenant_id)

    async def in_a_row(self, actor: Actor) -> int:
        """How many calls in a row have to come to `invalid`."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return (await store.get_rule(conn, actor.tenant_id)).invalid_in_a_row

    async def set_in_a_row(self, actor: Actor, in_a_row: int) -> int:
        """So many calls in a row have to come to `invalid`, from now on: 1 to 10."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.set_rule(conn, actor.tenant_id, in_a_row)
            await audit.record(conn, actor, "dead_numbers.rule", "dead_numbers", invalid_in_a_row=in_a_row)
        return in_a_row

    async def confirm(self, actor: Actor, number: str) -> None:
        """A person says that the number is dead: its leads are closed. Raises BadNumber, NotFound."""
        actor.require(Right.CONTACTS_EDIT)
        e164 = self._read(number)
        async with self._database.tenant(actor.tenant_id) as conn:
            changed = await store.confirm(conn, actor.tenant_id, [e164])
            if not changed and not await store.dead_numbers(conn, actor.tenant_id, [e164]):
                raise NotFound(what="contact with the number", key=number)
            await audit.record(conn, actor, "dead_numbers.confirm", _subject(changed))
            await _died(conn, actor.tenant_id, changed, actor.user_id)

    async def revive(self, actor: Actor, number: str) -> None:
        """The number is alive, whatever its calls came to until now: its leads are opened again, where no
        other number of the contact has taken their place. Raises BadNumber, NotFound (it is not dead)."""
        actor.require(Right.CONTACTS_EDIT)
        e164 = self._read(number)
        async with self._database.tenant(actor.tenant_id) as conn:
            changed = await store.revive(conn, actor.tenant_id, [e164])
            if not changed:
                raise NotFound(what="dead number", key=number)
            await audit.record(conn, actor, "dead_numbers.revive", _subject(changed))
            await _rose(conn, actor.tenant_id, changed, actor.user_id)

    def _read(self, number: str) -> str:
        read = number_of(number, self._settings.default_region)
        return read.e164


def _subject(changed: Sequence[tuple[int, str]]) -> str:
    """Whose numbers these were; the log of changes holds no numbers."""
    return f"contact:{changed[0][0]}" if changed else "dead_numbers"


async def _died(
    conn: AsyncConnection,
    tenant_id: int,
    changed: Sequence[tuple[int, str]],
    by: int | None,
    *,
    calls: bool = False,
) -> None:
    numbers = sorted({e164 for _, e164 in changed})
    if not numbers:
        return
    kind = history.Kind.PHONE_DEAD
    facts = [(contact_id, kind, by, {"e164": e164, "by_calls": calls}) for contact_id, e164 in changed]
    await history.add_all(conn, tenant_id, facts)
    closed, opened = await store.close_leads(conn, tenant_id, numbers)
    payload = {"numbers": len(numbers), "leads_closed": closed, "leads_opened": opened}
    await emit(conn, "contact.numbers_dead", payload, tenant_id=tenant_id)
    if opened:
        await wake(conn, "campaigns", tenant_id=tenant_id)


async def _rose(
    conn: AsyncConnection,
    tenant_id: int,
    changed: Sequence[tuple[int, str]],
    by: int | None,
    *,
    calls: bool = False,
) -> None:
    if not changed:
        return
    kind = history.Kind.PHONE_REVIVED
    facts = [(contact_id, kind, by, {"e164": e164, "by_calls": calls}) for contact_id, e164 in changed]
    await history.add_all(conn, tenant_id, facts)
    numbers = sorted({e164 for _, e164 in changed})
    opened = await store.reopen_leads(conn, tenant_id, numbers)
    payload = {"numbers": len(numbers), "leads_opened": opened}
    await emit(conn, "contact.numbers_revived", payload, tenant_id=tenant_id)
    if opened:
        await wake(conn, "campaigns", tenant_id=tenant_id)


class DeadNumberSearch:
    """Finds dead numbers in what calls came to, of every tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again later."""
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("dead_numbers_wait", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def round(self) -> int:
        """Look at the calls that were made since the last look, or went on then; how many numbers changed."""
        changed = 0
        for tenant_id in await self._database.tenants():
            changed += await self._look(tenant_id)
        return changed

    async def _look(self, tenant_id: int) -> int:
        """Whoever looks twice, or beside another server, finds the same: marking what is marked changes
        nothing. How far the look went is written last."""
        async with self._database.tenant(tenant_id) as conn:
            rule = await store.get_rule(conn, tenant_id)
            since = rule.looked_until or utc_now() - FIRST_LOOK
            risen = await store.risen(conn, tenant_id, since)
            suspects = await store.suspects(conn, tenant_id, since)
        changed = 0
        for at in range(0, len(risen), BATCH):
            async with self._database.tenant(tenant_id) as conn:
                rose = await store.revive(conn, tenant_id, risen[at : at + BATCH])
                await _rose(conn, tenant_id, rose, None, calls=True)
            changed += len(rose)
        for at in range(0, len(suspects), BATCH):
            async with self._database.tenant(tenant_id) as conn:
                past = await store.past(conn, tenant_id, suspects[at : at + BATCH])
                dead = {
                    e164: ended
                    for e164, (results, ended) in past.items()
                    if is_dead(results, rule.invalid_in_a_row)
                }
                died = await store.mark(conn, tenant_id, dead)
                await _died(conn, tenant_id, died, None, calls=True)
            changed += len(died)
        async with self._database.tenant(tenant_id) as conn:
            await store.looked(conn, tenant_id)
        if changed:
            log.info("dead_numbers_changed", numbers=changed)
        return changed
