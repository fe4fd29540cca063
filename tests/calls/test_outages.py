"""Bad days: the server, Asterisk, the link between them and the database fall in the middle of calls."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import pytest
from support.centre import Centre, open_centre
from support.line import Floor, said
from support.postgres import FreshDatabase

from dialer.agents.model import AgentState
from dialer.asterisk.runtime import AsteriskServer
from dialer.db.tables import active_number
from dialer.demo.numbers import Behaviour, encode
from dialer.engine import Engine


def calls_too_many(centre: Centre, before: dict[str, set[str]]) -> dict[str, int]:
    """How often more than once the carrier was asked for a number since `before`."""
    made = {n: len(ids - before.get(n, set())) for n, ids in centre.floor.carrier.invites().items()}
    return {number: count for number, count in made.items() if count > 1}


async def connected(centre: Centre, agent_id: int, detail: int) -> None:
    """The agent gets the call of a new person: all is as it should be."""
    campaign_id = await centre.campaign([encode(Behaviour.HUMAN, ring_s=0.5, detail=detail).e164])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id in {a.id for a in await centre.attempts(campaign_id)}


# -- the server dies -----------------------------------------------------------------------------------------


async def test_a_killed_server_loses_no_call(floor: Floor, database_url: str) -> None:
    """kill -9 with calls dialling, ringing, waiting for an agent and talking: the next server adopts the talk
    and the agents, ends what has ended, counts who heard the message as abandoned, and dials nobody twice."""
    async with open_centre(floor, database_url, own_process=True) as centre:
        before = floor.carrier.invites()
        (agent_id,) = await centre.add_agents(1)
        talks = encode(Behaviour.HUMAN, ring_s=0.0, detail=500).e164
        waits = encode(Behaviour.HUMAN, ring_s=2.0, detail=501).e164
        answers = encode(Behaviour.HUMAN, ring_s=3.0, detail=502).e164
        rings = encode(Behaviour.LEAVES_TALK, ring_s=8.0, detail=1).e164
        refuses = encode(Behaviour.DECLINED, ring_s=2.5, detail=504).e164
        numbers = [talks, waits, answers, rings, refuses]
        await centre.campaign(
            numbers, mode="power", ratio=5.0, ring_timeout_s=20, abandon_sound=str(floor.long_message)
        )
        talk = await centre.until_agent(agent_id, AgentState.TALKING)
        await centre.until_attempts(1, "waiting")
        ids = {a.e164: a.id for a in await centre.attempts()}
        async with centre.manager("Newstate") as link:
            await centre.kill_engine_process()
            await said(link, "Newstate", Uniqueid=str(ids[answers]), ChannelStateDesc="Up")
        await centre.start_engine_process()

        async def told(number: str) -> str | None:
            (attempt,) = [a for a in await centre.attempts() if a.id == ids[number]]
            return None if attempt.result is None else str(attempt.result)

        for number in (waits, answers):
            known = functools.partial(told, number)
            assert await centre.until("the call is known", known, within_s=5) == "abandoned"
        assert await told(refuses) == "unknown"
        shift = await centre.shift(agent_id)
        assert shift is not None
        assert (shift.state, shift.attempt_id, shift.leg) == (AgentState.TALKING, ids[talks], talk.leg)
        # The one that rings on finds the new server, and no agent.
        await centre.until_attempts(4, "ended", within_s=25)
        assert await told(rings) == "abandoned"
        await centre.calls.hang_up(centre.actor, ids[talks])
        await centre.until_attempt(ids[talks], "wrap_up")
        assert await told(talks) == "answered"
        await centre.until_agent(agent_id, AgentState.WRAP_UP)
        await centre.dispose(ids[talks])
        assert (await centre.until_agent(agent_id, AgentState.READY)).leg == talk.leg
        assert await centre.rows(active_number) == []
        await connected(centre, agent_id, 505)
        assert calls_too_many(centre, before) == {}


async def test_a_server_killed_again_and_again_dials_nobody_twice(floor: Floor, database_url: str) -> None:
    """Killed three times as it dials a list: every number is called once at most, every attempt ends, every
    lead has what came of it."""
    async with open_centre(floor, database_url, own_process=True) as centre:
        before = floor.carrier.invites()
        await centre.add_agents(2)
        numbers = [encode(Behaviour.BUSY, ring_s=0.5, detail=n).e164 for n in range(60)]
        campaign_id = await centre.campaign(numbers, mode="power", ratio=4.0)
        for n in (8, 16, 24):
            await centre.until_attempts(n, "ended")
            await centre.kill_engine_process()
            await centre.start_engine_process()
        attempts = await centre.until_attempts(60, "ended")
        assert calls_too_many(centre, before) == {}
        assert {a.result for a in attempts} <= {"busy", "unknown"}
        assert sum(a.result == "busy" for a in attempts) > 30
        status = {"busy": "waiting", "unknown": "closed"}
        expected = {a.e164: status[a.result] for a in attempts}
        assert {lead.e164: lead.status for lead in await centre.leads(campaign_id)} == expected
        assert await centre.rows(active_number) == []


# -- Asterisk dies -------------------------------------------------------------------------------------------


async def killed(asterisk: AsteriskServer) -> None:
    """kill -9, and the end of the process."""
    assert asterisk.pid is not None
    process = os.pidfd_open(asterisk.pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        await asyncio.to_thread(select.select, [process], [], [], 5)
    finally:
        os.close(process)


@pytest.fixture
async def _phones_known(floor: Floor) -> AsyncIterator[None]:
    """Phones that Asterisk has forgotten are called where they were by the server that knew them alone: the
    server of the next test needs them registered."""
    yield
    await floor.register_phones()


@pytest.mark.usefixtures("_phones_known")
@pytest.mark.parametrize("forgets", [False, True], ids=["remembers its phones", "forgets its phones"])
async def test_asterisk_dies_and_comes_back(centre: Centre, forgets: bool) -> None:
    """Its calls are closed with the reason, the talk asks for its disposition, the link and the phones come
    back by themselves within five seconds, and dialling goes on. Also where Asterisk had not yet written down
    that the phones had registered: they do so again in half a minute."""
    asterisk = centre.floor.asterisk
    talker, other = await centre.add_agents(2)
    talks = encode(Behaviour.HUMAN, ring_s=0.0, detail=510).e164
    rings = encode(Behaviour.HUMAN, ring_s=30.0, detail=511).e164
    await centre.campaign([talks, rings], mode="progressive", ring_timeout_s=40)
    talk = await centre.until_agent(talker, AgentState.TALKING)
    await centre.until_attempts(1, "ringing")
    await killed(asterisk)
    if forgets:
        (asterisk.run_dir / "lib" / "astdb.sqlite3").unlink()
    await asterisk.start()
    ended = {a.e164: a for a in await centre.until_attempts(2, "ended", "wrap_up", within_s=5)}
    assert (ended[rings].result, ended[rings].detail) == ("failed", "asterisk_restarted")
    assert (ended[talks].result, ended[talks].detail) == ("answered", "asterisk_restarted")
    await centre.until_agent(talker, AgentState.WRAP_UP, within_s=10)
    await centre.until_agent(other, AgentState.READY, within_s=10)
    assert talk.attempt_id is not None
    await centre.dispose(talk.attempt_id)
    await centre.until_agent(talker, AgentState.READY)
    await connected(centre, other, 512)


# -- the link is cut -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Proxy:
    """A stretch of network between the engine and Asterisk's manager."""

    to_port: int
    port: int = 0
    _pairs: list[asyncio.StreamWriter] = field(default_factory=list)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        self._flows.set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        """Every connection breaks, with what was on its way."""
        for writer in self._pairs:
            writer.transport.abort()
        self._pairs.clear()

    def freeze(self) -> None:
        """Nothing passes, and nobody is told."""
        self._flows.clear()

    def thaw(self) -> None:
        """What is connected breaks; new connections pass."""
        self.cut()
        self._flows.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._pairs += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


