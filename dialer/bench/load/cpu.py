"""CPU time of processes and of those they have started, from /proc (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: Fields of /proc/<pid>/stat after the command's name: the parent, and the times of itself and of its
#: children that have ended.
_PARENT, _TIMES = 1, slice(11, 15)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds by part, since the processes started."""

    seconds: Mapping[str, float]

    def since(self, before: Spent) -> dict[str, float]:
        """What was spent after `before`, by part."""
        return {name: spent - before.seconds.get(name, 0.0) for name, spent in self.seconds.items()}


def spent(parts: Mapping[str, Iterable[int]]) -> Spent:
    """CPU seconds of each part: of its processes, of all that these have started and that lives, and of what
    they started that has ended. A process that has ended itself counts nothing."""
    times, children = _every()

    def tree(pid: int) -> float:
        return times.get(pid, 0.0) + sum(tree(child) for child in children.get(pid, ()))

    return Spent({name: sum(tree(pid) for pid in pids) for name, pids in parts.items()})


def _every() -> tuple[dict[int, float], dict[int, list[int]]]:
    times: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name is in parentheses and may hold blanks and parentheses itself.
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        pid = int(folder.name)
        times[pid] = sum(int(word) for word in words[_TIMES]) / _TICKS_PER_S
        children.setdefault(int(words[_PARENT]), []).append(pid)
    return times, children


def rss_mb(pid: int) -> float:
    """Memory of one process, megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
