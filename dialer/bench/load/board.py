"""The supervisor's board with 200 agents at work: how late a change is on it, and what it costs the line.

Engine, web and PostgreSQL are real, Asterisk is on paper. Boards are read as the page does it: a stream of
events, and two parts that are asked for anew when events say so, no oftener than the page asks. A change is
late by the time from the moment that the engine has written down for it to the whole answer with it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import ClassVar, Final

from aiohttp import ClientSession

from dialer.agents import store as agents
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.bench.load.pages import LivePage, Part, browsers
from dialer.bench.load.stage import Stage, open_stage
from dialer.clock import utc_now

AGENTS, BOARDS = 200, 5
FLOOR: Final = "/board/floor"
#: What a browser is promised.
MOST_LATE_MS: Final = 1000.0
MOST_KB_PER_S: Final = 100.0
_TILE: Final = re.compile(r'id="at-(\d+)" class="a-(\w+)')


class Board(LivePage):
    """One board that is looked at."""

    #: As board.html has them.
    parts: ClassVar = {
        FLOOR: Part(("agent.", "call.talk"), 0.3),
        "/board/work": Part(
            ("call.", "agent.", "campaign.", "queue.place", "trunk.changed", "trunk.state"), 0.3
        ),
    }

    def __init__(self, http: ClientSession, token: str, url: str) -> None:
        super().__init__(http, token, url)
        #: milliseconds from the change to the answer with it
        self.late_ms: list[float] = []
        #: the floor as it was told last
        self.floor = ""
        #: agents' changes, when they were: that no answer has had, that the next one has
        self._waiting: list[datetime] = []
        self._coming: list[datetime] = []

    def heard(self, kind: str, data: bytes) -> None:
        """See `LivePage`."""
        if kind == "agent.state":
            self._waiting.append(datetime.fromisoformat(json.loads(data)["payload"]["since"]))

    def asked(self, path: str) -> None:
        """See `LivePage`."""
        if path == FLOOR:
            self._coming, self._waiting = self._waiting, []

    def shown(self, path: str, text: str) -> None:
        """See `LivePage`."""
        if path == FLOOR:
            now, self.floor = utc_now(), text
            self.late_ms += [(now - each).total_seconds() * 1000 for each in self._coming]


class BoardRow:
    """Boards over a busy floor."""

    name = "board"
    title = (
        "Five boards of supervisors over 200 agents at work: from a change of an agent to the whole part of "
        "the page with it, and bytes to each browser; Asterisk on paper, engine, web and PostgreSQL real"
    )
    columns = (
        ("agents", "agents"),
        ("calls_per_s", "calls/s asked"),
        ("changes_per_s", "changes of agents/s"),
        ("late_ms_p50", "late p50, ms"),
        ("late_ms_p95", "p95"),
        ("late_ms_max", "max"),
        ("kb_per_s", "kB/s a board"),
        ("stream_kb_per_s", "of it events"),
        ("web_cores", "cores: web"),
        ("db_cores", "PostgreSQL"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """One measurement."""
        agents_at_work = 40 if wish.short else AGENTS
        case = f"agents={agents_at_work}"
        if (self.name, case, wish.short) in wish.known:
            return
        seconds, talk_s = (6.0, 8.0) if wish.short else (60.0, 30.0)
        rate = agents_at_work / (talk_s + 2.0) / 1.1
        leads = round(rate * (seconds + talk_s + 40) * 1.5) + 100
        async with open_stage(
            say, agents=agents_at_work, leads=leads, ring_s=0.5, talk_s=talk_s, paper=True
        ) as stage:
            await stage.agents(agents_at_work)
            await stage.rate(rate)
            await stage.start()
            await stage.watch(min(talk_s, seconds))  # until agents talk and become free one by one
            yield await self._look(stage, case, agents_at_work, rate, seconds, wish)

    async def _look(
        self, stage: Stage, case: str, many: int, rate: float, seconds: float, wish: Wish
    ) -> Measured:
        async with browsers() as http:
            boards = [Board(http, stage.data.supervisor_token, stage.server.url) for _ in range(BOARDS)]
            tasks = [asyncio.create_task(one.run()) for one in boards]
            try:
                async with asyncio.timeout(30):
                    await asyncio.gather(*(one.opened.wait() for one in boards))
                cpu = stage.cpu()
                await stage.watch(seconds)
                spent = stage.cpu().since(cpu)
                late = [each for one in boards for each in one.late_ms]
                stream = sum(one.stream_bytes for one in boards)
                parts = sum(one.part_bytes for one in boards)
                await stage.pause()
                differs = await self._settled(stage, boards[0])
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        figures = {
            "agents": many,
            "calls_per_s": rate,
            "changes_per_s": len(late) / BOARDS / seconds,
            **spread(late, "late_ms"),
            "late_ms_max": max(late, default=0.0),
            "kb_per_s": (stream + parts) / BOARDS / seconds / 1000,
            "stream_kb_per_s": stream / BOARDS / seconds / 1000,
            "web_cores": spent["web"] / seconds,
            "db_cores": spent["db"] / seconds,
        }
        return Measured(
            self.name, case, wish.seed, wish.short, figures, broken=_broken(figures, differs, wish.short)
        )

    async def _settled(self, stage: Stage, board: Board) -> str:
        """Whether the board shows what is so, once calls end one after another; what differs."""
        differs: dict[int, str] = {}
        for _ in range(100):
            shown = {int(agent): state for agent, state in _TILE.findall(board.floor)}
            async with stage.server.database.tenant(TENANT) as conn:
                true = {one.agent_id: one.state.value for one in await agents.open_shifts(conn, TENANT)}
            differs = {agent: f"{shown.get(agent)}, is {state}" for agent, state in true.items()
                       if shown.get(agent) != state}  # fmt: skip
            if not differs:
                return ""
            await asyncio.sleep(0.1)  # what the page is given too: a change is on its way
        return f"the board shows {differs}"


def _broken(figures: dict[str, float], differs: str, short: bool) -> str:
    if differs or not figures["changes_per_s"]:
        return differs or "no change was on a board"
    if short:
        return ""  # it shows that the bench works
    if figures["late_ms_p95"] >= MOST_LATE_MS:
        return "changes are on the board later than in a second"
    return "" if figures["kb_per_s"] < MOST_KB_PER_S else "a browser gets more than 100 kB/s"


BOARD = BoardRow()
