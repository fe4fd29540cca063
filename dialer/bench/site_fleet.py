"""More of everything for a site: several Asterisk servers (nodes), several servers, one database.

Each agent's phone is registered at every node, as behind a registrar that forks; each server has a name, a
FastAGI port and a user at every node of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from socket import SOCK_DGRAM

from pydantic import SecretStr
from sqlalchemy import func, select

from dialer.asterisk.config import ManagedAsterisk, render_manager
from dialer.asterisk.runtime import AsteriskServer
from dialer.bench.site import AT_WORK, TENANT, Site, patience
from dialer.bench.site_parts import Part, until
from dialer.db import tables as t
from dialer.demo.phones import AgentPhones
from dialer.managed import asterisk_of
from dialer.ports import free_port
from dialer.processes import child_environment
from dialer.servers import store as servers
from dialer.settings import Settings

MAIN = "main"
_RTP_PORTS = 1000
#: Until a node that was added is driven by every server, and until phones have moved.
JOIN_S, MOVE_S = 15.0, 30.0


@dataclass(slots=True)
class Fleet:
    """The nodes and servers of a site, by name; "main" are the site's own."""

    site: Site
    nodes: dict[str, AsteriskServer]
    servers: dict[str, Part]

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, site: Site, *, nodes: Sequence[str] = (), more_servers: Sequence[str] = ()
    ) -> AsyncIterator[Fleet]:
        """Add these nodes and servers to a site that is at work; stop them at the end.

        A server is at home at the node of its place in the list, or at the main one.
        """
        names = [site.settings.server_name, *more_servers]
        users = [_as_server(site.settings, name) for name in names]
        fleet = cls(site, {MAIN: site.asterisk}, {site.settings.server_name: site.engine})
        homes = {
            name: (node, _as_node(site.settings, node)) for name, node in zip(names[1:], nodes, strict=False)
        }
        async with AsyncExitStack() as stack:
            site.asterisk.write_generated({"manager.conf": _manager(site.settings, users)})
            await site.asterisk.cli("manager reload")
            places = dict(homes.values()) | {
                node: _as_node(site.settings, node) for node in nodes if node not in dict(homes.values())
            }
            for node, place in places.items():
                await fleet._add_node(node, place, users, stack)
            for user in users[1:]:
                at, place = homes.get(user.server_name, (MAIN, site.settings))
                chosen = user.model_copy(update={"node_name": at, "ami_port": place.ami_port})
                said = child_environment(chosen, site.urls, os.environ)
                part = Part("engine", said, site.folder / f"{user.server_name}.log")
                stack.push_async_callback(part.stop)
                await part.start(within_s=patience(30))
                fleet.servers[user.server_name] = part
            for node in nodes:
                if node not in {at for at, _ in homes.values()}:
                    async with site.database.system() as conn:
                        await servers.put_node(conn, node, "127.0.0.1", places[node].ami_port)
            await fleet.until_ready(list(fleet.nodes), patience(JOIN_S))
            if nodes:
                await fleet.spread()
            yield fleet

    async def _add_node(
        self, name: str, place: Settings, users: Sequence[Settings], stack: AsyncExitStack
    ) -> None:
        site = self.site
        place.data_dir.mkdir()
        asterisk = await asterisk_of(place, site.database)
        asterisk.write_generated({"manager.conf": _manager(place, users)})
        stack.callback(power_off, asterisk)
        await asterisk.start()
        phones = AgentPhones(
            site.desk,
            registrar=f"{place.sip_host}:{place.sip_port}",
            carrier=site.carrier,
            kind=site.phones.kind,
            apart=site.phones.kind != "softphones",
        )
        stack.push_async_callback(phones.stop)
        await phones.start()
        async with asyncio.timeout(patience(JOIN_S)):
            await phones.wait_registered()
        self.nodes[name] = asterisk

    async def spread(self) -> None:
        """Have the agents' phones called by the other nodes: they were all at the main one."""
        await self.set_draining(MAIN, draining=True)
        await self.until_empty(MAIN, patience(MOVE_S))
        await self.set_draining(MAIN, draining=False)
        await self.site.until_agents_back(patience(MOVE_S))

    async def owner(self) -> str | None:
        """The server that paces the campaign. Raises DatabaseUnavailable."""
        query = select(t.lease.c.server).where(
            t.lease.c.kind == "campaign", t.lease.c.key == self.site.campaign_id
        )
        async with self.site.database.tenant(TENANT) as conn:
            owner: str | None = await conn.scalar(query)
        return owner

    async def start_servers(self) -> None:
        """Start those that were killed."""
        for part in self.servers.values():
            if part.pid is None:
                await part.start(within_s=patience(30))

    # -- what servers say of nodes ---------------------------------------------------------------------

    async def until_ready(self, names: Sequence[str], within_s: float) -> None:
        """Wait until every living server has these nodes ready. Raises NotInTime."""

        async def ready() -> bool:
            async with self.site.database.system() as conn:
                seen = [each for each in await servers.seen(conn) if each.silent_s < 3 and not each.stopped]
            alive = sum(part.pid is not None for part in self.servers.values())
            views = [each.status.get("nodes", {}) for each in seen]
            return len(views) == alive and all(
                view.get(name, {}).get("ready") for view in views for name in names
            )

        await until(f"nodes {', '.join(names)} are ready", ready, within_s, look_s=0.2)

    async def phones_at(self) -> dict[str, int]:
        """Agents at work, by the node that has their phones."""
        s = t.agent_session.c
        query = (
            select(s.node, func.count().label("many"))
            .where(s.logged_out_at.is_(None), s.state.in_(AT_WORK))
            .group_by(s.node)
        )
        async with self.site.database.tenant(TENANT) as conn:
            counted = {row.node: row.many for row in await conn.execute(query)}
        return {name: counted.get(name, 0) for name in self.nodes}

    async def set_draining(self, name: str, *, draining: bool) -> None:
        """What `dozvon node drain` and `resume` do."""
        async with self.site.database.system() as conn:
            await servers.set_draining(conn, name, draining=draining)

    async def until_empty(self, name: str, within_s: float) -> None:
        """Wait until no agent's phone is at the node and it has no call. Raises NotInTime."""

        async def empty() -> bool:
            if (await self.phones_at())[name]:
                return False
            a = t.attempt.c
            async with self.site.database.tenant(TENANT) as conn:
                open_calls = await conn.scalar(
                    select(func.count()).where(a.node == name, a.hung_up_at.is_(None), a.ended_at.is_(None))
                )
            return open_calls == 0

        await until(f"node {name} is empty", empty, within_s, look_s=0.2)


