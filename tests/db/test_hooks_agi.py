"""The FastAGI server of hooks with peers on real sockets: proper, many at once, and bad ones."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select, text
from support.hooks import ANNA, CHANNEL, NOBODY, OTHER, TENANT, Hooked, hooked

from dialer.db import tables as t
from dialer.db.session import Database

SOON_S = 20.0
#: Inputs of the fuzz here; `dozvon bench load --only hooks` counts more.
INPUTS = 400


@pytest.fixture
async def hooks(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Hooked]:
    """Hooks over FastAGI."""
    async with hooked(database, database_url, tmp_path, hooks_per_s=10_000) as running:
        yield running


@dataclass
class Channel:
    """An Asterisk's channel in its AGI: answers commands, keeps variables."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    variables: dict[str, str] = field(default_factory=dict)
    #: what the server has ended with, beside commands
    failed: bool = False

    @classmethod
    async def open(cls, hooks: Hooked, **variables: str) -> Channel:
        host, _, port = hooks.agi.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        return cls(reader, writer, {"DOZVON_HOOKS_TOKEN": hooks.token, **variables})

    async def ask(self, script: str, caller: str = ANNA, channel: str = CHANNEL) -> None:
        self.writer.write(
            f"agi_network: yes\nagi_network_script: {script}\nagi_uniqueid: {channel}\n"
            f"agi_callerid: {caller}\n\n".encode()
        )
        await self.writer.drain()

    async def serve(self, *, most: int | None = None) -> None:
        """Answer commands until the server has done, or `most` of them."""
        done = 0
        async with asyncio.timeout(SOON_S):
            while (most is None or done < most) and (line := (await self.reader.readline()).decode()):
                if line == "failure\n":
                    self.failed = True
                    continue
                self.writer.write(self.reply(line))
                done += 1

    def reply(self, line: str) -> bytes:
        """What Asterisk answers to a command."""
        if found := re.fullmatch(r'GET VARIABLE "?(\w+)"?\n', line):
            value = self.variables.get(found[1])
            return f"200 result=1 ({value})\n".encode() if value else b"200 result=0\n"
        found = re.fullmatch(r'EXEC MSet "?([^"]*)"?\n', line)
        assert found, line
        for one in found[1].split(","):
            name, _, value = one.partition("=")
            self.variables[name] = value
        return b"200 result=0\n"

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def asked(hooks: Hooked, script: str, caller: str = ANNA, **variables: str) -> Channel:
    """One whole hook."""
    channel = await Channel.open(hooks, **variables)
    await channel.ask(script, caller)
    await channel.serve()
    await channel.close()
    return channel


async def rows(hooks: Hooked, table: object) -> list[object]:
    """All rows of a table."""
    async with hooks.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(table)))  # type: ignore[call-overload]


async def test_a_lookup_sets_variables(hooks: Hooked) -> None:
    """The same answer as over HTTP, in the channel."""
    channel = await asked(hooks, "hooks/lookup?fields=car")
    same = (await hooks.ask("lookup", fields=["car"])).json["variables"]
    got = {name: channel.variables.get(name, "") for name in same}
    assert (channel.variables["DOZVON_STATUS"], got) == ("OK", same)
    assert (await asked(hooks, "hooks/lookup", NOBODY)).variables["DOZVON_STATUS"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("script", "table"),
    [
        ("hooks/opt-out", t.do_not_call),
        ("hooks/outcome?outcome=sold&note=two%20cars", t.hook_outcome),
        ("hooks/survey-answer?survey=service&question=1&answer=5", t.survey_answer),
        ("hooks/consent?purpose=survey&days=30", t.consent),
        ("hooks/callback?campaign={campaign}&after_min=30", t.callback),
    ],
)
async def test_each_hook_that_tells_is_written_down(hooks: Hooked, script: str, table: object) -> None:
    """By the very service that HTTP calls."""
    channel = await asked(hooks, script.format(campaign=hooks.place.campaigns[0]))
    assert channel.variables["DOZVON_STATUS"] == "OK"
    assert len(await rows(hooks, table)) == 1


async def test_the_call_token_goes_from_hook_to_hook(hooks: Hooked) -> None:
    """By the channel's variable: the first gives one, a change takes it and gives the next."""
    refused = await asked(hooks, f"hooks/opt-out?number={OTHER[1:]}")
    assert refused.variables["DOZVON_STATUS"] == "REFUSED"
    first = (await asked(hooks, "hooks/route")).variables["DOZVON_CALL_TOKEN"]
    changed = await asked(hooks, f"hooks/opt-out?number={OTHER[1:]}", DOZVON_CALL_TOKEN=first)
    assert changed.variables["DOZVON_STATUS"] == "OK"
    assert changed.variables["DOZVON_CALL_TOKEN"] != first
    again = await asked(hooks, "hooks/opt-out?number=79165550001", DOZVON_CALL_TOKEN=first)
    assert again.variables["DOZVON_STATUS"] == "REFUSED"


@pytest.mark.parametrize("token", ["", "wrong", "x" * 300])
async def test_without_the_token_nothing_is_told(hooks: Hooked, token: str) -> None:
    """Whoever reaches the port needs it."""
    channel = await asked(hooks, "hooks/lookup", DOZVON_HOOKS_TOKEN=token)
    assert channel.variables.keys() == {"DOZVON_HOOKS_TOKEN", "DOZVON_STATUS"}
    assert channel.variables["DOZVON_STATUS"] == "REFUSED"


