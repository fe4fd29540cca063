"""The loops of the engine end when they are told to, whatever happens in the same moment."""

from __future__ import annotations

import asyncio
from typing import Any

from dialer.asterisk.nodes import Nodes
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable, Change
from dialer.campaigns.paces import Paces
from dialer.campaigns.runner import Runner


class Notes:
    """A journal that is thrown away."""

    def put(self, change: Change) -> None:
        """Take a change."""


async def ends(loop: asyncio.Task[None], news: Any) -> bool:
    """Whether the loop ends that is cancelled in the moment that news come."""
    await asyncio.sleep(0.01)  # it waits
    news()
    loop.cancel()
    done, _ = await asyncio.wait({loop}, timeout=1.0)
    loop.cancel()
    return bool(done)


async def test_pacing_ends_when_news_come_with_the_end() -> None:
    """Python 3.11's wait_for would lose the cancellation, and the server would not stop."""
    nothing: Any = None
    nodes = Nodes()
    nodes.some_ready.set()
    calls = CallTable(Notes())
    paces = Paces(nothing, calls, nothing, nothing)
    runner = Runner(nothing, calls, nothing, nothing, 5.0, nodes, nothing, paces, nothing)
    assert await ends(asyncio.create_task(runner.run()), runner._look.set)


async def test_the_switchboard_ends_when_news_come_with_the_end() -> None:
    """As above."""
    nothing: Any = None
    switchboard = Switchboard(nothing, nothing, nothing, CallTable(Notes()), nothing, nothing, 15.0)
    assert await ends(asyncio.create_task(switchboard.run()), switchboard.agents_changed)
