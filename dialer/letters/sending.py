"""Sends letters, one after another; in the jobs process.

A letter that was given to the mail server just before the server died is given to it again, with the same
Message-ID, by which mailboxes know it as one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException

import structlog

from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.letters import store
from dialer.letters.mail import MailServer
from dialer.letters.model import Letter, State, again

log = structlog.get_logger(__name__)

EVERY_S = 2.0
#: A letter is one process's for so long.
HOLD = timedelta(minutes=10)
#: Longest reason that is kept, in characters.
LONGEST_ERROR = 300


class Sending:
    """The task of the jobs process."""

    def __init__(self, database: Database, server: MailServer) -> None:
        self._database = database
        self._server = server

    async def run(self) -> None:
        """Until cancelled, every few seconds; a database that is away is asked again."""
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("letters_wait", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def round(self) -> None:
        """Send all that is due, in every tenant."""
        for tenant_id in await self._database.tenants():
            while True:
                async with self._database.tenant(tenant_id) as conn:
                    letter = await store.take(conn, tenant_id, utc_now(), HOLD)
                if letter is None:
                    break
                await self._send(tenant_id, letter)

    async def _send(self, tenant_id: int, letter: Letter) -> None:
        key, error, never = f"dozvon.{tenant_id}.{letter.id}", "", False
        try:
            await asyncio.to_thread(self._server.send, letter.to, letter.subject, letter.text, key)
        except (OSError, SMTPException) as raised:
            error, never = str(raised)[:LONGEST_ERROR] or type(raised).__name__, _for_good(raised)
            log.warning("letter_not_sent", letter=letter.id, tries=letter.tries, reason=type(raised).__name__)
        now = utc_now()
        wait = None if never else again(letter.tries)
        async with self._database.tenant(tenant_id) as conn:
            if not error:
                await store.sent(conn, tenant_id, letter.id, now)
            else:
                await store.not_sent(conn, tenant_id, letter.id, error, now + wait if wait else None)
            if error and wait:
                return
            state = State.FAILED if error else State.SENT
            await events.emit(
                conn,
                "letter.changed",
                {"letter_id": letter.id, "campaign_id": letter.campaign_id, "state": state},
                tenant_id=tenant_id,
                campaign_id=letter.campaign_id,
                agent_id=letter.agent_id,
            )


def _for_good(error: Exception) -> bool:
    """The mail server will not take it another time either."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    # 53x and such: the log-in, which people mend.
    return isinstance(error, SMTPResponseException) and 550 <= error.smtp_code < 560
