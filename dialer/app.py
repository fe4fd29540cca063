"""Where the server is put together: the only place that builds parts and wires them.

Three processes, each with its function here; they share nothing but PostgreSQL:

    engine   speaks to Asterisk: paces, places, follows and joins calls
    web      pages, API, events
    jobs     imports and other long work
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from dialer.agents import http as agents_http
from dialer.agents.service import AgentService
from dialer.asterisk.ami import Address, AmiLink
from dialer.asterisk.fastagi import FastAgiServer
from dialer.asterisk.nodes import Nodes
from dialer.asterisk.speech import Speaker
from dialer.calls import http as calls_http
from dialer.calls.commands import CommandDesk
from dialer.calls.journal import DatabaseJournal
from dialer.calls.lines import TrunkLines
from dialer.calls.phones import Phones
from dialer.calls.placing import Placer
from dialer.calls.recovery import Recovery
from dialer.calls.service import CallService
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable
from dialer.calls.tracking import EVENTS as ASTERISK_EVENTS
from dialer.calls.tracking import Tracker
from dialer.calls.voices import Voices
from dialer.calls.wrapups import WrapUpLimits
from dialer.campaigns import http as campaigns_http
from dialer.campaigns.runner import Runner
from dialer.campaigns.service import CampaignService
from dialer.campaigns.sounds import PromptSounds
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.check.proof import ROUTE as PROOF
from dialer.check.proof import answer as answer_proof
from dialer.contacts import http as contacts_http
from dialer.contacts.importing import run_next_import
from dialer.contacts.service import ContactService
from dialer.db.events import Numberer
from dialer.db.listen import ENGINE, EVENTS, JOBS, REPLIES, Listener
from dialer.db.lock import Alone
from dialer.db.pulse import Pulse
from dialer.db.session import Database
from dialer.engine import Engine
from dialer.errors import DatabaseUnavailable
from dialer.httpkit.application import build_application
from dialer.managed import Renderer
from dialer.monitoring import http as monitoring_http
from dialer.monitoring.service import MonitoringService
from dialer.recordings import http as recordings_http
from dialer.recordings.recorder import Recorder
from dialer.recordings.service import RecordingService
from dialer.reports import http as reports_http
from dialer.reports.service import FigureService
from dialer.retention.service import Retention, terms
from dialer.servers.ownership import Ownership
from dialer.servers.store import NodeRow, sessions_of
from dialer.settings import Settings
from dialer.trunks import http as trunks_http
from dialer.trunks.service import TrunkService
from dialer.users import http as users_http
from dialer.users.service import UserService
from dialer.web.pages import add_pages

log = structlog.get_logger(__name__)


def build_engine(settings: Settings, database_url: str) -> Engine:
    """The engine, not yet running."""
    database = Database.open(
        database_url, pool=settings.database_pool, application=sessions_of(settings.server_name)
    )
    listener = Listener(database_url, (ENGINE,))
    nodes = Nodes()
    ownership = Ownership(database, settings.server_name, settings.ami_user)

    def link_to(node: NodeRow) -> AmiLink:
        return AmiLink(
            Address(node.ami_host, node.ami_port, settings.ami_user, settings.ami_password()),
            action_timeout_s=settings.ami_timeout_s,
            ping_s=settings.ami_ping_s,
            wanted=ASTERISK_EVENTS,
        )

    journal = DatabaseJournal(database, ownership)
    calls = CallTable(journal)
    tracker = Tracker(calls)
    agi = FastAgiServer(settings.agi_host, settings.agi_port)
    agi.route(PROOF, answer_proof)
    terms = DatabaseTermsBook(database, settings.prompts_dir)
    lines = TrunkLines()
    tracker.contacts.append(lines.contact)
    placer = Placer(database, nodes, ownership, calls, tracker, lines, settings.agi_address or "")
    switchboard = Switchboard(database, nodes, ownership, calls, tracker, settings.keep_customer_s)
    return Engine(
        database=database,
        alone=Alone(database_url, settings.server_name),
        listener=listener,
        own_node=NodeRow(settings.node_name, settings.ami_host, settings.ami_port, draining=False),
        link_to=link_to,
        nodes=nodes,
        ownership=ownership,
        agi=agi,
        journal=journal,
        calls=calls,
        tracker=tracker,
        switchboard=switchboard,
        placer=placer,
        phones=Phones(database, nodes, tracker, ownership.owns_phones, switchboard.agents_changed),
        voices=Voices(nodes, calls, tracker),
        recorder=Recorder(database, nodes, settings.recording_dir),
        wrap_ups=WrapUpLimits(database, calls),
        recovery=Recovery(database, nodes, calls, tracker, placer, terms),
        terms=terms,
        runner=Runner(database, calls, placer, terms, settings.tick_ms / 1000, nodes, ownership),
        render=Renderer(settings, database) if settings.asterisk == "managed" else None,
    )


def build_web(settings: Settings, database_url: str) -> web.Application:
    """Pages and API, with the numberer of events."""
    database = Database.open(database_url, pool=settings.database_pool)
    listener = Listener(database_url, (EVENTS, REPLIES))
    desk = CommandDesk(database, listener)
    users = UserService(database, session_hours=settings.session_hours)
    speaker = Speaker.of(settings)
    app = build_application(
        settings,
        database,
        listener,
        users,
        (
            users_http.routes,
            campaigns_http.routes,
            trunks_http.routes,
            contacts_http.routes,
            agents_http.routes,
            calls_http.routes,
            recordings_http.routes,
            reports_http.routes,
        ),
        services={
            users_http.USERS: users,
            campaigns_http.CAMPAIGNS: CampaignService(
                database, PromptSounds(speaker, settings.prompts_dir, settings.locale)
            ),
            trunks_http.TRUNKS: TrunkService(database),
            contacts_http.CONTACTS: ContactService(database, settings),
            agents_http.AGENTS: AgentService(database, managed=settings.asterisk == "managed"),
            calls_http.CALLS: CallService(database, desk, settings),
            recordings_http.RECORDINGS: RecordingService(database, settings.recording_dir),
            reports_http.FIGURES: FigureService(database),
        },
        background={
            "pulse": Pulse(database, database_url).run,
            "listener": listener.run,
            "numberer": Numberer(database_url).run,
        },
    )

    monitoring_http.add(app, MonitoringService(database))

    add_pages(app)

    async def close(_app: web.Application) -> None:
        users.close()
        await database.close()

    app.on_cleanup.append(close)
    return app


async def run_jobs(settings: Settings, database_url: str, stop: asyncio.Event) -> None:
    """Do imports, one after another, and delete what is over, until `stop`."""
    database = Database.open(database_url, pool=2)
    listener = Listener(database_url, (JOBS,))
    queued = asyncio.Event()
    listener.subscribe(JOBS, lambda _note: queued.set())
    listening = asyncio.create_task(listener.run())
    stopping = asyncio.create_task(stop.wait())
    keeping = asyncio.create_task(Retention(database, terms(settings)).run())
    try:
        while not stop.is_set():
            queued.clear()
            try:
                while await run_next_import(database, settings):
                    pass
            except DatabaseUnavailable as error:
                log.warning("jobs_wait", reason=str(error))
                await asyncio.sleep(1.0)  # the listener's next connection sets `queued`
            waiting = asyncio.create_task(queued.wait())
            await asyncio.wait({waiting, stopping, keeping}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if keeping.done():
                keeping.result()  # a fault of ours: the process is started anew
    finally:
        listening.cancel()
        stopping.cancel()
        keeping.cancel()
        await asyncio.gather(listening, stopping, keeping, return_exceptions=True)
        await database.close()
