"""What an inbound call came to by what was done in it, and how called numbers are kept."""

from __future__ import annotations

import pytest

from dialer.calls.model import Result
from dialer.inbound.callers import number_of
from dialer.inbound.model import NUMBER, dialled_digits, outcome
from ivr_flows.model import Action, Came, Event, Failed, OptOut, RequestCallback, Transfer, Voicemail

MAIL = Voicemail("sales", 60.0, True)


@pytest.mark.parametrize(
    ("action", "event", "result"),
    [
        (MAIL, Came("done"), Result.VOICEMAIL),
        (MAIL, Came("empty"), None),
        (MAIL, Failed(), None),
        (RequestCallback("+79161112233"), Came("done"), Result.CALLBACK),
        (RequestCallback("+79161112233"), Came("refused"), None),
        (Transfer("100"), Came("done"), Result.TRANSFERRED),
        (Transfer("100"), Came("busy"), None),
        (OptOut("all", "+79161112233"), Came("done"), None),
    ],
)
def test_what_a_deed_makes_of_a_call(action: Action, event: Event, result: Result | None) -> None:
    """Only what was done, and serves the caller, decides what the call came to."""
    assert outcome(action, event) is result


@pytest.mark.parametrize("sent", ["+7 495 777-01-01", "74957770101", "+74957770101"])
def test_a_called_number_is_its_digits(sent: str) -> None:
    """However the trunk writes it."""
    assert dialled_digits(sent) == "74957770101"
    assert NUMBER.fullmatch(dialled_digits(sent))


@pytest.mark.parametrize(
    ("sent", "e164"),
    [
        ("+79161112233", "+79161112233"),
        ("79161112233", "+79161112233"),
        ("89161112233", "+79161112233"),
        ("9161112233", "+79161112233"),
        ("442071838750", "+442071838750"),
        ("+4930901820", "+4930901820"),
        ("anonymous", None),
        ("", None),
        ("112", None),
    ],
)
def test_the_number_that_a_trunk_sends(sent: str, e164: str | None) -> None:
    """With a plus, without one, or as people write it in the country; withheld and short ones are none."""
    read = number_of(sent, "RU")
    assert (read.e164 if read else None) == e164
