"""A million sessions of FastAGI that no Asterisk would have: at the engine's server, and at the hooks'.

An input is a session, over a real connection on loopback: bytes of chance, a right request that is mutated
and torn, a talk whose replies are wrong, of several lines or half, HANGUP at any point, a connection that
says nothing or goes at once. Two hundred are open at a time, and every fiftieth is a right one that must be
served amid the others. What the server writes is read as Asterisk reads it: nothing but its own commands,
each on a line of its own, may come out, whatever went in.

The hooks' fields, limits and answers are the real ones; the service behind answers from memory with names
that nobody should have, with refusals, and too late.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

from structlog.testing import capture_logs
from structlog.typing import EventDict

from dialer.asterisk.agi_codec import AgiLimits
from dialer.asterisk.fastagi import AgiCall, FastAgiServer
from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.agi import open_files, stream
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.readers import words
from dialer.bench.model import Run, Say, case_of
from dialer.errors import (
    AgiHangup,
    DatabaseUnavailable,
    DozvonError,
    Invalid,
    NeedsCallToken,
    NotFound,
    TooManyRequests,
)
from dialer.hooks.fastagi import LIMIT_S, TOKEN, add_routes
from dialer.hooks.model import Answer, Hook, Status, variables
from dialer.hooks.service import HookService
from dialer.httpkit.access import Actor
from dialer.httpkit.identity import Identities, Identity

#: Sessions of a run, and of one of the short form: a hundred runs are a million.
INPUTS, SHORT_INPUTS = 10_000, 600
#: Sessions that are open at a time.
AT_ONCE: Final = 200
#: How long the server waits for a peer, and a hook for its answer, seconds: as the hooks have it.
HELD_S: Final = LIMIT_S
#: When a session that does not end is called a hang, seconds: the load of a machine included.
HUNG_S: Final = 30.0
#: Every so many sessions is a right one.
RIGHT_EVERY: Final = 50
#: How often a right session is tried.
TRIES: Final = 3

#: What the log says when something fell that was to be held.
_FELL: Final = frozenset({"agi_handler_failed", "agi_handler_not_ended", "hook_failed"})
_LINGER: Final = struct.pack("ii", 1, 0)
_VARIABLE: Final = re.compile(r"DOZVON_[A-Z0-9_]+=[\w .:@+/-]*")
_GOOD: Final = (b"200 result=0\n", b"200 result=1 (x)\n", b"200 result=1\n", b"200 result=1 (one\ntwo)\n")
_REFUSED: Final = (
    b"510 Invalid or unknown command\n",
    b"520-Wrong.\nUsage: X\n520 End of proper usage.\n",
    b"520-Wrong.\nUsage: X520 End of proper usage.\n",
    b"503 result=-2 Memory allocation failure\n",
    b"100 Trying...\n200 result=0\n",
)
_BAD: Final = (
    b"\n", b"200\n", b"200 result=\n", b"200 result=1 (no end\n", b"999 what\n", b"200 result=0\n" * 2,
    b"520-half\n", b"200 resu", b"what?\n", b"\0\n", b"100 Trying...\n" * 9, b"\xff\xfe\n",
)  # fmt: skip


def request(script: str, *lines: str) -> bytes:
    """What Asterisk opens with."""
    said = ["agi_network: yes", f"agi_network_script: {script}", "agi_uniqueid: 1790000000.17"]
    return "\n".join([*said, "agi_callerid: +79161234567", *lines, "", ""]).encode("utf-8", "replace")


# -- the peer ---------------------------------------------------------------------------------------------


#: What is answered to a command, and how the peer goes then: "eof", "reset", or not.
Reply: TypeAlias = tuple[bytes, str]


@dataclass(slots=True)
class Plan:
    """What a peer does."""

    #: said at once, each piece by itself
    pieces: Sequence[bytes] = ()
    #: to each command in turn
    replies: Iterator[Reply] = field(default_factory=lambda: iter(()))
    #: then it goes: "" waits for the server
    ends: str = ""
    #: a right session: what the last command must hold
    told: str = ""


class Peer(asyncio.Protocol):
    """One session, from the other side."""

    def __init__(self, plan: Plan, done: asyncio.Future[None]) -> None:
        self.plan = plan
        self.lines: list[bytes] = []
        self._rest = b""
        self._waiting = list(reversed(plan.pieces))
        self._done = done
        self._over = False  # it has said its last
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak."""
        self._transport = cast(asyncio.Transport, transport)
        # A close is a reset: a million of them leave no port waiting.
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self._speak()

    def _speak(self) -> None:
        if self._over or self._transport.is_closing():
            return
        if self._waiting:
            self._transport.write(self._waiting.pop())
            self._loop.call_soon(self._speak)
        else:
            self._go(self.plan.ends)

    def _go(self, how: str) -> None:
        if how == "reset":
            self._transport.abort()
        elif how == "eof":
            self._over = True
            with suppress(OSError):  # the server was quicker
                self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Keep what the server says, and answer each command."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self.lines.append(line + b"\n")
            said, goes = next(self.plan.replies, (b"", ""))
            if not self._over and not self._transport.is_closing():
                self._transport.write(said)
                self._go(goes)

    def connection_lost(self, exc: Exception | None) -> None:
        """The session is over."""
        if self._rest:
            self.lines.append(self._rest)
        if not self._done.done():
            self._done.set_result(None)


