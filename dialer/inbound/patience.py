"""Waits, with somebody on the line, for a database that is away for some seconds."""

from __future__ import annotations

import contextlib
import time
from asyncio import timeout
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.errors import AgiHangup, DatabaseUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: How long somebody on the line is held while the database is away, and how often it is asked, seconds.
PATIENCE_S: Final = 30.0
AGAIN_S: Final = 0.5


async def patiently(agi: AgiCall, work: Callable[[], Awaitable[T]]) -> T:
    """Do it as soon as the database is there; the caller hears music meanwhile. Raises AgiHangup, and
    DatabaseUnavailable when it was away for `PATIENCE_S`."""
    until_s, waits = time.monotonic() + PATIENCE_S, False
    while True:
        try:
            done = await work()
        except DatabaseUnavailable as error:
            if time.monotonic() >= until_s:
                raise
            if not waits:
                log.warning("caller_waits_for_database", channel=agi.channel_id, reason=str(error))
        else:
            if waits:
                with contextlib.suppress(AgiHangup):  # the next command says so: this is done
                    await agi.command("SET", "MUSIC", "OFF")
            return done
        if not waits:
            await agi.command("SET", "MUSIC", "ON")
            waits = True
        with contextlib.suppress(TimeoutError):  # nothing tells when a database is back
            async with timeout(AGAIN_S):
                await agi.hung_up.wait()
            raise AgiHangup(command="SET MUSIC")
