"""Where the server is put together: the only place that builds parts and wires them.

Three processes, each with its function here; they share nothing but PostgreSQL:

    engine   speaks to Asterisk: paces, places, follows and joins calls
    web      pages, API, events
    jobs     imports and other long work
"""

from __future__ import annotations

import asyncio

from dialer.asterisk.ami import Address, AmiLink
from dialer.asterisk.fastagi import FastAgiServer
from dialer.calls.journal import DatabaseJournal
from dialer.calls.phones import Phones
from dialer.calls.placing import Placer
from dialer.calls.recovery import Recovery
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable
from dialer.calls.tracking import EVENTS, Tracker
from dialer.campaigns.runner import Runner
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.db.listen import ENGINE, Listener
from dialer.db.session import Database
from dialer.engine import Engine
from dialer.managed import Renderer
from dialer.recordings.recorder import Recorder
from dialer.settings import Settings


def build_engine(settings: Settings, database_url: str) -> Engine:
    """The engine, not yet running."""
    database = Database.open(database_url, pool=settings.database_pool)
    listener = Listener(database_url, (ENGINE,))
    link = AmiLink(
        Address(settings.ami_host, settings.ami_port, settings.ami_user, settings.ami_password()),
        action_timeout_s=settings.ami_timeout_s,
        ping_s=settings.ami_ping_s,
        wanted=EVENTS,
    )
    journal = DatabaseJournal(database)
    calls = CallTable(journal)
    tracker = Tracker(calls)
    agi = FastAgiServer(settings.agi_host, settings.agi_port)
    resynced = asyncio.Event()
    terms = DatabaseTermsBook(database, settings.prompts_dir)
    placer = Placer(
        database,
        link,
        calls,
        tracker,
        settings.agi_address or f"{settings.agi_host}:{settings.agi_port}",
    )
    switchboard = Switchboard(database, link, calls, tracker, settings.keep_customer_s, resynced)
    return Engine(
        database=database,
        listener=listener,
        link=link,
        agi=agi,
        journal=journal,
        calls=calls,
        tracker=tracker,
        switchboard=switchboard,
        placer=placer,
        phones=Phones(database, link, tracker, switchboard.agents_changed),
        recorder=Recorder(database, link, settings.recording_dir),
        recovery=Recovery(database, link, calls, tracker, placer, terms),
        terms=terms,
        runner=Runner(database, calls, placer, terms, settings.tick_ms / 1000, resynced),
        render=Renderer(settings, database) if settings.asterisk == "managed" else None,
        resynced=resynced,
    )
