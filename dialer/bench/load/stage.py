"""The whole server at work for the bench: `dozvon serve`'s own processes, SIPp as carrier and phones, agents.

CPU is read apart for the server (engine, web and jobs), Asterisk, the database and SIPp; the bench's own
process, which plays the agents' hands, is `hands`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import wave
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any

from sqlalchemy import text

from dialer import processes, settings
from dialer.bench.load import centre_data, sipp
from dialer.bench.load.centre_data import TENANT, CentreData, Seat
from dialer.bench.load.cpu import Spent, rss_mb, spent
from dialer.bench.load.hands import Hands
from dialer.bench.load.model import Say, spread
from dialer.bench.load.paper import Paper
from dialer.bench.site_reaper import folder_of_its_own
from dialer.db.session import Database
from dialer.ports import free_port

#: Voice ports of Asterisk: two a leg, a talk has two legs.
RTP_FROM, RTP_PORTS = 12_000, 12_000
#: How often the engine's word on its journal is asked for, and calls are counted, seconds: calls made ten a
#: second are not to be met at the same point of their time at each look.
LOOK_S = 0.93


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the server in a stretch of time."""

    #: the most changes that the engine's journal had waiting
    journal_behind_max: float
    #: calls without an end, the mean of all looks
    open_mean: float


@dataclass(slots=True)
class Stage:
    """A server at work. Made by `open_stage`."""

    folder: Path
    server: processes.Server
    data: CentreData
    #: None: Asterisk is on paper, and so are carrier and phones
    carrier: sipp.Sipp | None
    phones: list[sipp.Part]
    hands: Hands
    #: agents who are not logged in yet
    seats: list[Seat]
    at_work: int = 0
    started: bool = False
    _sipp: Sequence[str] = field(default_factory=list)

    # -- what is done with it ------------------------------------------------------------------------------

    async def agents(self, wanted: int) -> None:
        """Have at least so many agents at work. Raises PhonesFailed, TimeoutError."""
        new, self.seats = (
            self.seats[: max(0, wanted - self.at_work)],
            self.seats[max(0, wanted - self.at_work) :],
        )
        if not new:
            return
        if self.carrier is not None:
            self.phones.extend(
                await sipp.phones(
                    self._sipp,
                    self.folder,
                    [(seat.endpoint, seat.password) for seat in new],
                    registrar_port=self.server.settings.sip_port,
                    name=f"phones{len(self.phones)}",
                )
            )
        await self.hands.log_in({seat.worker.agent_id: seat.worker for seat in new}, 20 + len(new) / 2)
        self.at_work += len(new)

    async def rate(self, calls_per_s: float) -> None:
        """Dial so many calls a second from now on, by the trunk's own limit."""
        token = self.hands.supervisor_token
        await self.hands.call(token, "PATCH", f"/trunks/{self.data.trunk_id}", {"max_cps": calls_per_s})

    async def start(self) -> None:
        """Start the campaign, or go on with it."""
        token, path = self.hands.supervisor_token, f"/campaigns/{self.data.campaign_id}"
        await self.hands.call(token, "POST", f"{path}/{'resume' if self.started else 'start'}")
        self.started = True

    async def pause(self) -> None:
        """Dial no more."""
        token = self.hands.supervisor_token
        await self.hands.call(token, "POST", f"/campaigns/{self.data.campaign_id}/pause")

    # -- what it costs -------------------------------------------------------------------------------------

    def cpu(self) -> Spent:
        """CPU seconds by part until now. Raises PhonesFailed when SIPp has ended."""
        asterisk, postgres = self.server.asterisk, self.server.postgres
        assert postgres is not None
        children = {
            name: [child.process.pid] if child.process else [] for name, child in self.server.children.items()
        }
        outside = [each.pid for each in (self.carrier, *self.phones) if each is not None]
        found = spent(
            {
                **children,
                "asterisk": [asterisk.pid or 0] if asterisk is not None else [],
                "db": [postgres.pid or 0],
                "carrier": outside,
            }
        )
        return Spent({**found.seconds, "hands": time.process_time()})

    def memory_mb(self, name: str) -> float:
        """Memory of one of the server's processes."""
        process = self.server.children[name].process
        return rss_mb(process.pid) if process else 0.0

    async def now(self) -> datetime:
        """The database's clock."""
        async with self.server.database.tenant(TENANT) as conn:
            found: datetime = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
            return found

    async def watch(self, seconds: float) -> Seen:
        """Let the time pass, and look at the server meanwhile."""
        worst, counted = 0.0, list[int]()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(LOOK_S, left))  # the time of a measurement is what it is about
            self.hands.check()
            async with self.server.database.system() as conn:
                query = "SELECT (status->>'journal_behind')::float FROM process_status WHERE name = 'engine'"
                worst = max(worst, (await conn.execute(text(query))).scalar_one() or 0.0)
            async with self.server.database.tenant(TENANT) as conn:
                query = "SELECT count(*) FROM attempt WHERE tenant_id = :tenant AND ended_at IS NULL"
                counted.append((await conn.execute(text(query), {"tenant": TENANT})).scalar_one())
        return Seen(worst, sum(counted) / len(counted) if counted else 0.0)

    async def figures(self, since: datetime, until: datetime) -> dict[str, float]:
        """What came of the attempts made in this time."""
        async with self.server.database.tenant(TENANT) as conn:
            rows = (
                await conn.execute(
                    text(
                        """
                        SELECT result, ended_at IS NULL AS open, answered_at IS NOT NULL AS answered,
                               connected_at IS NOT NULL AS connected, disposed_at IS NOT NULL AS disposed,
                               join_ms, answer_to_agent_ms
                          FROM attempt
                         WHERE tenant_id = :tenant AND created_at >= :since AND created_at < :until
                        """
                    ),
                    {"tenant": TENANT, "since": since, "until": until},
                )
            ).all()
        return {
            "calls": len(rows),
            "placed_per_s": len(rows) / (until - since).total_seconds(),
            "answered": sum(row.answered for row in rows),
            "connected": sum(row.connected for row in rows),
            "disposed": sum(row.disposed for row in rows),
            "without_agent": sum(row.answered and not row.connected for row in rows),
            "failed": sum(row.result in ("failed", "canceled", "congestion", "unknown") for row in rows),
            "not_ended": sum(row.open for row in rows),
            **spread((row.join_ms for row in rows if row.join_ms is not None), "join_ms"),
            **spread(
                (row.answer_to_agent_ms for row in rows if row.answer_to_agent_ms is not None),
                "answer_to_agent_ms",
            ),
        }


