"""`dozvon bench load`: what is measured, and how the figures are shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dialer.errors import Invalid


@dataclass(frozen=True, slots=True)
class Load:
    """The options of the command."""

    #: rows by name; none: all
    only: tuple[str, ...]
    #: leave out what the results file has
    resume: bool
    short: bool
    #: end stdout with the summary as JSON
    json_line: bool
    #: None: the command's own choice
    results: Path | None
    #: write the tables of the results file into docs/, and measure nothing
    docs: bool


async def run_load(options: Load) -> int:
    """Measure; the exit status."""
    raise Invalid(field="load", reason=f"no row is part of this installation ({options})")
