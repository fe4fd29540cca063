"""Where the tries are made: a PostgreSQL of its own, a tenant for each run, and the server's own placers.

The placers are those of the server, one for each of several servers, over connections of their own. In the
place of Asterisk stands a recorder that notes every call it is asked for: it is the witness. It believes no
count of the database, and keeps its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import insert, text

from dialer.agents import people
from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.asterisk.ami import AmiLink, AmiReply
from dialer.asterisk.nodes import Node, Nodes
from dialer.bench.site_reaper import folder_of_its_own
from dialer.calls.journal import DatabaseJournal
from dialer.calls.lines import TrunkLines
from dialer.calls.model import Answered, HungUp, HungUpBy, Result
from dialer.calls.placing import Placer
from dialer.calls.table import CallTable
from dialer.calls.targets import ByHand
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import Tracker
from dialer.clock import utc_now
from dialer.compliance.model import POLICIES, Hours, Timetable
from dialer.db import migrate
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres, Urls
from dialer.db.session import Database, connect
from dialer.ids import new_id
from dialer.pacing.model import DialMode
from dialer.servers.ownership import Sole
from dialer.trunks import store as trunks

#: Tenants of runs: this plus the seed.
FIRST_TENANT = 1000
#: The name of the one Asterisk.
NODE = "fraud"
ROUND_THE_CLOCK = Hours(0, 24 * 60)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that Asterisk was asked for."""

    attempt_id: UUID
    number: str
    endpoint: str


@dataclass(slots=True)
class Recorder:
    """Stands where Asterisk would: notes what it is asked for, and which of it is still on the line."""

    #: told of each call as it is asked for
    heard: Callable[[Asked], None] = lambda asked: None
    sent: list[Asked] = field(default_factory=list)
    live: dict[UUID, Asked] = field(default_factory=dict)
    up: bool = True
    trouble: str = ""

    async def send(self, action: Mapping[str, Any]) -> AmiReply:
        """Take an action."""
        if action["Action"] == "Originate":
            number, _, endpoint = str(action["Channel"]).removeprefix("PJSIP/").rpartition("@")
            asked = Asked(UUID(str(action["ChannelId"])), number, endpoint)
            self.sent.append(asked)
            self.live[asked.attempt_id] = asked
            self.heard(asked)
        return AmiReply({"ActionID": str(len(self.sent))})

    def on_lines(self, endpoint: str | None = None) -> int:
        """Calls on the lines of one trunk, or of all."""
        return sum(endpoint in (None, asked.endpoint) for asked in self.live.values())


@dataclass(slots=True)
class Server:
    """One server's placer, with its journal running."""

    placer: Placer
    journal: DatabaseJournal
    recorder: Recorder

    async def end(self, attempt_id: UUID, answered_s: float | None = None) -> None:
        """The call ends, after so many seconds of talk or unanswered; returns when that is written."""
        self.recorder.live.pop(attempt_id, None)  # its line is free before anybody could know
        now = utc_now()
        if answered_s is not None:
            self.placer.calls.apply(attempt_id, Answered(now))
            now += timedelta(seconds=answered_s)
        self.placer.calls.apply(
            attempt_id, HungUp(now, result=Result.NO_ANSWER, cause=19, sip_code=480, by=HungUpBy.CUSTOMER)
        )
        await self.journal.drain()

    @property
    def mine(self) -> list[UUID]:
        """The calls that this server has on the lines."""
        return [
            line.call.attempt_id for line in self.placer.calls if line.call.attempt_id in self.recorder.live
        ]


@dataclass(slots=True)
class Company:
    """The tenant of a run: a campaign with trunks, and a list of numbers."""

    tenant_id: int
    campaign_id: int
    list_id: int
    #: by endpoint
    trunks: dict[str, int]
    terms: CallTerms
    by_hand: ByHand


