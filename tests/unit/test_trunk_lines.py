"""What one engine remembers of its lines: a hint, never the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import lines
from dialer.calls.lines import TrunkLines
from dialer.trunks.caps import Load, Refusal
from dialer.trunks.model import Book, Refused, Trunk

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
TRUNK = Trunk(1, "first", "carrier", "+74950000001", 30, 40.0, ("+7",))
NODE = "main"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, to be set."""
    at = [100.0]
    monkeypatch.setattr("dialer.calls.lines.time", SimpleNamespace(monotonic=lambda: at[0]))
    return at


def read(trunk_lines: TrunkLines, load: Load) -> None:
    """As after a look at the database."""
    trunk_lines._remember(Book(NOW, NOW.date(), {1: load}))


def test_where_nothing_was_read_a_burst_may_be_asked_for(clock: list[float]) -> None:
    """Eleven of 40 a second: the database will say."""
    assert TrunkLines().left([TRUNK], NODE) == 11


def test_a_hint_is_what_was_read_for_a_moment(clock: list[float]) -> None:
    """All lines taken: none is left, until the hint is too old to be believed."""
    known = TrunkLines()
    read(known, Load(channels=30))
    assert known.left([TRUNK], NODE) == 0
    clock[0] += lines.HINT_S + 0.01
    assert known.left([TRUNK], NODE) == 11


def test_tokens_gather_by_the_databases_time(clock: list[float]) -> None:
    """By the time that has passed here since its clock was read: 0.1 s of 40 a second are four calls."""
    known = TrunkLines()
    read(known, Load(tokens=0.0, filled_at=NOW))
    assert known.left([TRUNK], NODE) == 0
    clock[0] += 0.1
    assert known.left([TRUNK], NODE) == 4


def test_a_call_of_ours_that_has_ended_frees_a_line_at_once(clock: list[float]) -> None:
    """Nothing has to be read for that; what was never read is not made up."""
    known = TrunkLines()
    known.freed(1)
    read(known, Load(channels=30))
    known.freed(1)
    assert known.left([TRUNK], NODE) == 1


def test_what_one_asterisk_does_not_reach_another_may(clock: list[float]) -> None:
    """Each says it for itself, also when it is told twice."""
    known = TrunkLines()
    for _ in range(2):
        known.contact("a", "carrier", False)
    assert (known.left([TRUNK], "a"), known.left([TRUNK], "b")) == (0, 11)
    known.contact("a", "carrier", True)
    assert known.left([TRUNK], "a") == 11


@pytest.mark.parametrize(
    ("load", "later_s", "first"),
    [
        (Load(), 0.0, 1),
        (Load(channels=29), 0.0, 1),
        (Load(channels=30), 60.0, 2),  # nothing better is known until it is read again
        (Load(tokens=0.0, filled_at=NOW), 0.0, 2),
        (Load(tokens=0.0, filled_at=NOW), 0.1, 1),
        (Load(bad=True, probe_at=NOW), 60.0, 2),
        (Load(spent=Decimal(100), spend_day=NOW.date()), 0.0, 2),
        (Load(spent=Decimal(99), spend_day=NOW.date()), 0.0, 1),
    ],
)
def test_the_next_call_goes_over_the_first_trunk_that_takes_it(
    clock: list[float], load: Load, later_s: float, first: int
) -> None:
    """As far as is known: by what was read of it last."""
    known = TrunkLines()
    capped, second = replace(TRUNK, max_spend_per_day=Decimal(100)), replace(TRUNK, id=2)
    read(known, load)
    clock[0] += later_s
    assert [trunk.id for trunk in known.likely([capped, second], NODE)] == [first, 3 - first]


def test_the_next_call_goes_over_a_trunk_that_can_be_reached(clock: list[float]) -> None:
    """By the node that dials; one that is switched off takes none."""
    known, second = TrunkLines(), replace(TRUNK, id=2, endpoint="other")
    known.contact(NODE, "other", reachable=False)
    assert known.likely([second, TRUNK], NODE) == [TRUNK, second]
    assert known.likely([second, TRUNK], "elsewhere") == [second, TRUNK]
    off = replace(second, enabled=False)
    assert known.likely([off, TRUNK], "elsewhere") == [TRUNK, off]


async def test_a_cap_is_told_once_in_ten_minutes(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """For each trunk and reason; what is no cap is not told at all."""
    told: list[dict[str, Any]] = []

    async def emit(_conn: object, kind: str, payload: dict[str, Any], **_more: object) -> None:
        told.append({"kind": kind, **payload})

    monkeypatch.setattr("dialer.calls.lines.events.emit", emit)
    known, conn = TrunkLines(), cast(AsyncConnection, None)
    channels = Refused(Refusal.CHANNELS, trunk_id=1)
    for _ in range(3):
        await known.tell(conn, 1, channels)
    await known.tell(conn, 1, Refused(Refusal.CHANNELS, trunk_id=2))
    await known.tell(conn, 1, Refused(Refusal.PREFIX, trunk_id=1))
    clock[0] += lines.TELL_EVERY_S
    await known.tell(conn, 1, channels)
    one = {"kind": "trunk.cap_reached", "cap": "channels"}
    assert told == [one | {"trunk_id": 1}, one | {"trunk_id": 2}, one | {"trunk_id": 1}]
