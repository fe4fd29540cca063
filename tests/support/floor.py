"""A contact centre's floor in the test's database: agents at phones, a campaign with leads, calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from dialer.agents import people
from dialer.agents import store as agents
from dialer.agents.model import USUAL_RANK, AgentState, Shift
from dialer.calls import store
from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import Assignee, Call, Connected, HungUp, HungUpBy, Result, Signal
from dialer.calls.steps import advance
from dialer.calls.store import NewAttempt
from dialer.calls.table import CallTable, Line
from dialer.calls.terms import CallTerms
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from scheduler import hopper
from support.web import Caller, Web

__all__ = ["floor"]

TENANT = 1
NODE = "main"
FAR = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Seat:
    """An agent with the user that the agent is."""

    agent_id: int
    actor: Actor
    shift: Shift | None = None

    @property
    def session_id(self) -> UUID:
        """The shift of an agent who is logged in."""
        assert self.shift is not None
        return self.shift.id

    @property
    def assignee(self) -> Assignee:
        """The agent as a call has them."""
        assert self.shift is not None
        assert self.shift.leg is not None
        return Assignee(self.shift.id, self.agent_id, self.shift.leg)


@dataclass(slots=True)
class Floor:
    """The floor of one tenant."""

    database: Database
    campaign_id: int
    trunk_id: int
    list_id: int
    made: int = 0

    @classmethod
    async def open(cls, database: Database, **campaign: Any) -> Floor:
        """A running campaign with a trunk, a list and dispositions; no leads, no agents."""
        async with database.tenant(TENANT) as conn:
            trunk_id = await conn.scalar(
                insert(t.trunk)
                .values(
                    tenant_id=TENANT,
                    name="carrier",
                    endpoint="carrier",
                    caller_id="+74950000000",
                    allowed_prefixes=["+7"],
                    max_cps=100,
                )
                .returning(t.trunk.c.id)
            )
            values = {
                "name": "Весна",
                "status": "running",
                "mode": "progressive",
                "policy": "default",
                "started_at": utc_now(),
            } | campaign
            campaign_id = await conn.scalar(
                insert(t.campaign).values(tenant_id=TENANT, **values).returning(t.campaign.c.id)
            )
            list_id = await conn.scalar(
                insert(t.contact_list).values(tenant_id=TENANT, name="A").returning(t.contact_list.c.id)
            )
            assert trunk_id is not None
            assert campaign_id is not None
            assert list_id is not None
            await conn.execute(
                insert(t.campaign_trunk).values(
                    tenant_id=TENANT, campaign_id=campaign_id, position=1, trunk_id=trunk_id
                )
            )
            for position, kind in enumerate(("sale", "callback", "no_contact", "do_not_call"), 1):
                await conn.execute(
                    insert(t.disposition).values(
                        tenant_id=TENANT,
                        campaign_id=campaign_id,
                        code=kind.replace("_", "-"),
                        label_ru=kind,
                        label_en=kind,
                        kind=kind,
                        position=position,
                    )
                )
            await conn.execute(
                insert(t.pause_code).values(
                    tenant_id=TENANT, code="break", label_ru="Перерыв", label_en="Break"
                )
            )
        return cls(database, campaign_id, trunk_id, list_id)

    async def user(self, role: Role) -> Actor:
        """A user of this role."""
        self.made += 1
        async with self.database.tenant(TENANT) as conn:
            user_id = await conn.scalar(
                insert(t.app_user)
                .values(
                    tenant_id=TENANT,
                    login=f"floor{self.made}",
                    name=f"{role} {self.made}",
                    role=role,
                    password_hash="-",
                )
                .returning(t.app_user.c.id)
            )
        return Actor(TENANT, user_id, role, f"{role} {self.made}", "en")

    async def seat(
        self,
        state: AgentState | None = AgentState.READY,
        *,
        skills: Sequence[str] = (),
        rank: int = USUAL_RANK,
        idle_since: datetime | None = None,
        user: Actor | None = None,
    ) -> Seat:
        """An agent, with a shift in this state (None: not logged in) whose phone is up."""
        actor = user or await self.user(Role.OPERATOR)
        assert actor.user_id is not None
        async with self.database.tenant(TENANT) as conn:
            made = await people.add_agent(
                conn,
                TENANT,
                user_id=actor.user_id,
                name=actor.name,
                endpoint=f"phone{actor.user_id}",
                sip_ha1=None,
                skills=skills,
                rank=rank,
            )
            if state is None:
                return Seat(made.id, actor)
            session_id, now = new_id(), utc_now()
            await agents.open_shift(conn, TENANT, made.id, session_id, now)
            await agents.set_leg(conn, TENANT, session_id, new_id(), was=None, node=NODE)
            if state is not AgentState.CALLING:
                await agents.move(conn, TENANT, session_id, AgentState.PAUSED, now, pause_code="login")
            if state not in (AgentState.CALLING, AgentState.PAUSED):
                await agents.move(conn, TENANT, session_id, state, now)
            if idle_since is not None:
                await conn.execute(
                    update(t.agent_session)
                    .where(t.agent_session.c.id == session_id)
                    .values(idle_since=idle_since)
                )
            return Seat(made.id, actor, await agents.find_shift(conn, TENANT, session_id))

    async def shift(self, seat: Seat) -> Shift:
        """The seat's shift as it stands."""
        async with self.database.tenant(TENANT) as conn:
            found = await agents.find_shift(conn, TENANT, seat.session_id)
        assert found is not None
        return found

    async def leads(
        self, count: int, *, campaign_id: int | None = None, first: int = 79160000000
    ) -> list[int]:
        """So many people with one number each, to be dialled now, in the order of their ids."""
        now = utc_now()
        numbers = [f"+{first + n}" for n in range(count)]
        phones = {"position": 1, "kind": "mobile", "timezones": ["Europe/Moscow"]}
        leads = {
            "campaign_id": campaign_id or self.campaign_id,
            "list_id": self.list_id,
            "timezones": ["Europe/Moscow"],
            "open_from": now - timedelta(seconds=1),
            "open_until": now + FAR,
        }
        async with self.database.tenant(TENANT) as conn:
            contact_ids = await conn.scalars(
                insert(t.contact).returning(t.contact.c.id, sort_by_parameter_order=True),
                [
                    {
                        "tenant_id": TENANT,
                        "last_name": f"Петров{n}",
                        "first_name": "Пётр",
                    }
                    for n in range(count)
                ],
            )
            keys = [
                {"tenant_id": TENANT, "contact_id": contact_id, "e164": number}
                for contact_id, number in zip(contact_ids, numbers, strict=True)
            ]
            await conn.execute(insert(t.contact_phone), [key | phones for key in keys])
            made = await conn.scalars(
                insert(t.lead).returning(t.lead.c.id, sort_by_parameter_order=True),
                [key | leads | {"sort_key": n} for n, key in enumerate(keys)],
            )
            return list(made)

    async def place(self, lead_id: int | None = None, *, agent: Seat | None = None) -> Call:
        """An attempt as the engine commits it, of a lead or of a number typed by hand."""
        now, attempt_id = utc_now(), new_id()
        async with self.database.tenant(TENANT) as conn:
            row: Any = None
            if lead_id is not None:
                row = (await conn.execute(select(t.lead).where(t.lead.c.id == lead_id))).one()
            self.made += 1
            e164 = row.e164 if row else f"+7495{self.made:07}"
            assert await store.hold_numbers(conn, TENANT, {e164: attempt_id})
            new = NewAttempt(
                id=attempt_id,
                campaign_id=self.campaign_id,
                e164=e164,
                trunk_id=self.trunk_id,
                node=NODE,
                caller_id="+74950000000",
                mode="progressive",
                policy="default/1",
                list_id=row.list_id if row else None,
                lead_id=lead_id,
                contact_id=row.contact_id if row else None,
                session_id=agent.session_id if agent else None,
                agent_id=agent.agent_id if agent else None,
            )
            await store.add(conn, TENANT, [new], now)
            if lead_id is not None:
                await hopper.dialling(conn, TENANT, [lead_id], now)
            if agent is not None:
                leaving = (AgentState.READY,)
                await agents.move(
                    conn,
                    TENANT,
                    agent.session_id,
                    AgentState.RESERVED,
                    now,
                    leaving=leaving,
                    attempt_id=attempt_id,
                )
        return Call(
            attempt_id,
            TENANT,
            self.campaign_id,
            screens=False,
            abandon_after_s=2.0,
            created_at=now,
            agent=agent.assignee if agent else None,
        )

    async def talk(self, seat: Seat, lead_id: int | None = None) -> Call:
        """A talk that goes on."""
        call = await self.place(lead_id, agent=seat)
        return await self.signals(call, Connected(utc_now(), agent=seat.assignee))

    async def hang_up(self, call: Call) -> Call:
        """The customer leaves."""
        return await self.signals(
            call, HungUp(utc_now(), result=Result.FAILED, cause=16, by=HungUpBy.CUSTOMER)
        )

    async def signals(self, call: Call, *signals: Signal) -> Call:
        """Put signals to the call, and have the journal write what follows."""
        journal = DatabaseJournal(self.database)
        table = CallTable(journal)
        table.add(self.line(call))
        for signal in signals:
            table.apply(call.attempt_id, signal)
            call = advance(call, signal)
        await journal.finish()
        return call

    def line(self, call: Call) -> Line:
        """The call as the engine holds it."""
        terms: Any = None  # the journal and the table never look at them
        made: CallTerms = terms
        return Line(call=call, terms=made, e164="", trunk_id=self.trunk_id, node=NODE)

    async def row(self, table: Any, key: object) -> Any:
        """A row by its id."""
        async with self.database.tenant(TENANT) as conn:
            return (await conn.execute(select(table).where(table.c.id == key))).one()


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


async def seated(site: Web, floor: Floor) -> tuple[Caller, Seat]:
    """An agent with a browser."""
    caller = await site.browser(Role.OPERATOR)
    assert caller.user is not None
    user = Actor(TENANT, caller.user.id, Role.OPERATOR, caller.user.name, "en")
    return caller, await floor.seat(user=user)
