"""`dozvon bench faults`: which rows and seeds are run, what is kept of them and shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dialer.bench import faults
from dialer.errors import Invalid


@dataclass(frozen=True, slots=True)
class Faults:
    """The options of the command."""

    #: rows by name; none: all
    only: tuple[str, ...]
    #: this seed of each row only
    seed: int | None
    #: so many seeds of each row
    runs: int | None
    #: how long one run of a row lasts that can be sized (the soak)
    minutes: float | None
    #: leave out the seeds that the results file has
    resume: bool
    short: bool
    #: end stdout with the summary as JSON
    json_line: bool
    #: None: see `command.results_path`
    results: Path | None
    #: write the tables of the results file into docs/, and run nothing
    docs: bool


async def run_faults(options: Faults) -> int:
    """Run the rows; the exit status."""
    rows = faults.rows(options.only)
    if not rows:
        raise Invalid(field="--only", reason="no row is part of this installation")
    return 0
