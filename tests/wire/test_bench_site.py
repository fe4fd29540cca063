"""What a bench's centre stands on: a wire that can be broken at any byte, parts that can be killed and
frozen, and a folder of which nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dialer.bench.ami_proxy import AmiProxy, Cut, Way
from dialer.bench.site_parts import NotInTime, Part, until
from dialer.errors import ProcessFell

HELLO = b"Asterisk Call Manager/11.0.0\r\n"


@asynccontextmanager
async def wired(
    heard: list[bytes] | None = None, **faults: bool
) -> AsyncIterator[tuple[AmiProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A peer that greets, echoes and keeps the pieces that it has `heard`, the proxy before it, and a
    connection through it."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        while data := await reader.read(1000):
            if heard is not None:
                heard.append(data)
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, AmiProxy(server.sockets[0].getsockname()[1], 1).running() as proxy:
        for name, value in faults.items():
            setattr(proxy, name, value)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        async with asyncio.timeout(20):
            yield proxy, reader, writer
        writer.close()


async def test_a_whole_wire_carries_both_ways() -> None:
    """What is said on one end comes out of the other as it is."""
    async with wired() as (_, reader, writer):
        assert await reader.readline() == HELLO
        writer.write(b"Action: Ping\r\n\r\n")
        assert await reader.readexactly(16) == b"Action: Ping\r\n\r\n"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", [0, 5])
async def test_a_cut_wire_has_carried_so_many_bytes_and_no_more(after: int, reset: bool) -> None:
    """The cut is made in the middle of what comes from Asterisk; then the wire is dead."""
    async with wired() as (proxy, reader, writer):
        assert await reader.readline() == HELLO
        proxy.arm(Cut(Way.FROM_ASTERISK, b"Event: ", after, reset=reset))
        writer.write(b"Response: Success\r\n\r\nEvent: Hangup\r\n\r\n")
        heard = b""
        try:
            while piece := await reader.read(100):
                heard += piece
        except ConnectionResetError:
            assert reset
        await proxy.was_cut.wait()
        # A reset may overtake what was let through.
        assert heard == b"Response: Success\r\n\r\n" + b"Event: "[:after] or (reset and heard == b"")
        assert proxy.cut is None


async def test_a_half_open_wire_swallows_everything_until_its_end_is_given_up() -> None:
    """Nothing comes, nothing ends; that the engine has closed its end is noticed."""
    async with wired() as (proxy, reader, writer):
        assert await reader.readline() == HELLO
        wire = proxy.wire
        assert wire is not None
        wire.half_open = True
        writer.write(b"Action: Ping\r\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(1)
        assert not wire.gone.is_set()
        writer.transport.abort()
        await wire.gone.wait()


async def test_a_silent_peer_accepts_and_says_nothing() -> None:
    """Not even the banner."""
    async with wired(silent=True) as (proxy, reader, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(1)
        assert proxy.accepted == 1


async def test_a_torn_wire_loses_nothing() -> None:
    """Pieces of one to three bytes, all of them, in order."""
    heard: list[bytes] = []
    async with wired(heard, torn=True) as (_, reader, writer):
        assert await reader.readline() == HELLO
        said = bytes(range(256)) * 20
        writer.write(said)
        assert await reader.readexactly(len(said)) == said
    # Some may come together. A wire that is whole has half a dozen.
    assert len(heard) > 100


async def test_dirt_comes_before_the_packet_that_is_waited_for() -> None:
    """Between two packets, not within another one, and once."""
    async with wired() as (proxy, reader, writer):
        assert await reader.readline() == HELLO
        proxy.dirt = (b"Event: Hangup\r\n", b"DIRT")
        said = b"Event: Newstate\r\n\r\nEvent: Hangup\r\nA: 1\r\n\r\nEvent: Hangup\r\n\r\n"
        writer.write(said)
        wanted = said.replace(b"Event: Hangup", b"DIRTEvent: Hangup", 1)
        assert await reader.readexactly(len(wanted)) == wanted
        assert proxy.was_dirty.is_set()


# -- parts ---------------------------------------------------------------------------------------------

#: A process that says it is ready, and counts for ever into the file that it is given.
COUNTS = """
import sys, time, pathlib
print('{"url": "here"}', flush=True)
n = 0
while True:
    n += 1
    pathlib.Path(sys.argv[1]).write_text(str(n))
    time.sleep(0.01)
"""


async def test_a_part_is_started_frozen_thawed_and_killed(tmp_path: Path) -> None:
    """Frozen it stands still with all it has, thawed it goes on, killed it is gone, and is started again."""
    count = tmp_path / "count"
    part = Part("engine", dict(os.environ), tmp_path / "log")
    await part.start(("-c", COUNTS, str(count)))
    try:
        assert part.said == {"url": "here"}
        assert part.pid is not None
        assert part.rss_bytes() > 1_000_000
        assert part.files() >= 3
        part.freeze()
        pid = part.pid

        async def stopped() -> bool:
            return state_of(pid) == "T"

        await until("it is stopped", stopped, 10)
        part.thaw()

        async def goes_on() -> bool:
            return state_of(pid) != "T"

        await until("it goes on", goes_on, 10)
        await part.kill()
        with pytest.raises(FileNotFoundError):
            state_of(pid)
        await part.start(("-c", COUNTS, str(count)))
        assert (part.starts, part.pid == pid) == (2, False)
    finally:
        await part.kill()


async def test_a_part_that_does_not_start_says_so(tmp_path: Path) -> None:
    """One that ends before it is ready, and one that never is."""
    part = Part("engine", dict(os.environ), tmp_path / "log")
    with pytest.raises(ProcessFell, match=r"\(3\); the end of its log: no room"):
        await part.start(("-c", "import sys; print('no room', file=sys.stderr); sys.exit(3)"))
    with pytest.raises(ProcessFell, match="not ready"):
        await part.start(("-c", "import time; time.sleep(600)"), within_s=0.5)
    assert part.pid is None


async def test_what_is_waited_for_too_long_is_named() -> None:
    """The error says what did not happen, and in how many seconds."""

    async def never() -> bool:
        return False

    with pytest.raises(NotInTime, match=r"Not within 0\.1 s: the moon falls"):
        await until("the moon falls", never, 0.1)


def state_of(pid: int) -> str:
    """The process's state (proc(5), stat): T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


# -- the folder ----------------------------------------------------------------------------------------

#: A bench that starts a process in a session of its own, in its folder, says where, and waits.
BENCH = """
import subprocess, sys, time
from dialer.bench.site_reaper import folder_of_its_own
with folder_of_its_own() as folder:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=folder,
                            start_new_session=True)
    print(folder, left.pid, flush=True)
    time.sleep(600)
"""


def test_nothing_is_left_of_a_bench_that_was_killed() -> None:
    """kill -9 of the bench: what runs in its folder ends, whatever its session, and the folder goes."""
    bench = subprocess.Popen([sys.executable, "-c", BENCH], stdout=subprocess.PIPE, text=True)
    assert bench.stdout is not None
    folder, pid = bench.stdout.readline().split()
    assert Path(folder).is_dir()
    bench.send_signal(signal.SIGKILL)
    bench.communicate()
    deadline = time.monotonic() + 60
    while Path(folder).exists() or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "something is left"
        time.sleep(0.1)  # they are nobody's children any more: nothing tells of their end
