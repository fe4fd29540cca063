"""People who call: SIP by UDP, voice both ways, keys by RFC 4733; a program of its own, and its log.

    python -m dialer.bench.load.callers '{"port": 5060, "number": "7495...", "rate": 20, ...}'

Each caller sends voice in which its own number stands, 50 packets a second. An agent's phone gives back
what it hears, so who hears their own voice has an agent, and who hears another's has been mixed up. The log
is a line of JSON a caller: what they did, and what they heard when. It knows nothing of the server's rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO, cast

HOST: Final = "127.0.0.1"
#: Between two packets of voice, seconds; bytes of one.
TICK_S, FRAME = 0.02, 160
#: Payload types: alaw, and keys.
PCMA, KEYS = 8, 101
#: An unanswered request is sent again after so many seconds, doubled each time, and given up at last.
AGAIN_S, GIVEN_UP_S = 0.5, 10.0
#: What callers do, and of a hundred how many: get an agent, wait where nobody is, are served by the flow
#: alone, leave without a key.
KINDS: Final[Mapping[str, int]] = {"agent": 85, "waits": 5, "served": 5, "leaves": 5}
_KEYS: Final = {"agent": "1", "waits": "2", "served": "3", "leaves": ""}
#: Length of a key in packets; its end is sent three times.
_KEY_PACKETS: Final = 5
_MARK: Final = b"DZCL"
_HEADER: Final = struct.Struct(">BBHII")


@dataclass(frozen=True, slots=True)
class Orders:
    """What is asked of the program."""

    #: of Asterisk's SIP, and the number of ours that is called
    port: int
    number: str
    #: calls a second, for so many seconds
    rate: float
    seconds: float
    #: from the answer until the caller hangs up
    call_s: float
    seed: int
    log: str


@dataclass(slots=True)
class Told:
    """A line of the log. Times in ms: of the call's beginning, but for `sound_ms`."""

    n: int
    #: the caller's number, E.164
    number: str
    kind: str
    #: when they called, since the first did
    began_ms: float = 0.0
    #: the last SIP status of the INVITE
    status: int = 0
    answered_ms: float | None = None
    #: from the answer to the first packet of sound
    sound_ms: float | None = None
    pressed_ms: float | None = None
    #: their own voice came back: an agent's phone
    heard_ms: float | None = None
    #: the voice of another caller came
    mixed_up: bool = False
    ended_ms: float | None = None
    #: caller, server; empty: no end was seen
    ended_by: str = ""