def _replies(dice: random.Random, hangs_up_at: int) -> Iterator[Reply]:
    """Right in part; HANGUP before, behind or in the place of the reply to one command, and what follows
    it. After a reply that is none most go: who stays is waited for."""
    for number in range(40):
        way, goes = dice.random(), dice.choice(("", *["eof"] * 5, *["reset"] * 5))
        said = dice.choice(_GOOD if way < 0.75 else _REFUSED if way < 0.88 else _BAD)
        if way > 0.98:
            said = b""
        elif way > 0.95:
            said = texts.mutated(dice, said)
        if number == hangs_up_at:
            said = dice.choice((b"HANGUP\n", b"HANGUP\n" + said, said + b"HANGUP\n"))
        elif way < 0.88:
            goes = ""
        yield said, goes


class Server:
    """The engine's server, with a handler that gives back what it was told."""

    script = "customer"

    def routes(self, server: FastAgiServer) -> None:
        """Have the server answer."""
        server.route(self.script, self._answer)

    async def _answer(self, call: AgiCall) -> None:
        try:
            said = [await call.get_variable("DOZVON_NEXT"), *call.args[:3], *call.query.values()]
            for text in said:
                await call.set_variable("DOZVON_NOTE", (text or "")[:400])
            await call.set_words(DOZVON_AGENT="3f0e-1", DOZVON_NEXT="bridge")
        except AgiHangup:
            raise
        except DozvonError:
            return  # of the peer's making

    def request(self, dice: random.Random) -> bytes:
        """A right one, whose arguments are anything."""
        query = texts.hostile(dice, "note=x") if dice.random() < 0.3 else "note=x"
        return request(f"{self.script}?{query}", f"agi_arg_1: {_line(dice)}", f"agi_arg_2: {_line(dice)}")

    def right(self) -> Plan:
        """A session that must be served."""
        return Plan([request(self.script)], iter([(b"200 result=0\n", "")] * 9), told="DOZVON_NEXT=bridge")

    def allowed(self, line: list[bytes]) -> bool:
        """Whether it is a command of ours."""
        match line:
            case [b"GET", b"VARIABLE", b"DOZVON_NEXT"]:
                return True
            case [b"SET", b"VARIABLE", b"DOZVON_NOTE", _]:
                return True
        return line == [b"EXEC", b"MSet", b"DOZVON_AGENT=3f0e-1,DOZVON_NEXT=bridge"]


class Hooks:
    """The hooks, over FastAGI."""

    def __init__(self) -> None:
        self._dice = random.Random("answers of hooks")  # noqa: S311

    def routes(self, server: FastAgiServer) -> None:
        """Have the server answer."""
        service, identities = cast(HookService, _Service(self._dice)), cast(Identities, _Known())
        add_routes(server, service, identities, HELD_S)

    def request(self, dice: random.Random) -> bytes:
        """A hook, whose fields are anything."""
        hook = dice.choice(tuple(Hook))
        fields = [f"{name}={_line(dice)}" for name in dice.sample(_FIELDS, dice.randint(0, 4))]
        arguments = [f"agi_arg_{n}: {one}" for n, one in enumerate(fields, 1)]
        address = f"hooks/{hook.value}"
        if dice.random() < 0.3:
            address += f"?{_line(dice)}"
        return request(address, *arguments)

    def right(self) -> Plan:
        """A session that must be served."""
        replies = iter([(b"200 result=1 (token)\n", ""), *[(b"200 result=0\n", "")] * 9])
        return Plan([request("hooks/lookup", "agi_arg_1: fields=car|city")], replies, told="DOZVON_STATUS=")

    def allowed(self, line: list[bytes]) -> bool:
        """Whether it is a command of ours, with values that no dialplan takes for its own."""
        match line:
            case [b"GET", b"VARIABLE", name]:
                return name in (TOKEN.encode(), b"DOZVON_CALL_TOKEN")
            case [b"EXEC", b"MSet", values]:
                return all(_VARIABLE.fullmatch(one) for one in values.decode().split(","))
        return False


