"""Hours that are kept under a name say what the hours of a flow would."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dialer.hours.model import Opening, by_day, fault, grouped

SALON = Opening(1, "Salon", {"mon-fri": "09:00-18:00"}, {"2026-12-31": "09:00-15:00"}, "RU", "Europe/Moscow")
UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-23T06:00", "open"),
        ("2026-11-23T05:59", "closed"),
        ("2026-11-22T12:00", "closed"),
        ("2026-11-04T12:00", "holiday"),
        ("2026-12-31T11:59", "open"),
        ("2026-12-31T12:00", "closed"),
    ],
)
def test_it_is_open_by_its_own_clock(at: str, said: str) -> None:
    """Times here are UTC; Moscow is three hours ahead."""
    assert SALON.state(datetime.fromisoformat(at).replace(tzinfo=UTC), UTC_ZONE) == said


def test_without_a_zone_it_is_the_tenants() -> None:
    """Nine in the morning there."""
    nine = datetime(2026, 11, 23, 9, tzinfo=UTC)
    hours = replace(SALON, zone="", week={"mon": "09:00-09:30"})
    assert [hours.state(nine, zone) for zone in (UTC_ZONE, ZoneInfo("Europe/Moscow"))] == ["open", "closed"]


@pytest.mark.parametrize(
    ("week", "exceptions", "holidays", "zone", "field"),
    [
        ({"mon": "9-18"}, {}, "", "", "week"),
        ({"monday": "09:00-18:00"}, {}, "", "", "week"),
        ({"mon-fri": "24h", "fri": "closed"}, {}, "", "", "week"),
        ({}, {"31.12.2026": "closed"}, "", "", "exceptions"),
        ({}, {"2026-12-31": "soon"}, "", "", "exceptions"),
        ({}, {}, "ATLANTIS", "", "holidays"),
        ({}, {}, "", "Moscow", "zone"),
    ],
)
def test_what_is_wrong_is_named(
    week: dict[str, str], exceptions: dict[str, str], holidays: str, zone: str, field: str
) -> None:
    """By its field."""
    found = fault(week, exceptions, holidays, zone)
    assert found is not None
    assert found[0] == field
    assert fault({"mon-sun": "24h"}, {"2026-12-31": "closed"}, "RU", "Europe/Moscow") is None


@pytest.mark.parametrize(
    ("week", "kept"),
    [
        ({"mon-fri": "09:00-18:00", "sat, sun": "closed"}, {"mon-fri": "09:00-18:00"}),
        ({"mon": "24h", "tue": "24h", "thu": "24h"}, {"mon-tue": "24h", "thu": "24h"}),
        ({"fri-mon": "24h"}, {"mon": "24h", "fri-sun": "24h"}),
        ({"mon": "24h", "tue": "09:00-18:00"}, {"mon": "24h", "tue": "09:00-18:00"}),
        ({}, {}),
    ],
)
def test_a_week_is_told_by_day_and_put_together_again(week: dict[str, str], kept: dict[str, str]) -> None:
    """Neighbours that are alike stand under one key; a closed day under none."""
    assert grouped(by_day(week)) == kept