@pytest.mark.parametrize(
    "script",
    ["hooks/lookup?colour=red", "hooks/callback?campaign=x", "hooks/callback", "hooks/lookup?number=1%0A2",
     "hooks/outcome?outcome=" + "x" * 65, "hooks/lookup?number=" + "1" * 30, "hooks/lookup?number=%00"],
)  # fmt: skip
async def test_wrong_arguments_are_refused(hooks: Hooked, script: str) -> None:
    """As over HTTP."""
    assert (await asked(hooks, script)).variables["DOZVON_STATUS"] == "REFUSED"


async def test_another_route_is_no_hook(hooks: Hooked) -> None:
    """Asterisk is told that the script has failed."""
    assert (await asked(hooks, "hooks/everything")).failed
    assert (await asked(hooks, "lookup")).failed


async def test_two_hundred_calls_at_once(database: Database, database_url: str, tmp_path: Path) -> None:
    """Each gets its answer, beside as many that connect and say nothing or half a line. How fast is the
    bench's: here they have the time that a loaded machine takes."""
    async with hooked(database, database_url, tmp_path, limit_s=40.0, hooks_per_s=10_000) as hooks:
        await two_hundred(hooks)


async def test_what_is_late_is_unavailable(database: Database, database_url: str, tmp_path: Path) -> None:
    """The dialplan is told within the limit, whatever the database does."""
    async with (
        hooked(database, database_url, tmp_path, limit_s=0.2) as hooks,
        hooks.database.tenant(TENANT) as conn,
    ):
        await conn.execute(text("LOCK TABLE contact_phone"))
        channel = await asked(hooks, "hooks/lookup")
    assert channel.variables["DOZVON_STATUS"] == "UNAVAILABLE"


async def two_hundred(hooks: Hooked) -> None:
    """Calls at once, and peers that do nothing."""
    silent = [await Channel.open(hooks) for _ in range(100)]
    for one in silent[::2]:
        one.writer.write(b"agi_network: yes\nagi_netw")
    async with asyncio.timeout(60):
        done = await asyncio.gather(*(asked(hooks, "hooks/lookup") for _ in range(200)))
    assert {one.variables["DOZVON_STATUS"] for one in done} == {"OK"}
    for one in silent:
        await one.close()


@pytest.mark.parametrize("at", range(4))
async def test_a_hangup_at_any_point_ends_the_session(hooks: Hooked, at: int) -> None:
    """The line HANGUP, and the end of the connection, before each of the answers."""
    for word in (b"HANGUP\n", b""):
        channel = await Channel.open(hooks)
        await channel.ask("hooks/lookup")
        await channel.serve(most=at)
        channel.writer.write(word)
        channel.writer.write_eof()
        async with asyncio.timeout(SOON_S):
            with contextlib.suppress(ConnectionError):
                while await channel.reader.read(4096):
                    pass
        await channel.close()
    assert (await asked(hooks, "hooks/lookup")).variables["DOZVON_STATUS"] == "OK"


async def test_a_reply_of_several_lines_is_one(hooks: Hooked) -> None:
    """A value with line breaks, and a refusal with its usage, put no later reply out of step."""
    channel = await Channel.open(hooks)
    await channel.ask("hooks/lookup")
    await channel.reader.readline()
    channel.writer.write(f"200 result=1 ({hooks.token})\n".encode())
    await channel.reader.readline()
    channel.writer.write(b"200 result=1 (one\ntwo\nthree)\n")
    await channel.serve()
    assert channel.variables["DOZVON_STATUS"] == "OK"
    await channel.close()
    other = await Channel.open(hooks)
    await other.ask("hooks/lookup")
    await other.reader.readline()
    other.writer.write(
        b"520-Invalid command syntax.  Proper usage follows:\nUsage: x\n520 End of proper usage.\n"
    )
    await other.serve()
    assert other.variables["DOZVON_STATUS"] in {"REFUSED", "UNAVAILABLE"}
    await other.close()


async def test_no_bytes_hang_it(hooks: Hooked) -> None:
    """Random and torn peers, then a proper one: answered, and no session is left."""
    chance = random.Random(7)
    whole = (
        f"agi_network: yes\nagi_network_script: hooks/lookup?number=79161230001\nagi_uniqueid: {CHANNEL}\n"
        f"agi_callerid: {ANNA}\n\n200 result=1 ({hooks.token})\n200 result=0\n200 result=0\n200 result=0\n"
    ).encode()

    async def peer() -> None:
        channel = await Channel.open(hooks)
        data = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(6)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        data += chance.choice((b"", b"HANGUP\n", b"\n\n", chance.randbytes(200), b"520-\n", b"x" * 9000))
        with contextlib.suppress(ConnectionError):
            while data:
                size = chance.randrange(1, 60)
                channel.writer.write(bytes(data[:size]))
                del data[:size]
                await channel.writer.drain()
        await channel.close()

    async with asyncio.timeout(120):
        for _ in range(INPUTS // 20):
            await asyncio.gather(*(peer() for _ in range(20)))
    assert (await asked(hooks, "hooks/lookup")).variables["DOZVON_STATUS"] == "OK"
