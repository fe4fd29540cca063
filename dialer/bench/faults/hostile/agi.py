"""Peers of the FastAGI server that are no Asterisk, or an Asterisk gone mad.

The decoder is fed by itself, where hundreds of thousands of streams cost little; the server is real, on a
port of loopback, with a handler that does what the engine's does. After each block it must serve a right
session, and hold no session, task or descriptor of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from dialer.asterisk.agi_codec import AgiDecoder, AgiLimits
from dialer.asterisk.fastagi import AgiCall, FastAgiServer
from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.errors import AsteriskUnavailable, BadAgi, DozvonError

#: How long a right session may take on a loaded machine, and how long hostile ones are let live, seconds.
SERVED_S: Final = 10.0
HELD_S: Final = 0.3
#: Connections that are open at once.
AT_ONCE: Final = 60

REQUEST: Final = (
    b"agi_network: yes\nagi_network_script: customer\nagi_request: agi://127.0.0.1/customer\nagi_channel: "
    b"PJSIP/a-1\n"
    b"agi_language: ru\nagi_type: PJSIP\nagi_uniqueid: 01890000-0000-7000-8000-000000000001\nagi_version: "
    b"22\n"
    b"agi_callerid: +79161234567\nagi_context: dozvon-customer\nagi_extension: s\nagi_priority: 4\n"
    b"agi_arg_1: HUMAN\nagi_arg_2: HUMAN-700-700\nagi_arg_3: \n\n"
)
_REPLIES: Final = (
    b"200 result=0\n", b"200 result=1 (x)\n", b"HANGUP\n", b"510 Invalid or unknown command\n",
    b"520-Invalid\n",
    b"520 End of proper usage.\n", b"511 Command Not Permitted on a dead channel\n", b"100 Trying...\n",
    b"\n",
    b"200 result=1 (no end\n", b"200\n", b"999 what\n", b"200 result=\n", b"200 result=0 endpos=1\n",
)  # fmt: skip


def stream(dice: random.Random) -> bytes:
    """What a peer might say in one session: right in part, in a wrong order, mutated, or noise."""
    way = dice.random()
    if way < 0.15:
        return texts.noise(dice, 4_000)
    parts = [REQUEST] if way < 0.9 else []
    parts += dice.choices(_REPLIES, k=dice.randint(0, 6))
    if dice.random() < 0.2:
        dice.shuffle(parts)
    if dice.random() < 0.2:
        name = texts.hostile(dice, "agi_arg_1: x").encode("utf-8", "replace")
        parts.insert(0, name + b"\n")
    if dice.random() < 0.05:
        parts.insert(
            dice.randint(0, len(parts)), dice.choice((b"A" * 70_000, b"agi_x: y\n" * 300, b"HANGUP\n" * 20))
        )
    data = b"".join(parts)
    return texts.mutated(dice, data) if dice.random() < 0.6 else data


def decode(block: Block) -> None:
    """The decoder: torn anywhere, it gives messages or raises BadAgi, and keeps a bounded piece."""
    limits = AgiLimits()
    most = limits.line_bytes + 8
    for _ in range(block.size(10_000, 600)):
        data = stream(block.dice)
        decoder = AgiDecoder(limits)
        block.took("agi_streams")
        try:
            for piece in texts.torn(block.dice, data, 20):
                decoder.receive(piece)
                while decoder.next_message() is not None:
                    pass
                kept = len(decoder._buffer)
                if kept > most + len(piece):
                    block.harm(f"AGI: the decoder keeps {kept} bytes")
        except BadAgi:
            pass  # said once; the server ends the session
        except Exception as error:
            block.harm(f"AGI: {type(error).__name__}: {error} by {data[:80]!r}")


async def handler(call: AgiCall) -> None:
    """What the engine's does with a customer: asks, tells, lets go."""
    try:
        await call.get_variable("CHANNEL(state)" if len(call.args) > 5 else "DOZVON_NEXT")
        await call.set_variable("DOZVON_NEXT", "message")
    except DozvonError:
        return  # the peer's fault; Asterisk hears `failure` or nothing at all


