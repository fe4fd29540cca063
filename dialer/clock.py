"""The wall clock, for what is written down, and how long what was said by it holds.

Durations and deadlines are taken from the loop's own clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

#: A process of the server tells of itself once a second; one that has told nothing for so long is silent, and
#: what it told last holds no longer.
SILENT_S: Final = 5.0


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def wall(seen_s: float) -> datetime:
    """The wall clock's time of a moment of the steady clock (`time.monotonic`) that has just passed.

    What is written of a moment and what is counted from it agree so to the microsecond, however late it is
    looked at.
    """
    return utc_now() - timedelta(seconds=time.monotonic() - seen_s)