@dataclass(slots=True)
class Caller:
    """One call."""

    told: Told
    line: Line
    press_s: float
    leave_s: float
    call_id: str
    began_s: float
    media: socket.socket
    #: answered, and its voice has somewhere to go
    talks: bool = False
    tag: str = ""
    contact: str = ""
    answered_s: float = 0.0
    over: bool = False
    _sequence: int = 0
    _stamp: int = 0
    _key_at: int = 0
    _again: asyncio.TimerHandle | None = None
    _frame: bytes = field(default=b"", repr=False)

    # -- SIP -----------------------------------------------------------------------------------------------

    def invite(self) -> None:
        """Call."""
        self._frame = (_MARK + struct.pack(">I", self.told.n)) * (FRAME // 8)
        self._send_again(self._request("INVITE", 1, self._sdp()), AGAIN_S)

    def _sdp(self) -> str:
        port = self.media.getsockname()[1]
        return (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {PCMA} {KEYS}\r\na=rtpmap:{PCMA} PCMA/8000\r\n"
            f"a=rtpmap:{KEYS} telephone-event/8000\r\na=fmtp:{KEYS} 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
        )

    def _request(self, method: str, cseq: int, body: str = "", *, branch: str = "") -> bytes:
        orders, here = self.line.orders, f"{HOST}:{self.line.port}"
        whom = self.contact or f"sip:{orders.number}@{HOST}:{orders.port}"
        to = f"<sip:{orders.number}@{HOST}:{orders.port}>" + (f";tag={self.tag}" if self.tag else "")
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} {whom} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{self.call_id}{method}{branch};rport\r\n"
            f"Max-Forwards: 70\r\n"
            f"From: <sip:{self.told.number}@{HOST}>;tag=c{self.told.n}\r\nTo: {to}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:{self.told.number}@{here}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _send_again(self, message: bytes, after_s: float) -> None:
        self.line.send(message)
        if after_s > GIVEN_UP_S:
            self.end("")
        else:
            self._again = self.line.loop.call_later(after_s, self._send_again, message, 2 * after_s)

    def _hush(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def reply(self, status: int, method: str, headers: Mapping[str, str], body: str) -> None:
        """An answer to a request of ours."""
        if method == "BYE":
            if status >= 200:
                self._hush()
                self.end("caller")
            return
        if method != "INVITE":
            return
        self._hush()
        if status < 200:
            return
        self.tag = headers.get("to", "").partition("tag=")[2].partition(";")[0]
        if status < 300:
            self.contact = headers.get("contact", "").partition("<")[2].partition(">")[0]
            self.line.send(self._request("ACK", 1, branch="ok"))
            if not self.answered_s:
                self._answered(status, body)
            return
        self.contact = ""
        self.line.send(self._request("ACK", 1).replace(b"ACK;rport", b"INVITE;rport"))
        self.told.status = status
        self.end("server")

    def _answered(self, status: int, body: str) -> None:
        self.answered_s = self.line.loop.time()
        self.told.status, self.told.answered_ms = status, self._ms()
        port = next(line.split()[1] for line in body.splitlines() if line.startswith("m=audio"))
        self.media.connect((HOST, int(port)))
        self.talks = True
        self.line.loop.add_reader(self.media.fileno(), self._first)

    def asked(self, method: str, message: str, headers: Mapping[str, str]) -> None:
        """A request of Asterisk's."""
        kept = [line for line in message.partition("\r\n\r\n")[0].split("\r\n") if _name(line) in _KEPT]
        body = self._sdp() if method == "INVITE" else ""
        lines = ["SIP/2.0 200 OK", *kept, f"Contact: <sip:{self.told.number}@{HOST}:{self.line.port}>"]
        lines += ["Content-Type: application/sdp"] if body else []
        if method != "ACK":
            said = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
            self.line.send(said.encode())
        if method == "BYE":
            self._hush()
            self.end("server")

    def hang_up(self) -> None:
        """Leave."""
        self.over = True
        self.told.ended_ms = self._ms()
        self._send_again(self._request("BYE", 2), AGAIN_S)

    def end(self, by: str) -> None:
        """The call is over."""
        if self.call_id not in self.line.calls:
            return
        del self.line.calls[self.call_id]
        self.over = True
        if self.told.ended_ms is None:
            self.told.ended_ms = self._ms()
        self.told.ended_by = by
        with contextlib.suppress(ValueError, OSError):
            self.line.loop.remove_reader(self.media.fileno())
        self.media.close()
        self.line.write(self.told)

    # -- voice ---------------------------------------------------------------------------------------------

    def _first(self) -> None:
        """What comes first is heard at once; what comes later, at the next tick."""
        if (heard := self._hear()) is None:
            return
        self.line.loop.remove_reader(self.media.fileno())
        self.told.sound_ms = round((self.line.loop.time() - self.answered_s) * 1000, 3)
        self._judge(heard)

    def _hear(self) -> bytes | None:
        """A packet of voice; None: there is none."""
        while True:
            try:
                packet = self.media.recv(2_048)
            except OSError:
                return None
            if len(packet) > 12 and packet[1] & 0x7F == PCMA:
                return packet[12:]

    def _judge(self, heard: bytes) -> None:
        if not heard.startswith(_MARK):
            return
        if heard[:8] == self._frame[:8]:
            self.told.heard_ms = self._ms()
        else:
            self.told.mixed_up = True

    def tick(self, now_s: float) -> None:
        """Twenty milliseconds have passed."""
        if not self.talks or self.over:
            return
        since_s, told = now_s - self.answered_s, self.told
        if since_s >= self.leave_s:
            self.hang_up()
            return
        sound_ms = told.sound_ms
        if sound_ms is not None and told.heard_ms is None:
            while (heard := self._hear()) is not None:
                self._judge(heard)
        pressing = sound_ms is not None and self._key_at < _KEY_PACKETS + 3 and _KEYS[told.kind]
        if pressing and since_s >= (sound_ms or 0.0) / 1000 + self.press_s:
            self._key()
        else:
            self._voice(PCMA, self._stamp, self._frame)
        self._stamp += FRAME

    def _key(self) -> None:
        if not self._key_at:
            self.told.pressed_ms = self._ms()
        self._key_at += 1
        ends = self._key_at > _KEY_PACKETS
        length = min(self._key_at, _KEY_PACKETS) * FRAME
        event = struct.pack(">BBH", int(_KEYS[self.told.kind]), 0x80 * ends + 10, length)
        mark = 0x80 if self._key_at == 1 else 0
        began = self._stamp - (self._key_at - 1) * FRAME
        self._voice(KEYS | mark, began, event)

    def _voice(self, kind: int, stamp: int, payload: bytes) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        try:  # noqa: SIM105 - a context for each packet costs as much as all else here
            self.media.send(_HEADER.pack(0x80, kind, self._sequence, stamp, self.told.n + 1) + payload)
        except OSError:  # a full buffer, or nobody there any more
            pass

    def _ms(self) -> float:
        return round((self.line.loop.time() - self.began_s) * 1000, 3)


_KEPT: Final = frozenset({"via", "from", "to", "call-id", "cseq"})


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


class Line(asyncio.DatagramProtocol):
    """The socket of all callers' SIP."""

    def __init__(self, orders: Orders, log: TextIO) -> None:
        self.orders = orders
        self.calls: dict[str, Caller] = {}
        self.loop = asyncio.get_running_loop()
        self.port = 0
        self._log = log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def send(self, message: bytes) -> None:
        """Say it to Asterisk."""
        self._transport.sendto(message, (HOST, self.orders.port))

    def write(self, told: Told) -> None:
        """A call is over."""
        self._log.write(json.dumps(asdict(told)) + "\n")

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Whose is it."""
        message = data.decode(errors="replace")
        head, _, body = message.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = {_name(line): line.partition(":")[2].strip() for line in reversed(lines)}
        call = self.calls.get(headers.get("call-id", ""))
        if call is None:
            if first.startswith("BYE"):  # our answer to it was lost
                kept = [line for line in lines if _name(line) in _KEPT]
                self.send("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode())
            return
        if first.startswith("SIP/2.0 "):
            method = headers.get("cseq", "").rpartition(" ")[2]
            call.reply(int(first.split()[1]), method, headers, body)
        else:
            call.asked(first.split()[0], message, headers)


def people(orders: Orders) -> Iterator[tuple[Told, float, float]]:
    """Every caller, with the seconds from the first sound to their key, and from the answer to their end."""
    dice = random.Random(orders.seed)  # noqa: S311 - to be made again
    for n in range(round(orders.rate * orders.seconds)):
        (kind,) = dice.choices(list(KINDS), list(KINDS.values()))
        press_s = dice.uniform(0.5, 1.5)
        leave_s = orders.call_s if kind != "leaves" else dice.uniform(0.5, min(3.0, orders.call_s))
        yield Told(n, f"+7916{n:07d}", kind), press_s, leave_s


async def call_all(orders: Orders, log: TextIO) -> None:
    """Make all calls, and wait until each is over."""
    loop = asyncio.get_running_loop()
    transport, line = await loop.create_datagram_endpoint(lambda: Line(orders, log), local_addr=(HOST, 0))
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    began = loop.time()
    waiting = list(people(orders))[::-1]
    ticks = 0
    while waiting or line.calls:
        now = loop.time()
        while waiting and began + waiting[-1][0].n / orders.rate <= now:
            told, press_s, leave_s = waiting.pop()
            media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            media.bind((HOST, 0))
            media.setblocking(False)
            told.began_ms = round((now - began) * 1000, 3)
            call = Caller(told, line, press_s, leave_s, f"load{orders.seed}-{told.n}", now, media)
            line.calls[call.call_id] = call
            call.invite()
        for call in list(line.calls.values()):
            call.tick(now)
        ticks += 1
        await asyncio.sleep(max(0.0, began + ticks * TICK_S - loop.time()))
        if loop.time() - began > orders.seconds + orders.call_s + 3 * GIVEN_UP_S:
            for call in list(line.calls.values()):
                call.end("")
            break
    transport.close()


def main(argv: Sequence[str]) -> None:
    """Do as the orders say."""
    orders = Orders(**json.loads(argv[0]))
    with Path(orders.log).open("w", encoding="utf-8") as log:
        asyncio.run(call_all(orders, log))


if __name__ == "__main__":
    main(sys.argv[1:])
