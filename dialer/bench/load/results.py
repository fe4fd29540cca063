"""The file of measurements: JSON lines, appended at once, so that a break loses one measurement."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dialer.bench.load.model import Measured, from_line, to_line
from dialer.errors import Invalid


def read(path: Path) -> list[Measured]:
    """All that the file has; nothing where there is none. Raises Invalid for a line that is none of ours."""
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(from_line(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise Invalid(field=str(path), reason=f"line {number} is no measurement: {error}") from None
    return found


def append(path: Path, one: Measured) -> None:
    """Add a measurement; on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(to_line(one), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
