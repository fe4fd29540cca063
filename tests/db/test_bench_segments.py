"""The bench of segments, over a small base."""

from __future__ import annotations

import pytest

from dialer.bench.segments.command import run
from dialer.bench.segments.questions import QUESTIONS


async def test_every_segment_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A row a segment, and each finds somebody of the base that the bench writes, but not everybody."""
    await run(2000, 2, docs=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    rows = [line.split("|") for line in lines[2:]]  # below the header
    assert [row[1].strip() for row in rows] == list(QUESTIONS)
    people = {row[1].strip(): int(row[2].replace(",", "")) for row in rows}
    assert people.pop("everybody") == 2000
    assert all(0 < many < 2000 for many in people.values()), people
