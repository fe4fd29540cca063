"""A working contact centre for hostile inputs: who watches it, and what must be true of it after each block.

Calls run in tenant 1 all the while. Hostile programs and people are of a tenant of their own: what an
administrator may do (switch a trunk off, log an agent out) is no fault, and must not end the calls that show
that the floor lives.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import text

from dialer.asterisk.ami import Address, AmiEvent, AmiLink
from dialer.bench.faults.hostile.block import Block
from dialer.bench.model import Say
from dialer.bench.site import TENANT as OWN_TENANT
from dialer.bench.site import Mark, NotInTime, Site, patience
from dialer.db.session import create_engine
from dialer.demo.api import Api
from dialer.httpkit.access import Actor, Role
from dialer.users.model import User
from dialer.users.service import UserService

#: The tenant of those who mean harm.
TENANT: Final = 2
PASSWORD: Final = "correct-horse-9"  # noqa: S105 - of users that live as long as the bench
#: How long the next call may take to be made, seconds at rest.
LIVE_S: Final = 10.0
#: The file that Asterisk writes what its manager was asked into, while it is looked at.
LOG: Final = "hostile.log"

_ACTION = re.compile(r"<--- Examining AMI action: -->\n(.*?)\n\n(?=\[\d{4}-)", re.DOTALL)


@dataclass(slots=True)
class Floor:
    """The site, and a witness at its Asterisk's manager interface."""

    site: Site
    users: UserService
    link: AmiLink
    #: since when calls are made
    since: Mark
    #: of a supervisor of the site's own tenant: log-ins without end shut the door to this machine's address
    supervisor_token: str
    #: pids of web, engine and Asterisk, which nothing may change
    pids: tuple[int | None, ...] = ()
    #: channels that Asterisk made under ids that are not ours, and events that nobody but a stranger sends
    strange: list[str] = field(default_factory=list)
    _made: int = 0

    def processes(self) -> tuple[int | None, ...]:
        """Who runs now."""
        return self.site.web.pid, self.site.engine.pid, self.site.asterisk.pid

    def actor(self) -> Actor:
        """The server itself, in the hostile tenant."""
        return Actor.server(TENANT)

    async def login(self, role: Role) -> str:
        """A new user of the role in the hostile tenant; its login, the password is PASSWORD."""
        self._made += 1
        return (await _user(self.users, self.actor(), f"hostile{self._made}", role)).login

    async def token(self, role: Role) -> str:
        """An API token of a new user of the role: earlier ones may have been revoked by a hostile request."""
        self._made += 1
        return await _token(self.users, self.actor(), f"hostile{self._made}", role)

    # -- what must hold --------------------------------------------------------------------------------

    async def holds(self, block: Block, since: Mark) -> None:
        """Harm unless the same processes run, no channel is strange, and calls go on."""
        if self.processes() != self.pids:
            block.harm(f"processes (web, engine, Asterisk) were {self.pids}, are {self.processes()}")
            self.pids = self.processes()
        try:
            await self.site.until_dialling(patience(LIVE_S))
        except NotInTime as error:
            block.harm(f"calls have stopped: {error}")
        for each in self.strange:
            block.harm(each)
        self.strange.clear()
        tally = await self.site.tally(since)
        block.calls += tally.calls
        if tally.double_dials or tally.without_row:
            block.harm(
                f"{tally.double_dials} double dials, {tally.without_row} numbers dialled by nobody of ours"
            )

    async def stop_dialling(self) -> None:
        """Pause the campaign, as a supervisor does."""
        await self.site.stop_feeding()
        async with Api(self.site.url, token=self.supervisor_token) as api:
            await api.call("POST", f"/campaigns/{self.site.campaign_id}/pause")

    async def watch(self) -> None:
        """Note what Asterisk says of channels that nobody of ours asked for, until cancelled."""
        while True:
            item = await self.link.inbox.get()
            if isinstance(item, AmiEvent):
                self._see(item)

    def _see(self, event: AmiEvent) -> None:
        if event.name == "UserEvent":
            self.strange.append(f"an event of nobody's: {dict(event.fields)}"[:300])
        if event.name != "Newchannel":
            return  # a reply's tail, which no filter keeps out
        try:
            UUID(event.get("Uniqueid"))
        except ValueError:
            self.strange.append(f"a channel of nobody's: {event.get('Channel')} to {event.get('Exten')}")

    # -- what the manager was asked ----------------------------------------------------------------------

    @property
    def _log(self) -> Path:
        return self.site.asterisk.run_dir / "log" / LOG

    @asynccontextmanager
    async def overheard(self) -> AsyncIterator[list[dict[str, list[str]]]]:
        """The actions that reach Asterisk's manager within the block, header -> values; filled at its end."""
        heard: list[dict[str, list[str]]] = []
        cli = self.site.asterisk.cli
        await cli(f"logger add channel {LOG} verbose")
        await cli("manager set debug on")
        try:
            yield heard
        finally:
            await cli("manager set debug off")
            await cli(f"logger remove channel {LOG}")
            said = await asyncio.to_thread(self._log.read_text, errors="replace")
            for found in _ACTION.finditer(said):
                action: dict[str, list[str]] = {}
                for line in found[1].split("\n"):
                    key, _, value = line.partition(": ")
                    action.setdefault(key, []).append(value)
                heard.append(action)
            self._log.unlink()


async def _user(users: UserService, actor: Actor, login: str, role: Role) -> User:
    return await users.add(actor, login=login, name=login, role=role, locale="en", password=PASSWORD)


async def _token(users: UserService, actor: Actor, login: str, role: Role) -> str:
    user = await _user(users, actor, login, role)
    _, token = await users.add_token(actor, "bench", user.id)
    return token


@asynccontextmanager
async def opened(seed: int, say: Say) -> AsyncIterator[Floor]:
    """A site with calls running, the hostile tenant, and the witness."""
    async with Site.open(agents=3, seed=seed, talk_s=0.8, say=say) as site:
        owner = create_engine(site.urls.owner, pool=1)
        try:
            async with owner.begin() as conn:
                await conn.execute(
                    text("INSERT INTO tenant (id, name) VALUES (:id, 'Hostile')"), {"id": TENANT}
                )
        finally:
            await owner.dispose()
        users = UserService(site.database, session_hours=12)
        settings = site.settings
        address = Address("127.0.0.1", settings.ami_port, settings.ami_user, settings.ami_password())
        link = AmiLink(address, wanted={"Newchannel", "UserEvent"})
        own_token = await _token(users, Actor.server(OWN_TENANT), "bench", Role.SUPERVISOR)
        floor = Floor(site, users, link, site.mark(), own_token)
        tasks = [
            asyncio.create_task(link.run(), name="witness"),
            asyncio.create_task(floor.watch(), name="watch"),
        ]
        try:
            await link.wait_up(patience(10))
            await site.keep_dialling()
            await site.until_dialling(patience(30))
            floor.pids = floor.processes()
            yield floor
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            users.close()
