"""A whole contact centre in a folder of its own, made to be broken.

Everything in it is the real thing but the people: PostgreSQL, Asterisk, the loopback carrier with its own
log, registered phones, the server's web and engine as processes of their own, and agents who work through the
API. A row of the bench breaks a part of it and asks what was lost:

    async with Site.open(agents=4, seed=1) as site:
        await site.keep_dialling()                  # a campaign that never runs out of numbers
        await site.until_dialling(10)
        mark = site.mark()
        await site.engine.kill()                    # kill -9
        await site.engine.start()                   # what the server's watcher does
        recover_s = await site.until_working(30)    # agents are back and new calls are made
        await site.until_ended(mark, 60)
        lost = await site.tally(mark)               # double dials, unfinished attempts, lost dispositions

Its Asterisk is `external` to the server: it is not started again by anybody but the row. Every number is used
once, so a second INVITE to one is a double dial.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any

import structlog
from sqlalchemy import func, insert, select, text

from dialer import settings as server_settings
from dialer.agents.model import AgentState
from dialer.asterisk.runtime import AsteriskServer, find_asterisk
from dialer.asterisk.speech import Speaker
from dialer.bench.model import Say
from dialer.bench.site_numbers import Numbers, Supply
from dialer.bench.site_parts import NotInTime, Part, until
from dialer.bench.site_reaper import folder_of_its_own
from dialer.bench.site_robots import Robot, Robots
from dialer.bench.site_tally import Tally, Witness
from dialer.clock import utc_now
from dialer.db import migrate
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres, Urls
from dialer.db.session import Database
from dialer.demo.api import Api
from dialer.demo.carrier import Carrier
from dialer.demo.phones import AgentPhones, Kind, Phone
from dialer.demo.setup import SUPERVISOR, TENANT, TRUNK, Setup
from dialer.errors import DatabaseUnavailable
from dialer.managed import asterisk_of
from dialer.ports import free_port
from dialer.processes import child_environment
from dialer.settings import Settings

__all__ = ["TENANT", "Mark", "NotInTime", "Site", "Tally"]

log = structlog.get_logger(__name__)

#: Voice ports of its Asterisk: two a leg.
_RTP_PORTS = 2000
#: So many numbers lie ready that nobody has dialled; how often that is looked at.
_AHEAD, _FEED_S = 100, 0.5
#: The states in which an agent is part of the work.
AT_WORK = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
#: No limit is stretched more often than so.
MOST_BUSY = 4.0
#: What the machine is asked when it is at rest: from a restart to agents at work.
RECOVER_S = 5.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in time of a site's life, for `tally`."""

    at: datetime


