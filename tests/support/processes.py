"""Which processes of this machine belong to a folder of a test's."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def processes_about(folder: Path) -> dict[int, str]:
    """Every process that works in or for a folder, with its command line."""
    found = {}
    mark, ours = os.fsencode(folder), f"PPid:\t{os.getpid()}\n"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is not ours to look at
            words = (entry / "cmdline").read_bytes()
            about = words + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
            # Direct children of this test run watch over the folder; what a server has started is not ours.
            if mark in about and words and ours not in (entry / "status").read_text():
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found