def power_off(asterisk: AsteriskServer) -> None:
    """kill -9."""
    if (pid := asterisk.pid) is not None:
        os.kill(pid, signal.SIGKILL)


def _as_server(settings: Settings, name: str) -> Settings:
    """As the server of that name: the site's own is as it is."""
    if name == settings.server_name:
        return settings
    own = {"server_name": name, "ami_user": name, "agi_port": free_port(), "http_port": free_port()}
    return settings.model_copy(update={**own, "ami_secret": SecretStr(settings.ami_password())})


def _as_node(settings: Settings, name: str) -> Settings:
    """As another Asterisk: its own folder and ports."""
    rtp = random.randrange(33_000, 58_000, _RTP_PORTS)  # noqa: S311 - to be apart, not secret
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir / f"node-{name}",
            "sounds_dir": settings.prompts_dir,
            "ami_secret": SecretStr(settings.ami_password()),
            "ami_port": free_port(),
            "asterisk_http_port": free_port(),
            "sip_port": free_port(SOCK_DGRAM),
            "rtp_port_from": rtp,
            "rtp_port_to": rtp + _RTP_PORTS - 1,
        }
    )


def _manager(node: Settings, users: Sequence[Settings]) -> str:
    """A node's manager.conf with a user for each server."""
    port = {"ami_port": node.ami_port}
    texts = [render_manager(ManagedAsterisk.of(user.model_copy(update=port))) for user in users]
    sections = [text[text.index(f"[{user.ami_user}]") :] for text, user in zip(texts, users, strict=True)]
    return texts[0] + "".join(f"\n{section}" for section in sections[1:])
