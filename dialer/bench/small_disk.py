"""Runs a program that has a small disk of its own in one folder: a tmpfs that nobody else sees.

    python -m dialer.bench.small_disk FOLDER BYTES PROGRAM [WORD...]

The tmpfs is mounted in a mount namespace of the program's own (root), or in a user namespace of its own in
which it stays who it is (an ordinary user). It is gone with the last process of the program: nothing is ever
mounted for anybody else, and nothing is left to be unmounted.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from dialer.errors import PartMissing
from dialer.processes import die_with_parent

#: From <sched.h> and <sys/mount.h>.
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 2, 4, 16384, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def own_namespace() -> None:
    """A mount namespace of this process's own; it must have one thread. Raises PartMissing where the system
    gives none."""
    uid, gid = os.geteuid(), os.getegid()
    wanted = _CLONE_NEWNS if uid == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    if _libc.unshare(wanted) != 0:
        raise PartMissing(
            part="a mount namespace",
            mend=f"let this user have one ({os.strerror(ctypes.get_errno())}), see unshare(2)",
        )
    if uid != 0:
        # The same user inside as outside, as PostgreSQL and its files know it.
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    # What is mounted from here on is not told to where we came from.
    _mount("none", Path("/"), "", _MS_REC | _MS_PRIVATE, "")


def mount(folder: Path, size: int) -> None:
    """A tmpfs of `size` bytes over the folder, with the folder's owner and mode. Raises PartMissing."""
    was = folder.stat()
    options = f"size={size},mode={was.st_mode & 0o7777:o},uid={was.st_uid},gid={was.st_gid}"
    _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    words = (source.encode(), os.fsencode(target), kind.encode() or None, flags, options.encode() or None)
    if _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(words[3]), words[4]) != 0:
        raise PartMissing(
            part=f"a small disk at {target}", mend=f"mount(2) says: {os.strerror(ctypes.get_errno())}"
        )


def main() -> None:
    """Mount, then become the program."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for who started us
    folder, size, *words = sys.argv[1:]
    own_namespace()
    mount(Path(folder), int(size))
    os.execv(words[0], words)  # noqa: S606 - the program that we were given, without a shell


if __name__ == "__main__":
    main()
