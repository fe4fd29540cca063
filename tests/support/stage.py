"""A contact centre in the middle of its day, written into a test's database for its pages to show."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents.service import AgentService
from dialer.campaigns.fields import CampaignIn
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.contacts.model import FAR_FUTURE
from dialer.db import events
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.trunks.fields import TrunkIn
from dialer.trunks.service import TrunkService
from support.cast import RUSSIAN, Cast
from support.web import Web

TENANT = 1
#: Results of the calls of the morning, in their shares.
SHARES = {
    "answered": 46, "no_answer": 28, "busy": 9, "machine": 7, "declined": 4, "invalid": 3,
    "caller_hung_up": 1,
}  # fmt: skip


@dataclass(slots=True)
class Stage:
    """The centre's parts, and what a test lets happen there."""

    web: Web
    campaign_id: int
    trunk_id: int
    list_id: int
    #: agents' ids, the first of them is logged in and free
    agents: list[int]
    #: users' ids of the agents
    users: list[int]
    #: of each agent: the open shift
    shifts: dict[int, UUID]
    dispositions: Mapping[str, int]
    cast: Cast = RUSSIAN
    #: customers whom agents were given, each one another person
    assigned: int = 0

    @property
    def database(self) -> Database:
        """As the server has it."""
        return self.web.database

    async def tell(
        self, conn: AsyncConnection, kind: str, agent_id: int | None = None, **payload: Any
    ) -> None:
        """Emit an event of the campaign in the transaction of its fact."""
        await events.emit(
            conn, kind, payload, tenant_id=TENANT, campaign_id=self.campaign_id, agent_id=agent_id
        )

    async def put(self, agent_id: int, state: str, attempt_id: UUID | None = None, **columns: Any) -> None:
        """An agent is in another state from now on."""
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(
                update(t.agent_session)
                .where(t.agent_session.c.id == self.shifts[agent_id])
                .values(state=state, state_since=utc_now(), attempt_id=attempt_id, **columns)
            )
            await events.emit(
                conn,
                "agent.state",
                {"agent_id": agent_id, "state": state},
                tenant_id=TENANT,
                agent_id=agent_id,
            )

    async def assign(self, agent_id: int, *, surname: str | None = None) -> UUID:
        """A customer has answered and this agent is chosen: the card must be there before the voice."""
        now = utc_now()
        made_at = now - timedelta(seconds=9)
        before, self.assigned = self.assigned, self.assigned + 1
        async with self.database.tenant(TENANT) as conn:
            contact_id, lead_id, number = await add_person(
                conn,
                self.list_id,
                self.campaign_id,
                random.Random(6 + agent_id + 1000 * before),
                cast=self.cast,
                surname=surname or self.cast.surnames[2],
                lead={"status": "dialling", "attempts": 1, "last_attempt_at": made_at},
            )
            attempt_id = await self.attempt(
                conn,
                at=made_at,
                e164=number,
                state="waiting",
                contact_id=contact_id,
                lead_id=lead_id,
                answered_at=now,
                session_id=self.shifts[agent_id],
                agent_id=agent_id,
                assigned_at=now,
            )
            await conn.execute(
                update(t.agent_session)
                .where(t.agent_session.c.id == self.shifts[agent_id])
                .values(state="reserved", state_since=now, attempt_id=attempt_id)
            )
            await self.tell(conn, "call.assigned", agent_id, attempt_id=str(attempt_id))
        return attempt_id

    async def change(self, attempt_id: UUID, agent_id: int | None, **columns: Any) -> None:
        """A call has moved on."""
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(update(t.attempt).where(t.attempt.c.id == attempt_id).values(**columns))
            await self.tell(conn, "call.state", agent_id, attempt_id=str(attempt_id))

    async def attempt(self, conn: AsyncConnection, *, at: datetime, e164: str, **columns: Any) -> UUID:
        """Write an attempt."""
        attempt_id = new_id()
        values = {
            "tenant_id": TENANT, "id": attempt_id, "campaign_id": self.campaign_id, "list_id": self.list_id,
            "e164": e164, "trunk_id": self.trunk_id, "caller_id": "+74951230000", "mode": "progressive",
            "policy": "ru-service/1", "state": "dialling", "created_at": at,
            "sent_at": at + timedelta(milliseconds=40), "ringing_at": at + timedelta(seconds=1),
        }  # fmt: skip
        await conn.execute(insert(t.attempt).values(values | columns))
        return attempt_id


