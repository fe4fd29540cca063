"""A SIP phone of the least kind: registers with a password, answers OPTIONS. Real packets, no library."""

from __future__ import annotations

import asyncio
import hashlib
import re
from uuid import uuid4


class SipPhone(asyncio.DatagramProtocol):
    """One user's phone on 127.0.0.1, by UDP."""

    def __init__(self, user: str, password: str, server_port: int) -> None:
        self.user = user
        self.answers_options = True
        #: ports from which it was asked by OPTIONS
        self.asked_by: set[int] = set()
        self._password = password
        self._server = ("127.0.0.1", server_port)
        self._call_id = uuid4().hex
        self._sequence = 0
        self._replies: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def open(self) -> None:
        """Take a port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port: int = self._transport.get_extra_info("sockname")[1]

    def close(self) -> None:
        """Vanish without a word."""
        self._transport.close()

    async def register(self, *, expires_s: int = 120) -> int:
        """Register (0: unregister); returns the status of the last answer."""
        status, reply = await self._register(expires_s, "")
        if status != 401:
            return status
        challenge = dict(
            re.findall(r'(\w+)="?([^",\r]+)"?', reply.split("WWW-Authenticate:")[1].split("\r\n")[0])
        )
        uri = f"sip:127.0.0.1:{self._server[1]}"
        first = _md5(f"{self.user}:{challenge['realm']}:{self._password}")
        second = _md5(f"REGISTER:{uri}")
        response = _md5(f"{first}:{challenge['nonce']}:00000001:abcdef:auth:{second}")
        status, _ = await self._register(
            expires_s,
            f'Authorization: Digest username="{self.user}", realm="{challenge["realm"]}", '
            f'nonce="{challenge["nonce"]}", uri="{uri}", response="{response}", algorithm=MD5, '
            f'opaque="{challenge.get("opaque", "")}", qop=auth, nc=00000001, cnonce="abcdef"\r\n',
        )
        return status

    async def _register(self, expires_s: int, authorization: str) -> tuple[int, str]:
        self._sequence += 1
        here = f"127.0.0.1:{self.port}"
        self._transport.sendto(
            (
                f"REGISTER sip:127.0.0.1:{self._server[1]} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{uuid4().hex};rport\r\nMax-Forwards: 70\r\n"
                f"From: <sip:{self.user}@127.0.0.1>;tag={self._call_id[:8]}\r\n"
                f"To: <sip:{self.user}@127.0.0.1>\r\n"
                f"Call-ID: {self._call_id}\r\nCSeq: {self._sequence} REGISTER\r\n"
                f"Contact: <sip:{self.user}@{here}>\r\nExpires: {expires_s}\r\n"
                f"{authorization}Content-Length: 0\r\n\r\n"
            ).encode(),
            self._server,
        )
        return await asyncio.wait_for(self._replies.get(), 30)

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        """Sort what comes: answers to us, and OPTIONS."""
        text = data.decode()
        if text.startswith("SIP/2.0 "):
            status = int(text[8:11])
            if status >= 200:
                self._replies.put_nowait((status, text))
        elif text.startswith("OPTIONS ") and self.answers_options:
            self.asked_by.add(addr[1])
            kept = re.findall(r"^(?:Via|From|To|Call-ID|CSeq):.*$", text, re.MULTILINE | re.IGNORECASE)
            lines = [line.rstrip("\r") for line in kept]
            reply = "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""])
            self._transport.sendto(reply.encode(), addr)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
