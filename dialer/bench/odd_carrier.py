"""A carrier that misbehaves on purpose: a small SIP peer of our own on loopback.

The demo's carrier is an Asterisk, and does what a carrier should. This one does what carriers do on a bad
day: it is away, refuses everything, answers when nobody waits any more, floods, changes the talk, forgets it,
or says nothing in it. It speaks plain SIP over UDP (RFC 3261, as much of it as the dialer's side needs) and
sends voice; every number is answered alike. What it counts is what came over the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

HOST = "127.0.0.1"
#: A packet of 20 ms of silence in alaw.
_VOICE = b"\xd5" * 160
_PACKET_S = 0.02
#: An answer that nobody acknowledges is taken back after so long (RFC 3261, 13.3.1.4, which waits for 32 s).
_UNACKED_S = 10.0
_NUMBER = re.compile(r"sips?:\+?(\d{3,15})@")
_CONTACT = re.compile(r"<([^>]+)>")


class Manner(StrEnum):
    """How it treats calls."""

    GOOD = auto()  # rings, answers, sends voice, hangs up when told
    AWAY = auto()  # says nothing to anything
    REFUSES = auto()  # 503 to every INVITE
    LATE = auto()  # rings, does not hear a CANCEL, and answers after `late_s`
    FLOODS = auto()  # 183 after 183, then as GOOD
    CHANGES = auto()  # re-INVITEs in the talk: hold, without voice, and back
    FORGETS = auto()  # answers, and soon knows nothing of the call: no voice, no answer to a BYE
    SILENT = auto()  # answers and never sends a packet of voice


@dataclass(slots=True)
class Message:
    """A SIP message."""

    start: str
    #: in order; names in lower case
    headers: list[tuple[str, str]]
    body: str

    def get(self, name: str) -> str:
        """The first value of a header; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def method(self) -> str:
        """Of a request; of a response, that of its CSeq."""
        if self.start.startswith("SIP/2.0"):
            return self.get("cseq").split()[-1]
        return self.start.split()[0]


#: The short names of headers (RFC 3261, 7.3.3).
_SHORT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


def parse(data: bytes) -> Message | None:
    """The message in a datagram; None for what is none (a keep-alive)."""
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    lines = head.split("\r\n")
    if "SIP/2.0" not in lines[0]:
        return None
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        headers.append((_SHORT.get(name, name), value.strip()))
    return Message(lines[0], headers, body)


@dataclass(slots=True)
class Talk:
    """One call, as this side has it."""

    invite: Message
    peer: tuple[str, int]
    tag: str
    manner: Manner
    voice: Voice
    answered: bool = False
    #: the caller has taken it back
    canceled: bool = False
    #: this side knows nothing of it any more
    forgotten: bool = False
    cseq: int = 1
    last: bytes = b""
    task: asyncio.Task[None] | None = None
    #: set when the far side acknowledges our answer
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    #: answers to our own requests, by CSeq
    replies: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)


