"""The file of runs: JSON lines, one a run, appended as each is known: a break loses one run at most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dialer.bench.lines import Lines
from dialer.bench.model import Run, from_line, to_line
from dialer.clock import utc_now

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

    def claim(self) -> None:
        """See that it can be written, before the first run. Raises Invalid."""
        if self.path is not None:
            Lines(self.path).claim("--results")

    def read(self) -> list[Run]:
        """All runs, the oldest first; none where there is no file.

        Raises UnreadableFile with the line that is no run. A last line that a break has cut is passed over.
        """
        return Lines(self.path).read(from_line) if self.path is not None else []

    def append(self, run: Run) -> None:
        """Put a run at the end."""
        if self.path is not None:
            Lines(self.path).append(to_line(run) | {"at": f"{utc_now():%Y-%m-%dT%H:%M:%SZ}"})

    def seeds(self, fault: str, *, short: bool = False) -> set[int]:
        """The seeds that a row has runs of, of the short form or of the long one."""
        return {run.seed for run in self.read() if (run.fault, run.short) == (fault, short)}
