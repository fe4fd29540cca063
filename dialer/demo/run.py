"""`dozvon demo`: the whole server at work on one machine, with a carrier, people and agents of its own.

Everything in it is the real thing but the people: SIP and RTP to a second Asterisk that plays the telephone
network (carrier.py), registered softphones (phones.py), and agents who work through the API (robots.py). The
demo has a data folder of its own; nothing of an installation is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import sys
import time
import webbrowser
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import structlog
from rich.console import Console
from rich.live import Live
from sqlalchemy import select

import asterisk_conf
from dialer import processes, settings, telemetry
from dialer.asterisk.runtime import AsteriskServer, find_asterisk
from dialer.asterisk.speech import Speaker
from dialer.db import tables as t
from dialer.demo import people, summary
from dialer.demo.api import Api
from dialer.demo.carrier import Carrier
from dialer.demo.phones import AgentPhones, Phone
from dialer.demo.robots import Robot, Times
from dialer.demo.screen import Screen, print_summary
from dialer.demo.setup import GUEST, SUPERVISOR, TENANT, TRUNK, Setup
from dialer.errors import Invalid
from dialer.httpkit.i18n import terminal_locale
from dialer.pacing.budget import ALLOWANCE_ANSWERS
from dialer.ports import free_port, taken

log = structlog.get_logger(__name__)

LOG = "demo.log"
HTTP_PORT = 8080
#: Voice ports: two a leg, and a customer's call has a leg of ours and the agent's.
RTP_PORTS = 2000
LOOK_S = 0.25
#: How long calls may take to end after the dialling is over, seconds.
DRAIN_S = 60.0
MESSAGE = (
    "Вам звонил автосалон «Северный». К сожалению, сейчас все операторы заняты. Мы перезвоним вам позже."
)

SHORT = Times(talk_mean_s=8, talk_cv=0.8, wrap_up_mean_s=2, wrap_up_cv=0.5)
REAL = Times(talk_mean_s=120, talk_cv=1.0, wrap_up_mean_s=15, wrap_up_cv=0.5)
#: Said of SHORT against REAL.
SHORTENED = "Times are shortened: talks 8 s, wrap-up 2 s, ringing 4 s on average (--real-times: 120, 15, 12)."
SHORT_RING_S, REAL_RING_S = 4.0, 12.0
#: As on a list of people who do not wait for the call.
HUMAN_SHARE = 0.3
#: Modes that need nobody to start a call.
MODES = ("progressive", "predictive", "power")
#: The zone of a new tenant, in which the pages show times.
ZONE = ZoneInfo("Europe/Moscow")


@dataclass(frozen=True, slots=True)
class Demo:
    """What is to be shown."""

    leads: int
    agents: int
    #: longest time of dialling
    seconds: int
    json_only: bool
    browser: bool
    #: decides the list, who answers and how long agents talk
    seed: int
    real_times: bool
    mode: str

    @property
    def times(self) -> Times:
        """How long talks and wrap-ups take."""
        return REAL if self.real_times else SHORT

    @property
    def ring_mean_s(self) -> float:
        """How long it rings before people answer."""
        return REAL_RING_S if self.real_times else SHORT_RING_S

    def contacts(self) -> people.Contacts:
        """The list that is called."""
        return people.make_contacts(
            self.leads, self.seed, HUMAN_SHARE, self.ring_mean_s, self.times.talk_mean_s
        )

    @property
    def ring_timeout_s(self) -> int:
        """How long a call rings before it is given up."""
        return 25 if self.real_times else 10


@dataclass(slots=True)
class Stage:
    """What is up while the demo runs."""

    demo: Demo
    console: Console
    screen: Screen
    server: processes.Server
    carrier: Carrier
    robots: list[Robot]
    supervisor_password: str
    guest_password: str
    campaign_id: int = 0


async def run_demo(demo: Demo) -> int:
    """Run it; the exit status. The last line of stdout is the summary as JSON."""
    if demo.mode not in MODES:
        raise Invalid(field="--mode", reason=f"must be one of {', '.join(MODES)}, not {demo.mode!r}")
    console = Console(stderr=demo.json_only)
    screen = Screen(terminal_locale())
    began = time.monotonic()
    stop = processes.until_signal()
    folder = settings.load().writable_data_dir() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    # The lock comes before all else: an earlier demo may be running, whose log and carrier are its own.
    with processes.only_one(folder, "demo.lock"), (folder / LOG).open("w", encoding="utf-8") as log_file:
        (folder / LOG).chmod(0o600)
        telemetry.configure("info", "json", "demo", log_file)
        async with contextlib.AsyncExitStack() as stack:
            working = asyncio.create_task(_work(demo, console, screen, folder, log_file, stack, began))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not working.done():
                console.print(screen.say("stopping: calls end, agents log out, nothing is left behind"))
                working.cancel()
                await asyncio.wait({working})
                return 130
            found = working.result()
    print_summary(found)
    return 0


async def _work(
    demo: Demo,
    console: Console,
    screen: Screen,
    folder: Path,
    log_file: TextIO,
    stack: contextlib.AsyncExitStack,
    began: float,
) -> dict[str, Any]:
    def say(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    chosen = _settings(folder)
    binary = await find_asterisk(chosen.packages_dir, say)
    # One that an earlier demo left when it was killed has lost its carrier and its phones.
    await AsteriskServer(binary, chosen.data_dir / "asterisk", (asterisk_conf.FOLDER,), {}).stop()
    carrier = Carrier(binary, folder / "carrier", Speaker.of(chosen, say).speak)
    stack.push_async_callback(carrier.stop)
    await carrier.start(say)
    setup = Setup(demo.agents, carrier, guest=True)
    server = await stack.enter_async_context(
        processes.running(chosen, progress=say, log_file=log_file, prepare=setup)
    )
    phones = AgentPhones(
        [Phone(user, password) for user, _, password in setup.agents],
        registrar=f"{chosen.sip_host}:{chosen.sip_port}",
        carrier=carrier,
    )
    stack.push_async_callback(phones.stop)
    await phones.start()
    await phones.wait_registered()
    say(screen.say("{agents} agents, registered: {phones}", agents=demo.agents, phones=phones.what))
    robots = [
        Robot(server.url, login, web, demo.times, random.Random(f"{demo.seed} {login}"))  # noqa: S311
        for login, web, _ in setup.agents
    ]
    passwords = setup.supervisor_password, setup.guest_password
    stage = Stage(demo, console, screen, server, carrier, robots, *passwords)
    async with _at_work(stage):
        await _make_campaign(stage)
        if not demo.real_times:
            console.print(screen.say(SHORTENED))
        console.print(
            screen.say(
                "Look at it: {url}  user {user}, password {password}",
                url=server.url,
                user=SUPERVISOR,
                password=setup.supervisor_password,
            ),
            highlight=False,
        )
        console.print(
            screen.say(
                "Take calls yourself: in another browser, user {user}, password {password}",
                user=GUEST,
                password=setup.guest_password,
            ),
            highlight=False,
        )
        if demo.browser and sys.stdout.isatty():
            await asyncio.to_thread(webbrowser.open, f"{server.url}/campaigns/{stage.campaign_id}")
        await _watch(stage)
        found = await summary.summary(server.database, stage.campaign_id, carrier.began())
    found = {"mode": demo.mode, **found, "seconds": round(time.monotonic() - began, 1)}
    console.print(screen.summary(found, _notes(demo, screen, found)))
    return found


def _notes(demo: Demo, screen: Screen, found: Mapping[str, Any]) -> list[str]:
    """What has to be known to read the figures."""
    notes = [] if demo.real_times else [screen.say("Times were shortened; a real campaign's rates differ.")]
    if demo.mode == "predictive" and found["answered_live"] < ALLOWANCE_ANSWERS:
        most = math.floor(found["abandon_limit"] * ALLOWANCE_ANSWERS)
        notes.append(
            screen.say(
                "Under {answers} live answers the abandon rate says little: "
                "so few may have {most} abandoned calls by the budget.",
                answers=ALLOWANCE_ANSWERS,
                most=most,
            )
        )
    return notes


def _settings(folder: Path) -> settings.Settings:
    """The demo's own settings: its own folder and free ports, the packages of the installation."""
    rtp = random.randrange(33_000, 58_000, RTP_PORTS)  # noqa: S311
    return settings.load(
        data_dir=folder,
        cache_dir=settings.load().packages_dir,
        database_url=None,
        asterisk="managed",
        http_port=0 if taken(HTTP_PORT) else HTTP_PORT,
        ami_port=free_port(),
        agi_port=free_port(),
        asterisk_http_port=free_port(),
        sip_port=free_port(SOCK_DGRAM),
        rtp_port_from=rtp,
        rtp_port_to=rtp + RTP_PORTS - 1,
        log_format="json",
    )


