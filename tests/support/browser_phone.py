"""Browsers that are phones: Chromium with a microphone that speaks, on the pages of a centre at work."""

from __future__ import annotations

import asyncio
import math
import os
import wave
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from dialer.agents.model import AgentState
from dialer.agents.service import AgentService
from dialer.asterisk.runtime import AsteriskServer
from dialer.demo.carrier import Carrier
from dialer.demo.numbers import Behaviour, encode
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.users.model import User
from support.browser import FLAGS, Chromium, Visitor, Visitors
from support.centre import TENANT, Centre
from support.web import Web, whole_site

__all__ = ["desk", "talking"]

#: A microphone that nobody need allow, and voice over the machine's own loopback.
TALKING = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
]
#: What the microphone hears: a tone, on and off, or Chromium would take it for a noise and suppress it.
TONE_HZ, TONE_S, SILENCE_S = 1000, 0.3, 0.3
RATE = 8000
#: Puts the page's connections where `voice` finds them.
WATCHED = """
(() => {
  const Real = RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Real {
    constructor(how = {}) {
      super(window.onlyRelay ? { ...how, iceTransportPolicy: "relay" } : how);
      window.connections.push(this);
    }
  };
  window.voice = async () => {
    const found = { received: 0, sent: 0, heard: 0, said: 0 };
    const open = window.connections.filter((one) => one.connectionState === "connected").at(-1);
    if (!open) return found;
    const stats = await open.getStats();
    for (const one of stats.values()) {
      if (one.type === "inbound-rtp") {
        found.received = one.packetsReceived;
        found.heard = one.totalAudioEnergy;
        found.codec = stats.get(one.codecId)?.mimeType;
      } else if (one.type === "outbound-rtp") found.sent = one.packetsSent;
      else if (one.type === "media-source") found.said = one.totalAudioEnergy;
      else if (one.type === "transport") {
        [found.dtls, found.cipher] = [one.dtlsState, one.srtpCipher];
        found.way = stats.get(stats.get(one.selectedCandidatePairId)?.localCandidateId)?.candidateType;
      }
    }
    return found;
  };
})();
"""


#: Makes a page one in the background, as browsers treat it: hidden, its timers ring at whole seconds only,
#: and no frame is painted.
BACKGROUND = """
(() => {
  Object.defineProperty(document, "hidden", { get: () => true });
  Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
  const whole = (ms) => Math.max(1000, Math.ceil((ms || 0) / 1000) * 1000);
  const [once, often] = [window.setTimeout, window.setInterval];
  window.setTimeout = (act, ms, ...more) => once(act, whole(ms), ...more);
  window.setInterval = (act, ms, ...more) => often(act, whole(ms), ...more);
  window.requestAnimationFrame = () => 0;
  document.dispatchEvent(new Event("visibilitychange"));
})();
"""


def human(n: int = 0, *, ring_s: float = 0.5) -> str:
    """The n-th of those who answer and talk."""
    return encode(Behaviour.HUMAN, ring_s=ring_s, detail=n).e164


def quiet(ring_s: float = 0.5) -> str:
    """Somebody who answers and says nothing."""
    return encode(Behaviour.SILENT, ring_s=ring_s).e164


def write_tone(path: Path) -> None:
    """A tone, on and off, for the microphone."""
    tone, silence = round(TONE_S * RATE), round(SILENCE_S * RATE)
    on = [round(16000 * math.sin(2 * math.pi * TONE_HZ * n / RATE)) for n in range(tone)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(array("h", [*on, *[0] * silence]).tobytes() * 10)


@asynccontextmanager
async def microphone(
    chromium: Chromium, centre: Centre, *, without: Sequence[str] = ()
) -> AsyncIterator[Browser]:
    """A browser whose microphone hears the tone again and again. `without`: of Playwright's own flags."""
    spoken = centre.floor.folder / "tone.wav"
    write_tone(spoken)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium.path,
            args=[*FLAGS, *TALKING, f"--use-file-for-fake-audio-capture={spoken}"],
            ignore_default_args=list(without),
            env={**os.environ, **chromium.environment},
        )
        yield started
        await started.close()


@pytest.fixture
async def talking(chromium: Chromium, centre: Centre) -> AsyncIterator[Browser]:
    """A browser with that microphone."""
    async with microphone(chromium, centre) as started:
        yield started


@asynccontextmanager
async def desks(centre: Centre, talking: Browser, **settings: Any) -> AsyncIterator[Visitors]:
    """The pages of a centre that is at work, in that browser."""
    chosen = centre.settings.model_copy(update=settings)
    async with whole_site(centre.database, centre.database_url, chosen) as site:
        visitors = Visitors(talking, site)
        yield visitors
        complaints = [line for visitor in visitors.made for line in visitor.complaints]
        for visitor in visitors.made:
            await visitor.context.close()
        assert complaints == [], complaints


