"""What the demo puts into the database before Asterisk reads it: its trunk, its agents, its supervisor."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.config import ha1
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo.carrier import Carrier
from dialer.users.passwords import Passwords

TENANT: Final = 1
TRUNK: Final = "carrier"
SUPERVISOR: Final = "demo"
#: An agent without a robot: whoever looks at the demo, with the browser as the phone.
GUEST: Final = "agent"


class Setup:
    """Puts the demo's trunk, agents and supervisor into the database before Asterisk reads it."""

    def __init__(self, agents: int, carrier: Carrier, *, guest: bool = False) -> None:
        self._carrier, self._guest = carrier, guest
        self.supervisor_password = secrets.token_urlsafe(9)
        self.guest_password = secrets.token_urlsafe(9)
        #: login (also the phone's), password at the server, password of the phone
        self.agents = [
            (f"demo-agent-{n}", secrets.token_urlsafe(12), secrets.token_urlsafe(12))
            for n in range(1, agents + 1)
        ]

    async def __call__(self, database: Database) -> None:
        passwords = Passwords()
        try:
            every = [self.supervisor_password, self.guest_password, *(web for _, web, _ in self.agents)]
            supervisor, guest, *hashes = await asyncio.gather(*map(passwords.hash, every))
        finally:
            passwords.close()
        async with database.tenant(TENANT) as conn:
            # What a demo that was killed left running belongs to it.
            await conn.execute(
                update(t.campaign)
                .where(t.campaign.c.status.in_(("running", "paused")))
                .values(status="stopped", ended_at=func.now())
            )
            await _end_shifts(conn)
            await self._trunk(conn)
            await _user(conn, SUPERVISOR, "Супервизор", "supervisor", supervisor)
            for (login, _, phone), hashed in zip(self.agents, hashes, strict=True):
                await _agent(conn, login, f"Оператор {login.rsplit('-', 1)[1]}", hashed, phone)
            if self._guest:
                await _agent(conn, GUEST, "Гость", guest, secrets.token_urlsafe(12))

    async def _trunk(self, conn: AsyncConnection) -> None:
        line = self._carrier.trunk()
        await _upsert(
            conn,
            t.trunk,
            {"name": "Петля"},
            {
                "endpoint": TRUNK,
                "caller_id": "+74951234567",
                "max_channels": line.max_channels,
                "max_cps": 20.0,
                "allowed_prefixes": ["+7"],
                "sip_host": line.host,
                "sip_port": line.port,
                "sip_user": line.user,
                "sip_secret": line.secret,
                "codecs": list(line.codecs),
            },
        )


async def _end_shifts(conn: AsyncConnection) -> None:
    """End the shifts that such a demo left open: their phones are gone for good."""
    now = func.now()
    await conn.execute(update(t.agent_time).where(t.agent_time.c.ended_at.is_(None)).values(ended_at=now))
    await conn.execute(
        update(t.agent_session)
        .where(t.agent_session.c.logged_out_at.is_(None))
        .values(
            state="offline",
            state_since=now,
            logged_out_at=now,
            leg=None,
            attempt_id=None,
            lead_id=None,
            next_state=None,
        )
    )


async def _agent(conn: AsyncConnection, login: str, name: str, password_hash: str, phone: str) -> None:
    """A user who takes calls; `phone`: the password of the SIP phone of that login."""
    user_id = await _user(conn, login, name, "operator", password_hash)
    values = {"user_id": user_id, "name": name, "sip_ha1": ha1(login, phone), "enabled": True}
    await _upsert(conn, t.agent, {"endpoint": login}, values)


async def _user(conn: AsyncConnection, login: str, name: str, role: str, password_hash: str) -> int:
    return await _upsert(
        conn, t.app_user, {"login": login}, {"name": name, "role": role, "password_hash": password_hash}
    )


async def _upsert(
    conn: AsyncConnection, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]
) -> int:
    """Change the row of this key, or make it; its id."""
    where = [table.c.tenant_id == TENANT, *(table.c[name] == value for name, value in key.items())]
    found = await conn.scalar(update(table).where(*where).values(values).returning(table.c.id))
    if found is None:
        found = await conn.scalar(
            table.insert().values(tenant_id=TENANT, **key, **values).returning(table.c.id)
        )
    assert isinstance(found, int)
    return found
