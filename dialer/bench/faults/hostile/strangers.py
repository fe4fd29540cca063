"""Strangers at the manager interface of the real Asterisk, and at the engine's FastAGI port, while calls
run.

A stranger at the manager has no right user: whatever is said, before a login or with a wrong one, nothing
is done; the engine's own link stays up. A stranger at FastAGI says anything at all; the engine goes on
answering Asterisk, and holds nothing of the strangers afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Final

from dialer.bench.faults.hostile import agi, texts
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import Floor
from dialer.bench.site import patience

#: Connections at once: Asterisk's authlimit is ten, and the engine must always find its place beside them.
AT_ONCE: Final = 5
#: How long a stranger listens for an answer, seconds.
HEARS_S: Final = 0.3

_DEEDS: Final = (
    b"Action: Originate\r\nChannel: Local/s@dozvon-agent\r\nApplication: UserEvent\r\nData: Hostile\r\n",
    b"Action: Command\r\nCommand: core stop now\r\n",
    b"Action: UserEvent\r\nUserEvent: Hostile\r\n",
    b"Action: Hangup\r\nChannel: /.*/\r\n",
    b"Action: Redirect\r\nChannel: PJSIP/carrier-00000001\r\nContext: dozvon-agent\r\nExten: s\r\nPriority"
    b": 1\r\n",
    b"Action: UpdateConfig\r\nSrcFilename: manager.conf\r\nDstFilename: manager.conf\r\n",
    b"Action: ModuleLoad\r\nLoadType: unload\r\nModule: chan_pjsip.so\r\n",
    b"Action: Setvar\r\nVariable: SHELL(id)\r\nValue: x\r\n",
    b"Action: CoreShowChannels\r\n",
    b"Action: Events\r\nEventMask: on\r\n",
    b"Action: Challenge\r\nAuthType: MD5\r\n",
    b"Action: Login\r\nAuthType: MD5\r\nUsername: dozvon\r\nKey: 00000000000000000000000000000000\r\n",
    b"Action: Logoff\r\n",
)  # fmt: skip


def said(dice: random.Random, user: str) -> bytes:
    """What a stranger says in one action: a wrong login, a deed without a login, or either mutated."""
    if dice.random() < 0.4:
        name = dice.choice((user, "admin", "general", "root", texts.hostile(dice, user)))
        secret = dice.choice(("", "secret", "' OR 1=1 --", "A" * 900, texts.hostile(dice, "x")))
        made = f"Action: Login\r\nUsername: {name}\r\nSecret: {secret}\r\n".encode("utf-8", "replace")
    else:
        made = dice.choice(_DEEDS)
        if dice.random() < 0.3:
            made += texts.hostile(dice, "ActionID: 1").encode("utf-8", "replace") + b"\r\n"
    made += b"\r\n"
    way = dice.random()
    if way < 0.1:
        return texts.noise(dice, 3_000) + b"\r\n\r\n"
    if way < 0.13:
        return (
            dice.choice((b"A" * 20_000, b"Variable: a=b\r\n" * 400, b"\r\n" * 2_000, bytes(4_000)))
            + b"\r\n\r\n"
        )
    return texts.mutated(dice, made) if way < 0.6 else made


async def manager(block: Block, floor: Floor) -> None:
    """A block of strangers at the manager interface."""
    since = floor.site.mark()
    settings = floor.site.settings
    gate = asyncio.Semaphore(AT_ONCE)
    accepted: list[str] = []

    async def stranger(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - to be made again
        words = [said(dice, settings.ami_user) for _ in range(12)]
        async with gate:
            heard = await _speak(settings.ami_port, [b"".join(texts.torn(dice, b"".join(words)))])
        if b"Authentication accepted" in heard or b"\r\nEvent: " in heard or b"Output: " in heard:
            accepted.append(repr(heard[:200]))
        block.took("ami_stranger", len(words))

    async with floor.overheard() as actions:
        await asyncio.gather(*(stranger(block.dice.getrandbits(48)) for _ in range(block.size(40, 12))))
    for each in accepted:
        block.harm(f"a stranger was heard by Asterisk: {each}")
    # The log tells each action that is read, refused ones too. The engine's own have an id, all of them.
    block.reached("ami_read", sum("ActionID" not in action for action in actions))
    await floor.holds(block, since)


async def _speak(port: int, pieces: list[bytes]) -> bytes:
    heard = b""
    # To be thrown out is the right answer.
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(patience(5)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                async with asyncio.timeout(HEARS_S):
                    while got := await reader.read(65_536):
                        heard += got
            finally:
                writer.transport.abort()
    return heard


async def fastagi(block: Block, floor: Floor) -> None:
    """A block of strangers at the engine's own FastAGI port."""
    since = floor.site.mark()
    before = floor.site.engine.files()
    await agi.flood(block, f"127.0.0.1:{floor.site.settings.agi_port}", block.size(120, 40))
    await floor.holds(block, since)
    # Those who said nothing are put out at the deadline of the request; calls have descriptors of their own.
    left = floor.site.engine.files() - before
    if left > agi.AT_ONCE + 40:
        block.harm(f"the engine holds {left} descriptors more than before")


async def run(block: Block, floor: Floor) -> None:
    """Both."""
    await manager(block, floor)
    await fastagi(block, floor)