_FIELDS: Final = (
    "number", "fields", "campaign", "after_min", "note", "outcome", "purpose", "contact", "days", "proof",
    "survey", "question", "answer", "check", "reason", "channel", "caller", "call_token", "x",
)  # fmt: skip


def _line(dice: random.Random) -> str:
    """A text on one line, right or not."""
    way = dice.random()
    if way < 0.4:
        return dice.choice(("1", "5", "advertising", "sold", "79161234567", "car|city", "x y", ""))
    return re.sub(r"[\r\n]", " ", texts.hostile(dice, "x"))


class _Known:
    """Everybody who shows a token is somebody, or not."""

    def __init__(self) -> None:
        self._asked = 0

    async def by_api_token(self, token: str) -> Identity | None:
        self._asked += 1
        return None if self._asked % 17 == 0 and token != "token" else Identity(Actor.server(1), None)  # noqa: S105


class _Service:
    """Answers, refuses, is late."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        return self._told

    async def _told(self, *_said: object, **_fields: object) -> Answer:
        self._asked += 1
        if self._asked % 101 == 0:
            await asyncio.sleep(2 * HELD_S)
        if self._asked % 7 == 0:
            raise self._dice.choice(
                (
                    Invalid(field="x", reason="is none"),
                    NotFound(what="contact", key=1),
                    NeedsCallToken(field="number"),
                    TooManyRequests(seconds=1),
                    DatabaseUnavailable(reason="away"),
                )
            )
        told = {f"DOZVON_FIELD_{n}": texts.hostile(self._dice, "x") for n in range(self._dice.randint(0, 12))}
        return Answer(Status.OK, "1.1.token", variables(told))


def plan(dice: random.Random, target: Server | Hooks) -> Plan:
    """What one peer does."""
    way = dice.random()
    ends = dice.choice(("", "eof", "reset"))
    if way < 0.06:
        return Plan(ends=dice.choice(("eof", "reset")))
    if way < 0.07:  # says nothing, or half a line, and waits
        said = target.request(dice)
        return Plan([said[: dice.randrange(len(said))]] if dice.random() < 0.8 else [])
    if way < 0.10:
        piece = dice.choice((b"A" * 9_000, b"agi_a: b\n" * 300, b"\n" * 900, b"HANGUP\n" * 20, bytes(900)))
        return Plan([piece] * 4, ends=ends)
    if way < 0.45:
        data = stream(dice) if dice.random() < 0.4 else texts.mutated(dice, target.request(dice))
        return Plan(texts.torn(dice, data), iter([(b"200 result=0\n", "")] * 9), ends or "eof")
    said = target.request(dice)
    pieces = texts.torn(dice, said) if dice.random() < 0.5 else [said]
    if dice.random() < 0.1:  # before it is asked
        pieces = [*pieces, dice.choice((*_GOOD, *_BAD, b"HANGUP\n"))]
    return Plan(pieces, _replies(dice, dice.choice((-1, 0, 0, 1, 2, 3, 5))), dice.choice(("", "", "", "eof")))


# -- a run ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Throw:
    """A run's sessions, at a server of its own."""

    block: Block
    target: Server | Hooks
    host: str = ""
    port: int = 0
    served: int = 0
    said: int = 0

    async def one(self, number: int, seed: int) -> None:
        """A session. A right one has TRIES: that a machine stands still for HELD_S is no fault of ours."""
        if number % RIGHT_EVERY:
            dice = random.Random(seed)  # noqa: S311 - to be made again
            self.read(await self._session(plan(dice, self.target), number), number)
            return
        for left in reversed(range(TRIES)):
            peer = await self._session(self.target.right(), number)
            self.read(peer, number)
            last = peer.lines[-1] if peer.lines else b""
            if peer.plan.told.encode() in last:
                self.served += 1
                return
            if not left:
                self.block.harm(f"right session {number} ended with {last[:120]!r}")

    async def _session(self, wanted: Plan, number: int) -> Peer:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        peer = Peer(wanted, done)
        transport: asyncio.BaseTransport | None = None
        try:
            async with asyncio.timeout(HUNG_S):
                transport, _ = await loop.create_connection(lambda: peer, self.host, self.port)
                await done
        except TimeoutError:
            self.block.harm(f"session {number} did not end in {HUNG_S:g} s")
        except OSError:  # a reset while it was opened is an answer of the server's
            pass
        finally:
            if transport is not None:
                transport.close()
        return peer

    def read(self, peer: Peer, number: int) -> None:
        """What the server said is its own."""
        self.said += len(peer.lines)
        for line in peer.lines:
            if line != b"failure\n" and not (line.endswith(b"\n") and self.target.allowed(words(line))):
                self.block.harm(f"session {number}: the server said {line[:120]!r}")

    async def all(self, count: int) -> None:
        """So many, AT_ONCE of them at a time."""
        seeds = enumerate([self.block.dice.getrandbits(48) for _ in range(count)])

        async def worker() -> None:
            for number, seed in seeds:
                await self.one(number, seed)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())


