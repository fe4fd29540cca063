"""The file of measurements: JSON lines, appended at once, so that a break loses one measurement."""

from __future__ import annotations

from pathlib import Path

from dialer.bench.lines import Lines
from dialer.bench.load.model import Measured, from_line, to_line


def claim(path: Path) -> None:
    """See that it can be written, before anything is measured. Raises Invalid."""
    Lines(path).claim("--results")


def read(path: Path) -> list[Measured]:
    """All that the file has; nothing where there is none. A last line that a break has cut is passed over.

    Raises UnreadableFile for a line that is none of ours.
    """
    return Lines(path).read(from_line)


def append(path: Path, one: Measured) -> None:
    """Add a measurement; on the disk when this returns."""
    Lines(path).append(to_line(one))