async def add_person(
    conn: AsyncConnection,
    list_id: int,
    campaign_id: int | None,
    dice: random.Random,
    *,
    cast: Cast = RUSSIAN,
    surname: str | None = None,
    lead: Mapping[str, Any] | None = None,
) -> tuple[int, int | None, str]:
    """A contact with a number, and a lead of the campaign: (contact, lead, number)."""
    first = dice.choice(cast.names)
    last = surname or dice.choice(cast.surnames)
    custom = cast.facts(dice)
    contact_id = (
        await conn.execute(
            insert(t.contact)
            .values(
                tenant_id=TENANT,
                last_name=cast.declined(last, first),
                first_name=first,
                custom=custom,
            )
            .returning(t.contact.c.id)
        )
    ).scalar_one()
    await conn.execute(
        insert(t.list_contact).values(tenant_id=TENANT, list_id=list_id, contact_id=contact_id)
    )
    number = f"+7916{dice.randint(0, 9_999_999):07}"
    zones = ["Europe/Moscow"]
    await conn.execute(
        insert(t.contact_phone).values(
            tenant_id=TENANT, contact_id=contact_id, position=1, e164=number, kind="mobile", timezones=zones
        )
    )
    lead_id = None
    if campaign_id is not None:
        values = {
            "tenant_id": TENANT, "campaign_id": campaign_id, "list_id": list_id, "contact_id": contact_id,
            "e164": number, "timezones": zones, "open_from": utc_now(), "open_until": FAR_FUTURE,
        }  # fmt: skip
        lead_id = (
            await conn.execute(insert(t.lead).values(values | dict(lead or {})).returning(t.lead.c.id))
        ).scalar_one()
    return contact_id, lead_id, number


async def set_stage(web: Web, *, calls: int = 40, leads: int = 12, cast: Cast = RUSSIAN) -> Stage:
    """A running campaign with its morning behind it: six agents in different states, calls on the lines."""
    server, dice, now = Actor.server(TENANT), random.Random(11), utc_now()
    database = web.database
    trunk = await TrunkService(database).create(
        server,
        TrunkIn(
            name=cast.trunk,
            caller_id="+74951230000",
            allowed_prefixes=["+7"],
            sip_host="127.0.0.1",
            sip_port=5070,
        ),
    )
    campaigns = CampaignService(database)
    view = await campaigns.create(
        server,
        CampaignIn(
            name=cast.campaign,
            policy="ru-service",
            caller_name=cast.caller_name,
            abandon_message=cast.abandon_message,
            detect_machines=True,
            trunks=[trunk["id"]],
        ),
    )
    campaign_id = view.campaign.id
    kinds = {one.code: one.id for one in await campaigns.dispositions(server, campaign_id)}
    users: list[int] = []
    agents: list[int] = []
    shifts: dict[int, UUID] = {}
    service = AgentService(database, managed=True)
    for n, person in enumerate(cast.agents):
        user = await web.user(Role.OPERATOR)
        made = await service.create(
            server, user_id=user.id, name=person, endpoint=f"agent-{n + 1}", skills=[cast.skill]
        )
        users.append(user.id)
        agents.append(made.agent.id)
    async with database.tenant(TENANT) as conn:
        list_id = (
            await conn.execute(
                insert(t.contact_list)
                .values(tenant_id=TENANT, name=cast.list_name)
                .returning(t.contact_list.c.id)
            )
        ).scalar_one()
        await conn.execute(
            update(t.campaign)
            .where(t.campaign.c.id == campaign_id)
            .values(status="running", started_at=now - timedelta(minutes=50))
        )
        stage = Stage(web, campaign_id, trunk["id"], list_id, agents, users, shifts, kinds, cast)
        # Some earlier talk of the campaign: whose it was makes no odds to its occupancy.
        one_talk = await stage.attempt(
            conn, at=now - timedelta(minutes=49), e164="+79160000000", state="ended", result="no_answer",
            hung_up_at=now, ended_at=now,
        )  # fmt: skip
        states = ("ready", "talking", "talking", "wrap_up", "paused", "ready")
        for n, (agent_id, state) in enumerate(zip(agents, states, strict=True)):
            shifts[agent_id] = new_id()
            since = now - timedelta(seconds=(35, 143, 48, 12, 420, 8)[n])
            await conn.execute(
                insert(t.agent_session).values(
                    tenant_id=TENANT, id=shifts[agent_id], agent_id=agent_id, state=state, state_since=since,
                    pause_code="break" if state == "paused" else None, idle_since=since, leg=new_id(),
                    logged_in_at=now - timedelta(hours=1),
                )
            )  # fmt: skip
            for part, begun, ended in (
                ("talking", 3000, 900), ("ready", 900, 600), (state, 600, None),
            ):  # fmt: skip
                await conn.execute(
                    insert(t.agent_time).values(
                        tenant_id=TENANT, session_id=shifts[agent_id], agent_id=agent_id, state=part,
                        attempt_id=one_talk if part == "talking" and ended else None,
                        started_at=now - timedelta(seconds=begun),
                        ended_at=now - timedelta(seconds=ended) if ended else None,
                    )
                )  # fmt: skip
        await _morning(conn, stage, dice, now, calls)
        for n in range(leads):
            lead = {"status": "waiting", "last_result": "busy", "attempts": 1} if n % 5 == 0 else None
            await add_person(conn, list_id, campaign_id, dice, cast=cast, lead=lead)
        await _present(conn, stage, dice, now)
    return stage