async def throw(block: Block) -> None:
    """A block of sessions; after them the server holds nothing of them."""
    target: Server | Hooks = Hooks() if block.case == "hooks" else Server()
    count, began = block.size(INPUTS, SHORT_INPUTS), time.monotonic()
    server = FastAgiServer("127.0.0.1", 0, env_timeout_s=HELD_S, command_timeout_s=HELD_S, limits=AgiLimits())
    target.routes(server)
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs([_tells]))
        await server.start()
        stack.push_async_callback(server.close)
        host, _, port = server.address.rpartition(":")
        before = open_files()
        thrown = _Throw(block, target, host, int(port))
        await thrown.all(count)
        with suppress(TimeoutError):
            async with asyncio.timeout(HUNG_S):
                while server.sessions:  # noqa: ASYNC110 - the server has no event for it
                    await asyncio.sleep(0.01)
        if server.sessions:
            block.harm(f"{server.sessions} sessions never end")
        if left := [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("agi ")]:
            block.harm(f"tasks are left: {left[:3]}")
        await asyncio.sleep(0)
        if (now := open_files()) > before:
            block.harm(f"{now - before} descriptors are left")
        for entry in logs:
            if entry["event"] in _FELL:
                block.harm(f"{entry['event']}: {entry.get('error', entry)}")
    block.took(block.case, count)
    block.reached("right_served", thrown.served)
    block.reached("commands_read", thrown.said)
    block.figures["block_s"] = round(time.monotonic() - began, 3)


def _tells(logger: object, name: str, entry: EventDict) -> EventDict:
    """Keep which error a line of the log tells of, before it is gone."""
    if entry.get("exc_info"):
        entry["error"] = repr(sys.exc_info()[1])
    return entry


@dataclass(frozen=True, slots=True)
class AgiInputs:
    """The row."""

    name: str = "agi_inputs"
    title: str = (
        "sessions of FastAGI fuzzed, 200 at a time: noise, torn and mutated requests, silence, HANGUP "
        "anywhere, replies that are wrong, half or of several lines; at the engine's server and at the hooks'"
    )
    must_hold: str = "no hang, nothing written but our own commands, right sessions served amid, nothing left"
    cases: tuple[str, ...] = ("server", "hooks")
    #: a million sessions
    long_runs: int = 100
    short_runs: int = 2
    short: bool = False

    def sized(self, *, short: bool, minutes: float | None) -> AgiInputs:
        """The short form has fewer sessions a run."""
        return replace(self, short=short)

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """A block of sessions a seed."""
        for seed in seeds:
            block = Block(case_of(self.cases, seed), seed, self.short)
            say(f"{block.size(INPUTS, SHORT_INPUTS):,} sessions at the {block.case}")
            await throw(block)
            more = block.failures - len(block.told)
            broken = "; ".join(block.told) + (f"; and {more} more" if more > 0 else "")
            yield Run(self.name, seed, block.case, figures=block.all_figures(), broken=broken)


ROW: Final = AgiInputs()
