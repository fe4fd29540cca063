"""Long work, one piece after another: imports, changes of many leads, figures of past hours, calls drawn to
be scored, recordings moved to a store, the deletion of what is over; and reminders of promised calls."""

from __future__ import annotations

import asyncio

import structlog

from dialer.app import quality, segments
from dialer.boards.alerts import AlertWatch
from dialer.callbacks.reminding import Reminding
from dialer.contacts.importing import run_next_import
from dialer.contacts.old_previews import OldPreviews
from dialer.db.listen import ENGINE, JOBS, MISSED, Listener
from dialer.db.session import Database
from dialer.donotcall import importing as numbers
from dialer.errors import DatabaseUnavailable
from dialer.inbound.missed import MissedCalls
from dialer.letters.mail import MailServer
from dialer.letters.sending import Sending
from dialer.recordings.moving import Moving
from dialer.reports.closing import Closing
from dialer.retention.service import Retention, terms
from dialer.reviews.drawing import Drawing
from dialer.settings import Settings
from dialer.vault.files import Vault
from scheduler.calendar_writer import CalendarWriter
from scheduler.changes import Changes

log = structlog.get_logger(__name__)


async def run_jobs(settings: Settings, database_url: str, stop: asyncio.Event) -> None:
    """Do imports of contacts and of numbers that are not to be called, one after another, close hours, and
    delete what is over, until `stop`."""
    database = Database.open(database_url, pool=8)
    listener = Listener(database_url, (ENGINE, JOBS))
    queued = asyncio.Event()
    listener.subscribe(JOBS, lambda _note: queued.set())
    listening = asyncio.create_task(listener.run())
    changes = Changes(database)
    listener.subscribe(JOBS, lambda _note: changes.ask())
    calendar = CalendarWriter(database)
    listener.subscribe(ENGINE, lambda note: calendar.ask() if note == MISSED or "campaigns" in note else None)
    stopping = asyncio.create_task(stop.wait())
    kept, vault = terms(settings), Vault.of(settings)
    besides = {
        asyncio.create_task(Retention(database, kept, recordings=vault).run()),
        asyncio.create_task(OldPreviews(database, settings).run()),
        asyncio.create_task(changes.run()),
        asyncio.create_task(calendar.run()),
        asyncio.create_task(Reminding(database, settings.callback_reminder_s).run()),
        asyncio.create_task(MissedCalls(database).run()),
        asyncio.create_task(Drawing(database).run()),
        asyncio.create_task(AlertWatch(database).run()),
        asyncio.create_task(Closing(database, kept.agent_time).run()),
        *(asyncio.create_task(job.run()) for job in quality.jobs(database)),
        *([asyncio.create_task(Moving(database, vault).run())] if settings.recordings_place else ()),
        asyncio.create_task(segments.keeper(database, listener).run()),
    }
    mail = MailServer.of(settings)
    if mail is not None:
        besides.add(asyncio.create_task(Sending(database, mail).run()))
    try:
        while not stop.is_set():
            queued.clear()
            try:
                while await run_next_import(database, settings) or await numbers.run_next_import(
                    database, settings
                ):
                    pass
            except DatabaseUnavailable as error:
                log.warning("jobs_wait", reason=str(error))
                await asyncio.sleep(1.0)  # the listener's next connection sets `queued`
            waiting = asyncio.create_task(queued.wait())
            await asyncio.wait({waiting, stopping, *besides}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            for one in besides:
                if one.done():
                    one.result()  # a fault of ours: the process is started anew
    finally:
        listening.cancel()
        stopping.cancel()
        for one in besides:
            one.cancel()
        await asyncio.gather(listening, stopping, *besides, return_exceptions=True)
        await database.close()
