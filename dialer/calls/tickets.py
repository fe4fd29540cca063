"""Who waits for an agent, for whom, and until when."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Assignee
from dialer.calls.table import Line

#: Whoever gets an agent within so many seconds hears no music first: that is two questions less to Asterisk,
#: and no file that is opened for a moment.
AT_ONCE_S = 0.1


class Meanwhile(Protocol):
    """What a caller hears and does while waiting."""

    async def __call__(self, chosen: asyncio.Future[Assignee], until_s: float) -> bool:
        """Return soon after somebody was `chosen`, when the caller wants to wait no longer (True), at
        `until_s` (monotonic), or when they have hung up. Raises as AgiCall.command does."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A customer who waits for an agent."""

    line: Line
    #: by the wall clock, for the order of service
    since: datetime
    chosen: asyncio.Future[Assignee]
    #: only this shift may take the customer, until `keep_until_s` (monotonic): the talk was theirs
    kept_for: UUID | None = None
    keep_until_s: float = 0.0

    def open_to(self, now_s: float) -> bool:
        """Whether any agent may take the customer."""
        return self.kept_for is None or now_s >= self.keep_until_s


async def music_unless_at_once(
    agi: AgiCall, chosen: asyncio.Future[Assignee], patience_s: float, music: str | None
) -> bool:
    """Begin the music of this class (None: the usual one) for who is not given an agent at once; whether it
    plays. Raises as AgiCall.command does."""
    await until_chosen(chosen, agi, min(patience_s, AT_ONCE_S))
    if chosen.done() or agi.hung_up.is_set():
        return False
    await agi.command("SET", "MUSIC", "ON", *([music] if music is not None else []))
    return True


async def until_chosen(chosen: asyncio.Future[Assignee], agi: AgiCall, patience_s: float) -> None:
    """Wait until somebody was chosen, the customer is gone, or the time is over."""
    gone = asyncio.create_task(agi.hung_up.wait())
    try:
        either: set[asyncio.Future[Any]] = {chosen, gone}
        timeout_s = None if patience_s == math.inf else patience_s
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
