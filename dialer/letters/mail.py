"""A letter as a mail server takes it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal

from dialer.clock import utc_now
from dialer.settings import Settings

#: Deadline of each exchange with the mail server, seconds.
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are given to, and by whom they are."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    #: empty: no log-in is asked for
    user: str
    password: str = field(repr=False)
    #: `Showroom <info@example.org>`
    sender: str

    @classmethod
    def of(cls, settings: Settings) -> MailServer | None:
        """The one of the settings; None: they name none, and no letters are sent."""
        if settings.smtp_host is None or settings.letters_from is None:
            return None
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else ""
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_user or "",
            password,
            settings.letters_from,
        )

    def send(self, to: str, subject: str, text: str, key: str) -> None:
        """Give a letter to the mail server; blocks. `key` tells one letter from another: the same letter has
        the same Message-ID whenever it is sent. Raises OSError and SMTPException."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Date"] = format_datetime(utc_now())
        domain = parseaddr(self.sender)[1].rpartition("@")[2]
        message["Message-ID"] = f"<{key}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        self._talk(lambda link: link.send_message(message))

    def look(self) -> None:
        """Log in, and send nothing; blocks. Raises as `send` does."""
        self._talk(lambda link: link.noop())

    def _talk(self, act: Callable[[smtplib.SMTP], object]) -> None:
        trusted = ssl.create_default_context()
        if self.security == "tls":
            link: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=trusted)
        else:
            link = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        with link:
            if self.security == "starttls":
                link.starttls(context=trusted)
            if self.user:
                link.login(self.user, self.password)
            act(link)
