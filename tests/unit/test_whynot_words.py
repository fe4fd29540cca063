"""Why not, as values and words: the order of the steps, where a moment is told, and a sentence for each."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dialer.calls.model import OF_ATTEMPTS
from dialer.compliance.calendar import Reason, place_of
from dialer.compliance.filters import Filter
from dialer.compliance.refusals import near
from dialer.db.tables import DISPOSITION_KINDS
from dialer.httpkit.i18n import translator
from dialer.trunks.caps import Refusal
from dialer.whynot import model as m
from dialer.whynot import texts
from dialer.whynot.model import Answer, CampaignRef, Count, Finding, Funnel, Known, Report
from dialer.whynot.words import CONTEXT, Words
from dialer.whynot_command import tell_funnel, tell_report
from scheduler.holds import Hold

#: 10:00 in Moscow, 12:00 in Yekaterinburg, of a Monday
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
CAMPAIGN = CampaignRef(1, "Весна", "running", "progressive")
URAL = "Asia/Yekaterinburg"


def words(locale: str = "en") -> Words:
    """For a reader in Moscow."""
    return Words(locale, "Europe/Moscow", NOW)


def funnel(*counts: Count, ready: int = 0, asked: int = 0, answers: tuple[Answer, ...] = ()) -> Funnel:
    """Of a campaign that runs."""
    leads = ready + sum(one.leads for one in counts)
    return Funnel(CAMPAIGN, leads, counts, ready, asked, answers, policy="ru-38fz", purpose="advertising")


# -- the steps ---------------------------------------------------------------------------------------------


def test_every_filter_is_a_step_in_its_order() -> None:
    """What the placer asks stands among the steps, each once, in the placer's order."""
    filters = [one.value for one in Filter]
    assert [one for one in m.STEPS if one in filters] == filters
    assert len(set(m.STEPS)) == len(m.STEPS)
    assert m.STEPS.index("do_not_call") < m.STEPS.index(m.WAIT) < m.STEPS.index("hours")
    assert set(filters) <= m.OF_LEAD


def test_the_first_that_stops_is_the_reason() -> None:
    """Those before it pass; what stands after the lead's steps does not make it less dialable."""
    answers = (Answer(m.LEAD), Answer(m.WAIT), Answer("hours", True, "out_of_hours"), Answer(m.AGENTS, True))
    found = Finding(CAMPAIGN, "+79160000000", 1, 1, (URAL,), answers)
    assert found.stopped == answers[2]
    assert not found.admitted
    without_agents = Finding(CAMPAIGN, "+79160000000", 1, 1, (URAL,), answers[:2] + answers[3:])
    assert without_agents.stopped == answers[3]
    assert without_agents.admitted


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=6))
def test_all_must_have_passed(hours: list[int | None]) -> None:
    """What stops until several moments passes at the last; what has no time keeps its silence."""
    answers = [
        Answer("hours", True, until=None if hour is None else NOW + timedelta(hours=hour)) for hour in hours
    ]
    expected = (
        None
        if None in hours or not hours
        else NOW + timedelta(hours=max(filter(lambda one: one is not None, hours)))  # type: ignore[type-var, arg-type]
    )
    assert m.latest([*answers, Answer(m.LEAD)]) == expected


def test_what_waits_for_somebody_has_no_time() -> None:
    """Ten years of rest are no promise."""
    assert near(NOW + timedelta(days=3650), NOW) is None
    assert near(NOW + timedelta(days=2), NOW) == NOW + timedelta(days=2)
    assert near(None, NOW) is None


def test_a_number_of_several_zones_opens_by_the_last_morning() -> None:
    """Where clocks are behind the others the hours begin last."""
    assert place_of((URAL, "Asia/Omsk", "Europe/Kaliningrad"), NOW) == "Europe/Kaliningrad"
    assert place_of(("Mars/Base",), NOW) == ""


# -- words -------------------------------------------------------------------------------------------------


def test_a_moment_is_told_by_the_clock_there() -> None:
    """With the reader's own, where it is another, and with the day, where that is."""
    opens = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
    assert words().when(opens, URAL) == "24 Nov 09:00 in Yekaterinburg (24 Nov 07:00 Moscow)"
    assert words("ru").when(opens, URAL) == "24 нояб. 09:00, Екатеринбург (24 нояб. 07:00 Москва)"
    assert words().when(NOW + timedelta(hours=1), URAL) == "13:00 in Yekaterinburg (11:00 Moscow)"
    assert words().when(NOW + timedelta(hours=1), "Europe/Moscow") == "11:00 in Moscow"
    # midnight has passed there and not here
    late = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)
    assert words().when(late, "Asia/Vladivostok") == "24 Nov 06:30 in Vladivostok (23:30 Moscow)"


def test_a_stop_says_until_when() -> None:
    """As people say it: it opens 09:00 in Yekaterinburg."""
    opens = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    stop = Answer("hours", True, "out_of_hours", opens, URAL)
    assert words().text(stop) == (
        "It is outside of the hours of calling. It opens 13:00 in Yekaterinburg (11:00 Moscow)."
    )
    assert "13:00, Екатеринбург" in words("ru").text(stop)


def test_the_counts_are_a_sentence() -> None:
    """The most first, what is closed and what is ready last."""
    found = funnel(
        Count("lead", "sale", 200),
        Count("lead", "max_attempts", 100),
        Count("do_not_call", "", 311),
        Count(m.WAIT, "retry", 2004),
        Count("hours", "", 9100),
        ready=1016,
    )
    assert words().sentence(found) == (
        "12,731 leads: 9,100 outside hours, 2,004 waiting for retry, 311 do-not-call, 300 closed, 1,016 ready"
    )
    assert "вне часов звонков" in words("ru").sentence(found)
    assert words().sentence(funnel(ready=1)) == "1 lead: 1 ready"
    assert words().sentence(funnel()) == "0 leads"


