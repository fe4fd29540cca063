"""A mail server for tests: it keeps what it is given, or refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from dialer.letters.mail import MailServer


@dataclass(slots=True)
class Mailbox:
    """What came to it."""

    #: how the server is reached, as the settings name it
    server: MailServer
    letters: list[EmailMessage] = field(default_factory=list)
    #: what it says to each recipient
    answer: str = "250 welcome"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""

        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        await say("220 test")
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"RCPT":
                    await say(self.answer)
                case b"DATA":
                    await say("354 go on")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    self.letters.append(message_from_bytes(text[:-5], policy=policy.default))
                    await say("250 taken")
                case b"QUIT":
                    await say("221 bye")
                    break
                case _:
                    await say("250 well")
        writer.close()


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server on a free port."""
    found: list[Mailbox] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await found[0].serve(reader, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        server = MailServer("127.0.0.1", port, "none", "", "", "Салон <info@example.org>")
        found.append(Mailbox(server))
        yield found[0]