async def frozen_out(engine: Engine) -> None:
    """The engine has found out that its link is silent."""
    while engine.nodes.link("main").up:  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # a silent link tells nobody


async def test_a_link_that_is_cut_loses_nothing(floor: Floor, database_url: str) -> None:
    """The manager link breaks again and again as a list is dialled, and once is silent: nobody is dialled
    twice, the talk goes on, every attempt ends, and most of them with what the carrier said."""
    proxy = Proxy(floor.settings.ami_port)
    async with (
        proxy.listening(),
        open_centre(floor, database_url, ami_port=proxy.port, ami_ping_s=0.2, ami_timeout_s=0.8) as centre,
    ):
        before = floor.carrier.invites()
        talker, other = await centre.add_agents(2)
        await connected(centre, talker, 520)
        (talk,) = await centre.attempts()
        numbers = [encode(Behaviour.BUSY, ring_s=0.5, detail=100 + n).e164 for n in range(48)]
        campaign_id = await centre.campaign(numbers, mode="power", ratio=4.0)
        assert centre.engine is not None
        for n in (4, 12, 20, 28):
            await centre.until_attempts(n, "ended", campaign_id=campaign_id)
            proxy.cut()
        await centre.until_attempts(36, "ended", campaign_id=campaign_id)
        proxy.freeze()
        await asyncio.wait_for(frozen_out(centre.engine), 5)
        proxy.thaw()
        attempts = await centre.until_attempts(48, "ended", campaign_id=campaign_id)
        assert calls_too_many(centre, before) == {}
        assert {a.result for a in attempts} <= {"busy", "unknown", "canceled"}
        assert sum(a.result == "busy" for a in attempts) >= 20
        assert (await centre.until_agent(talker, AgentState.TALKING)).attempt_id == talk.id
        assert (await centre.until_agent(other, AgentState.READY)).attempt_id is None
        await centre.calls.hang_up(centre.actor, talk.id)
        await centre.until_attempt(talk.id, "wrap_up")


# -- the database is cut -------------------------------------------------------------------------------------


async def test_a_database_that_drops_its_connections_loses_nothing(
    centre: Centre, _fresh: FreshDatabase
) -> None:
    """All connections are ended again and again as calls are placed, joined and ended: the engine lives,
    nobody is dialled twice, every call is written down to its end and every number is free again."""
    before = centre.floor.carrier.invites()
    agents = await centre.add_agents(2)
    numbers = [
        encode(behaviour, ring_s=0.5, detail=8 + n).e164
        for n in range(12)
        for behaviour in (Behaviour.BUSY, Behaviour.LEAVES_EARLY)
    ]
    admin = await asyncpg.connect(_fresh.admin)
    try:
        async with centre.disposing():
            await centre.campaign(numbers, mode="power", ratio=2.0)
            for n in range(1, 6):
                await centre.until_attempts(3 * n, "ended")
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            attempts = await centre.until_attempts(len(numbers), "ended", within_s=60)
    finally:
        await admin.close()
    assert calls_too_many(centre, before) == {}
    # Taken back unsent: its commit was in doubt. It is dialled a minute later.
    assert {a.result for a in attempts} <= {"busy", "answered", "abandoned", "caller_hung_up", "canceled"}
    assert sum(a.result == "answered" for a in attempts) >= 6
    assert await centre.rows(active_number) == []
    for agent_id in agents:
        await centre.until_agent(agent_id, AgentState.READY)