@contextlib.asynccontextmanager
async def _at_work(stage: Stage) -> AsyncIterator[None]:
    """The agents log in, and log out at the end."""
    tasks = [asyncio.create_task(robot.run(), name=robot.login) for robot in stage.robots]
    ready = asyncio.gather(*(robot.at_work.wait() for robot in stage.robots))
    try:
        # A robot ends only by an error, which is then what to say.
        either: set[asyncio.Future[Any]] = {*tasks, ready}
        done, _ = await asyncio.wait(either, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if not done:
            log_path = stage.server.settings.data_dir / LOG
            raise Invalid(field="agents", reason=f"some phones were not reached in 30 s; see {log_path}")
        yield
    finally:
        ready.cancel()
        for robot in tasks:
            robot.cancel()
        await asyncio.gather(*tasks, ready, return_exceptions=True)
        ends = await asyncio.gather(*(robot.log_out() for robot in stage.robots), return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                log.warning("not_logged_out", reason=str(end))


async def _make_campaign(stage: Stage) -> None:
    """What a supervisor does: a list from a file, a campaign over it, start."""
    demo = stage.demo
    contacts = demo.contacts()
    name = f"Демонстрация {datetime.now(ZONE):%d.%m.%Y %H:%M:%S}"
    async with Api(stage.server.url) as api:
        await api.log_in(SUPERVISOR, stage.supervisor_password)
        listed = await api.call("POST", "/lists", {"name": name})
        trunks = await api.call("GET", "/trunks")
        campaign = await api.call(
            "POST",
            "/campaigns",
            {
                "name": name,
                "mode": demo.mode,
                "ratio": 1.5,
                "policy": "demo",
                "ring_timeout_s": demo.ring_timeout_s,
                "detect_machines": True,
                "record": True,
                "caller_name": "автосалон «Северный»",
                "abandon_message": MESSAGE,
                "call_from": "00:00",
                "call_until": "24:00",
                "trunks": [trunk["id"] for trunk in trunks if trunk["endpoint"] == TRUNK],
            },
        )
        stage.campaign_id = campaign["id"]
        job = await api.call(
            "POST",
            f"/lists/{listed['id']}/imports?campaign={stage.campaign_id}&filename=demo.csv",
            data=people.to_csv(contacts).encode(),
            type_="text/csv",
        )
        while job["status"] in ("queued", "running"):
            await asyncio.sleep(LOOK_S)
            job = await api.call("GET", f"/imports/{job['id']}")
        stage.console.print(
            stage.screen.say(
                "list: {rows} rows, {loaded} contacts, {duplicates} duplicates, {rejected} rejected", **job
            ),
            style="dim",
            highlight=False,
        )
        await api.call("POST", f"/campaigns/{stage.campaign_id}/start")


async def _watch(stage: Stage) -> None:
    """Show the campaign until its list is dialled through or its time is over."""
    until = time.monotonic() + stage.demo.seconds
    paused = False
    with Live(console=stage.console, refresh_per_second=4, transient=True, auto_refresh=False) as shown:
        while True:
            view = await _look(stage)
            shown.update(view.screen, refresh=True)
            if not view.waiting_leads or time.monotonic() > until:
                if not view.unfinished:
                    return
                if not paused:
                    paused = True
                    until = min(until, time.monotonic())
                if time.monotonic() > until + DRAIN_S + stage.demo.times.talk_mean_s * 4:
                    return
                await _pause(stage)
            await asyncio.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class _View:
    screen: Any
    waiting_leads: int
    unfinished: int


async def _look(stage: Stage) -> _View:
    async with stage.server.database.tenant(TENANT) as conn:
        calls = Counter(
            await conn.scalars(
                select(t.attempt.c.state).where(
                    t.attempt.c.campaign_id == stage.campaign_id, t.attempt.c.ended_at.is_(None)
                )
            )
        )
        states = Counter(
            await conn.scalars(
                select(t.agent_session.c.state).where(t.agent_session.c.logged_out_at.is_(None))
            )
        )
        done = await summary.progress(conn, stage.campaign_id)
    figures = await summary.figures(stage.server.database, stage.campaign_id)
    return _View(
        stage.screen.live(
            title=f"{stage.screen.say('Campaign')} {stage.campaign_id}: "
            f"{stage.screen.word('mode', stage.demo.mode)}",
            url=f"{stage.server.url}/campaigns/{stage.campaign_id}",
            leads=done.leads,
            dialled=done.dialled,
            calls=calls,
            agents=states,
            figures=figures,
        ),
        waiting_leads=done.leads - done.dialled,
        unfinished=sum(calls.values()),
    )


async def _pause(stage: Stage) -> None:
    async with stage.server.database.tenant(TENANT) as conn:
        status = await conn.scalar(select(t.campaign.c.status).where(t.campaign.c.id == stage.campaign_id))
    if status == "running":
        async with Api(stage.server.url) as api:
            await api.log_in(SUPERVISOR, stage.supervisor_password)
            await api.call("POST", f"/campaigns/{stage.campaign_id}/pause")