async def sessions(block: Block) -> None:
    """The server, by sessions that no Asterisk would have; then a right one."""
    server = FastAgiServer("127.0.0.1", 0, env_timeout_s=HELD_S, command_timeout_s=HELD_S, max_sessions=200)
    server.route("customer", handler)
    await server.start()
    before = open_files()
    try:
        await flood(block, server.address, block.size(300, 60))
        if not await right(server.address):
            block.harm("AGI: a right session was not served after the flood")
        async with asyncio.timeout(SERVED_S):
            while server.sessions:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("agi ")]
        if left:
            block.harm(f"AGI: tasks are left: {left[:3]}")
        await asyncio.sleep(0)
        if (now := open_files()) > before:
            block.harm(f"AGI: {now - before} descriptors are left")
    except TimeoutError:
        block.harm(f"AGI: {server.sessions} sessions never end")
    except AsteriskUnavailable as error:
        block.harm(f"AGI: {error}")
    finally:
        await server.close()


async def flood(block: Block, address: str, count: int) -> None:
    """So many hostile sessions at an address, many at once."""
    host, _, port = address.rpartition(":")
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - to be made again
        async with gate:
            # A refused connection and a reset are the server's answers.
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(SERVED_S):
                    await dice.choice(MANNERS)(dice, host.strip("[]"), int(port))

    await asyncio.gather(*(one(block.dice.getrandbits(48)) for _ in range(count)))
    block.took("agi_sessions", count)


async def _say(
    dice: random.Random, host: str, port: int, pieces: Sequence[bytes], *, read: bool, reset: bool
) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        if read:
            async with asyncio.timeout(HELD_S):
                while await reader.read(65_536):
                    if dice.random() < 0.7:
                        writer.write(dice.choice(_REPLIES))
    finally:
        if reset:
            writer.transport.abort()
        else:
            writer.close()
            await writer.wait_closed()


async def _comes_and_goes(dice: random.Random, host: str, port: int) -> None:
    await _say(dice, host, port, [], read=False, reset=dice.random() < 0.5)


async def _says_anything(dice: random.Random, host: str, port: int) -> None:
    pieces = texts.torn(dice, stream(dice))
    await _say(dice, host, port, pieces, read=dice.random() < 0.5, reset=dice.random() < 0.5)


async def _answers_before_it_is_asked(dice: random.Random, host: str, port: int) -> None:
    await _say(dice, host, port, [REQUEST + b"200 result=0\n" * dice.randint(1, 50)], read=True, reset=False)


async def _answers_wrongly(dice: random.Random, host: str, port: int) -> None:
    await _say(dice, host, port, [REQUEST], read=True, reset=dice.random() < 0.5)


async def _falls_silent(dice: random.Random, host: str, port: int) -> None:
    await _say(dice, host, port, [REQUEST[: dice.randrange(len(REQUEST))]], read=True, reset=False)


async def _never_ends(dice: random.Random, host: str, port: int) -> None:
    piece = dice.choice(
        (b"A" * 65_536, b"agi_a: b\n" * 8_000, b"\n" * 65_536, b"HANGUP\n" * 9_000, bytes(65_536))
    )
    await _say(dice, host, port, [piece] * 8, read=False, reset=False)


#: How a peer may behave.
MANNERS: Final[Sequence[Callable[[random.Random, str, int], Awaitable[None]]]] = (
    _comes_and_goes, _says_anything, _says_anything, _says_anything, _answers_before_it_is_asked,
    _answers_wrongly,
    _falls_silent, _never_ends,
)  # fmt: skip


async def right(address: str) -> bool:
    """Whether a right session is served: asked for a variable, told what to do, closed."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(SERVED_S):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.write(REQUEST)
            asked = await reader.readline()
            writer.write(b"200 result=0\n")
            told = await reader.readline()
            writer.write(b"200 result=1\n")
            rest = await reader.read()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return asked.startswith(b"GET VARIABLE") and told == b"SET VARIABLE DOZVON_NEXT message\n" and rest == b""


def open_files(pid: int | str = "self") -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are enough
