"""Keeps callers company who wait: tells them where they stand, and hears the keys that they press.

Music plays until something is said. Keys are listened for in short stretches (`WAIT FOR DIGIT`), for an agent
may be chosen meanwhile; who has no key to press is only waited with. What is said goes piece by piece, and is
cut as soon as an agent is there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Assignee
from dialer.calls.tickets import until_chosen
from dialer.clock import utc_now
from dialer.errors import ActionFailed, DatabaseUnavailable
from dialer.inbound import playing
from dialer.queues.announcing import Announcement, Told, after, after_silence, due_at
from dialer.queues.model import Announce, End

log = structlog.get_logger(__name__)

#: How long a key is listened for before it is looked whether an agent is there, ms.
SLICE_MS = 250

#: What is to be said to who has been told this, with its sounds; None: nothing.
Saying = Callable[[Told], Awaitable[tuple[Announcement, Sequence[str]] | None]]


@dataclass(slots=True)
class Company:
    """The company of one caller in one queue."""

    agi: AgiCall
    saying: Saying
    #: when the wait began
    since: datetime
    told: Told
    announce: Announce
    #: class of music on hold
    music: str
    #: keys with which the caller leaves the queue
    leave_on: str
    #: ends the sound that the caller hears
    cut: Callable[[], Awaitable[None]]
    #: how they have left
    left: End | None = None

    async def __call__(self, chosen: asyncio.Future[Assignee], until_s: float) -> bool:
        """See `tickets.Meanwhile`."""
        while not chosen.done() and not self.agi.hung_up.is_set() and time.monotonic() < until_s:
            due_s = self._due_s()
            if due_s <= time.monotonic():
                key = await self._announce(chosen)
            else:
                key = await self._listen(chosen, min(until_s, due_s))
            if key and not chosen.done() and self._leaves(key):
                return True
        return False

    @property
    def _keys(self) -> str:
        """Those that mean something now."""
        return self.leave_on + (self.announce.offer_callback_key if self.told.callback_offered else "")

    def _leaves(self, key: str) -> bool:
        if self.told.callback_offered and key == self.announce.offer_callback_key:
            self.left = End.CALLBACK
        elif key in self.leave_on:
            self.left = End.KEY
        return self.left is not None

    def _due_s(self) -> float:
        """When something is to be said next, monotonic seconds."""
        due = due_at(self.announce, self.since, self.told)
        return math.inf if due is None else time.monotonic() + (due - utc_now()).total_seconds()

    async def _listen(self, chosen: asyncio.Future[Assignee], until_s: float) -> str:
        """The key that is pressed in the next moment; empty: none, or the time has come."""
        left_s = until_s - time.monotonic()
        if not self._keys:
            await until_chosen(chosen, self.agi, left_s)
            return ""
        slice_ms = max(1, math.ceil(min(SLICE_MS, left_s * 1000)))
        reply = await self.agi.command("WAIT", "FOR", "DIGIT", str(slice_ms))
        return chr(int(reply.result)) if reply.result not in ("", "-1", "0") else ""

    async def _announce(self, chosen: asyncio.Future[Assignee]) -> str:
        """Say what there is to say; the key that broke in."""
        told = self.told
        try:
            saying = await self.saying(told)
        except DatabaseUnavailable as error:
            log.warning("wait_not_told", reason=str(error))
            saying = None
        # Whatever comes of it, the next time is counted from now.
        if saying is None:
            self.told = after_silence(told, self.announce, self.since, utc_now())
            return ""
        said, sounds = saying
        self.told = after(told, said, utc_now())
        if not sounds or chosen.done():
            return ""
        await self.agi.command("SET", "MUSIC", "OFF")
        key = ""
        for sound in sounds:
            try:
                key = await playing.stream_until(self.agi, sound, self._keys, chosen, self.cut) or ""
            except ActionFailed as error:
                log.warning("wait_not_heard", sound=sound, reason=str(error))
            if key or chosen.done():
                break
        if not chosen.done():
            await self.agi.command("SET", "MUSIC", "ON", self.music)
        return key
