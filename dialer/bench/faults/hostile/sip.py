"""Torture messages of RFC 4475, and mutations of them, at Asterisk's SIP port while calls run.

They come by UDP from the carrier's own address (Asterisk takes them for the trunk's) and from one that it
does not know, and over the WebSocket that browsers' phones use. No channel may come of any, no call, no
restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWSTimeout

from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import Floor
from dialer.bench.faults.hostile.rfc4475 import MESSAGES
from dialer.bench.site import patience

#: Datagrams at once before the loop has its turn, and the longest datagram that loopback takes.
BURST: Final = 25
LONGEST: Final = 60_000
SOURCES: Final = ("127.0.0.1", "127.0.0.2")


def messages(dice: random.Random, port: int, count: int) -> Iterator[bytes]:
    """Every message as it is, then aimed at what Asterisk has, then mutated."""
    plain = [message for _, message in MESSAGES.values()]
    yield from plain
    for _ in range(max(0, count - len(plain))):
        message = aimed(dice, dice.choice(plain), port) if dice.random() < 0.6 else dice.choice(plain)
        yield texts.mutated(dice, message) if dice.random() < 0.85 else message


def aimed(dice: random.Random, message: bytes, port: int) -> bytes:
    """The message with its first address and its sender among those that Asterisk knows."""
    here = f"127.0.0.1:{port}".encode()
    user = dice.choice((b"demo-agent-1", b"s", b"carrier", b"+79161234567", b"dozvon-customer", b"100"))
    made = message.replace(b"user@example.com", user + b"@" + here, 1)
    if dice.random() < 0.5:
        made = made.replace(b"caller@example.net", dice.choice((b"demo-agent-1", b"carrier")) + b"@" + here)
    # Another branch and call each time, else they are taken for repetitions.
    mark = b"%08x" % dice.getrandbits(32)
    return made.replace(b"z9hG4bK", b"z9hG4bK" + mark).replace(b".of4475@", mark + b"@")


async def run(block: Block, floor: Floor) -> None:
    """A block of them; calls live through it."""
    since = floor.site.mark()
    settings = floor.site.settings
    thrown = list(messages(block.dice, settings.sip_port, block.size(1_500, 200)))
    answers = await _by_udp(block.dice, thrown, settings.sip_port)
    block.took("sip_udp", len(thrown))
    block.reached("sip_answers", answers)
    over_ws = [block.dice.choice(thrown) for _ in range(block.size(60, 15))]
    sent = await _by_websocket(over_ws, settings.asterisk_http_port)
    block.took("sip_ws", sent)
    block.reached("sip_ws_sent", sent)
    await floor.holds(block, since)


async def _by_udp(dice: random.Random, thrown: list[bytes], port: int) -> int:
    """Send them; how many datagrams came back."""
    loop = asyncio.get_running_loop()
    answers = 0

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            nonlocal answers
            answers += 1

    ears = [
        await loop.create_datagram_endpoint(Ear, local_addr=(source, 0), family=socket.AF_INET)
        for source in SOURCES
    ]
    try:
        for at, message in enumerate(thrown):
            transport = ears[dice.random() < 0.5][0]
            # Answers go to the port that the Via names, unless rport asks for ours.
            asked = message.replace(b";branch=", b";rport;branch=", 1) if dice.random() < 0.7 else message
            transport.sendto(asked[:LONGEST], ("127.0.0.1", port))
            if at % BURST == 0:
                await asyncio.sleep(
                    0.01
                )  # its socket's buffer is not endless, and what is lost tests nothing
    finally:
        for transport, _ in ears:
            transport.close()
    return answers


async def _by_websocket(thrown: list[bytes], port: int) -> int:
    """Send them over as many connections as it takes (it closes one that talks nonsense); how many were
    sent."""
    sent = 0
    async with ClientSession(timeout=ClientTimeout(total=patience(10))) as http:
        waiting = list(thrown)
        while waiting:
            with contextlib.suppress(ClientError, ConnectionError, TimeoutError):
                url = f"http://127.0.0.1:{port}/ws"
                # It says no farewell to one that it throws out.
                patient = ClientWSTimeout(ws_close=0.1)
                async with http.ws_connect(url, protocols=("sip",), timeout=patient) as socket_:
                    for _ in range(min(len(waiting), 5)):
                        message = waiting.pop()
                        sent += 1
                        await socket_.send_bytes(message)
                    continue
            waiting = waiting[:-1]
    return sent
