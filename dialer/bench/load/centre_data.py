"""What a bench puts into the database: a trunk, a campaign, its list, agents with their tokens.

Written straight into the tables, as an import and a supervisor's clicks would leave them: thousands of rows
a second.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.config import ha1
from dialer.bench.load.hands import Worker
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.users.model import TOKEN_PREFIX, hash_token, new_token

TENANT: Final = 1
TRUNK: Final = "carrier"
#: The sound of the message for who gets no agent, under the prompts folder.
MESSAGE: Final = "load"

#: People with a lead each, from number `first` to `last`.
_LEADS = """
    WITH people AS (
        INSERT INTO contact (tenant_id, last_name, first_name)
        SELECT :tenant, 'Клиент ' || n, '' FROM generate_series(CAST(:first AS bigint), :last) n
        RETURNING id
    ), numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM people)
    INSERT INTO lead (tenant_id, campaign_id, list_id, contact_id, e164, timezones, sort_key, open_from,
                      open_until)
    SELECT :tenant, :campaign, :list, id, '+79' || lpad(CAST(CAST(:first AS bigint) + n - 1 AS text), 9, '0'),
           '{Europe/Moscow}', n, now() - interval '1 hour', now() + interval '10 years'
      FROM numbered
"""


@dataclass(slots=True)
class CentreData:
    """Ids of what is there."""

    database: Database
    trunk_id: int
    campaign_id: int
    list_id: int
    supervisor_token: str = field(repr=False)
    leads: int = 0
    agents: int = 0


async def make(
    database: Database, *, sip_port: int, max_cps: float = 1.0, max_channels: int = 5000, **campaign: Any
) -> CentreData:
    """A running campaign over one trunk, without leads and agents; `campaign` are its columns."""
    values = {
        "name": "Нагрузка",
        "status": "draft",
        "mode": "progressive",
        "policy": "demo",
        "ring_timeout_s": 20,
        "record": False,
        "call_from": "00:00",
        "call_until": "24:00",
        "wrap_up_limit_s": 60,
        "caller_name": "Нагрузка",
        "abandon_message": "Вам звонила нагрузка.",
        "abandon_sound": MESSAGE,
    } | campaign
    async with database.tenant(TENANT) as conn:
        trunk_id = await _made(
            conn,
            t.trunk,
            name="carrier",
            endpoint=TRUNK,
            caller_id="+74951234567",
            max_channels=max_channels,
            max_cps=max_cps,
            allowed_prefixes=["+7"],
            sip_host="127.0.0.1",
            sip_port=sip_port,
        )
        campaign_id = await _made(conn, t.campaign, **values)
        await conn.execute(
            insert(t.campaign_trunk).values(
                tenant_id=TENANT, campaign_id=campaign_id, position=1, trunk_id=trunk_id
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
        list_id = await _made(conn, t.contact_list, name="Нагрузка")
        user_id = await _user(conn, "load-supervisor", "administrator")
        token = await _token(conn, user_id)
    return CentreData(database, trunk_id, campaign_id, list_id, token)


async def add_leads(data: CentreData, count: int) -> None:
    """So many more leads, each a number of its own, to be dialled now."""
    async with data.database.tenant(TENANT) as conn:
        await conn.execute(
            text(_LEADS),
            {
                "tenant": TENANT,
                "list": data.list_id,
                "campaign": data.campaign_id,
                "first": data.leads + 1,
                "last": data.leads + count,
            },
        )
        await conn.execute(
            text("SELECT pg_notify('dozvon_engine', :note)"),
            {"note": '{"tenant": 1, "what": "campaigns"}'},
        )
    data.leads += count


@dataclass(frozen=True, slots=True)
class Seat:
    """An agent with its phone's name and password."""

    worker: Worker
    endpoint: str
    password: str = field(repr=False)


async def add_agents(data: CentreData, count: int) -> list[Seat]:
    """So many more agents, not logged in."""
    seats = []
    async with data.database.tenant(TENANT) as conn:
        for n in range(data.agents + 1, data.agents + count + 1):
            endpoint, password = f"load-agent-{n}", secrets.token_urlsafe(12)
            user_id = await _user(conn, endpoint, "operator")
            agent_id = await _made(
                conn,
                t.agent,
                user_id=user_id,
                name=f"Оператор {n}",
                endpoint=endpoint,
                sip_ha1=ha1(endpoint, password),
            )
            seats.append(Seat(Worker(agent_id, await _token(conn, user_id)), endpoint, password))
    data.agents += count
    return seats


async def _user(conn: AsyncConnection, login: str, role: str) -> int:
    # No password has this hash: they come by their tokens.
    return await _made(conn, t.app_user, login=login, name=login, role=role, password_hash="-")  # noqa: S106


async def _token(conn: AsyncConnection, user_id: int) -> str:
    token = new_token(TOKEN_PREFIX)
    await conn.execute(
        insert(t.api_token).values(
            tenant_id=TENANT, name="load", user_id=user_id, token_hash=hash_token(token)
        )
    )
    return token


async def _made(conn: AsyncConnection, table: Any, **values: Any) -> int:
    found = await conn.scalar(insert(table).values(tenant_id=TENANT, **values).returning(table.c.id))
    assert isinstance(found, int)
    return found


__all__: Sequence[str] = ("TENANT", "TRUNK", "CentreData", "Seat", "add_agents", "add_leads", "make")