def test_a_campaign_that_dials_nothing_says_why() -> None:
    """No leads; nobody to be dialled, and when the first is; no consents; nobody there to talk."""
    assert [code for code, _ in words().warnings(funnel())] == ["no-leads"]
    opens = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
    closed = Count("hours", "", 9100, opens, URAL)
    said = dict(words().warnings(funnel(closed, Count("consent", "", 5))))
    assert "9,100 outside hours" in said["nothing-ready"]
    assert "24 Nov 09:00 in Yekaterinburg" in said["nothing-ready"]
    assert "ru-38fz asks for a consent to advertising calls; for 5 of 9,105 leads" in said["no-consents"]
    nobody = Answer(m.AGENTS, True, "none")
    assert [code for code, _ in words().warnings(funnel(ready=3, asked=3, answers=(nobody,)))] == [
        "agents-none"
    ]
    busy = Answer(m.AGENTS, True, "all_busy", values={"busy": 2})
    assert words().warnings(funnel(ready=3, asked=3, answers=(busy,))) == []
    # Nobody of the next ones may be dialled, whatever is behind them.
    assert "nothing-ready" in dict(words().warnings(funnel(closed, ready=3)))


def answers_with_words() -> list[tuple[str, str]]:
    """Each step with each reason that it may have, read from where they are made."""
    filters = [
        ("do_not_call", Reason.DO_NOT_CALL),
        ("consent", Reason.NO_CONSENT),
        ("zone", Reason.NO_ZONE),
        ("zone", Reason.UNKNOWN_ZONE),
        ("hours", Reason.OUT_OF_HOURS),
        ("hours", Reason.NO_COMMON_HOURS),
        ("limits", Reason.ATTEMPTS_PER_DAY),
        ("limits", Reason.ATTEMPTS_PER_WEEK),
        ("limits", Reason.ATTEMPTS_PER_MONTH),
        ("redial", Reason.AFTER_ABANDONED),
        ("redial", Reason.AFTER_MACHINE),
        ("redial", Reason.AFTER_REFUSAL),
        ("quota", Reason.QUOTA_FULL),
        ("number", Reason.DEAD_NUMBER),
        ("mode", Reason.MODE_FORBIDDEN),
    ]
    lines = [(m.LINES, one.value) for one in Refusal]
    waits = [(m.WAIT, one) for one in m.OWN_WAITS]
    servers = [(m.SERVER, one) for one in ("engine_down", "asterisk_down", "disk_full")]
    return sorted([(step, str(reason)) for step, reason in filters] + lines + waits + servers)


@pytest.mark.parametrize(("step", "reason"), answers_with_words())
def test_every_reason_has_a_sentence(step: str, reason: str) -> None:
    """No answer falls back to a stable name."""
    assert (step, reason) in texts.TEXTS
    assert "{" not in words("ru").text(Answer(step, True, reason, values=_ANY))


_ANY = {"detail": "x", "policy": "p", "purpose": "service", "mode": "power", "trunk": "t", "skill": "s"}


def test_every_reason_of_the_rules_is_known_here() -> None:
    """A reason that the compliance rules learn needs its sentence."""
    known = {reason for _, reason in answers_with_words()} | {reason for _, reason in texts.TEXTS}
    assert {one.value for one in Reason} - known == set()
    assert {one.value for one in Filter} - {step for step, _ in texts.TEXTS} == set()
    assert {one.value for one in Filter} <= texts.TITLES.keys()
    assert set(m.STEPS) <= texts.TITLES.keys()


def test_every_word_of_a_lead_is_known_here() -> None:
    """Why it rests, why it was closed, what its last call came to."""
    assert {one.value for one in Hold} <= {step for step, _ in texts.LABELS} | m.OWN_WAITS
    assert {one.value for one in OF_ATTEMPTS} | set(DISPOSITION_KINDS) <= texts.CLOSED.keys()


def test_every_text_has_russian_words() -> None:
    """No answer falls back to English, and nothing is translated in vain."""
    russian = translator("ru")
    found = extract_from_dir(Path(texts.__file__).parent, [("*.py", "python")], keywords={"mark": None})
    used = {message for _file, _line, message, _comments, _context in found if isinstance(message, str)}
    assert len(used) > 100
    assert [one for one in sorted(used) if russian.pgettext(CONTEXT, one) == one] == []


def test_the_terminal_has_each_step_and_the_exit_status() -> None:
    """The reason on top, every step with its mark; 0 where there is somebody to dial, else 1."""
    stop = Answer("hours", True, "out_of_hours", datetime(2026, 11, 23, 8, 0, tzinfo=UTC), URAL)
    there = Answer(m.CAMPAIGN, reason="running")
    finding = Finding(CAMPAIGN, "+79160000000", 7, 1, (URAL,), (there, stop))
    report = Report("+79160000000", (Known(1, "Петров [x]", dead=False, lists=("A",)),), False, (finding,))
    text = io.StringIO()
    console = Console(file=text, width=120)
    assert tell_report(console, words(), report, json_line=False) == 1
    said = text.getvalue()
    assert "Петров [x]; on the lists A." in said
    assert "campaign 1, lead 7, +79160000000" in said
    assert said.index("It opens 13:00 in Yekaterinburg") < said.index("The campaign runs.")
    assert "✗" in said
    counts = funnel(Count("hours", "", 5, stop.until, URAL), ready=2, asked=2)
    assert tell_funnel(console, words(), counts, json_line=False) == 0
    assert "the first 13:00 in Yekaterinburg (11:00 Moscow)" in text.getvalue()
    assert tell_funnel(console, words(), funnel(counts.counts[0]), json_line=True) == 1
