"""The Asterisk of tests: the one that the server would run, in a folder and on ports of its own.

`start_asterisk` starts as many as a test wants and stops them after it; `asterisk_binary` is the program.
"""

from __future__ import annotations

import random
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

import asterisk_conf
from dialer.asterisk.ami import Address
from dialer.asterisk.config import AgentPhone, ManagedAsterisk, TrunkLine, render_managed
from dialer.asterisk.runtime import AsteriskBinary, AsteriskServer, find_asterisk
from dialer.ports import free_port
from dialer.settings import load

__all__ = ["asterisk_binary", "start_asterisk"]

#: Ends what a killed test run leaves: reads the pipe until its other end is gone with the run, then kills
#: every Asterisk whose configuration is in the folder, and removes it.
REAPER = """
import os, pathlib, shutil, signal, sys
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
for file in folder.glob("**/asterisk.pid"):
    try:
        pid = int(file.read_text())
        if os.fsencode(folder) in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        pass
shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True, slots=True)
class RunningAsterisk:
    """A started Asterisk, and where it listens."""

    server: AsteriskServer
    managed: ManagedAsterisk

    @property
    def ami(self) -> Address:
        """Its manager interface."""
        return Address("127.0.0.1", self.managed.ami_port, self.managed.ami_user, self.managed.ami_secret)


class StartAsterisk(Protocol):
    """Starts an Asterisk for a test. `conf` are files that stand in for those of asterisk_conf/.

    `ami_secret`: that of a server which drives it beside another one.
    """

    async def __call__(
        self,
        *,
        agents: Sequence[AgentPhone] = (),
        trunks: Sequence[TrunkLine] = (),
        browsers: Sequence[str] = (),
        conf: Mapping[str, str] | None = None,
        conf_dirs: Sequence[Path] = (),
        generated: Mapping[str, str] | None = None,
        ami_secret: str = "",
    ) -> RunningAsterisk: ...


def free_ports() -> ManagedAsterisk:
    """Ports and a secret for one more Asterisk."""
    # Below the kernel's own range for outgoing sockets. Two that meet do no harm: a taken one is passed by.
    rtp = random.randrange(12_000, 32_000, 400)
    return ManagedAsterisk(
        ami_port=free_port(),
        ami_user="dozvon",
        ami_secret=secrets.token_urlsafe(16),
        sip_host="127.0.0.1",
        sip_port=free_port(socket.SOCK_DGRAM),
        http_port=free_port(),
        rtp_port_from=rtp,
        rtp_port_to=rtp + 399,
    )


@contextmanager
def asterisk_folder() -> Iterator[Path]:
    """A folder with a short name; an Asterisk left in it ends even if the test run is killed."""
    # Not pytest's tmp_path: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="dozvon-asterisk-"))
    reaper = subprocess.Popen([sys.executable, "-c", REAPER, str(folder)], stdin=subprocess.PIPE, cwd="/")
    try:
        yield folder
    finally:
        reaper.communicate()  # closes its pipe and waits for its end


@pytest.fixture(scope="session")
async def asterisk_binary() -> AsteriskBinary:
    """The Asterisk that the server would run; fetched where there is none. The run fails without it."""
    return await find_asterisk(load().packages_dir, lambda line: print(line, file=sys.stderr))


@pytest.fixture
async def start_asterisk(asterisk_binary: AsteriskBinary) -> AsyncIterator[StartAsterisk]:
    """Starts any number of them, each in a folder and on ports of its own; they end with the test."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(asterisk_folder())
        count = 0

        async def start(
            *,
            agents: Sequence[AgentPhone] = (),
            trunks: Sequence[TrunkLine] = (),
            browsers: Sequence[str] = (),
            conf: Mapping[str, str] | None = None,
            conf_dirs: Sequence[Path] = (),
            generated: Mapping[str, str] | None = None,
            ami_secret: str = "",
        ) -> RunningAsterisk:
            nonlocal count
            count += 1
            managed = free_ports()
            if ami_secret:
                managed = replace(managed, ami_secret=ami_secret)
            own = folder / f"conf{count}"
            own.mkdir()
            for name, text in (conf or {}).items():
                (own / name).write_text(text)
            server = AsteriskServer(
                asterisk_binary,
                folder / f"run{count}",
                [asterisk_conf.FOLDER, *conf_dirs, own],
                {**render_managed(managed, agents, trunks, browsers), **(generated or {})},
                listens=managed,
            )
            stack.push_async_callback(server.stop)
            await server.start()
            return RunningAsterisk(server, managed)

        yield start
