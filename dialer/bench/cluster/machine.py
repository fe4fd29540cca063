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
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dialer.errors import PartMissing

#: PostgreSQL does not run as root, and initdb insists on a user with a name.
STRANGER = "nobody"
#: Ends what is left when we are killed: its pipe ends with us. Then it ends every process that works in the
#: folder, and removes the folder.
_KEEPER = """
import os, pathlib, shutil, signal, sys, time
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
def there():
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if pathlib.Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder):
                yield int(pid)
        except OSError:
            pass
for _ in range(250):
    found = list(there())
    if not found:
        break
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    time.sleep(0.02)
shutil.rmtree(folder, ignore_errors=True)
"""


@contextmanager
def ground(prefix: str) -> Iterator[Path]:
    """A folder for machines, with its keeper: when the block is left, or we are killed, all of it is gone."""
    # Not below a folder that may be closed to the unprivileged user.
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o755)
    keeper = subprocess.Popen(
        [sys.executable, "-c", _KEEPER, str(folder)], stdin=subprocess.PIPE, cwd="/", start_new_session=True
    )
    try:
        yield folder
    finally:
        keeper.communicate()  # ends its pipe, and waits until it has done


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

    async def kill(self, *, but: str = "") -> None:
        """End all of its processes at once, as a power cut does; `but`: spares those with this word in their
        command line."""
        async with asyncio.timeout(20):
            while doomed := [pid for pid, words in self.processes().items() if not (but and but in words)]:
                self._signal(doomed, signal.SIGKILL)
                self._reap()
                await asyncio.sleep(0.01)  # /proc does not tell when one has gone
        self._reap()

    def freeze(self) -> None:
        """Stop all of its processes, as a machine that hangs: sockets stay open and nobody answers."""
        # Twice: what was made while the first round went through the list.
        for _ in range(2):
            self._signal(self.processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on as if no time had passed."""
        self._signal(self.processes(), signal.SIGCONT)

    def wipe(self) -> None:
        """A new disk, once nothing runs."""
        shutil.rmtree(self.folder)
        self.make()

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

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]


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
