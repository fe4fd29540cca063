"""The rows of the bench of faults: a module each, loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from dialer.bench.model import NAMES, Row
from dialer.errors import Invalid


def row(name: str) -> Row | None:
    """The row of this name; None where this installation has none of it. Raises Invalid for no such name."""
    if name not in NAMES:
        raise Invalid(field="--only", reason=f"must be one of {', '.join(NAMES)}, not {name!r}")
    module = f"{__name__}.{name}"
    try:
        found: Row | None = getattr(importlib.import_module(module), "ROW", None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return found


def rows(only: Sequence[str] = ()) -> list[Row]:
    """The rows of these names in the order of the table, all without names. Raises Invalid."""
    found = {name: row(name) for name in NAMES if not only or name in only}
    unknown = [name for name in only if name not in NAMES]
    if unknown:
        row(unknown[0])
    missing = [name for name in only if found[name] is None]
    if missing:
        raise Invalid(field="--only", reason=f"the row {missing[0]!r} is not part of this installation")
    return [each for each in found.values() if each is not None]
