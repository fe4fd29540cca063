"""Peers of the AMI link that are no Asterisk, or one gone mad.

The framer and the parser are fed by themselves; the link is real, against a peer on loopback that greets,
takes the login, and then says anything: torn, binary, endless, under wrong ActionIDs, in wrong numbers.
The link either stays up and takes the true event that follows, or is down with a reason; what it keeps is
bounded; and after each block it works with a right peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dialer.asterisk.ami import Address, AmiEvent, AmiLink
from dialer.asterisk.ami_framing import Framer, FramingError, Packet, event_name
from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.errors import DozvonError

#: Longest packet that these links take, bytes: small, so that an endless one ends soon.
MAX_PACKET: Final = 65_536
#: The most that asyncio hands over at once, bytes.
SEGMENT: Final = 262_144
WITHIN_S: Final = 10.0
BANNER: Final = b"Asterisk Call Manager/11.0.0\r\n"
#: The true event after what is hostile.
MARK: Final = b"Event: Hangup\r\nUniqueid: the-mark\r\nCause: 16\r\n\r\n"

_EVENTS: Final = (
    b"Event: Newstate\r\nChannelState: 6\r\nUniqueid: 1\r\nCallerIDName: \xcf\xf0\r\n",
    b"Event: Hangup\r\nUniqueid: 1\r\nCause: 16\r\nCause-txt: Normal\r\n",
    b"Event: DialEnd\r\nDestUniqueid: 1\r\nDialStatus: ANSWER\r\n",
    b"Event: BridgeEnter\r\nBridgeUniqueid: b\r\nUniqueid: 1\r\n",
    b"Event: OriginateResponse\r\nResponse: Failure\r\nUniqueid: 1\r\nReason: 0\r\n",
    b"Event: CoreShowChannelsComplete\r\nEventList: Complete\r\nListItems: 1\r\n",
    b"Response: Success\r\nMessage: Originate successfully queued\r\n",
    b"Response: Error\r\nMessage: No such channel\r\n",
    b"Response: Success\r\nEventList: start\r\n",
    b"Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n",
    b"Output: a\r\nOutput: b\r\nResponse: Success\r\n",
)  # fmt: skip


def packet(dice: random.Random, ids: Sequence[bytes] = ()) -> bytes:
    """One packet, or what stands in its place."""
    way = dice.random()
    if way < 0.12:
        return texts.noise(dice, 1_500) + b"\r\n\r\n"
    made = dice.choice(_EVENTS)
    if dice.random() < 0.4:
        one = dice.choice((*ids, b"1", b"", b"x" * 300, b"\xff\xfe", b"-1", b"1/2/3"))
        made += b"ActionID: " + one + b"\r\n"
    if dice.random() < 0.3:
        made += texts.hostile(dice, "CallerIDName: x").encode("utf-8", "replace") + b"\r\n"
    if dice.random() < 0.03:
        made += dice.choice(
            (b"X: y\r\n" * 2_000, b"X: " + b"A" * 30_000 + b"\r\n", b": \r\n" * 500, b":" * 5_000)
        )
    made += b"\r\n"
    return texts.mutated(dice, made) if dice.random() < 0.5 else made


def frames(block: Block) -> None:
    """The framer and the parser, torn anywhere: packets or FramingError, and a bounded piece kept."""
    for _ in range(block.size(1_600, 80)):
        dice = block.dice
        packets = [packet(dice) for _ in range(8)]
        block.took("ami_packets", len(packets))
        framer = Framer(MAX_PACKET)
        whole = (BANNER if dice.random() < 0.95 else texts.mutated(dice, BANNER)) + b"".join(packets)
        try:
            for piece in texts.torn(dice, whole, 30):
                for found in framer.feed(piece):
                    event_name(found)
                    message = Packet.parse(found)
                    if message is not None and not all(
                        isinstance(one, str) for one in message.headers.values()
                    ):
                        block.harm(f"AMI: a value is no text in {found[:80]!r}")
                kept = len(framer._buffer)
                if kept > MAX_PACKET + len(piece):
                    block.harm(f"AMI: the framer keeps {kept} bytes")
        except FramingError:
            pass  # the link closes and logs in anew
        except Exception as error:
            block.harm(f"AMI: {type(error).__name__}: {error} by {whole[:80]!r}")


@dataclass(slots=True)
class Peer:
    """Says what it is told to whoever connects, after a login that it takes."""

    #: what follows the login; None: a right peer that answers each action
    script: list[bytes] | None = None
    banner: bytes = BANNER

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            writer.write(self.banner)
            first = True
            while action := await reader.readuntil(b"\r\n\r\n"):
                found = [
                    line[10:] for line in action.split(b"\r\n") if line.lower().startswith(b"actionid: ")
                ]
                for one in found:
                    writer.write(b"Response: Success\r\nActionID: " + one + b"\r\nMessage: x\r\n\r\n")
                if first and self.script is not None:
                    first = False
                    for piece in self.script:
                        writer.write(piece)
                        await writer.drain()
        writer.close()


async def links(block: Block) -> None:
    """The link itself, by peers of every manner; then with a right one."""
    for _ in range(block.size(25, 6)):
        dice = block.dice
        peer = Peer()
        ids = [b"%d" % dice.randrange(50)]
        packets = [packet(dice, ids) for _ in range(40)]
        ending = dice.choice(
            (b"", b"Event: Endless\r\nX: " + b"A" * (MAX_PACKET * 3), b"\xff" * 500_000, b"X: y\r\n" * 90_000)
        )
        if dice.random() < 0.7:
            ending = b""
        if dice.random() < 0.1:
            peer.banner = dice.choice(
                (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"A" * 100_000, BANNER[:9], b"\0" * 300)
            )
        peer.script = [*texts.torn(dice, b"".join(packets), 40), b"\r\n\r\n" + MARK, ending]
        block.took("ami_packets", len(packets))
        await _meet(block, peer, right=False)
    await _meet(block, Peer(script=[MARK]), right=True)


async def _meet(block: Block, peer: Peer, *, right: bool) -> None:
    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = AmiLink(
        Address("127.0.0.1", port, "dozvon", "secret"), action_timeout_s=0.5, ping_s=0.2, queue_size=2_000,
        max_packet=MAX_PACKET,
    )  # fmt: skip
    running = asyncio.create_task(link.run(), name="hostile-link")
    try:
        async with asyncio.timeout(WITHIN_S):
            end = await _mark_or_loss(link)
            if right and end != "mark":
                block.harm(f"AMI: with a right peer: {end}")
            if right:
                await link.send({"Action": "CoreStatus"}, timeout_s=WITHIN_S)
    except TimeoutError:
        block.harm(f"AMI: neither the true event nor a loss within {WITHIN_S} s; {link.trouble}")
    except DozvonError as error:
        block.harm(f"AMI: a right peer's action: {error}")
    finally:
        if running.done() and not running.cancelled() and running.exception() is not None:
            block.harm(f"AMI: the link fell: {running.exception()!r}")
        kept = _kept(link)
        if kept > MAX_PACKET + SEGMENT:
            block.harm(f"AMI: the link keeps {kept} bytes")
        await link.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
        await server.wait_closed()


async def _mark_or_loss(link: AmiLink) -> str:
    """Wait for the true event, or for the end of the connection that was to bring it."""
    while True:
        try:
            async with asyncio.timeout(0.05):
                item = await link.inbox.get()
        except TimeoutError:
            # A peer that was refused before its login leaves no mark of a loss in the queue.
            if not link.up and link.trouble not in (None, "not connected yet"):
                return str(link.trouble)
            continue
        if isinstance(item, AmiEvent):
            if item.get("Uniqueid") == "the-mark":
                return "mark"
        elif type(item).__name__ == "LinkDown":
            return "down"


def _kept(link: AmiLink) -> int:
    manager = link._manager
    return len(manager.session.framer._buffer) if manager is not None else 0
