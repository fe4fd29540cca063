"""Kamailio before several Asterisk servers, as docs/scaling.md sets it up: carriers and phones see one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SOCK_DGRAM

from dialer.bench.cluster.machine import Machine, let_in
from dialer.bench.cluster.programs import KAMAILIO
from dialer.bench.site_parts import until
from dialer.bench.site_reaper import folder_of_its_own
from dialer.debian.packages import Progress, Unpacked, silent, unpack
from dialer.errors import PartMissing
from dialer.ports import free_port

CONF = Path(__file__).with_name("conf") / "kamailio.conf"
HOST = "127.0.0.1"
START_S = 20.0
_STATE = re.compile(r"URI: sip:(?P<node>[\d.:]+)\s+FLAGS: (?P<flags>\w+)")


class Kamailio:
    """One Kamailio on loopback; use `open`."""

    def __init__(self, unpacked: Unpacked, folder: Path, nodes: Sequence[str], port: int) -> None:
        self.port = port
        self.machine = Machine("kamailio", HOST, folder / "kamailio")
        self._unpacked = unpacked
        self._nodes = nodes

    @classmethod
    @asynccontextmanager
    async def open(
        cls, packages_dir: Path, nodes: Sequence[str], progress: Progress = silent, *, port: int = 0
    ) -> AsyncIterator[Kamailio]:
        """One before `nodes` (`127.0.0.1:5070`), which it takes for alive until it has asked; `port` 0: any.

        Raises PartMissing, SettingsError, NotInTime.
        """
        unpacked = await asyncio.to_thread(unpack, KAMAILIO, packages_dir, progress)
        let_in(packages_dir)
        with folder_of_its_own("dozvon-kamailio-") as folder:
            kamailio = cls(unpacked, folder, nodes, port or free_port(SOCK_DGRAM))
            try:
                kamailio.start()
                await until("Kamailio answers", kamailio.states, START_S)
                yield kamailio
            finally:
                await kamailio.machine.kill()

    @property
    def address(self) -> str:
        """Where carriers and phones send to."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start it; it listens a moment later."""
        self.machine.make()
        nodes = self.machine.folder / "nodes.list"
        nodes.write_text("".join(f"1 sip:{node}\n" for node in self._nodes))
        nodes.chmod(0o644)
        modules = self._unpacked.file("usr/lib/*/kamailio/modules")
        defines = {"NODES": str(nodes), "CONTROL": f"unix:{self._control}"}
        self.machine.start(
            "kamailio",
            [
                *self._unpacked.argv("usr/sbin/kamailio"),
                *("-f", str(self.machine.bring(CONF)), "-DD", "-E", "-m", "32", "-M", "4"),
                *("-L", str(modules), "-l", f"udp:{self.address}", "-Y", str(self.machine.folder)),
                *("-w", str(self.machine.folder)),
                *(word for name, value in defines.items() for word in ("-A", f'{name}="{value}"')),
            ],
            {},
        )

    async def states(self) -> dict[str, str]:
        """What it thinks of each node: AP active and asked, IP given up and asked, DX drained (dispatcher's
        flags); empty while it does not answer."""
        return {m["node"]: m["flags"] for m in _STATE.finditer(await self.command("dispatcher.list"))}

    async def drain(self, node: str) -> None:
        """Send it no new calls. Those that it has go on."""
        await self.command("dispatcher.set_state", "dx", "1", f"sip:{node}")

    async def undrain(self, node: str) -> None:
        """Send it calls again, once it answers."""
        await self.command("dispatcher.set_state", "ap", "1", f"sip:{node}")

    async def command(self, *words: str) -> str:
        """What it says to a command of kamcmd's; empty while it does not answer. Raises PartMissing."""
        argv = [*self._unpacked.argv("usr/sbin/kamcmd"), "-s", f"unix:{self._control}", *words]
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
        except FileNotFoundError as error:
            raise PartMissing(part="kamcmd", mend=f"remove {self._unpacked.root}") from error
        said, _ = await process.communicate()
        return said.decode(errors="replace") if process.returncode == 0 else ""

    @property
    def _control(self) -> Path:
        return self.machine.folder / "control"
