"""The link to Asterisk's manager: cut at each step, half-open, silent, dirty, torn, and more than is read."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from dialer.bench.ami_proxy import AmiProxy, Cut, Way
from dialer.bench.engine_with_fault import OVERFLOW, QUEUE
from dialer.bench.model import Run, Say, case_of
from dialer.bench.site import RECOVER_S, NotInTime, Site, busy, patience
from dialer.bench.site_after import not_free
from dialer.bench.site_parts import until
from dialer.bench.site_runs import Settling
from dialer.ports import free_port

AGENTS = 5
CALM_S = (0.2, 1.5)
LOST_S = 30.0
#: A peer that says nothing is found out by its silence of 2 s after a ping, and pings come every second.
DETECT_S = 3.5
TORN_S = (1.5, 4.0)
#: The longest packet that the link takes is 4 MB.
TOO_LONG = 5 * 1024 * 1024

_LIST = b"Event: CoreShowChannel\r\n"
#: Of each case that is a cut: where it is made.
CUTS: dict[str, tuple[Way, bytes, int, bytes]] = {
    # way, what begins there, bytes of it that are let through at most, only once this was asked
    "banner": (Way.FROM_ASTERISK, b"Asterisk Call Manager", 24, b""),
    "login": (Way.TO_ASTERISK, b"Action: Login", 60, b""),
    "login_reply": (Way.FROM_ASTERISK, b"Response: ", 50, b"Action: Login"),
    "fully_booted": (Way.FROM_ASTERISK, b"Event: FullyBooted", 60, b""),
    "action": (Way.TO_ASTERISK, b"Action: Originate", 300, b""),
    "reply": (Way.FROM_ASTERISK, b"Response: ", 60, b"Action: Originate"),
    "event": (Way.FROM_ASTERISK, b"Event: ", 200, b""),
    "list": (Way.FROM_ASTERISK, _LIST, 400, b"Action: CoreShowChannels"),
}
#: These are steps of a login: the link has to be lost first.
LOGIN_STEPS = ("banner", "login", "login_reply", "fully_booted", "list")
#: Not every fault of these ends the link; after all others Asterisk is asked what it has.
KEEPS = ("torn", "garbage")
GARBAGE = ("glued", "line", "noise", "endless", "other_service", "orphan_reply")


@dataclass(frozen=True, slots=True)
class Ami:
    """The row."""

    name: str = "ami"
    title: str = (
        "AMI connection cut at each protocol step, half-open, silent peer, garbage, torn packets, overflow "
        "of the event queue"
    )
    must_hold: str = (
        "nothing dialled twice; every attempt has an end 60 s later; no saved disposition lost; recovered in "
        "5 s; an overflow closes the link and resyncs"
    )
    #: the short form has those from the second on
    cases: tuple[str, ...] = (
        "banner",
        "action",
        "reply",
        "list",
        "garbage",
        "overflow",
        "torn",
        "silent_peer",
        "half_open",
        "login",
        "login_reply",
        "fully_booted",
        "event",
    )
    long_runs: int = 500
    short_runs: int = 7
    limit_s: float = RECOVER_S

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Make one fault a seed in one living centre."""
        port = free_port()
        async with (
            AmiProxy(port, seeds[0]).running() as proxy,
            Site.open(
                agents=AGENTS,
                seed=seeds[0],
                engine=("-m", "dialer.bench.engine_with_fault", OVERFLOW, "-"),
                asterisk_settings={"ami_port": port},
                say=say,
                ami_port=proxy.port,
            ) as site,
        ):
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))

            async def fault(seed: int) -> Run:
                case = case_of(self.cases, seed)
                say(f"seed {seed}: {case}")
                return await _Fault(site, proxy, seed, case).run()

            async for run in Settling(site).each(seeds, fault):
                yield run


