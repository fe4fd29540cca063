"""The most memory that a process and all that it has started take at a time, by looking again and again."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from dialer.bench.load.cpu import rss_mb

#: Between two looks, seconds.
EVERY_S = 0.1


class Memory:
    """Watches from its beginning as a context to its end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        #: megabytes (of 10^6 bytes); what processes share is counted in each
        self.peak_mb = 0.0
        #: processes at that moment
        self.processes = 0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            sizes = [size for pid in _tree(self._pid) if (size := _size(pid))]
            if sum(sizes) > self.peak_mb:
                self.peak_mb, self.processes = sum(sizes), len(sizes)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in _words(Path(f"/proc/{pid}/task")):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue  # it ended while we looked
        for child in children:
            found += _tree(int(child))
    return found


def _words(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _size(pid: int) -> float:
    try:
        return rss_mb(pid)
    except OSError:
        return 0.0