def busy() -> float:
    """How many times slower than at rest the machine may be: the load average over the cores, 1 at least and
    MOST_BUSY at most.

    A figure is to say what the server does, not how many other programs want the same processors; but a limit
    that gives way to everything is none.
    """
    return min(MOST_BUSY, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def patience(seconds: float) -> float:
    """How long to wait for what takes `seconds` at most at rest: longer on a busy machine."""
    return seconds * busy()


@dataclass(slots=True)
class Site:
    """One contact centre. Use `Site.open`."""

    folder: Path
    settings: Settings
    urls: Urls
    postgres: EmbeddedPostgres
    #: as the server's role, for looking: what is asked here is not asked by the server
    database: Database
    asterisk: AsteriskServer
    carrier: Carrier
    phones: AgentPhones
    #: the agents' phones, as they register
    desk: Sequence[Phone]
    web: Part
    engine: Part
    robots: Robots
    #: login and password of a supervisor
    supervisor: tuple[str, str]
    numbers: Supply
    campaign_id: int = 0
    _witness: Witness = field(init=False)
    _feeding: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._witness = Witness(self.database, self.carrier, self.robots)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        folder: Path | None = None,
        *,
        agents: int = 4,
        seed: int = 1,
        talk_s: float = 2.0,
        wrap_up_s: float = 0.3,
        ring_s: float = 0.5,
        engine: Sequence[str] = (),
        say: Say | None = None,
        environment: Mapping[str, str] | None = None,
        urls: Urls | None = None,
        phones: Kind | None = None,
        asterisk_settings: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Site]:
        """Set one up, with its agents logged in and ready; stop all of it at the end.

        `talk_s`, `wrap_up_s` and `ring_s` are means. `engine` is a program in the engine's place (see
        `Part.start`), `environment` more of the processes' environment, `settings` what the server has other
        than a site's own (`ami_port` of a proxy between the two, ...), `asterisk_settings` what Asterisk and
        the server have.
        `phones`: of which kind they are; None: softphones where this machine has them.
        `urls` are of a database elsewhere: then its own PostgreSQL is not started.
        `folder`: None makes one that is removed at the end, whatever ends us.

        Raises PartMissing, AsteriskUnavailable, DatabaseUnavailable, PhonesFailed, ProcessFell, NotInTime.
        """
        tell = say or (lambda _line: None)
        async with AsyncExitStack() as stack:
            folder = folder or stack.enter_context(folder_of_its_own())
            own = _settings(folder, asterisk_settings or {})
            binary = await find_asterisk(own.packages_dir, tell)
            carrier = Carrier(binary, folder / "carrier", Speaker.of(server_settings.load()).speak)
            postgres = EmbeddedPostgres(folder)
            stack.callback(carrier.kill)
            stack.push_async_callback(postgres.stop)
            tell("setting up a contact centre: PostgreSQL, Asterisk, carrier, phones, server")
            _, reached = await asyncio.gather(carrier.start(), _reached(urls, postgres))
            await migrate.upgrade(reached.owner)
            database = Database.open(reached.app, pool=4)
            stack.push_async_callback(database.close)
            chosen = own.model_copy(update=settings)
            said = child_environment(chosen, reached, os.environ) | dict(environment or {})
            setup, web = Setup(agents, carrier), Part("web", said, folder / "web.log")
            stack.push_async_callback(web.stop)
            await asyncio.gather(setup(database), web.start())
            asterisk = await asterisk_of(own, database)
            stack.callback(_power_off, asterisk)
            desk = [Phone(user, password) for user, _, password in setup.agents]
            desk_phones = AgentPhones(
                desk,
                registrar=f"{own.sip_host}:{own.sip_port}",
                carrier=carrier,
                kind=phones,
            )
            site = cls(
                folder=folder,
                settings=chosen,
                urls=reached,
                postgres=postgres,
                database=database,
                asterisk=asterisk,
                carrier=carrier,
                phones=desk_phones,
                desk=desk,
                web=web,
                engine=Part("engine", said, folder / "engine.log"),
                robots=Robots(_robots(setup, f"http://127.0.0.1:{own.http_port}", seed, talk_s, wrap_up_s)),
                supervisor=(SUPERVISOR, setup.supervisor_password),
                numbers=Numbers(seed, ring_s=ring_s),
            )
            stack.push_async_callback(desk_phones.stop)
            stack.push_async_callback(site.engine.stop)
            # The engine waits for its Asterisk, as after any start of a machine.
            await asyncio.gather(_at_work(asterisk, desk_phones), site.engine.start(engine))
            stack.push_async_callback(site.robots.stop)
            site.robots.start()
            await site.until_agents_back(patience(30))
            stack.push_async_callback(site.stop_feeding)
            tell(f"{agents} agents are at work")
            yield site

    @property
    def url(self) -> str:
        """Where pages and API are, also after a restart."""
        return f"http://127.0.0.1:{self.settings.http_port}"

    def api(self) -> Api:
        """The API, to be used as a context; see `supervisor` for a log-in."""
        return Api(self.url)

    # -- the server ------------------------------------------------------------------------------------

    async def kill_server(self) -> None:
        """kill -9 of the whole server: engine and web at once, as when its machine's watcher dies."""
        await asyncio.gather(self.engine.kill(), self.web.kill())

    async def start_server(self, engine: Sequence[str] = ()) -> None:
        """Start both again; `engine` is a program in the engine's place."""
        await asyncio.gather(self.engine.start(engine), self.web.start())

    # -- dialling --------------------------------------------------------------------------------------

    async def keep_dialling(self, mode: str = "progressive", *, leads: int = _AHEAD, **fields: Any) -> int:
        """A running campaign whose list never runs dry; its id. It begins with so many `leads`; `fields` are
        of the API's campaign.

        A lead is dialled once, whatever comes of it: no result has a second attempt.
        """
        async with self.api() as api:
            await api.log_in(*self.supervisor)
            trunks = await api.call("GET", "/trunks")
            body = {
                "name": f"Стенд {utc_now():%H:%M:%S.%f}",
                "mode": mode,
                "policy": "demo",
                "ring_timeout_s": 5,
                "record": False,
                "caller_name": "автосалон «Северный»",
                "abandon_message": "Вам звонил автосалон «Северный».",
                "call_from": "00:00",
                "call_until": "24:00",
                "max_attempts": 1,
                "retries": {"results": {result: {"after_s": -1} for result in t.RESULTS}},
                "trunks": [trunk["id"] for trunk in trunks if trunk["endpoint"] == TRUNK],
            } | fields
            self.campaign_id = (await api.call("POST", "/campaigns", body))["id"]
            await self.feed(leads)
            await api.call("POST", f"/campaigns/{self.campaign_id}/start")
        self._feeding = asyncio.create_task(self._keep_feeding(), name="feeding")
        return self.campaign_id

    async def pause_dialling(self) -> None:
        """Nothing new is dialled, as when a supervisor pauses the campaign; what is dialled goes on."""
        await self.stop_feeding()
        async with self.api() as api:
            await api.log_in(*self.supervisor)
            await api.call("POST", f"/campaigns/{self.campaign_id}/pause")

    async def feed(self, count: int) -> None:
        """Put so many more numbers on the campaign's list. Raises DatabaseUnavailable."""
        numbers = self.numbers.take(count)
        async with self.database.tenant(TENANT) as conn:
            list_id = await conn.scalar(
                insert(t.contact_list)
                .values(tenant_id=TENANT, name=f"{utc_now():%H:%M:%S.%f}")
                .returning(t.contact_list.c.id)
            )
            contacts = await conn.scalars(
                insert(t.contact).returning(t.contact.c.id, sort_by_parameter_order=True),
                [{"tenant_id": TENANT, "last_name": "Клиент"} for _ in numbers],
            )
            row = {
                "tenant_id": TENANT,
                "campaign_id": self.campaign_id,
                "list_id": list_id,
                "timezones": ["Europe/Moscow"],
                "open_from": utc_now() - timedelta(days=1),
                "open_until": utc_now() + timedelta(days=365),
            }
            await conn.execute(
                insert(t.lead),
                [
                    row | {"contact_id": contact_id, "e164": number}
                    for contact_id, number in zip(contacts, numbers, strict=True)
                ],
            )
            await conn.execute(
                text("SELECT pg_notify('dozvon_engine', :note)"),
                {"note": f'{{"tenant": {TENANT}, "what": "campaigns"}}'},
            )

    async def stop_feeding(self) -> None:
        """Put no more numbers on the list; what is on it is dialled through."""
        if (feeding := self._feeding) is not None:
            self._feeding = None
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    async def _keep_feeding(self) -> None:
        fresh = select(func.count()).where(
            t.lead.c.campaign_id == self.campaign_id, t.lead.c.status == "new", t.lead.c.attempts == 0
        )
        while True:
            try:
                async with self.database.tenant(TENANT) as conn:
                    left = await conn.scalar(fresh) or 0
                if left < _AHEAD:
                    await self.feed(2 * _AHEAD - left)
            except DatabaseUnavailable as error:
                log.info("not_fed", reason=str(error))  # the row has broken it; there is a next time
            await asyncio.sleep(_FEED_S)

    # -- waiting ---------------------------------------------------------------------------------------

    async def until_agents_back(self, within_s: float) -> float:
        """Wait until every agent hears the server and is at work; the seconds it took. Raises NotInTime."""
        began = asyncio.get_running_loop().time()
        await until("all agents are at work", self._agents_back, within_s)
        return asyncio.get_running_loop().time() - began

    async def until_dialling(self, within_s: float) -> float:
        """Wait until a call that was made after now is known to Asterisk; the seconds it took.

        Raises NotInTime.
        """
        began, since = asyncio.get_running_loop().time(), utc_now()
        query = select(t.attempt.c.id).where(
            t.attempt.c.created_at >= since,
            func.coalesce(t.attempt.c.sent_at, t.attempt.c.ringing_at, t.attempt.c.answered_at).is_not(None),
        )

        async def dialled() -> object:
            if self._feeding is not None and self._feeding.done():
                self._feeding.result()  # raises: an empty list would look like a server that does not dial
            return await self._first(query.limit(1))

        await until("a new call is made", dialled, within_s)
        return asyncio.get_running_loop().time() - began

    async def until_working(self, within_s: float) -> float:
        """Wait until agents are back and a call is made that did not exist before; the seconds it took."""
        took = await asyncio.gather(self.until_agents_back(within_s), self.until_dialling(within_s))
        return max(took)

    async def until_ended(self, since: Mark, within_s: float, to: Mark | None = None) -> float:
        """Wait until no attempt of the span is open, or the time is over; the seconds it took.

        Raises nothing for those that are left: `tally` counts them.
        """
        began = asyncio.get_running_loop().time()
        until_at = (to or self.mark()).at
        query = select(func.count()).where(
            t.attempt.c.created_at >= since.at,
            t.attempt.c.created_at < until_at,
            t.attempt.c.ended_at.is_(None),
        )

        async def ended() -> bool:
            return bool(await self._first(query) == 0)

        with contextlib.suppress(NotInTime):
            await until("every call has an end", ended, within_s, look_s=0.2)
        return asyncio.get_running_loop().time() - began

    async def _agents_back(self) -> bool:
        self.robots.check()
        if not self.robots.present:
            return False
        query = select(func.count()).where(
            t.agent_session.c.logged_out_at.is_(None), t.agent_session.c.state.in_(AT_WORK)
        )
        return bool(await self._first(query) == len(self.robots.robots))

    async def _first(self, query: Any) -> Any:
        """The query's first value; None while the database is away."""
        try:
            async with self.database.tenant(TENANT) as conn:
                return await conn.scalar(query)
        except DatabaseUnavailable:
            return None

    # -- what was lost ---------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Now."""
        return Mark(utc_now())

    async def tally(self, since: Mark, to: Mark | None = None) -> Tally:
        """What was lost of what was begun since `since` (until before `to`). Raises DatabaseUnavailable."""
        return await self._witness.tally(since.at, (to or self.mark()).at)

    async def story(self, number: str) -> str:
        """What the database says of a number's attempts, for a person who looks for the reason."""
        return await self._witness.story(number)

    async def channels(self) -> int:
        """How many channels its Asterisk has, the agents' among them. Raises AsteriskUnavailable."""
        said = await self.asterisk.cli("core show channels count")
        return int(said.split()[0])


