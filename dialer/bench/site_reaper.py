"""Ends what a killed bench leaves behind: PostgreSQL and Asterisk have sessions of their own.

Run as a program with a folder: it reads stdin until its other end is gone with the bench, ends every process
that works in the folder or was started with a path in it, and removes the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

#: How long processes may take to end, and to be gone from /proc, seconds.
_END_S = 10.0


@contextlib.contextmanager
def folder_of_its_own(prefix: str = "dozvon-bench-") -> Iterator[Path]:
    """A folder with a short name (the path of a socket has 107 bytes at most) that PostgreSQL can use, also
    under root; at the end, whatever ends us, everything in it is gone, processes and files."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    argv = (sys.executable, "-m", "dialer.bench.site_reaper", str(folder))
    # A session of its own: a terminal's Ctrl-C is not meant for it.
    reaper = Popen(argv, stdin=PIPE, start_new_session=True)
    try:
        yield folder
    finally:
        reaper.communicate()  # closes its pipe and waits for its end


def working_in(folder: Path) -> list[int]:
    """The processes that work in the folder or were started with a path in it, but for this one."""
    return [
        int(name)
        for name in filter(str.isdecimal, os.listdir("/proc"))  # noqa: PTH208 - names of processes
        if int(name) not in (os.getpid(), os.getppid()) and _belongs(Path("/proc", name), folder)
    ]


def _belongs(process: Path, folder: Path) -> bool:
    try:
        said = (process / "cmdline").read_bytes().split(b"\0")
        return (process / "cwd").resolve().is_relative_to(folder) or any(
            os.fsencode(folder) in word for word in said
        )
    except OSError:
        return False  # it has ended


def main() -> None:
    """Wait for the end of who started this, then clean up."""
    folder = Path(sys.argv[1])
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _END_S
    for how in (signal.SIGQUIT, signal.SIGKILL):
        while (left := working_in(folder)) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
                    os.kill(pid, signal.SIGCONT)
            time.sleep(0.2)  # they are nobody's children: nothing tells of their end
            if how is signal.SIGQUIT:
                break
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
