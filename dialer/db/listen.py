"""PostgreSQL's notifications, with the one guarantee they lack: no note is missed without a word.

A notification sent while the connection was down is lost. So after each connect every channel gets a
synthetic note (`MISSED`), and its reader looks at the tables themselves.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from dialer.db.session import CONNECTION_ERRORS, connect
from dialer.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

#: channel -> payload it carries; see `dialer.db.events`.
ENGINE = "dozvon_engine"  # {"tenant": 1, "what": "campaigns"}; of one shift with its id as "shift"
EVENTS = "dozvon_events"  # the last number given
OUTBOX = "dozvon_outbox"  # empty: events without a number exist
JOBS = "dozvon_jobs"  # empty: an import or a change of many leads is queued
REPLIES = "dozvon_replies"  # the id of a command that is done

#: The payload of a synthetic note: the connection is (again) up, anything may have happened before.
MISSED = ""

#: Seconds between two looks at a connection that says nothing, and until it must have answered.
PROBE_S = 15.0
PROBE_TIMEOUT_S = 5.0
BACK_OFF_MAX_S = 2.0


class Listener:
    """One connection that listens to some channels, and calls back in the order of the notes."""

    def __init__(self, url: str, channels: Sequence[str]) -> None:
        self._url = url
        self._callbacks: dict[str, list[Callable[[str], None]]] = {channel: [] for channel in channels}
        self._listening = asyncio.Event()

    def subscribe(self, channel: str, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(payload)` for each note of `channel`; it must return at once (set an event, put
        into a queue). Payload `MISSED` ("") means: look yourself. Returns the function that ends it.
        """
        callbacks = self._callbacks[channel]
        callbacks.append(callback)
        return lambda: callbacks.remove(callback)

    async def listening(self) -> None:
        """Wait until the connection is up and every channel is listened to."""
        await self._listening.wait()

    async def run(self) -> None:
        """Connect, listen, and connect again when the connection is lost (0.1 s, doubling to 2 s), until
        cancelled."""
        back_off_s = 0.1
        while True:
            try:
                await self._listen()
                back_off_s = 0.1
            except DatabaseUnavailable as error:
                log.warning("listener_cannot_connect", reason=str(error))
            self._listening.clear()
            await asyncio.sleep(back_off_s * random.uniform(0.5, 1.0))  # noqa: S311
            back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)

    async def _listen(self) -> None:
        """One connection's life."""
        connection = await connect(self._url, application="dozvon listener")
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for channel in self._callbacks:
                await connection.add_listener(channel, self._note)
            self._listening.set()
            for channel in self._callbacks:
                self._deliver(channel, MISSED)
            while not lost.is_set():
                try:
                    async with asyncio.timeout(PROBE_S):
                        await lost.wait()
                except TimeoutError:
                    # A machine that vanished closes no socket: only a question finds that out.
                    await connection.execute("SELECT 1", timeout=PROBE_TIMEOUT_S)
        except CONNECTION_ERRORS as error:
            log.warning("listener_lost", reason=str(error) or type(error).__name__)
        else:
            log.warning("listener_lost", reason="the server closed the connection")
        finally:
            connection.terminate()

    def _note(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self._deliver(channel, str(payload))

    def _deliver(self, channel: str, payload: str) -> None:
        for callback in tuple(self._callbacks[channel]):
            try:
                callback(payload)
            except Exception:
                # One subscriber's fault must not keep the note from the others.
                log.exception("listener_callback_failed", channel=channel)
