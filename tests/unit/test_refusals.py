"""What a person hears who wants to call a number that may not be called now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialer.compliance.calendar import Denied, Reason
from dialer.compliance.consent import Lack
from dialer.compliance.filters import Rules, Subject, Tried, stopped
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import Hours, Limits
from dialer.compliance.refusals import refusal, said
from dialer.compliance.timetable import Timetable
from dialer.errors import NotAllowed, NotAllowedYet
from dialer.httpkit.i18n import message, translator

#: 9:00 to 20:00 by the clock there, once a day.
RULES = Rules(
    replace(POLICIES["demo"], limits=Limits(per_day=1)), Timetable.alike(Hours(540, 1200)), "manual"
)
URAL = ("Asia/Yekaterinburg",)
#: 8:00 in Yekaterinburg, a Monday
EARLY = datetime(2026, 11, 23, 3, tzinfo=UTC)


def refused(subject: Subject, now: datetime) -> NotAllowed:
    """What the caller of the subject is told."""
    answer = stopped(subject, RULES, now)
    assert answer is not None
    assert answer.denied is not None
    return refusal(answer.denied, subject, RULES, now)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_in_words(reason: Reason) -> None:
    """In English without a code, and in Russian."""
    words = said(Denied(reason, None))
    assert "_" not in words
    assert " " in words
    assert translator("ru").gettext(words) != words


@pytest.mark.parametrize("lack", Lack)
def test_what_is_with_the_consent_is_told(lack: Lack) -> None:
    """Each lack has words of its own, in both languages."""
    words = said(Denied(Reason.NO_CONSENT, None, lack.value))
    assert translator("ru").gettext(words) != words
    assert [one for one in Lack if said(Denied(Reason.NO_CONSENT, None, one.value)) == words] == [lack]


def test_it_opens_by_the_clock_there() -> None:
    """Of today the time alone; programs have the moment and whose clock it is."""
    told = refused(Subject(URAL), EARLY)
    assert isinstance(told, NotAllowedYet)
    assert (told.details["code"], told.details["when"]) == ("out_of_hours", "09:00")
    assert (told.details["until"], told.details["zone"]) == ("2026-11-23T04:00:00+00:00", URAL[0])
    assert message(told, "en") == (
        "The number may not be dialled now: it is outside of the hours of calling."
        " It may be from 09:00 by the clock there."
    )
    assert message(told, "ru") == (
        "На этот номер сейчас звонить нельзя: сейчас не время для звонков. Можно с 09:00 по местному времени."
    )


def test_what_passes_at_night_waits_for_the_morning() -> None:
    """A limit that ends out of hours is over when the hours begin, on another day with its date."""
    evening = EARLY + timedelta(hours=11)  # 19:00 there
    told = refused(Subject(URAL, [Tried(evening - timedelta(hours=1), None, None)]), evening)
    assert (told.details["code"], told.details["when"]) == ("attempts_per_day", "2026-11-24 18:00")
    night = replace(RULES, window=Timetable.alike(Hours(540, 660)))  # to 11:00
    denied = Denied(Reason.ATTEMPTS_PER_DAY, evening + timedelta(hours=3))
    assert refusal(denied, Subject(URAL), night, evening).details["when"] == "2026-11-24 09:00"


@pytest.mark.parametrize("zones", [(), ("Mars/Base",)])
def test_without_a_clock_no_time_is_told(zones: tuple[str, ...]) -> None:
    """Nobody knows when it opens: the error is the plain one."""
    told = refused(Subject(zones), EARLY)
    assert (type(told), set(told.details)) == (NotAllowed, {"reason", "code"})


def test_what_somebody_must_mend_has_no_time() -> None:
    """A ban for good, and one for years, ask for no second try."""
    for until in (None, EARLY + timedelta(days=400)):
        told = refusal(Denied(Reason.DO_NOT_CALL, until, "operator"), Subject(URAL), RULES, EARLY)
        assert type(told) is NotAllowed
