"""How PostgreSQL went about a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a plan as EXPLAIN (FORMAT JSON) has it: what is under its key `Plan`."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)
