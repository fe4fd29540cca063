"""The wall clock, for what is written down. Durations and deadlines are taken from the loop's own clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)
