"""What the bench's row of the database holds against the server: late calls, refusals without a word."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dialer.asterisk.ami import AmiLink
from dialer.bench import engine_with_fault
from dialer.bench.engine_with_fault import CUSTOMER, Notes
from dialer.bench.faults.database import CUT, KILLED, sent_late, unsaid
from dialer.bench.faults.database_witness import SAYS, Told, says_what_is_away


def test_a_call_is_late_from_a_second_after_its_commit() -> None:
    """With a tenth for the look at the clock, and no more."""
    assert sent_late(["a 0.000100", "b 1.050000"]) == []
    assert sent_late(["a 1.110000", "b 0.9", "c 20.0"]) == ["a 1.110000", "c 20.0"]


async def test_the_engine_notes_how_long_after_its_commit_a_call_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last question before the commit to the Originate, of customers' calls alone."""
    line = SimpleNamespace(call=SimpleNamespace(attempt_id="x1"))

    async def commit(_placer: object, _targets: list[Any], placed: list[Any]) -> None:
        placed.append(line)

    async def ask(*_args: object, **_options: object) -> None:
        return None

    monkeypatch.setattr(engine_with_fault, "_commit", commit)
    monkeypatch.setattr(engine_with_fault, "_ask", ask)
    notes, link = Notes(tmp_path / "sent"), AmiLink.__new__(AmiLink)
    placer: Any = None
    await notes.commit(placer, [object()], [])
    await asyncio.sleep(0.05)
    await notes.send(link, {"Context": CUSTOMER, "ChannelId": "x1"})
    await notes.send(link, {"Action": "Ping"})
    (told,) = (tmp_path / "sent").read_text().splitlines()
    attempt, late_s = told.split()
    assert attempt == "x1"
    assert 0.05 <= float(late_s) < 5


@pytest.mark.parametrize(
    ("told", "case", "away_s", "said"),
    [
        (Told(), KILLED, 20.0, ""),
        (Told(statuses={503: 1}), CUT, 0.1, "nobody was told clearly what is away"),
        (Told(statuses={503: 1}, clear=1), CUT, 9.0, ""),
        (Told(statuses={503: 1}, clear=1), KILLED, 2.0, ""),
        (Told(statuses={503: 1}, clear=1), KILLED, 9.0, "no page said that the database was away"),
        (Told(statuses={503: 1}, away=1, clear=1), KILLED, 9.0, ""),
    ],
)
def test_who_is_refused_is_told_why(told: Told, case: str, away_s: float, said: str) -> None:
    """In every case with a refusal; by a page where the database is away for long."""
    assert unsaid(told, case, away_s) == said


def test_a_clear_word_names_the_database() -> None:
    """The API by its problem, a page in the words of its language."""
    assert says_what_is_away("/api/v1/lists", '{"type": "/problems/database-unavailable"}'.replace(": ", ":"))
    assert not says_what_is_away("/api/v1/lists", SAYS["en"])
    assert says_what_is_away("/campaigns", f"<p>{SAYS['ru']}</p>")
    assert not says_what_is_away("/campaigns", "Service Unavailable")