@pytest.fixture
async def desk(_frontend: None, centre: Centre, talking: Browser) -> AsyncIterator[Visitors]:
    """These pages, with the settings of the centre."""
    async with desks(centre, talking) as visitors:
        yield visitors


async def agent(web: Web, n: int) -> tuple[User, int]:
    """The n-th agent of the centre, from 0: the user, and the agent's id."""
    user = await web.user(Role.OPERATOR)
    made = await AgentService(web.database, managed=False).create(
        Actor.server(TENANT), user_id=user.id, name=f"Оператор {n}", endpoint=f"agent-{n}", skills=[]
    )
    return user, made.agent.id


async def visitor(
    desk: Visitors, user: User | None, url: str = "", *, relay: bool = False, locale: str = "en"
) -> Visitor:
    """Somebody with a browser whose connections can be measured; `relay`: its voice goes by TURN alone."""
    person = await desk(user, locale=locale)
    await person.context.add_init_script(f"window.onlyRelay = {str(relay).lower()};{WATCHED}")
    person.url = url or person.url
    # Two Asterisks, PostgreSQL, engine, pages and browser on one machine: a page may take its time.
    person.context.set_default_timeout(30_000)
    return person


async def at_browser(
    centre: Centre, desk: Visitors, url: str = "", *, relay: bool = False
) -> tuple[Visitor, int]:
    """An agent who has logged in with the browser, and takes calls."""
    user, agent_id = await agent(desk.web, 0)
    person = await visitor(desk, user, url, relay=relay)
    await person.open("/desk")
    await person.page.get_by_role("button", name="Log in with this browser").click()
    await centre.until_agent(agent_id, AgentState.PAUSED, within_s=10)
    await connected(person.page)
    await person.page.get_by_role("button", name="Ready", exact=True).click()
    await centre.until_agent(agent_id, AgentState.READY)
    return person, agent_id


async def connected(page: Page) -> None:
    """Wait until the page says that it is the phone."""
    await expect(page.locator("#phone-state")).to_have_text("The phone is connected.", timeout=30_000)


async def voice(page: Page) -> dict[str, Any]:
    """What the page's connection has carried so far: packets `received` and `sent`, energy `heard` and
    `said`; `codec`, `dtls`, `cipher`; `way`: host, or relay by a TURN server."""
    found: dict[str, Any] = await page.evaluate("voice()")
    return found


async def until_voice(centre: Centre, page: Page, **more: float) -> None:
    """Wait until the page's connection has carried so much more than now."""
    before = await voice(page)

    async def carried() -> bool:
        now = await voice(page)
        return all(now[name] >= before[name] + much for name, much in more.items())

    await centre.until_seen(f"voice: {more}", carried)


async def packets(asterisk: AsteriskServer | Carrier, channel: str) -> tuple[int, int]:
    """Packets of voice that an Asterisk has had from the only channel of this name, and has sent to it."""
    said = await asterisk.cli("pjsip show channelstats")
    (line,) = [line.split() for line in said.splitlines() if channel in line]
    return int(line[-9]), int(line[-5])


async def ear(centre: Centre) -> Path:
    """What the only person on the carrier's lines hears, written from now on."""
    carrier, name = centre.floor.carrier, new_id()
    both, heard = (centre.floor.folder / f"{name}-{which}.wav" for which in ("both", "heard"))
    await carrier.cli("module load app_mixmonitor.so")
    (channel,) = (await carrier.cli("core show channels concise")).splitlines()
    await carrier.cli(f"mixmonitor start {channel.split('!')[0]} {both},r({heard})")
    return heard


def tone_share(path: Path, begin: int, end: int) -> float:
    """How much of the loudest tenth of a second between these bytes of voice is the tone: 0 to 1."""
    data = path.read_bytes()[44 + begin : 44 + end]
    samples = numpy.frombuffer(data[: len(data) // 2 * 2], dtype=numpy.int16).astype(float)
    window = RATE // 10
    pieces = [samples[at : at + window] for at in range(0, len(samples) - window, window)]
    loudest = max(pieces, key=lambda piece: float(numpy.sum(piece**2)))
    power = numpy.abs(numpy.fft.rfft(loudest * numpy.hanning(window))) ** 2
    middle = round(TONE_HZ * window / RATE)
    return float(numpy.sum(power[middle - 3 : middle + 4]) / numpy.sum(power))


class Wire:
    """The network between the browser and the server, which can be cut: nothing passes then, and nobody is
    told."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self.whole = asyncio.Event()
        self.whole.set()
        self._passing: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of the browser."""
        there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        for one in (self._pass(reader, back), self._pass(there, writer)):
            self._passing.add(task := asyncio.create_task(one))
            task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                await self.whole.wait()
                writer.write(piece)
                await writer.drain()
            await self.whole.wait()
        except ConnectionError:
            await self.whole.wait()
        writer.close()
