"""The bench of load: what is carried, and what it costs. Rows load when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

from dialer.bench.load.model import NAMES, Row
from dialer.errors import Invalid

#: Where each row is: module and name. A row's module is imported only when it is measured.
ROWS: Final = {
    "events": ("events", "EVENTS"),
    "attempts": ("day", "ATTEMPTS"),
    "calls": ("calls", "CALLS"),
    "answer": ("calls", "ANSWER"),
    "stream": ("stream", "STREAM"),
    "pop": ("pop", "POP"),
    "board": ("board", "BOARD"),
    "day": ("day", "DAY"),
    "reports": ("reports", "REPORTS"),
    "air": ("growth", "AIR"),
    "operators": ("growth", "OPERATORS"),
    "leads": ("growth", "LEADS"),
    "hopper": ("hopper", "HOPPER"),
    "hooks": ("hooks", "LOOKUPS"),
    "inbound": ("inbound", "INBOUND"),
}


def rows(only: Sequence[str]) -> list[Row]:
    """The rows of these names, all where none is named, in their order. Raises Invalid."""
    if unknown := set(only) - set(NAMES):
        raise Invalid(field="--only", reason=f"must be one of {', '.join(NAMES)}, not {sorted(unknown)[0]!r}")
    found = []
    for name in NAMES:
        if not only or name in only:
            module, attribute = ROWS[name]
            row: Row = getattr(importlib.import_module(f"dialer.bench.load.{module}"), attribute)
            found.append(row)
    return found
