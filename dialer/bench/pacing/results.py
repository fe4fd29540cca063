"""The file of measurements: JSON lines, appended as each case is done, so that a break loses one case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dialer.bench.lines import Lines
from dialer.bench.pacing import cases
from dialer.errors import Invalid, UnreadableFile

#: Where measurements accumulate.
RESULTS: Final = Path("docs/bench/pacing.jsonl")


def claim(path: Path) -> None:
    """See that it can be written, before anything is measured. Raises Invalid."""
    Lines(path).claim("--results")


def read(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The newest line of each case. Raises Invalid for a line that is none of ours."""
    try:
        found = Lines(path).read(_whole)
    except UnreadableFile as error:
        raise Invalid(field="--results", reason=str(error)) from None
    return {(one["part"], one["row"]): one for one in found}


def _whole(line: Mapping[str, Any]) -> dict[str, Any]:
    if missing := {"part", "row"} - line.keys():
        raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
    return dict(line)


def append(path: Path, one: Mapping[str, Any]) -> None:
    """Add a line; on the disk when this returns."""
    Lines(path).append(dict(one))


def keep_newest(path: Path) -> None:
    """Of each case one line, in the order of the cases."""
    have = read(path)
    order = {case.key: at for at, case in enumerate(cases.cases())}
    kept = sorted(have.values(), key=lambda one: order.get((one["part"], one["row"]), len(order)))
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in kept)
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