@dataclass(slots=True)
class Floor:
    """The database and what is done in it. Use `Floor.open`."""

    urls: Urls
    database: Database

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator[Floor]:
        """A PostgreSQL of its own with the server's tables; nothing is left of it."""
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(folder_of_its_own())
            postgres = EmbeddedPostgres(folder, durable=False)
            stack.push_async_callback(postgres.stop)
            urls = await postgres.start()
            await migrate.upgrade(urls.owner)
            database = Database.open(urls.app, pool=4)
            stack.push_async_callback(database.close)
            yield cls(urls, database)

    @contextlib.asynccontextmanager
    async def servers(self, count: int, recorder: Recorder) -> AsyncIterator[list[Server]]:
        """So many servers at work, each with connections of its own."""
        async with AsyncExitStack() as stack:
            made = []
            for _ in range(count):
                database = Database.open(self.urls.app, pool=2)
                stack.push_async_callback(database.close)
                journal = DatabaseJournal(database)
                calls = CallTable(journal)
                nodes = Nodes()
                nodes.add(Node(NODE, cast(AmiLink, recorder), ready=True))
                placer = Placer(
                    database, nodes, Sole(), calls, Tracker(calls), TrunkLines(), "127.0.0.1:4573"
                )
                writing = asyncio.create_task(journal.run(), name="journal")
                stack.push_async_callback(_ended, writing)
                made.append(Server(placer, journal, recorder))
            yield made

    async def company(
        self,
        seed: int,
        lines: Sequence[Mapping[str, Any]],
        caps: Mapping[str, Any],
        *,
        mode: str = "progressive",
    ) -> Company:
        """A tenant for the run of this seed. `lines`: the trunks' columns, `caps`: the tenant's."""
        tenant_id = FIRST_TENANT + seed
        owner = await connect(self.urls.owner)
        try:
            await owner.execute("INSERT INTO tenant (id, name) VALUES ($1, 'Fraud')", tenant_id)
        finally:
            await owner.close()
        key = {"tenant_id": tenant_id}
        async with self.database.tenant(tenant_id) as conn:
            await conn.execute(insert(t.tenant_cap).values(**key, **caps))
            ids: dict[str, int] = {}
            for n, line in enumerate(lines, 1):
                name = f"line-{seed}-{n}"
                row = {"name": name, "endpoint": name, "caller_id": "+74951234567", **line}
                tariff = row.pop("rates", {})
                made = await conn.scalar(insert(t.trunk).values(**key, **row).returning(t.trunk.c.id))
                assert made is not None
                ids[name] = made
                rates = [{"prefix": prefix, "per_minute": price} for prefix, price in tariff.items()]
                await trunks.set_rates(conn, tenant_id, made, rates)
            campaign_id = await conn.scalar(
                insert(t.campaign)
                .values(**key, name="Fraud", status="running", mode=mode, policy="demo", max_attempts=1)
                .returning(t.campaign.c.id)
            )
            list_id = await conn.scalar(
                insert(t.contact_list).values(**key, name="Fraud").returning(t.contact_list.c.id)
            )
            assert campaign_id is not None
            assert list_id is not None
            for position, trunk_id in enumerate(ids.values(), 1):
                row = {"campaign_id": campaign_id, "position": position, "trunk_id": trunk_id}
                await conn.execute(insert(t.campaign_trunk).values(**key, **row))
            found = await trunks.trunks_of(conn, tenant_id, campaign_id)
            by_hand = await self._agent(conn, tenant_id)
        terms = CallTerms(
            tenant_id=tenant_id,
            campaign_id=campaign_id,
            mode=DialMode(mode),
            ratio=1.0,
            priority=0,
            policy=POLICIES["demo"],
            skill=None,
            ring_timeout_s=20,
            screens=False,
            amd={},
            record=False,
            wrap_up_limit_s=60,
            abandon_sound="message",
            window=Timetable.alike(ROUND_THE_CLOCK),
            trunks=found,
        )
        return Company(tenant_id, campaign_id, list_id, ids, terms, by_hand)

    async def _agent(self, conn: Any, tenant_id: int) -> ByHand:
        """An agent whose phone is up, ready to dial."""
        user_id = await conn.scalar(
            insert(t.app_user)
            .values(
                tenant_id=tenant_id,
                login=f"fraud-{tenant_id}",
                name="Fraud",
                role="operator",
                password_hash="-",  # noqa: S106 - nobody logs in with it
            )
            .returning(t.app_user.c.id)
        )
        agent = await people.add_agent(
            conn,
            tenant_id,
            user_id=user_id,
            name="Fraud",
            endpoint=f"phone-{tenant_id}",
            sip_ha1=None,
            skills=(),
        )
        session_id, now = new_id(), utc_now()
        await agents.open_shift(conn, tenant_id, agent.id, session_id, now)
        await agents.set_leg(conn, tenant_id, session_id, new_id(), was=None, node=NODE)
        await agents.move(conn, tenant_id, session_id, AgentState.PAUSED, now, pause_code="login")
        await agents.move(conn, tenant_id, session_id, AgentState.READY, now)
        shift: Shift | None = await agents.find_shift(conn, tenant_id, session_id)
        assert shift is not None
        return ByHand(user_id, shift)

    async def leads(self, company: Company, numbers: Sequence[str]) -> None:
        """Put these numbers on the campaign's list, to be dialled now."""
        key = {"tenant_id": company.tenant_id, "list_id": company.list_id}
        now = utc_now()
        async with self.database.tenant(company.tenant_id) as conn:
            contacts = await conn.scalars(
                insert(t.contact).returning(t.contact.c.id, sort_by_parameter_order=True),
                [{"tenant_id": company.tenant_id, "last_name": "Fraud"} for _ in numbers],
            )
            row = {
                **key,
                "campaign_id": company.campaign_id,
                "timezones": ["Europe/Moscow"],
                "open_from": now - timedelta(days=1),
                "open_until": now + timedelta(days=365),
            }
            await conn.execute(
                insert(t.lead),
                [
                    {**row, "contact_id": contact_id, "e164": number, "sort_key": n}
                    for n, (contact_id, number) in enumerate(zip(contacts, numbers, strict=True))
                ],
            )

    async def now(self) -> datetime:
        """The database's time."""
        async with self.database.system() as conn:
            found: datetime = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return found

    async def carried(self, company: Company) -> int:
        """Lines that are counted as taken, over all: 0 when every call has ended."""
        async with self.database.tenant(company.tenant_id) as conn:
            found = await conn.scalar(
                text(
                    "SELECT (SELECT coalesce(sum(channels), 0) FROM trunk_load)"
                    " + (SELECT coalesce(sum(channels), 0) FROM tenant_load)"
                )
            )
        return int(found or 0)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
