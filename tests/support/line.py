"""What scenario tests share, started once a test process: Asterisk, a loopback carrier, registered phones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import asterisk_conf
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.asterisk.browsers import endpoint_of
from dialer.asterisk.config import AgentPhone, ha1, render_browser, render_managed
from dialer.asterisk.runtime import AsteriskBinary, AsteriskServer
from dialer.asterisk.speech import Speaker
from dialer.demo.carrier import Carrier
from dialer.demo.phones import AgentPhones, Phone
from dialer.demo.voices import read_wav, write_wav
from dialer.ports import free_port
from dialer.settings import Settings, load
from support.asterisk import asterisk_folder, free_ports

__all__ = ["floor"]

PHONES = 4
#: So many users of a test, the first, can have a browser for a phone; one more has it by opus.
BROWSERS = 6
OPUS_USER = BROWSERS + 1
#: Endpoints without a phone: for tests whose phones die.
MORTALS = ("mortal-0", "mortal-1")
PASSWORD = "test-phone-password"  # of phones on loopback, for the length of a test
#: A trunk to where nobody is, of whom Asterisk does not ask.
NOWHERE = """
[nowhere](dozvon-trunk)
aors = nowhere
[nowhere]
type = aor
contact = sip:127.0.0.1:{port}
"""


@dataclass(slots=True)
class Floor:
    """What all scenarios of a test process share."""

    folder: Path
    asterisk: AsteriskServer
    carrier: Carrier
    phones: AgentPhones
    settings: Settings
    #: as Asterisk names sounds: about two seconds, and three times that
    message: Path
    long_message: Path

    async def register_phones(self) -> None:
        """Its phones register anew, known to Asterisk or forgotten; returns when all of them are known."""
        users = [f"agent-{n}" for n in range(PHONES)]
        for user in users:
            await self.phones.register(user)
        async with asyncio.timeout(10.0):
            # A refreshed registration is no event: it is asked.
            while True:
                contacts = await self.asterisk.cli("pjsip show contacts")
                if all(f"{user}/sip:" in contacts for user in users):
                    return
                await asyncio.sleep(0.1)

    def more_phones(self, *users: str) -> AgentPhones:
        """Phones of a test's own, not started: they may die."""
        return AgentPhones(
            [Phone(user, PASSWORD) for user in users],
            registrar=f"127.0.0.1:{self.settings.sip_port}",
            carrier=self.carrier,
            apart=True,
        )


@pytest.fixture(scope="session")
async def floor(asterisk_binary: AsteriskBinary) -> AsyncIterator[Floor]:
    """Asterisk, the loopback carrier and registered phones."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(asterisk_folder())
        managed = free_ports()
        settings = load(
            data_dir=folder,
            cache_dir=load().packages_dir,
            asterisk="external",
            ami_port=managed.ami_port,
            ami_secret=managed.ami_secret,
            agi_port=free_port(),
            sip_port=managed.sip_port,
            asterisk_http_port=managed.http_port,
            database_pool=5,
            keep_customer_s=4.0,
            asterisk_sounds_dir=folder / "asterisk" / "data" / "sounds",
        )
        speaker = Speaker.of(load())
        carrier = Carrier(asterisk_binary, folder / "carrier", speaker.speak)
        stack.push_async_callback(carrier.stop)
        await carrier.start()
        users = [f"agent-{n}" for n in range(PHONES)]
        files = dict(
            render_managed(
                managed,
                [AgentPhone(user, ha1(user, PASSWORD)) for user in (*users, *MORTALS)],
                [carrier.trunk(), replace(carrier.trunk("dead"), port=free_port(socket.SOCK_DGRAM))],
                # The ids of users begin with 1 in each test's database.
                [endpoint_of(user_id) for user_id in range(1, BROWSERS + 1)],
            )
        )
        files["pjsip.conf"] += render_browser(endpoint_of(OPUS_USER), "opus")
        files["pjsip.conf"] += NOWHERE.format(port=free_port(socket.SOCK_DGRAM))
        server = AsteriskServer(
            asterisk_binary,
            folder / "asterisk",
            [asterisk_conf.FOLDER],
            files,
            listens=managed,
        )
        stack.push_async_callback(server.stop)
        await server.start()
        message = folder / "sounds" / "message.wav"
        message.parent.mkdir()
        await speaker.speak("Вам звонил автосалон «Проба».", "ru", message)
        phones = AgentPhones(
            [Phone(user, PASSWORD) for user in users],
            registrar=f"127.0.0.1:{managed.sip_port}",
            carrier=carrier,
            apart=True,
        )
        stack.push_async_callback(phones.stop)
        await phones.start()
        await phones.wait_registered()
        long_message = message.with_name("long.wav")
        write_wav(long_message, 5 * read_wav(message))
        names = (message.with_suffix(""), long_message.with_suffix(""))
        yield Floor(folder, server, carrier, phones, settings, *names)


async def said(link: AmiLink, name: str, *, within_s: float = 10.0, **fields: str) -> AmiEvent:
    """The next event of that name with those fields."""
    async with asyncio.timeout(within_s):
        while True:
            item = await link.inbox.get()
            if not isinstance(item, AmiEvent) or item.name != name:
                continue
            if all(item.get(key) == value for key, value in fields.items()):
                return item
