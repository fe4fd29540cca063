"""What stands for a machine: a folder, an address of its own on the loopback, all processes that work there.

Killing it, freezing it and finding out what is left of it go by the working folder of the processes, which
children inherit: PostgreSQL's, which Patroni starts apart from itself, are found like all others.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import random
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dialer.errors import PartMissing, SettingsError

#: PostgreSQL does not run as root, and initdb insists on a user with a name.
STRANGER = "nobody"


def network(machines: int) -> list[str]:
    """Addresses for `machines` machines of one cluster, on the loopback: each has all ports for itself."""
    block = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}"  # noqa: S311
    return [f"{block}.{number}" for number in range(1, machines + 1)]


@dataclass(slots=True)
class Machine:
    """One machine."""

    #: one, two, three
    name: str
    #: 127.20.30.1
    address: str
    #: Its disk.
    folder: Path
    #: What was started by us, to be waited for when it has ended.
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def make(self) -> None:
        """Make its folder, which belongs to the user that works in it."""
        self.folder.mkdir(mode=0o700)
        user = stranger()
        if user is not None:
            os.chown(self.folder, user.pw_uid, user.pw_gid)

    def bring(self, file: Path) -> Path:
        """A copy of a file on its disk: the user who works there may not enter the folder of ours."""
        copy = self.folder / file.name
        shutil.copyfile(file, copy)
        copy.chmod(0o644)
        return copy

    def start(self, program: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a program in the folder, as an unprivileged user; what it says goes to `<program>.log`."""
        user = stranger()
        with (self.folder / f"{program}.log").open("ab") as log:
            self._children.append(
                subprocess.Popen(
                    list(argv),
                    cwd=self.folder,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=user.pw_uid if user else None,
                    group=user.pw_gid if user else None,
                    extra_groups=[] if user else None,
                    umask=0o077,
                )
            )

    def processes(self) -> dict[int, str]:
        """The living processes of the machine: pid and command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with suppress(OSError):  # it has ended meanwhile, or is somebody else's
                if (entry / "cwd").readlink().is_relative_to(self.folder):
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = words.decode(errors="replace")
        return found

    async def kill(self, *, only: str = "") -> None:
        """End all of its processes at once, as a power cut does; `only`: those of one program.

        What is started again meanwhile by one that is spared stays.
        """
        doomed = self._pids(only)
        async with asyncio.timeout(20):
            while doomed:
                self._signal(doomed, signal.SIGKILL)
                await asyncio.sleep(0.01)  # /proc does not tell when one has gone
                self._reap()
                left = self._pids(only)
                doomed = [pid for pid in left if not only or pid in doomed]
        if not only:
            for child in self._children:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # one that has left its folder
                await asyncio.to_thread(child.wait)
            self._children.clear()

    def freeze(self) -> None:
        """Stop all of its processes, as a machine that hangs: sockets stay open and nobody answers."""
        # Twice: what was made while the first round went through the list.
        for _ in range(2):
            self._signal(self.processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on as if no time had passed."""
        self._signal(self.processes(), signal.SIGCONT)

    def last_words(self, program: str) -> str:
        """The end of what a program has said."""
        try:
            text = (self.folder / f"{program}.log").read_text(errors="replace")
        except FileNotFoundError:
            return "nothing"
        return " | ".join(text.splitlines()[-3:])

    def _signal(self, pids: Sequence[int] | Mapping[int, str], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self, program: str) -> list[int]:
        return [pid for pid in self.processes() if not program or _program(pid).startswith(program)]

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]


def let_in(packages_dir: Path) -> None:
    """Raises SettingsError where that user may not enter the folder of the programs."""
    if stranger() is None:
        return
    for folder in (packages_dir.resolve(), *packages_dir.resolve().parents):
        if not folder.stat().st_mode & 0o001:
            raise SettingsError(
                setting="DOZVON_CACHE_DIR",
                reason=f"started by root, a cluster runs as the user {STRANGER}, who may not enter {folder}",
            )


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:  # it has ended
        return ""


def stranger() -> pwd.struct_passwd | None:
    """The user that runs a cluster when we are root, else None: we run it ourselves. Raises PartMissing."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(STRANGER)
    except KeyError:
        raise PartMissing(
            part=f"the system user {STRANGER}", mend="add it, or do not run this as root"
        ) from None
