"""The retry rules of a campaign in its form."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from dialer.campaigns.fields import RetriesIn
from dialer.campaigns.model import DEFAULT_DISPOSITIONS
from dialer.web import formats, retry_form
from scheduler.retry import Wait

KEPT: dict[str, Any] = {
    "results": {
        "busy": {"after_s": 900, "factor": 2.0, "most_s": 7200, "other_part": True, "next_phone_s": 90},
        "invalid": {"after_s": -1, "next_phone_s": 0},
        "canceled": {"after_s": 30},
    },
    "dispositions": {"no-contact": {"after_s": -1}},
}


def form_of(kept: dict[str, Any], **changes: str) -> MultiDict[str]:
    """What a browser sends of the form that shows these rules."""
    sent: MultiDict[str] = MultiDict()
    for line in retry_form.lines("en", kept, DEFAULT_DISPOSITIONS):
        for field, value in line.values.items():
            if field != "other" or value:
                sent[f"wait.{line.key}.{field}"] = value
    for name, value in changes.items():
        sent[name] = value
    return sent


def rules(of: dict[str, Any]) -> dict[str, Any]:
    """As the campaign takes them."""
    return RetriesIn.model_validate(of).model_dump()


def test_a_form_that_is_sent_as_it_came_changes_nothing() -> None:
    """Rules of which the form does not ask stay too."""
    assert rules(retry_form.read(form_of(KEPT), KEPT)) == rules(KEPT)
    assert retry_form.read(form_of({}), {}) == {"results": {}, "dispositions": {}}


def test_as_usual_takes_a_rule_away() -> None:
    """And only that."""
    sent = form_of(KEPT)
    sent["wait.results.busy.then"] = ""
    read = retry_form.read(sent, KEPT)
    assert read["results"].keys() == {"invalid", "canceled"}


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        ("after", "", "after_s"),
        ("after", "soon", "after_s"),
        ("factor", "0,5", "factor"),
        ("most", "-1", "most_s"),
    ],
)
def test_what_is_no_number_is_named(field: str, value: str, wrong: str) -> None:
    """The check says which field of which rule."""
    sent = form_of(KEPT)
    sent[f"wait.results.busy.{field}"] = value
    with pytest.raises(ValueError, match=wrong):
        RetriesIn.model_validate(retry_form.read(sent, KEPT))


@pytest.mark.parametrize(
    ("wait", "english", "russian"),
    [
        (None, "no more attempts", "больше не звонить"),
        (Wait(-1), "no more attempts", "больше не звонить"),
        (Wait(900), "again after 15 min", "через 15 мин"),
        (Wait(7200, factor=1.5), "each further wait 1.5 times as long", "дольше в 1,5 раз"),
        (Wait(60, most_s=3600), "1 h at most", "не дольше 1 ч"),
        (Wait(60, other_part=True), "in a part of the day that was not tried yet", "в часть дня"),
        (Wait(3600, next_phone_s=90), "the next number of the person after 90 s", "следующий номер человека"),
        (
            Wait(-1, next_phone_s=0),
            "after the last number no more attempts",
            "после последнего номера больше",
        ),
    ],
)
def test_a_rule_is_told_in_a_line(wait: Wait | None, english: str, russian: str) -> None:
    """In both languages."""
    assert english in retry_form.told("en", wait).replace(formats.HARD, " ")
    assert russian in retry_form.told("ru", wait).replace(formats.HARD, " ")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (90, "90 s"),
        (900, "15 min"),
        (5400, "90 min"),
        (86400, "1 d"),
        (7200, "2 h"),
    ],
)
def test_waits_are_told_in_whole_units(seconds: int, told: str) -> None:
    """In the largest unit of which there is a whole number."""
    assert formats.span(seconds, "en").replace(formats.HARD, " ") == told


def test_the_page_says_what_is_the_campaigns_own() -> None:
    """Each line with what is done and whether the campaign says so."""
    found = {line.key: (said, own) for line, said, own in retry_form.rules("en", KEPT, DEFAULT_DISPOSITIONS)}
    assert found["results.busy"][1]
    assert found["results.no_answer"] == (retry_form.told("en", Wait(7200)), False)
    assert found["dispositions.no-contact"] == ("no more attempts", True)
    assert "dispositions.do-not-call" not in found
