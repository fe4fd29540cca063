"""The carrier and a dialer's Asterisk, face to face: for tests of the carrier and of the demo's phones.

A test module imports everything from here; both are started once for it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import asterisk_conf
from dialer.asterisk.ami import Address, AmiEvent, AmiLink
from dialer.asterisk.config import AgentPhone, ha1, render_managed
from dialer.asterisk.runtime import AsteriskBinary, AsteriskServer
from dialer.asterisk.speech import Speaker
from dialer.demo.carrier import HOST, Carrier
from dialer.demo.numbers import Planned
from dialer.settings import load
from support.asterisk import asterisk_folder, free_ports

__all__ = ["AGENTS", "LOST", "SPARE", "Call", "Dialer", "carrier", "dialer", "folder", "password"]

#: What the dialer's side does with an answered call here: listen for a machine, read three digits, wait.
EXTENSIONS = """
#include extensions_dozvon.conf
[dozvon-closed]
[dozvon-inbound]
[test]
exten => screen,1,AMD(2500,1500,700,4000,100,50,3,256)
 same => n,UserEvent(Heard,Text: ${AMDSTATUS})
 same => n,Wait(60)
exten => digits,1,Read(DIGITS,,3,,,8)
 same => n,UserEvent(Heard,Text: ${DIGITS})
 same => n,Wait(60)
exten => wait,1,Wait(60)
"""

AGENTS = [f"agent{i}" for i in range(10)]
SPARE = ["spare1", "spare2"]
LOST = "lost1"


@dataclass(slots=True)
class Call:
    """What the dialer's Asterisk has said of one of its channels."""

    events: list[AmiEvent] = field(default_factory=list)

    def find(self, name: str) -> AmiEvent | None:
        """The last event of this name."""
        return next((event for event in reversed(self.events) if event.name == name), None)

    def at(self, name: str) -> float:
        """When it came; the event must be there."""
        event = self.find(name)
        assert event is not None, [event.name for event in self.events]
        return event.received_at

    @property
    def dial_status(self) -> str | None:
        event = self.find("DialEnd")
        return event["DialStatus"] if event else None

    @property
    def heard(self) -> str | None:
        event = self.find("UserEvent")
        return event["Text"] if event else None

    @property
    def rang(self) -> bool:
        return any(event.get("ChannelStateDesc") == "Ringing" for event in self.events)


class Dialer:
    """The dialer's Asterisk, driven by AMI, and what it said of each channel."""

    def __init__(self, link: AmiLink, sip_port: int) -> None:
        self.link = link
        self.sip_port = sip_port
        self.calls: dict[str, Call] = {}
        self._changed = asyncio.Condition()

    async def watch(self) -> None:
        while True:
            event = await self.link.inbox.get()
            if isinstance(event, AmiEvent):
                channel = event.get("DestUniqueid") or event.get("Uniqueid")
                async with self._changed:
                    self.calls.setdefault(channel, Call()).events.append(event)
                    self._changed.notify_all()

    async def originate(self, channel: str, *, timeout_s: float = 40.0, **action: str) -> str:
        """Start a call; returns its channel id."""
        call_id = str(uuid.uuid4())
        await self.link.send(
            {
                "Action": "Originate",
                "Channel": channel,
                "ChannelId": call_id,
                "Async": "true",
                "Timeout": str(round(timeout_s * 1000)),
                "CallerID": "<+74951234567>",
                **action,
            }
        )
        return call_id

    async def dial(self, number: Planned, exten: str = "wait", *, timeout_s: float = 40.0) -> str:
        """Call a number of the plan."""
        return await self.originate(
            f"PJSIP/{number.e164}@carrier", Context="test", Exten=exten, Priority="1", timeout_s=timeout_s
        )

    async def wait(self, call_id: str, true: Callable[[Call], Any], timeout_s: float = 40.0) -> Call:
        """Wait until `true` of the call."""
        async with self._changed:
            await asyncio.wait_for(
                self._changed.wait_for(lambda: call_id in self.calls and true(self.calls[call_id])),
                timeout_s,
            )
        return self.calls[call_id]

    async def ended(self, call_id: str) -> Call:
        return await self.wait(call_id, lambda call: call.find("Hangup"))

    async def received(self, call_id: str) -> int:
        """Voice packets received on a channel."""
        reply = await self.link.send(
            {"Action": "Getvar", "Channel": call_id, "Variable": "CHANNEL(rtcp,rxcount)"}
        )
        return int(reply["Value"] or 0)

    async def hangup(self, call_id: str) -> None:
        await self.link.send({"Action": "Hangup", "Channel": call_id})


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with asterisk_folder() as folder:
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def carrier(asterisk_binary: AsteriskBinary, folder: Path) -> AsyncIterator[Carrier]:
    carrier = Carrier(asterisk_binary, folder / "carrier", Speaker.of(load()).speak)
    try:
        await carrier.start(print)
        yield carrier
    finally:
        await carrier.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dialer(asterisk_binary: AsteriskBinary, carrier: Carrier, folder: Path) -> AsyncIterator[Dialer]:
    own = folder / "conf"
    own.mkdir()
    (own / "extensions.conf").write_text(EXTENSIONS)
    # Every scenario is on the line at once.
    managed = replace(free_ports(), rtp_port_from=14_000, rtp_port_to=31_999)
    phones = [AgentPhone(user, ha1(user, password(user))) for user in (*AGENTS, *SPARE, LOST)]
    server = AsteriskServer(
        asterisk_binary,
        folder / "dialer",
        (asterisk_conf.FOLDER, own),
        render_managed(managed, phones, [carrier.trunk()]),
        listens=managed,
    )
    address = Address(HOST, managed.ami_port, managed.ami_user, managed.ami_secret)
    link = AmiLink(address, action_timeout_s=10.0, ping_s=5.0)
    dialer = Dialer(link, managed.sip_port)
    tasks = []
    try:
        await server.start()
        tasks = [asyncio.create_task(link.run()), asyncio.create_task(dialer.watch())]
        await link.wait_up(10.0)
        yield dialer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop()


def password(user: str) -> str:
    return f"password of {user}".replace(" ", "-")
