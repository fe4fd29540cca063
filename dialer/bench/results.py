"""The file of runs: JSON lines, one a run, appended as each is known: a break loses one run at most."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dialer.bench.model import Run, from_line, to_line
from dialer.clock import utc_now
from dialer.errors import UnreadableFile

#: In the repository; elsewhere the second.
IN_DOCS = Path("docs/bench/faults.jsonl")
ELSEWHERE = Path("bench-faults.jsonl")


def default_path(folder: Path = Path()) -> Path:
    """The results file of a folder: the repository's own where this is the repository."""
    return folder / (IN_DOCS if (folder / IN_DOCS).parent.is_dir() else ELSEWHERE)


@dataclass(frozen=True, slots=True)
class Results:
    """One file of runs; None keeps nothing."""

    path: Path | None

    def read(self) -> list[Run]:
        """All runs, the oldest first; none where there is no file.

        Raises UnreadableFile with the line that is no run. A last line that a break has cut is passed over.
        """
        if self.path is None or not self.path.exists():
            return []
        runs = []
        *lines, _cut = self.path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):
            try:
                runs.append(from_line(json.loads(line)))
            except (ValueError, TypeError) as error:
                raise UnreadableFile(reason=f"{self.path}, line {number}: {error}") from None
        return runs

    def append(self, run: Run) -> None:
        """Put a run at the end."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(to_line(run) | {"at": f"{utc_now():%Y-%m-%dT%H:%M:%SZ}"}, ensure_ascii=False)
        with self.path.open("ab+") as file:
            file.seek(0)
            if rest := file.read().rpartition(b"\n")[2]:
                file.truncate(file.tell() - len(rest))  # a line that a break has cut
            file.write(f"{line}\n".encode())

    def seeds(self, fault: str) -> set[int]:
        """The seeds that a row has runs of."""
        return seeds_of(self.read(), fault)


def seeds_of(runs: Iterable[Run], fault: str) -> set[int]:
    """The seeds among these runs that are of one row."""
    return {run.seed for run in runs if run.fault == fault}
