"""An engine at work over the test's database, and an Asterisk that has what a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

from dialer.app.engine import build_engine
from dialer.engine import Engine
from dialer.settings import load
from support.fake_ami import Action, FakeAmi, FakePeer


class Asterisk(FakeAmi):
    """One that has the channels that a test gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.channels: set[UUID] = set()
        #: called when it is asked for its channels, before it says them
        self.asked: Callable[[], None] = lambda: None
        self.on("CoreStatus", lambda peer, action: peer.reply(action, CoreStartupDate="a day"))
        self.on("PJSIPShowContacts", lambda peer, action: peer.reply(action, "Error", "No Contacts found"))
        self.on("PJSIPShowEndpoint", lambda peer, action: peer.reply(action, "Error", "No such endpoint"))
        self.on("Command", lambda peer, action: peer.reply(action, Output=""))
        self.on("CoreShowChannels", self._show)

    def _show(self, peer: FakePeer, action: Action) -> None:
        channels = set(self.channels)
        self.asked()
        peer.reply(action, EventList="start")
        for channel in channels:
            shown = {"Uniqueid": str(channel), "ChannelStateDesc": "Ringing", "Context": "dozvon-customer"}
            peer.item(action, "CoreShowChannel", **shown)
        peer.item(action, "CoreShowChannelsComplete", EventList="Complete")

    def fall_silent(self) -> None:
        """Say that it lives, and do nothing that it is asked for."""
        for name in ("Hangup", "Command", "CoreShowChannels"):
            self.on(name, lambda _peer, _action: None)


@contextlib.asynccontextmanager
async def working(database_url: str, folder: Path, port: int) -> AsyncIterator[Engine]:
    """An engine at work, with a node there."""
    said = load(data_dir=folder, ami_port=port, ami_secret="right", agi_port=0, ami_timeout_s=60.0)
    engine = build_engine(said, database_url)
    engine.render = None
    task = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(20):
            await engine.resynced.wait()
        yield engine
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task  # what has ended it, if it has
        await engine.database.close()