@dataclass(slots=True)
class _Fault:
    """One fault on the wire."""

    site: Site
    proxy: AmiProxy
    seed: int
    case: str
    figures: dict[str, float] = field(default_factory=dict)
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed} ami")  # noqa: S311

    async def run(self) -> Run:
        """Make it, and wait until all goes on."""
        await asyncio.sleep(self.rng.uniform(*CALM_S))
        run, loop = Run("ami", self.seed, self.case), asyncio.get_running_loop()
        broken, resyncs = "", self._said(b'"resynced"')
        try:
            broken = await self._make()
            began, over = loop.time(), self.site.mark()
            await self.site.until_working(patience(LOST_S))
        except NotInTime as error:
            # The next fault needs a living link: the engine is started anew.
            await self._reset()
            return replace(run, broken=str(error), figures=self.figures)
        took_s, allowed_s = loop.time() - began, RECOVER_S * busy()
        if self.case in ("half_open", "silent_peer"):  # that end was gone from the first
            took_s += self.figures["detect_s"]
        if not broken and self.case not in KEEPS and self._said(b'"resynced"') == resyncs:
            broken = "the engine is at work again and has not asked Asterisk what it has"
        if not broken:
            broken = await not_free(self.site, over)
        if not broken and took_s > allowed_s:
            broken = f"recovered after {took_s:.1f} s; {allowed_s:.1f} s are allowed"
        figures = {**self.figures, "load_max": os.getloadavg()[0]}
        return replace(run, recover_s=took_s, broken=broken, figures=figures)

    async def _make(self) -> str:
        """Make the fault and return when it is over; what was wrong, or nothing."""
        if self.case in CUTS:
            return await self._cut()
        made = {
            "half_open": self._half_open,
            "silent_peer": self._silent_peer,
            "garbage": self._garbage,
            "torn": self._torn,
            "overflow": self._overflow,
        }
        return await made[self.case]()

    async def _cut(self) -> str:
        way, begins, most, once = CUTS[self.case]
        times = self.rng.randint(1, 3) if self.case in LOGIN_STEPS else 1
        for _ in range(times):
            after = self.rng.randint(0, most)
            self.proxy.arm(Cut(way, begins, after, reset=self.rng.random() < 0.5, once_asked=once))
            if self.case in LOGIN_STEPS and self.proxy.wire is not None:
                self.proxy.drop(reset=self.rng.random() < 0.5)
            await _within("the wire is cut", self.proxy.was_cut, patience(LOST_S / 2))
        self.figures["cuts"] = times
        return ""

    async def _half_open(self) -> str:
        wire = self.proxy.wire
        assert wire is not None
        wire.half_open = True
        return await self._detected(wire.gone)

    async def _silent_peer(self) -> str:
        self.proxy.silent = True
        had = self.proxy.accepted
        try:
            self.proxy.drop(reset=self.rng.random() < 0.5)

            async def tried() -> bool:
                return self.proxy.accepted > had and self.proxy.wire is not None

            await until("the engine connects again", tried, patience(LOST_S / 2))
            wire = self.proxy.wire
            assert wire is not None
            return await self._detected(wire.gone)
        finally:
            self.proxy.silent = False

    async def _detected(self, gone: asyncio.Event) -> str:
        """Wait until the engine has found out that nobody is there."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await _within("the engine finds out that nobody answers", gone, patience(LOST_S))
        self.figures["detect_s"] = took_s = loop.time() - began
        allowed_s = DETECT_S * busy()
        return f"found out after {took_s:.1f} s; {allowed_s:.1f} s are allowed" if took_s > allowed_s else ""

    async def _garbage(self) -> str:
        kind = GARBAGE[self.seed // len(ROW.cases) % len(GARBAGE)]
        noise = self.rng.randbytes(self.rng.randint(1, 2000))
        dirt = {
            "line": b"what is this\r\n\r\n",
            "glued": noise.replace(b"\r\n", b""),
            "noise": noise + b"\r\n\r\n" + noise,
            "endless": b"x" * TOO_LONG,
            "other_service": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            "orphan_reply": b"Response: Success\r\nActionID: 0/0\r\nMessage: \xff\xfe\r\n\r\n",
        }[kind]
        # Before what is missed the most: the end of a call.
        self.proxy.was_dirty.clear()
        self.proxy.dirt = (b"Event: Hangup\r\n", dirt)
        await _within("a call ends, and dirt is put before that", self.proxy.was_dirty, patience(LOST_S))
        self.figures[f"garbage_{kind}"] = 1
        return ""

    async def _torn(self) -> str:
        had = self.proxy.accepted
        self.proxy.torn = True
        try:
            await asyncio.sleep(self.rng.uniform(*TORN_S))
        finally:
            self.proxy.torn = False
        return "the link was lost of torn packets" if self.proxy.accepted != had else ""

    async def _overflow(self) -> str:
        """Freeze the engine while more is said than its queue holds."""
        wire, had = self.proxy.wire, self._said(b'"ami.overflow"')
        assert wire is not None
        self.site.engine.freeze()
        event = b"Event: DialState\r\nDestUniqueid: bench\r\nDialStatus: RINGING\r\n\r\n"
        wire.inject(event * (4 * QUEUE))
        await asyncio.sleep(self.rng.uniform(0.2, 1.5))
        self.site.engine.thaw()
        await _within("the overflow closes the link", wire.gone, patience(LOST_S / 2))
        self.figures["overflows"] = self._said(b'"ami.overflow"') - had
        return "" if self.figures["overflows"] else "the link was lost, and not of an overflow"

    def _said(self, event: bytes) -> int:
        """How often the engine's log has this event."""
        return self.site.engine.log_path.read_bytes().count(event)

    async def _reset(self) -> None:
        self.proxy.cut = None
        self.proxy.drop(reset=True)
        await self.site.engine.kill()
        await self.site.engine.start(("-m", "dialer.bench.engine_with_fault", OVERFLOW, "-"))
        await self.site.until_working(patience(LOST_S))


async def _within(what: str, event: asyncio.Event, seconds: float) -> None:
    """Wait for the event. Raises NotInTime."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        raise NotInTime(what=what, seconds=f"{seconds:g}") from None


ROW = Ami()
