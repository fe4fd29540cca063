"""How near a lead's chance of an answer is to that of its best hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from dialer.campaigns.pace import Basis, Pace, traits_of_lead
from dialer.compliance.model import Hours
from dialer.pacing.learner import Observation, Seen
from scheduler.hopper import ClaimedLead
from scheduler.order import best_first

DAY = Hours(9 * 60, 21 * 60)


def lead(number: int = 1, zones: Sequence[str] = ("Europe/Moscow",)) -> ClaimedLead:
    """A lead of this place."""
    return ClaimedLead(number, 1, number, f"+7916000{number:04}", tuple(zones), 0, None, "mobile")


def moscow(hour: int) -> datetime:
    """A moment of that hour in Moscow."""
    return datetime(2026, 3, 2, hour - 3, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def pace() -> Pace:
    """A campaign that people answer at six in the evening and at no other hour."""
    made = Pace(Basis(25, 0.03, 86400))
    for round_ in range(60):
        for hour in range(9, 21):
            of = traits_of_lead(lead(), moscow(hour))
            answers = hour == 18 or round_ % 10 == 0
            what = Seen.ANSWERED if answers else Seen.UNANSWERED
            made.learner.see(Observation(what, 8.0, traits=of))
    return made


def test_the_best_hour_is_the_nearest(pace: Pace) -> None:
    """In it nothing is better; in another hour of the same leads it is."""
    near = pace.nearness(DAY)
    assert near(lead(), moscow(18)) == 1.0
    assert near(lead(), moscow(11)) < 0.5


def test_of_leads_of_many_zones_those_are_taken_whose_hour_it_is(pace: Pace) -> None:
    """At one in Moscow it is six in the evening in Irkutsk."""
    near, now = pace.nearness(DAY), moscow(13)
    leads = [lead(1), lead(2, ["Asia/Irkutsk"]), lead(3, ["Asia/Omsk"])]
    assert [one.id for one in best_first(leads, lambda one: near(one, now), 1)] == [2]


def test_only_hours_of_the_campaign_are_best(pace: Pace) -> None:
    """An hour in which it does not call is no reason to wait."""
    assert pace.nearness(Hours(9 * 60, 17 * 60))(lead(), moscow(11)) > 0.8


def test_a_lead_without_a_place_waits_for_no_hour(pace: Pace) -> None:
    """Nobody knows what hour it is there."""
    assert pace.nearness(DAY)(lead(zones=()), moscow(11)) == 1.0