async def _morning(
    conn: AsyncConnection, stage: Stage, dice: random.Random, now: datetime, calls: int
) -> None:
    results = dice.choices(list(SHARES), list(SHARES.values()), k=calls)
    results[-5] = "machine"
    if calls >= 80:  # one of fewer would be above the policy's line
        results[-4] = "abandoned"
    codes = ("sale", "interest", "callback", "refusal", "refusal", "no-contact")
    for n, result in enumerate(reversed(results)):
        at = now - timedelta(seconds=60 + n * (2800 / calls))
        contact_id, lead_id, number = await add_person(
            conn,
            stage.list_id,
            stage.campaign_id,
            dice,
            cast=stage.cast,
            lead={"status": "closed", "attempts": 1},
        )
        live = result in ("answered", "machine", "abandoned", "caller_hung_up")
        answered = at + timedelta(seconds=dice.randint(5, 16)) if live else None
        ended = (answered or at) + timedelta(seconds=dice.randint(20, 190) if result == "answered" else 3)
        columns: dict[str, Any] = {
            "contact_id": contact_id, "lead_id": lead_id, "state": "ended", "result": result,
            "answered_at": answered, "hung_up_at": ended, "ended_at": ended + timedelta(seconds=8),
        }  # fmt: skip
        if result == "answered" and answered is not None:
            number_of = n % len(stage.agents)
            columns |= {
                "screened_at": answered + timedelta(seconds=1.8),
                "assigned_at": answered + timedelta(seconds=1.85),
                "connected_at": answered + timedelta(seconds=1.9),
                "join_ms": dice.uniform(2, 9), "answer_to_agent_ms": dice.uniform(1750, 2600),
                "agent_id": stage.agents[number_of],
                "session_id": stage.shifts[stage.agents[number_of]],
                "disposition_id": stage.dispositions[dice.choice(codes)],
                "disposition_note": stage.cast.note if n % 7 == 0 else None,
                "disposed_at": ended + timedelta(seconds=6), "hung_up_by": "customer",
                "machine_status": "HUMAN", "machine_cause": "HUMAN-700-700",
            }  # fmt: skip
        else:
            columns |= {"sip_code": {"busy": 486, "no_answer": 480, "declined": 603}.get(result)}
        await stage.attempt(conn, at=at, e164=number, **columns)


async def _present(conn: AsyncConnection, stage: Stage, dice: random.Random, now: datetime) -> None:
    """Calls on the lines, the last decision, and an engine that is well."""
    talkers = {1: 143, 2: 48}
    for n, state in enumerate(("dialling", "ringing", "ringing", "screening", "connected", "connected")):
        contact_id, lead_id, number = await add_person(
            conn,
            stage.list_id,
            stage.campaign_id,
            dice,
            cast=stage.cast,
            lead={"status": "dialling", "attempts": 1},
        )
        columns: dict[str, Any] = {"contact_id": contact_id, "lead_id": lead_id, "state": state}
        at = now - timedelta(seconds=4 + n)
        if state == "connected":
            agent_id = stage.agents[n - 3]
            begun = now - timedelta(seconds=talkers[n - 3])
            at = begun - timedelta(seconds=12)
            columns |= {
                "answered_at": begun - timedelta(seconds=2), "connected_at": begun, "result": "answered",
                "agent_id": agent_id, "session_id": stage.shifts[agent_id],
            }  # fmt: skip
        attempt_id = await stage.attempt(conn, at=at, e164=number, **columns)
        if state == "connected":
            await conn.execute(
                update(t.agent_session)
                .where(t.agent_session.c.id == stage.shifts[columns["agent_id"]])
                .values(attempt_id=attempt_id)
            )
    await conn.execute(
        insert(t.pacing_tick).values(
            tenant_id=TENANT, campaign_id=stage.campaign_id, at=now, dial=0, why="enough_in_air",
            inputs={"ready": 2, "in_air": 4, "ratio": 2, "lines_left": 26},
        )
    )  # fmt: skip
    await breathe(conn)


async def breathe(conn: AsyncConnection, **status: Any) -> None:
    """The engine says that it is well (or what troubles it)."""
    # An hour ahead: a test need not say it again each second.
    values = {"seen_at": utc_now() + timedelta(hours=1), "status": {"asterisk": True, "trouble": ""} | status}
    await conn.execute(
        upsert(t.process_status)
        .values(name="engine", started_at=utc_now(), **values)
        .on_conflict_do_update(index_elements=["server", "name"], set_=values)
    )
