"""A whole contact centre for scenario tests: real Asterisk, real carrier, real phones, real database.

Asterisk, the carrier and the phones are started once a test process; every test has a database, an engine and
a campaign of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, insert, select, text, update

from dialer.agents.model import USUAL_RANK, AgentState, Shift, Takes
from dialer.agents.service import AgentService
from dialer.app.engine import build_engine
from dialer.asterisk.ami import Address, AmiEvent, AmiLink
from dialer.calls.commands import CommandDesk
from dialer.calls.controlling import CallControls
from dialer.calls.listeners import ListeningService
from dialer.calls.service import CallService
from dialer.db import tables as t
from dialer.db.listen import EVENTS, REPLIES, Listener
from dialer.db.session import Database
from dialer.engine import Engine
from dialer.errors import DatabaseUnavailable, WrongState
from dialer.httpkit.access import Actor, Role
from dialer.settings import Settings
from support.line import Floor, floor

__all__ = ["centre", "floor"]

TENANT = 1


@dataclass(slots=True)
class Centre:
    """One test's contact centre."""

    floor: Floor
    settings: Settings
    database_url: str
    database: Database
    listener: Listener
    agents: AgentService
    calls: CallService
    controls: CallControls
    listeners: ListeningService
    actor: Actor = field(default_factory=lambda: Actor.server(TENANT))
    trunk_id: int = 0
    engine: Engine | None = None
    process: asyncio.subprocess.Process | None = None
    _campaigns: int = 0
    _running: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    # -- the engine ----------------------------------------------------------------------------------

    async def start_engine(self) -> Engine:
        """Start an engine as `dozvon serve` would, and wait until it knows what Asterisk has."""
        self.engine = build_engine(self.settings, self.database_url)
        self._running = asyncio.create_task(self.engine.run())
        ready = asyncio.create_task(self.engine.resynced.wait())
        await asyncio.wait({ready, self._running}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            await self._running
        assert ready.done(), "the engine did not come up"
        return self.engine

    async def stop_engine(self) -> None:
        """Stop it as a regular stop does: lines and legs stay."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
        if self.engine is not None:
            await self.engine.database.close()
            self.engine = None

    async def start_engine_process(self) -> None:
        """Start an engine as a process of its own, to be killed."""
        said = {
            f"DOZVON_{name.upper()}": getattr(value, "get_secret_value", value.__str__)()
            for name in self.settings.model_fields_set
            if (value := getattr(self.settings, name)) is not None
        }
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dialer", "run", "engine"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **said, "DOZVON_DATABASE_URL": self.database_url},
        )
        assert self.process.stdout is not None
        assert await asyncio.wait_for(self.process.stdout.readline(), 60), "the engine did not start"

    async def kill_engine_process(self) -> None:
        """kill -9."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
            self.process = None

    @asynccontextmanager
    async def manager(self, *names: str) -> AsyncIterator[AmiLink]:
        """A login of the test's own, to hear Asterisk say the events of these names."""
        settings = self.floor.settings
        address = Address("127.0.0.1", settings.ami_port, settings.ami_user, settings.ami_password())
        link = AmiLink(address, wanted=set(names))
        task = asyncio.create_task(link.run())
        try:
            await link.wait_up(5)
            yield link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- what a test has -----------------------------------------------------------------------------

    async def campaign(
        self, numbers: Iterable[str], *, trunk_id: int | None = None, name: str = "", **fields: Any
    ) -> int:
        """A running campaign over these numbers; `fields` are its columns."""
        self._campaigns += 1
        values = {
            "name": name or f"Проба {self._campaigns}",
            "status": "running",
            "mode": "progressive",
            "policy": "demo",
            "ring_timeout_s": 8,
            "record": False,
            "abandon_sound": str(self.floor.message),
            "call_from": "00:00",
            "call_until": "24:00",
            "wrap_up_limit_s": 60,
        } | fields
        async with self.database.tenant(TENANT) as conn:
            campaign_id = await conn.scalar(
                insert(t.campaign).values(tenant_id=TENANT, **values).returning(t.campaign.c.id)
            )
            assert isinstance(campaign_id, int)
            await conn.execute(
                insert(t.campaign_trunk).values(
                    tenant_id=TENANT, campaign_id=campaign_id, position=1, trunk_id=trunk_id or self.trunk_id
                )
            )
            await conn.execute(
                insert(t.disposition).values(
                    tenant_id=TENANT,
                    campaign_id=campaign_id,
                    code="sale",
                    label_ru="Продажа",
                    label_en="Sale",
                    kind="sale",
                )
            )
        await self.add_leads(campaign_id, numbers)
        return campaign_id

    async def add_trunk(self, endpoint: str, **fields: Any) -> int:
        """A trunk over this endpoint of Asterisk."""
        values = {
            "name": f"Транк {endpoint} {fields}",
            "endpoint": endpoint,
            "caller_id": "+74950000000",
            "allowed_prefixes": ["+7"],
            "max_cps": 50,
            "sip_host": "127.0.0.1",
        } | fields
        async with self.database.tenant(TENANT) as conn:
            made = await conn.scalar(
                insert(t.trunk).values(tenant_id=TENANT, **values).returning(t.trunk.c.id)
            )
        assert isinstance(made, int)
        return made

    async def add_leads(self, campaign_id: int, numbers: Iterable[str]) -> None:
        """More numbers for the campaign."""
        async with self.database.tenant(TENANT) as conn:
            list_id = await conn.scalar(
                insert(t.contact_list)
                .values(tenant_id=TENANT, name=f"list {campaign_id} {asyncio.get_running_loop().time()}")
                .returning(t.contact_list.c.id)
            )
            for order, e164 in enumerate(numbers):
                contact_id = await conn.scalar(
                    insert(t.contact)
                    .values(tenant_id=TENANT, last_name=f"Клиент {order}")
                    .returning(t.contact.c.id)
                )
                await conn.execute(
                    insert(t.lead).values(
                        tenant_id=TENANT,
                        campaign_id=campaign_id,
                        list_id=list_id,
                        contact_id=contact_id,
                        e164=e164,
                        timezones=["Europe/Moscow"],
                        sort_key=order,
                        open_from=text("now() - interval '1 hour'"),
                        open_until=text("now() + interval '1 year'"),
                    )
                )
            await conn.execute(
                text('SELECT pg_notify(\'dozvon_engine\', \'{"tenant": 1, "what": "campaigns"}\')')
            )

    async def add_agents(
        self,
        count: int = 0,
        *,
        phones: Sequence[str] = (),
        ready: bool = True,
        skills: Sequence[str] = (),
        rank: int = USUAL_RANK,
        levels: Mapping[str, int] | None = None,
        takes: Takes = Takes.BOTH,
    ) -> list[int]:
        """Agents at the floor's first `count` phones, or at the named ones, logged in."""
        endpoints = phones or [f"agent-{n}" for n in range(count)]
        made = await self.new_agents(endpoints, skills=skills, rank=rank, levels=levels, takes=takes)
        for agent_id in made:
            await self.agents.log_in(self.actor, agent_id)
        for agent_id in made:
            await self.until_agent(agent_id, AgentState.PAUSED)
            if ready:
                await self.agents.ready(self.actor, agent_id)
        return made

    async def new_agents(self, endpoints: Iterable[str], **fields: Any) -> list[int]:
        """Agents at these phones, not logged in."""
        made = []
        for endpoint in endpoints:
            async with self.database.tenant(TENANT) as conn:
                user_id = await conn.scalar(
                    insert(t.app_user)
                    .values(
                        tenant_id=TENANT,
                        login=endpoint,
                        name=f"Оператор {endpoint}",
                        role="operator",
                        password_hash="-",
                    )
                    .returning(t.app_user.c.id)
                )
            assert user_id is not None
            new = await self.agents.create(
                self.actor,
                user_id=user_id,
                name=f"Оператор {endpoint}",
                endpoint=endpoint,
                **fields,
            )
            made.append(new.agent.id)
        return made

    async def person(self, agent_id: int) -> Actor:
        """The agent as who is logged in at a page."""
        agent, _ = await self.agents.agent(self.actor, agent_id)
        return Actor(TENANT, agent.user_id, Role.OPERATOR, agent.name, "ru")

    async def a_pause(self) -> str:
        """The code of a pause."""
        values = {"tenant_id": TENANT, "code": "lunch", "label_ru": "Обед", "label_en": "Lunch"}
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(insert(t.pause_code).values(values))
        return "lunch"

    async def dispose(self, attempt_id: UUID) -> None:
        """The agent of the talk saves what it came to."""
        await self.calls.dispose(self.actor, attempt_id, "sale")

    @asynccontextmanager
    async def disposing(self) -> AsyncIterator[None]:
        """Agents save a disposition for each talk as soon as it is owed, while this holds."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._keep_disposing())
            yield
            task.cancel()

    async def _keep_disposing(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):  # a test's own doing: agents try again
                for attempt in await self.until_attempts(1, "wrap_up", within_s=3600):
                    with contextlib.suppress(WrongState):  # its wrap-up is not in the agent's row yet
                        await self.dispose(attempt.id)

    async def leads(self, campaign_id: int) -> list[Row[Any]]:
        """The campaign's leads, in its order."""
        async with self.database.tenant(TENANT) as conn:
            query = select(t.lead).where(t.lead.c.campaign_id == campaign_id).order_by(t.lead.c.sort_key)
            return list(await conn.execute(query))

    async def rows(self, table: Any) -> list[Row[Any]]:
        """All rows of a table."""
        async with self.database.tenant(TENANT) as conn:
            return list(await conn.execute(select(table)))

    async def shift(self, agent_id: int) -> Shift | None:
        """The agent's open shift."""
        _, shift = await self.agents.agent(self.actor, agent_id)
        return shift

    async def attempts(self, campaign_id: int | None = None) -> list[Row[Any]]:
        """The attempts so far, oldest first."""
        query = select(t.attempt).order_by(t.attempt.c.created_at, t.attempt.c.id)
        if campaign_id is not None:
            query = query.where(t.attempt.c.campaign_id == campaign_id)
        async with self.database.tenant(TENANT) as conn:
            return list(await conn.execute(query))

    async def set_status(self, campaign_id: int, status: str, *, tell: bool = True) -> None:
        """Pause or resume as the service does; `tell`: with the note that the engine looks at."""
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(update(t.campaign).where(t.campaign.c.id == campaign_id).values(status=status))
            if tell:
                await conn.execute(
                    text('SELECT pg_notify(\'dozvon_engine\', \'{"tenant": 1, "what": "campaigns"}\')')
                )

    async def until_owned(self, campaign_id: int) -> None:
        """Wait until an engine answers for the campaign, and knows what Asterisk has."""
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(
                text('SELECT pg_notify(\'dozvon_engine\', \'{"tenant": 1, "what": "campaigns"}\')')
            )

        async def owned() -> bool:
            leases = {(row.kind, row.key) for row in await self.rows(t.lease)}
            status = {row.name: row.status for row in await self.rows(t.process_status)}
            return ("campaign", campaign_id) in leases and bool(status.get("engine", {}).get("asterisk"))

        await self.until_seen("the campaign's lease", owned)

    async def until_hangup(self, link: AmiLink, context: str, within_s: float = 20.0) -> None:
        """Wait until a channel in this context of the dialplan has ended."""
        async with asyncio.timeout(within_s):
            while True:
                item = await link.inbox.get()
                if isinstance(item, AmiEvent) and item.name == "Hangup" and item.get("Context") == context:
                    return

    # -- waiting for what happens ----------------------------------------------------------------------

    async def until(self, what: str, check: Callable[[], Any], *, within_s: float = 20.0) -> Any:
        """Wait until `check()` (a coroutine function) gives something true; looked at on each event."""
        try:
            async with asyncio.timeout(within_s), self._changed:
                while not (found := await _if_read(check)):
                    if self._running is not None and self._running.done() and not self._running.cancelled():
                        await self._running  # the engine fell: that is what to say
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s: {what}") from None
        return found

    async def until_seen(self, what: str, check: Callable[[], Any], *, within_s: float = 20.0) -> Any:
        """As `until`, of what no event tells of: looked at some times a second."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := await _if_read(check)):  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s: {what}") from None
        return found

    async def until_agent(self, agent_id: int, *states: AgentState, within_s: float = 20.0) -> Shift:
        """Wait until the agent is in one of the states."""

        async def there() -> Shift | None:
            shift = await self.shift(agent_id)
            return shift if shift is not None and shift.state in states else None

        found: Shift = await self.until(f"agent {agent_id} {states}", there, within_s=within_s)
        return found

    async def until_attempt(self, attempt_id: UUID, *states: str, within_s: float = 20.0) -> Row[Any]:
        """Wait until the attempt is in one of the states."""

        async def there() -> Row[Any] | None:
            return next((a for a in await self.attempts() if a.id == attempt_id and a.state in states), None)

        found: Row[Any] = await self.until(f"attempt {states}", there, within_s=within_s)
        return found

    async def until_attempts(
        self, count: int, *states: str, campaign_id: int | None = None, within_s: float = 30.0
    ) -> list[Row[Any]]:
        """Wait until so many attempts are in one of the states."""

        async def there() -> list[Row[Any]] | None:
            found = [a for a in await self.attempts(campaign_id) if a.state in states]
            return found if len(found) >= count else None

        found: list[Row[Any]] = await self.until(f"{count} attempts {states}", there, within_s=within_s)
        return found

    async def watch(self) -> None:
        """Wake the waiting at each change of the database that tells of itself."""
        changed = asyncio.Event()
        self.listener.subscribe("dozvon_outbox", lambda _note: changed.set())
        if self._running is not None:
            self._running.add_done_callback(lambda _task: changed.set())
        while True:
            await changed.wait()
            changed.clear()
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def open_centre(
    floor: Floor, database_url: str, *, own_process: bool = False, **settings: Any
) -> AsyncIterator[Centre]:
    """A contact centre over a fresh database, its engine started; `own_process`: to be killed."""
    database = Database.open(database_url, pool=5)
    listener = Listener(database_url, ("dozvon_outbox", EVENTS, REPLIES))
    desk = CommandDesk(database, listener)
    centre = Centre(
        floor=floor,
        settings=floor.settings.model_copy(update=settings),
        database_url=database_url,
        database=database,
        listener=listener,
        agents=AgentService(database, managed=False),
        calls=CallService(database, desk, floor.settings),
        controls=CallControls(database, desk),
        listeners=ListeningService(database, desk),
    )
    tasks = [asyncio.create_task(listener.run()), asyncio.create_task(centre.watch())]
    try:
        centre.trunk_id = await centre.add_trunk("carrier")
        await listener.listening()
        await (centre.start_engine_process() if own_process else centre.start_engine())
        yield centre
    finally:
        await centre.stop_engine()
        await centre.kill_engine_process()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def _if_read(check: Callable[[], Any]) -> Any:
    """What `check` finds; nothing while the database drops us: a test may do that to it."""
    with contextlib.suppress(DatabaseUnavailable):
        return await check()


@pytest.fixture
async def centre(floor: Floor, database_url: str) -> AsyncIterator[Centre]:
    """A contact centre of the test's own."""
    async with open_centre(floor, database_url) as opened:
        yield opened


def results(attempts: Sequence[Row[Any]]) -> Mapping[str, str | None]:
    """Result by number."""
    return {attempt.e164: attempt.result for attempt in attempts}
