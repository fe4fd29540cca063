"""Calls that come in: through a flow, by a key, into queues, to agents, for minutes; and that none is lost.

The callers are a program of their own (callers.py) over real SIP with a real Asterisk; agents' phones (SIPp,
voice.py) give back what they hear. What became of each call is asked of both sides: of the callers' log and
of the server's rows.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import insert, text, update

from dialer.bench.load.callers import KINDS, Orders, Told
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.cpu import spent
from dialer.bench.load.inbound_tally import FIRST_SOUND_MS, Came, lost, strange, tally
from dialer.bench.load.model import Measured, NotMeasured, Say, Wish
from dialer.bench.load.stage import Stage, open_stage, per_call
from dialer.db import tables as t

NUMBER: Final = "74957770101"
#: A queue with agents, and one without.
SALES, NOBODY = "sales", "nobody"
FLOW: Final[dict[str, Any]] = {
    "name": "load",
    "language": "en",
    "initial_state": "menu",
    "states": [
        {
            "name": "menu",
            "type": "menu",
            "properties": {"prompt": {"sound": "vm-options"}, "first_s": 10, "retries": 0},
            "transitions": {"1": "sales", "2": "nobody", "3": "goodbye", "default": "end"},
        },
        {"name": "sales", "type": "enqueue", "properties": {"queue": SALES}},
        {"name": "nobody", "type": "enqueue", "properties": {"queue": NOBODY}},
        {
            "name": "goodbye",
            "type": "play",
            "properties": {"sound": "vm-goodbye"},
            "transitions": {"default": "end"},
        },
        {"name": "end", "type": "hangup"},
    ],
}
#: Agents for each call at a time that wants one: those in wrap-up, and who has just become free.
SPARE: Final = 1.05
#: So many calls are told in words.
STRANGE: Final = 10
#: How long rows and dispositions may take after the last call, seconds.
SETTLED_S: Final = 30.0

_CAME: Final = text(
    """
    SELECT c.e164, c.result,
           c.state = 'ended' AND c.ended_at IS NOT NULL AND c.hung_up_at IS NOT NULL AS ended,
           c.disposition_id IS NOT NULL AS disposed, c.connected_at IS NOT NULL AS connected,
           extract(epoch FROM c.hung_up_at - c.connected_at) * 1000 AS talk_ms,
           (SELECT coalesce(array_agg(s.state ORDER BY s.n), '{}') FROM flow_step s
             WHERE s.tenant_id = c.tenant_id AND s.call_id = c.id) AS way
      FROM inbound_call c WHERE c.tenant_id = :tenant
    """
)
_OPEN: Final = text(
    """
    SELECT count(*),
           count(*) FILTER (WHERE ended_at IS NULL OR (result = 'answered' AND disposition_id IS NULL))
      FROM inbound_call WHERE tenant_id = :tenant
    """
)


@dataclass(frozen=True, slots=True)
class Load:
    """How many, and for how long."""

    #: calls a second, for so many seconds
    rate: float
    seconds: float
    #: a call from its answer, seconds
    call_s: float

    @property
    def agents(self) -> int:
        """Enough that nobody waits for one long."""
        return math.ceil(self.rate * self.call_s * KINDS["agent"] / 100 * SPARE) + 2


#: A minute at each of the smaller rates, and ten at what is asked for.
LONG: Final = (*(Load(rate, 60.0, 10.0) for rate in (4.0, 8.0, 12.0, 16.0)), Load(20.0, 600.0, 10.0))
SHORT: Final = (Load(5.0, 30.0, 5.0),)


async def reception(stage: Stage) -> None:
    """A number with its flow, its queues, and agents who have the skill of one of them."""
    async with stage.server.database.tenant(TENANT) as conn:
        of = {"tenant_id": TENANT}
        flow_id = await conn.scalar(
            insert(t.flow).values(**of, name="load", live_version=1).returning(t.flow.c.id)
        )
        version = {"flow_id": flow_id, "version": 1, "document": FLOW, "state": "live"}
        await conn.execute(insert(t.flow_version).values(**of, **version))
        number = {"number": NUMBER, "flow_id": flow_id, "campaign_id": stage.data.campaign_id}
        await conn.execute(insert(t.inbound_number).values(**of, **number))
        for name in (SALES, NOBODY):
            await conn.execute(insert(t.queue).values(**of, name=name, skill=name))
        await conn.execute(update(t.agent).where(t.agent.c.tenant_id == TENANT).values(skills=[SALES]))


@asynccontextmanager
async def calling(orders: Orders) -> AsyncIterator[asyncio.subprocess.Process]:
    """The callers at work; ended with the context, whatever ends it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer.bench.load.callers", json.dumps(asdict(orders))),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Inbound:
    """Calls that come in, at a steady rate."""

    name = "inbound"
    title = (
        "Calls that come in, 10 s each, 20 a second for 10 minutes and fewer for one: SIP callers with voice "
        "and real keys (RFC 4733) through a menu into queues and to agents; none may be lost: each has a row "
        "with its end and its way, and came to what its caller's log says; the first sound after the answer "
        "p95 is to be "
        f"under {FIRST_SOUND_MS:g} ms"
    )
    columns = (
        ("asked_per_s", "calls/s asked"),
        ("placed_per_s", "came in"),
        ("calls", "calls"),
        ("at_once", "most at once"),
        ("agents", "agents"),
        ("answered", "answered"),
        ("abandoned", "abandoned"),
        ("contained", "served by the flow"),
        ("left", "left in the flow"),
        ("without_row", "without a row"),
        ("not_ended", "without an end"),
        ("wrong_way", "another way"),
        ("disagree", "not as the caller says"),
        ("first_sound_ms_p50", "first sound p50, ms"),
        ("first_sound_ms_p95", "p95"),
        ("first_sound_ms_p99", "p99"),
        ("key_to_agent_ms_p50", "key to agent p50, ms"),
        ("key_to_agent_ms_p95", "p95"),
        ("server_cpu_per_call", "CPU s a call: server"),
        ("engine_cpu_per_call", "of it engine"),
        ("web_cpu_per_call", "web"),
        ("asterisk_cpu_per_call", "Asterisk"),
        ("db_cpu_per_call", "PostgreSQL"),
        ("callers_cpu_per_call", "callers"),
        ("carrier_cpu_per_call", "phones"),
        ("hands_cpu_per_call", "agents' hands"),
        ("engine_mb", "engine, MB"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement for each load. Raises NotMeasured where the callers' program fell."""
        for load in SHORT if wish.short else LONG:
            case = f"rate={load.rate:g}"
            if (self.name, case, wish.short) not in wish.known:
                yield await self._carry(load, case, wish, say)

    async def _carry(self, load: Load, case: str, wish: Wish, say: Say) -> Measured:
        async with open_stage(say, agents=load.agents, leads=0, mode="manual", status="running") as stage:
            await reception(stage)
            await stage.agents(load.agents)
            log = stage.folder / "callers.jsonl"
            say(f"inbound: {stage.at_work} agents are ready, {load.rate:g} calls a second come in")
            orders = Orders(
                stage.server.settings.sip_port,
                NUMBER,
                load.rate,
                load.seconds,
                load.call_s,
                wish.seed,
                str(log),
            )
            cpu, since = stage.cpu(), await stage.now()
            async with calling(orders) as callers:
                await stage.watch(load.seconds)
                theirs = spent({"callers": [callers.pid]}).seconds["callers"]
                seconds, until = stage.cpu().since(cpu), await stage.now()
                if await callers.wait():
                    raise NotMeasured(row=self.name, reason=f"the callers ended with {callers.returncode}")
            told = [Told(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
            await self._settled(stage, len(told))
            rows = await came(stage)
            for line in strange(told, rows)[:STRANGE]:
                say(line)
            figures = tally(told, rows, asked_per_s=load.rate, seconds=load.seconds)
            costs = per_call(seconds, figures["calls"], (until - since).total_seconds())
            figures |= costs | {
                "agents": stage.at_work,
                "engine_mb": stage.memory_mb("engine"),
                "callers_cpu_per_call": theirs / max(1, figures["calls"]),
            }
            broken = lost(figures, sums_only=wish.short)
            return Measured(self.name, case, wish.seed, wish.short, figures, broken=broken)

    async def _settled(self, stage: Stage, calls: int) -> None:
        """Wait until each call has its row and its end, and each talk its disposition; not longer than may
        be. The row of a caller who has left before it was written comes all the same."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLED_S
        while loop.time() < until:
            async with stage.server.database.tenant(TENANT) as conn:
                there, still = (await conn.execute(_OPEN, {"tenant": TENANT})).one()
            if there >= calls and not still:
                return
            await stage.watch(1.0)


async def came(stage: Stage) -> list[Came]:
    """The server's rows of all calls that came in."""
    async with stage.server.database.tenant(TENANT) as conn:
        rows = await conn.execute(_CAME, {"tenant": TENANT})
        return [
            Came(
                row.e164,
                row.result,
                row.ended,
                row.disposed,
                row.connected,
                float(row.talk_ms) if row.talk_ms is not None else None,
                tuple(row.way),
            )
            for row in rows
        ]


INBOUND: Final = Inbound()