async def _at_work(asterisk: AsteriskServer, phones: AgentPhones) -> None:
    """Start Asterisk, then the phones, and wait until they are registered."""
    await asterisk.start()
    await phones.start()
    await phones.wait_registered()


async def _reached(urls: Urls | None, postgres: EmbeddedPostgres) -> Urls:
    return urls or await postgres.start()


def _power_off(asterisk: AsteriskServer) -> None:
    """Nobody waits for calls to end in order where the whole centre is thrown away."""
    if (pid := asterisk.pid) is not None:
        os.kill(pid, signal.SIGKILL)


def _settings(folder: Path, more: Mapping[str, Any]) -> Settings:
    """A site's own settings: its folder, free ports, the packages of the installation."""
    rtp = random.randrange(33_000, 58_000, _RTP_PORTS)  # noqa: S311 - to be apart, not secret
    values: dict[str, Any] = {
        "data_dir": folder,
        "cache_dir": server_settings.load().packages_dir,
        "database_url": None,
        "asterisk": "external",
        "http_port": free_port(),
        "ami_port": free_port(),
        "agi_port": free_port(),
        "asterisk_http_port": free_port(),
        "sip_port": free_port(SOCK_DGRAM),
        "rtp_port_from": rtp,
        "rtp_port_to": rtp + _RTP_PORTS - 1,
        "log_format": "json",
    }
    return server_settings.load(**{**values, **more})


def _robots(setup: Setup, url: str, seed: int, talk_s: float, wrap_up_s: float) -> list[Robot]:
    turn = asyncio.Semaphore(2)
    return [
        Robot(url, login, web, random.Random(f"{seed} {login}"), talk_s, wrap_up_s, turn)  # noqa: S311
        for login, web, _ in setup.agents
    ]
