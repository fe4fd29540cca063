"""The browser as an agent's phone: its secret, made for one page and kept good while that is connected."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

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
    """The browsers that are agents' phones."""

    database: Database
    engine: Engine
    ice: IceServers

    async def open(self, actor: Actor) -> OpenedPhone:
        """A new secret for the actor's browser; Asterisk knows it when this returns, and the one before it no
        longer. Raises NotFound (who asks is no agent), Forbidden, AsteriskUnavailable."""
        actor.require(Right.WORK)
        password = secrets.token_urlsafe(24)
        async with self.database.tenant(actor.tenant_id) as conn:
            agent = await own_agent(conn, actor)
            endpoint = endpoint_of(agent.id)
            await store.put(conn, actor.tenant_id, agent.id, ha1(endpoint, password), LASTS)
        await self.engine.ask(actor, COMMAND, {"agent_id": agent.id}, campaign_id=None)
        return OpenedPhone(endpoint, password, self.ice.for_user(endpoint, utc_now()))

    async def endpoint(self, actor: Actor) -> tuple[int, str]:
        """The agent that the actor is, and the endpoint of its browser. Raises NotFound, Forbidden."""
        actor.require(Right.WORK)
        async with self.database.tenant(actor.tenant_id) as conn:
            agent = await own_agent(conn, actor)
        return agent.id, endpoint_of(agent.id)

    async def keep(self, tenant_id: int, agent_id: int) -> None:
        """The agent's page is still connected."""
        async with self.database.tenant(tenant_id) as conn:
            await store.keep(conn, tenant_id, [agent_id], LASTS)
