"""`dozvon serve` as an administrator runs it: first start, kill -9, the next start, a regular stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from support.asterisk import free_ports
from support.processes import processes_about

from dialer.asterisk.runtime import AsteriskBinary
from dialer.ports import free_port
from dialer.settings import load


@dataclass(slots=True)
class RunningServer:
    """A server in a data folder of the test's own."""

    process: asyncio.subprocess.Process
    folder: Path
    #: what it has said so far
    heard: list[str] = field(default_factory=list)

    async def until_said(self, words: str, within_s: float = 60.0) -> str:
        """The next line of stderr that holds these words."""
        assert self.process.stderr is not None
        try:
            async with asyncio.timeout(within_s):
                while line := (await self.process.stderr.readline()).decode():
                    self.heard.append(line)
                    if words in line:
                        return line.strip()
        except TimeoutError:
            pass
        raise AssertionError(f"it never said {words!r}: {''.join(self.heard[-20:])}")

    async def ended(self, within_s: float = 40.0) -> int:
        """Its exit status."""
        async with asyncio.timeout(within_s):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@pytest.fixture
async def serve(data_folder: Path, asterisk_binary: AsteriskBinary) -> AsyncIterator[Callable[..., Any]]:
    """Starts `dozvon serve` on ports that stay the same; whatever is left at the end is ended."""
    ports = free_ports()
    fixed = {
        "DOZVON_DATA_DIR": str(data_folder),
        "DOZVON_CACHE_DIR": str(load().packages_dir),
        "DOZVON_AMI_PORT": str(ports.ami_port),
        "DOZVON_AGI_PORT": str(free_port()),
        "DOZVON_SIP_PORT": str(ports.sip_port),
        "DOZVON_ASTERISK_HTTP_PORT": str(ports.http_port),
        "DOZVON_RTP_PORT_FROM": str(ports.rtp_port_from),
        "DOZVON_RTP_PORT_TO": str(ports.rtp_port_to),
        "DOZVON_HTTP_PORT": str(free_port()),
    }

    async def start(**settings: str) -> RunningServer:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dialer", "serve",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
            env={**os.environ, **fixed, **settings},
        )  # fmt: skip
        return RunningServer(process, data_folder)

    yield start
    for pid in processes_about(data_folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def named(folder: Path, *names: str) -> dict[int, str]:
    """The processes about the folder whose command line holds one of the names."""
    return {
        pid: words for pid, words in processes_about(folder).items() if any(name in words for name in names)
    }


def lasting(folder: Path) -> dict[str, int]:
    """Asterisk and PostgreSQL, which outlive the server, by their process ids. PostgreSQL's is its first: the
    others serve one connection each, and have its command line until they have given themselves a name."""
    return {name: min(named(folder, name)) for name in ("sbin/asterisk", "bin/postgres")}


async def test_first_start_makes_an_administrator_and_a_regular_stop_ends_everything(
    serve: Callable[..., Any],
) -> None:
    """The password is shown once and works; SIGTERM leaves no process; the second start shows none."""
    running: RunningServer = await serve()
    password = (await running.until_said("first log-in")).split("password ")[1].split()[0]
    url = (await running.until_said("pages and API")).split()[-1]
    async with ClientSession() as http:
        body = {"login": "admin", "password": password}
        async with http.post(f"{url}/api/v1/session", json=body) as reply:
            assert reply.status == 201
        async with http.get(f"{url}/openapi.json") as reply:
            assert (await reply.json())["openapi"].startswith("3.1")
    running.process.send_signal(signal.SIGTERM)
    assert await running.ended() == 0
    assert processes_about(running.folder) == {}
    again: RunningServer = await serve()
    await again.until_said("pages and API")
    assert not any("first log-in" in line for line in again.heard)
    again.process.send_signal(signal.SIGINT)
    assert await again.ended() == 0


async def test_killed_server_leaves_lines_and_data_and_the_next_start_takes_them_over(
    serve: Callable[..., Any],
) -> None:
    """After kill -9 its processes are gone, Asterisk and PostgreSQL are not; the next start adopts both."""
    running: RunningServer = await serve()
    await running.until_said("pages and API")
    kept = lasting(running.folder)
    assert len(named(running.folder, "run engine", "run web", "run jobs")) == 3
    running.process.kill()
    await running.process.wait()
    for _ in range(100):
        if not named(running.folder, "run engine", "run web", "run jobs"):
            break
        await asyncio.sleep(0.05)  # the kernel tells only their parent, which is gone
    assert named(running.folder, "run engine", "run web", "run jobs") == {}
    assert lasting(running.folder) == kept
    again: RunningServer = await serve()
    await again.until_said("pages and API")
    assert lasting(again.folder) == kept
    again.process.send_signal(signal.SIGTERM)
    assert await again.ended() == 0
    assert processes_about(again.folder) == {}


async def test_asterisk_and_postgresql_that_fall_come_back(serve: Callable[..., Any]) -> None:
    """kill -9 of either: the server starts it again, and answers as healthy as before."""
    running: RunningServer = await serve()
    url = (await running.until_said("pages and API")).split()[-1]
    async with ClientSession() as http:

        async def healthy(within_s: float = 40.0) -> None:
            async with asyncio.timeout(within_s):
                while True:  # health is asked for: that is what it is for
                    async with http.get(f"{url}/healthz") as reply:
                        if reply.status == 200:
                            return
                    await asyncio.sleep(0.2)

        await healthy()
        for name, said in (("sbin/asterisk", "asterisk_fell"), ("bin/postgres", "postgres_fell")):
            pid = min(named(running.folder, name))  # the first of PostgreSQL's is its postmaster
            os.kill(pid, signal.SIGKILL)
            await running.until_said(said)
            await healthy()
            assert pid not in named(running.folder, name)
        recording = f"{url}/api/v1/calls/00000000-0000-7000-8000-000000000000/recording"
        async with http.get(recording) as reply:
            assert reply.status == 401  # and not a fault of ours
    running.process.send_signal(signal.SIGTERM)
    assert await running.ended() == 0
    assert processes_about(running.folder) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DOZVON_HTTP_PORT": "eighty"}, "DOZVON_HTTP_PORT"),
        ({"DOZVON_AMI_POTR": "5038"}, "DOZVON_AMI_POTR: no such setting"),
        ({"DOZVON_CONFIG": "/nowhere.toml"}, "DOZVON_CONFIG: there is no file /nowhere.toml"),
        ({"DOZVON_DATA_DIR": "/proc/x"}, "DOZVON_DATA_DIR: /proc/x cannot be written"),
        ({"DOZVON_DATABASE_URL": "postgresql://dozvon_app@/x"}, "DOZVON_DATABASE_OWNER_URL"),
    ],
)
async def test_wrong_setting_is_one_line(
    serve: Callable[..., Any], settings: dict[str, str], said: str
) -> None:
    """A wrong setting ends the start with one line that names it, and no traceback."""
    running: RunningServer = await serve(**settings)
    _, err = await running.process.communicate()
    lines = err.decode().splitlines()
    assert running.process.returncode == 1
    assert len(lines) == 1 and said in lines[0], lines


async def test_second_server_in_the_same_folder_is_refused(serve: Callable[..., Any]) -> None:
    """Two servers on one data folder would start and stop each other's parts."""
    running: RunningServer = await serve()
    await running.until_said("pages and API")
    second: RunningServer = await serve()
    assert "another server is running" in await second.until_said("dozvon:")
    assert await second.ended() == 1
    running.process.send_signal(signal.SIGTERM)
    assert await running.ended() == 0


async def test_settings_come_from_a_file_too(serve: Callable[..., Any], data_folder: Path) -> None:
    """What DOZVON_CONFIG names is read; the environment wins over it."""
    file = data_folder / "dozvon.toml"
    file.write_text('log_level = "loud"\n')
    running: RunningServer = await serve(DOZVON_CONFIG=str(file))
    _, err = await running.process.communicate()
    assert "DOZVON_LOG_LEVEL" in err.decode() and "'loud'" in err.decode()
    assert running.process.returncode == 1
