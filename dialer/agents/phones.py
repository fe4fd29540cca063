"""The browser as somebody's phone: its secret, made for one page and kept good while that is connected."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import phones_store as store
from dialer.agents.ice import IceServer, IceServers
from dialer.agents.own import own_agent
from dialer.asterisk.browsers import REALM, endpoint_of
from dialer.asterisk.config import ha1
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Right

#: How long a secret is good after its page was last heard of.
LASTS: Final = timedelta(minutes=2)
#: What the engine is asked for: to tell Asterisk of the secrets that the database has.
COMMAND: Final = "browser_phone"


class Engine(Protocol):
    """Has the engine do something, and waits for it; `calls.commands.CommandDesk` does."""

    async def ask(
        self, actor: Actor, kind: str, payload: Mapping[str, Any], *, campaign_id: int | None
    ) -> Mapping[str, Any]:
        """Raises what the engine raised, or AsteriskUnavailable when none answers."""


@dataclass(frozen=True, slots=True)
class OpenedPhone:
    """How a browser registers."""

    #: SIP user
    endpoint: str
    #: not kept anywhere
    password: str = field(repr=False)
    ice_servers: Sequence[IceServer]
    realm: str = REALM


@dataclass(frozen=True, slots=True)
class BrowserPhones:
    """The browsers that are phones of agents, and of supervisors who listen."""

    database: Database
    engine: Engine
    ice: IceServers

    async def open(self, actor: Actor) -> OpenedPhone:
        """A new secret for the actor's browser; Asterisk knows it when this returns, and the one before it no
        longer. Raises NotFound (who asks is no agent and listens to none), Forbidden, AsteriskUnavailable."""
        password = secrets.token_urlsafe(24)
        async with self.database.tenant(actor.tenant_id) as conn:
            user_id = await _speaks(conn, actor)
            endpoint = endpoint_of(user_id)
            await store.put(conn, actor.tenant_id, user_id, ha1(endpoint, password), LASTS)
        await self.engine.ask(actor, COMMAND, {"user_id": user_id}, campaign_id=None)
        return OpenedPhone(endpoint, password, self.ice.for_user(endpoint, utc_now()))

    async def endpoint(self, actor: Actor) -> tuple[int, str]:
        """The user that the actor is, and the endpoint of the browser. Raises NotFound, Forbidden."""
        async with self.database.tenant(actor.tenant_id) as conn:
            user_id = await _speaks(conn, actor)
        return user_id, endpoint_of(user_id)

    async def keep(self, tenant_id: int, user_id: int) -> None:
        """The user's page is still connected."""
        async with self.database.tenant(tenant_id) as conn:
            await store.keep(conn, tenant_id, user_id, LASTS)


async def _speaks(conn: AsyncConnection, actor: Actor) -> int:
    """The user that the actor is: one who may listen to agents, or an agent. Raises NotFound, Forbidden."""
    actor.require(Right.WORK)
    if actor.user_id is not None and actor.may(Right.AGENTS_CONTROL):
        return actor.user_id
    return (await own_agent(conn, actor)).user_id