def _write_message(path: Path) -> None:
    """A second of silence, for who gets no agent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 8000))


async def _stop_all(every: Sequence[sipp.Part]) -> None:
    for each in every:
        await each.stop()


def own_settings(folder: Path, **changes: Any) -> settings.Settings:
    """Settings of a bench: a data folder of its own, free ports, the packages of the installation."""
    return settings.load(
        **{
            "data_dir": folder / "data",
            "cache_dir": settings.load().packages_dir,
            "database_url": None,
            "asterisk": "managed",
            "http_host": "127.0.0.1",
            "http_port": 0,
            "ami_port": free_port(),
            "agi_port": free_port(),
            "asterisk_http_port": free_port(),
            "sip_host": "127.0.0.1",
            "sip_port": free_port(SOCK_DGRAM),
            "rtp_port_from": RTP_FROM,
            "rtp_port_to": RTP_FROM + RTP_PORTS - 1,
            "public_url": None,
            **changes,
        }
    )


@asynccontextmanager
async def open_stage(
    say: Say,
    *,
    agents: int,
    leads: int,
    ring_s: float = 0.5,
    talk_s: float = 10.0,
    media: bool = True,
    ringing: bool = False,
    paper: bool = False,
    **campaign: Any,
) -> AsyncIterator[Stage]:
    """The server with a campaign that is not started and agents who are not logged in.

    `ringing`: numbers ring for `ring_s` and are then busy; else they answer, talk `talk_s` and leave.
    `paper`: Asterisk with all that is behind it is played (see paper.py), and costs nothing that is counted.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of_its_own("dozvon-load-"))
        program: list[str] = []
        carrier: sipp.Sipp | None = None
        if paper:
            played = await stack.enter_async_context(Paper(ring_s, talk_s, busy=ringing))
            ami = {"ami_host": sipp.HOST, "ami_port": played.port, "ami_secret": "paper"}
            chosen = own_settings(folder, asterisk="external", **ami)
        else:
            chosen = own_settings(folder)
            program = await sipp.find(chosen.packages_dir, say)
            carrier = (
                await sipp.ringing(program, folder, ring_s=ring_s)
                if ringing
                else await sipp.customers(program, folder, ring_s=ring_s, talk_s=talk_s, media=media)
            )
            stack.push_async_callback(carrier.stop)
        phones: list[sipp.Part] = []
        stack.push_async_callback(_stop_all, phones)
        _write_message(chosen.prompts_dir / f"{centre_data.MESSAGE}.wav")
        made: list[CentreData] = []
        seats: list[Seat] = []

        async def prepare(database: Database) -> None:
            made.append(
                await centre_data.make(database, sip_port=carrier.port if carrier else 5060, **campaign)
            )
            seats.extend(await centre_data.add_agents(made[0], agents))
            await centre_data.add_leads(made[0], leads)

        log_file = stack.enter_context((folder / "server.log").open("w", encoding="utf-8"))
        server = await stack.enter_async_context(
            processes.running(chosen, progress=say, log_file=log_file, prepare=prepare)
        )
        hands = await stack.enter_async_context(Hands(server.url, made[0].supervisor_token))
        yield Stage(folder, server, made[0], carrier, phones, hands, seats, _sipp=program)


def per_call(seconds: Mapping[str, float], calls: float, passed_s: float) -> dict[str, float]:
    """CPU by part, a call and as cores: server_cpu_per_call (seconds), server_cores, ..."""
    parts = {
        "server": seconds["engine"] + seconds["web"] + seconds["jobs"],
        **{name: seconds[name] for name in ("engine", "web", "asterisk", "db", "carrier", "hands")},
    }
    found = {f"{name}_cores": value / passed_s for name, value in parts.items()}
    if calls:
        found |= {f"{name}_cpu_per_call": value / calls for name, value in parts.items()}
        if parts["asterisk"]:
            found["server_to_asterisk"] = parts["server"] / parts["asterisk"]
    return found
