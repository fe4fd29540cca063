"""Looks at the mail server that letters of scripts are given to."""

from __future__ import annotations

import asyncio
from smtplib import SMTPException

from dialer.check.model import Finding, fail, ok
from dialer.letters.mail import MailServer


async def look(server: MailServer) -> Finding:
    """A log-in there; nothing is sent."""
    where = f"{server.host}:{server.port}"
    try:
        await asyncio.to_thread(server.look)
    except (OSError, SMTPException) as error:
        mend = "look at DOZVON_SMTP_HOST, _PORT, _SECURITY, _USER and _PASSWORD"
        return fail("letters", f"{where} takes none: {error}", mend)
    return ok("letters", f"{where} takes them from {server.sender}")