class Voice(asyncio.DatagramProtocol):
    """The voice port of one call; sends silence while it is switched on."""

    def __init__(self) -> None:
        self.port = 0
        self.heard = 0
        self.on = False
        self._transport: asyncio.DatagramTransport | None = None
        self._number = secrets.randbelow(30_000)
        self._ssrc = secrets.token_bytes(4)

    def connection_made(self, transport: Any) -> None:
        """The port is open."""
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Voice of the other side."""
        self.heard += 1

    def send(self, to: tuple[str, int]) -> None:
        """One packet (RFC 3550, 5.1; payload 8 is alaw)."""
        if self._transport is None or not self.on:
            return
        self._number = (self._number + 1) & 0xFFFF
        head = bytes((0x80, 8)) + self._number.to_bytes(2, "big")
        head += (self._number * 160).to_bytes(4, "big") + self._ssrc
        self._transport.sendto(head + _VOICE, to)

    def close(self) -> None:
        """Close the port."""
        if self._transport is not None:
            self._transport.close()


class OddCarrier(asyncio.DatagramProtocol):
    """The peer; an async context manager. `manner` is that of calls that come from now on."""

    def __init__(self) -> None:
        self.manner = Manner.GOOD
        self.ring_s = 0.3
        #: LATE: from the INVITE to the answer
        self.late_s = 30.0
        #: FORGETS: from the answer
        self.remembers_s = 1.0
        #: CHANGES: how long it holds the talk, without voice
        self.hold_s = 1.0
        self.port = 0
        self.talks: dict[str, Talk] = {}
        #: Call-IDs of the INVITEs that came, by number, with the event loop's time; counted in any manner
        self.invites: dict[str, dict[str, float]] = {}
        #: when each of them came first, by the event loop's clock
        self.times: list[float] = []
        #: re-INVITEs that the far side has accepted, and refused
        self.changed = self.change_refused = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> OddCarrier:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self._spawn(self._speak())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for talk in self.talks.values():
            talk.voice.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def open(self) -> int:
        """Calls that it takes for alive."""
        return sum(not talk.forgotten for talk in self.talks.values())

    def leave(self) -> None:
        """The called people of all talks hang up."""
        for talk in self.talks.values():
            if talk.answered and not talk.forgotten:
                self._request(talk, "BYE")

    # -- what comes --------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The port is open."""
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A message of the dialer's Asterisk."""
        message = parse(data)
        if message is None:
            return
        call_id = message.get("call-id")
        if message.method == "INVITE" and "SIP/2.0" not in message.start[:7]:
            number = _NUMBER.search(message.start)
            if number is not None and "tag=" not in message.get("to"):
                ids = self.invites.setdefault(f"+{number[1]}", {})
                if call_id not in ids:
                    ids[call_id] = asyncio.get_running_loop().time()
                    self.times.append(ids[call_id])
        if self.manner is Manner.AWAY:
            return
        talk = self.talks.get(call_id)
        if message.start.startswith("SIP/2.0"):
            if talk is not None and message.method == "BYE":
                self._over(talk)
            elif talk is not None and not talk.forgotten:
                talk.replies.put_nowait(message)
        elif message.method == "OPTIONS":
            self._send(_response(message, 200, "OK", "options"), addr)
        elif message.method == "INVITE" and talk is None:
            self._spawn(self._call(message, addr))
        elif talk is not None and not talk.forgotten:
            self._in_talk(talk, message, addr)

    def _in_talk(self, talk: Talk, message: Message, addr: tuple[str, int]) -> None:
        match message.method:
            case "INVITE" if "tag=" not in message.get("to"):
                self._send(talk.last, addr)  # it was sent again: so is what we said last
            case "INVITE" | "UPDATE":
                self._answer(talk, message, 200, "OK", _sdp(talk.voice.port))
            case "ACK":
                talk.acked.set()
            case "BYE":
                self._answer(talk, message, 200, "OK")
                self._over(talk)
            case "CANCEL" if talk.manner is not Manner.LATE and not talk.answered:
                self._answer(talk, message, 200, "OK")
                self._answer(talk, talk.invite, 487, "Request Terminated")
                talk.canceled = True
                self._over(talk)

    # -- a call ------------------------------------------------------------------------------------------

    async def _call(self, invite: Message, peer: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        manner, call_id = self.manner, invite.get("call-id")
        if call_id in self.talks:
            return
        if manner is Manner.REFUSES:
            self._send(_response(invite, 503, "Service Unavailable", secrets.token_hex(4)), peer)
            return
        talk = self.talks[call_id] = Talk(invite, peer, secrets.token_hex(4), manner, Voice())
        talk.task = asyncio.current_task()
        await loop.create_datagram_endpoint(lambda: talk.voice, local_addr=(HOST, 0))
        self._answer(talk, invite, 100, "Trying")
        if manner is Manner.FLOODS:
            await self._flood(talk)
        else:
            self._answer(talk, invite, 180, "Ringing")
            await asyncio.sleep(self.late_s if manner is Manner.LATE else self.ring_s)
        talk.answered = True
        talk.voice.on = manner is not Manner.SILENT
        self._answer(talk, invite, 200, "OK", _sdp(talk.voice.port))
        try:
            async with asyncio.timeout(_UNACKED_S):
                await talk.acked.wait()
        except TimeoutError:
            self._over(talk)  # nobody is there any more: they gave up as we answered
            return
        if manner is Manner.CHANGES:
            await self._change(talk)
        elif manner is Manner.FORGETS:
            await asyncio.sleep(self.remembers_s)
            talk.forgotten, talk.voice.on = True, False

    async def _flood(self, talk: Talk) -> None:
        """A 183 with a description every few milliseconds for all the time of ringing."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.ring_s
        while loop.time() < until:
            for _ in range(5):
                self._answer(talk, talk.invite, 183, "Session Progress", _sdp(talk.voice.port))
            await asyncio.sleep(0.01)

    async def _change(self, talk: Talk) -> None:
        """Hold the talk as exchanges do, take it back, and offer another codec first."""
        for way, codecs in (("sendonly", "8"), ("sendrecv", "8"), ("inactive", "8"), ("sendrecv", "0 8")):
            await asyncio.sleep(0.2)
            talk.voice.on = way == "sendrecv"
            if not await self._reinvite(talk, _sdp(talk.voice.port, way, codecs)):
                return
            if way != "sendrecv":
                await asyncio.sleep(self.hold_s)

    async def _reinvite(self, talk: Talk, sdp: str) -> bool:
        """Whether the far side took it."""
        cseq = self._request(talk, "INVITE", sdp)
        while True:
            reply = await talk.replies.get()
            code = int(reply.start.split()[1])
            if reply.get("cseq") != f"{cseq} INVITE" or code < 200:
                continue
            self._request(talk, "ACK", cseq=cseq)
            self.changed += code == 200
            self.change_refused += code != 200
            return code == 200

    def _over(self, talk: Talk) -> None:
        """Both sides know that it is over."""
        talk.voice.close()
        self.talks.pop(talk.invite.get("call-id"), None)
        if talk.task is not None and talk.task is not asyncio.current_task():
            talk.task.cancel()

    def forget(self) -> None:
        """Clear away what it has forgotten, before the next run."""
        for talk in [talk for talk in self.talks.values() if talk.forgotten]:
            self._over(talk)

    # -- what goes ---------------------------------------------------------------------------------------

    def _answer(self, talk: Talk, request: Message, code: int, reason: str, sdp: str = "") -> None:
        said = _response(request, code, reason, talk.tag, f"<sip:carrier@{HOST}:{self.port}>", sdp)
        if request is talk.invite:
            talk.last = said
        self._send(said, talk.peer)

    def _request(self, talk: Talk, method: str, sdp: str = "", *, cseq: int | None = None) -> int:
        """Send a request within the talk; its CSeq."""
        if cseq is None:
            talk.cseq += 1
            cseq = talk.cseq
        contact = _CONTACT.search(talk.invite.get("contact"))
        to = contact[1] if contact else f"sip:{talk.peer[0]}:{talk.peer[1]}"
        lines = [
            f"{method} {to} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: {talk.invite.get('to')};tag={talk.tag}",
            f"To: {talk.invite.get('from')}",
            f"Call-ID: {talk.invite.get('call-id')}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:carrier@{HOST}:{self.port}>",
        ]
        self._send(_written(lines, sdp), talk.peer)
        return cseq

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and self.manner is not Manner.AWAY:
            self._transport.sendto(data, addr)

    async def _speak(self) -> None:
        """Voice of all calls, a packet each 20 ms."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for talk in list(self.talks.values()):
                if talk.voice.on and self.manner is not Manner.AWAY and (to := _voice_of(talk.invite)):
                    talk.voice.send(to)
            due = max(due + _PACKET_S, loop.time())
            await asyncio.sleep(due - loop.time())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with contextlib.suppress(asyncio.CancelledError):
            task.result()


def _response(request: Message, code: int, reason: str, tag: str, contact: str = "", sdp: str = "") -> bytes:
    to = request.get("to")
    if "tag=" not in to and code != 100:
        to += f";tag={tag}"
    lines = [
        f"SIP/2.0 {code} {reason}",
        *(f"Via: {via}" for via in request.all("via")),
        f"From: {request.get('from')}",
        f"To: {to}",
        f"Call-ID: {request.get('call-id')}",
        f"CSeq: {request.get('cseq')}",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE",
    ]
    return _written([*lines, *([f"Contact: {contact}"] if contact else [])], sdp)


def _written(lines: list[str], sdp: str) -> bytes:
    body = sdp.encode()
    kind = ["Content-Type: application/sdp"] if body else []
    head = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


_CODECS: Mapping[str, str] = {"8": "PCMA/8000", "0": "PCMU/8000"}


_versions = itertools.count(1)


def _sdp(port: int, way: str = "sendrecv", codecs: str = "8") -> str:
    """What we can hear and say (RFC 4566); a later version of it is a change of the talk."""
    lines = [
        "v=0",
        f"o=- 1 {next(_versions)} IN IP4 {HOST}",
        "s=-",
        f"c=IN IP4 {HOST}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {codecs}",
        *(f"a=rtpmap:{codec} {_CODECS[codec]}" for codec in codecs.split()),
        "a=ptime:20",
        f"a={way}",
    ]
    return "\r\n".join([*lines, ""])


def _voice_of(message: Message) -> tuple[str, int] | None:
    """Where the other side wants to hear."""
    where = re.search(r"^c=IN IP4 (\S+)", message.body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", message.body, re.MULTILINE)
    return (where[1], int(port[1])) if where and port else None
