"""The wall clock, for what is written down, and how long what was said by it holds.

Durations and deadlines are taken from the loop's own clock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: A process of the server tells of itself once a second; one that has told nothing for so long is silent, and
#: what it told last holds no longer.
SILENT_S: Final = 5.0


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)
