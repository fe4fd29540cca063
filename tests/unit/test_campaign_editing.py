"""Two people who change one campaign at once."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.campaigns.editing import as_seen, changed
from dialer.campaigns.fields import CampaignEdit, CampaignIn
from dialer.campaigns.model import Status, check_editable
from dialer.errors import Conflict, DozvonError, WrongState

SHOWN: dict[str, Any] = CampaignIn(name="Winter").model_dump()


def form(**typed: Any) -> CampaignEdit:
    """All fields as the form has shown them, but for these."""
    return CampaignEdit.model_validate(as_seen(SHOWN | typed))


def named_by(error: DozvonError) -> list[dict[str, str]]:
    """The fields that it names, with their reasons."""
    found = error.details["errors"]
    assert isinstance(found, list)
    return found


def test_what_was_left_as_it_was_shown_stays_as_somebody_else_has_set_it() -> None:
    """Only what the sender has typed is changed."""
    wanted, different = changed(SHOWN | {"caller_name": "Zarya"}, form(max_attempts=7), as_seen(SHOWN))
    assert different == {"max_attempts": 7}
    assert (wanted.caller_name, wanted.max_attempts) == ("Zarya", 7)


def test_what_both_have_changed_is_a_conflict_that_names_the_fields() -> None:
    """With what it is by now."""
    before = SHOWN | {"ring_timeout_s": 40, "caller_name": "Zarya"}
    with pytest.raises(Conflict) as raised:
        changed(before, form(ring_timeout_s=20, max_attempts=7), as_seen(SHOWN))
    (one,) = named_by(raised.value)
    assert one["field"] == "ring_timeout_s"
    assert "“40”" in one["reason"]


def test_what_both_have_set_alike_is_none() -> None:
    """There is nothing left to change."""
    _, different = changed(SHOWN | {"max_attempts": 7}, form(max_attempts=7), as_seen(SHOWN))
    assert different == {}


def test_a_program_that_says_nothing_of_what_it_saw_changes_what_it_sends() -> None:
    """And nothing else."""
    wanted, different = changed(SHOWN | {"max_attempts": 7}, CampaignEdit(ring_timeout_s=40))
    assert (different, wanted.max_attempts) == ({"ring_timeout_s": 40}, 7)


@pytest.mark.parametrize(
    ("status", "named"), [(Status.RUNNING, ["max_attempts"]), (Status.STOPPED, ["max_attempts", "ratio"])]
)
def test_a_refusal_names_what_cannot_be_changed_in_that_state(status: Status, named: list[str]) -> None:
    """The pace of a campaign that runs is not among it."""
    with pytest.raises(WrongState) as raised:
        check_editable(status, "Winter", SHOWN, {"ratio": 2.0, "max_attempts": 7})
    assert [one["field"] for one in named_by(raised.value)] == named
