"""The bench's carrier for bad days: what it says over the wire in each manner."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dialer.bench.odd_carrier import HOST, Manner, Message, OddCarrier, parse


class Caller(asyncio.DatagramProtocol):
    """A SIP peer that sends what it is told and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Message] = asyncio.Queue()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """The port is open."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """The carrier speaks."""
        message = parse(data)
        if message is not None:
            self.heard.put_nowait(message)

    def say(self, carrier: OddCarrier, method: str, *, to_tag: str = "", cseq: int = 1) -> None:
        """Send a request of one call."""
        port = self.transport.get_extra_info("sockname")[1]
        lines = [
            f"{method} sip:+79161234567@{HOST}:{carrier.port} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{port};branch=z9hG4bK{method}{cseq}",
            f"From: <sip:dialer@{HOST}>;tag=us",
            f"To: <sip:+79161234567@{HOST}>{to_tag}",
            "Call-ID: one",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:dialer@{HOST}:{port}>",
            "Content-Length: 0",
            "",
            "",
        ]
        self.transport.sendto("\r\n".join(lines).encode(), (HOST, carrier.port))

    async def hear(self, start: str) -> Message:
        """The next message that begins so."""
        async with asyncio.timeout(10):
            while not (message := await self.heard.get()).start.startswith(start):
                pass
        return message


@pytest.fixture
async def caller() -> Any:
    """A peer."""
    peer = Caller()
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: peer, local_addr=(HOST, 0))
    yield peer
    peer.transport.close()


def tag_of(message: Message) -> str:
    """The carrier's tag, as it goes on the end of a To."""
    return ";tag=" + message.get("to").split("tag=")[1]


async def test_a_good_call_is_answered_once_and_ends_with_our_bye(caller: Caller) -> None:
    """It rings, answers, and forgets the call when it is hung up; a repeated INVITE is the same call."""
    async with OddCarrier() as carrier:
        carrier.ring_s = 0.05
        caller.say(carrier, "INVITE")
        caller.say(carrier, "INVITE")
        await caller.hear("SIP/2.0 180")
        answer = await caller.hear("SIP/2.0 200")
        caller.say(carrier, "ACK", to_tag=tag_of(answer))
        assert carrier.open == 1
        caller.say(carrier, "BYE", to_tag=tag_of(answer), cseq=2)
        bye = await caller.hear("SIP/2.0 200")
        assert bye.method == "BYE"
        assert carrier.open == 0
        assert {number: len(ids) for number, ids in carrier.invites.items()} == {"+79161234567": 1}


async def test_a_call_is_taken_back_while_it_rings(caller: Caller) -> None:
    """A CANCEL ends it with 487; a late carrier does not hear it."""
    async with OddCarrier() as carrier:
        carrier.ring_s = 5
        caller.say(carrier, "INVITE")
        await caller.hear("SIP/2.0 180")
        caller.say(carrier, "CANCEL")
        await caller.hear("SIP/2.0 487")
        assert carrier.open == 0


async def test_a_carrier_that_is_away_says_nothing(caller: Caller) -> None:
    """Neither an INVITE nor an OPTIONS is answered, until it is back; the INVITE is counted all the same."""
    async with OddCarrier() as carrier:
        carrier.manner = Manner.AWAY
        caller.say(carrier, "INVITE")
        caller.say(carrier, "OPTIONS", cseq=2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await caller.heard.get()
        assert carrier.invites
        carrier.manner = Manner.REFUSES
        caller.say(carrier, "INVITE", cseq=3)
        await caller.hear("SIP/2.0 503")
