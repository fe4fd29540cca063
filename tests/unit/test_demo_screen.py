"""The demo's terminal speaks Russian and English, with the same words as the pages."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from rich.console import Console

from dialer.demo import screen
from dialer.demo.screen import Screen
from dialer.httpkit.i18n import terminal_locale, translator

SPREAD = {"p50": 5.4, "p95": 9.6, "max": 12.0}
SUMMARY: dict[str, Any] = {
    "mode": "predictive",
    "attempts": 3,
    "by_result": {"answered": 2, "busy": 1, "failed": 0},
    "answered": 2,
    "answered_live": 2,
    "connected": 2,
    "abandoned": 0,
    "connect_rate": 2 / 3,
    "reach_rate": None,
    "abandon_rate": 0.0,
    "abandon_limit": 0.03,
    "occupancy": 0.5,
    "join_ms": SPREAD,
    "answer_to_agent_ms": None,
    "double_dials": 0,
    "retries": {"congestion": 2},
    "unfinished_attempts": 0,
    "dispositions": {"sale": 2},
    "seconds": 30.2,
}


def drawn(thing: Any) -> str:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(thing)
    return captured.get()


@pytest.mark.parametrize(
    ("environment", "locale"),
    [
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LC_MESSAGES": "ru_RU", "LANG": "en_US.UTF-8"}, "ru"),
        ({}, "en"),
    ],
)
def test_language_is_the_terminals(environment: dict[str, str], locale: str) -> None:
    """LC_ALL wins over LC_MESSAGES, that over LANG."""
    assert terminal_locale(environment) == locale


def test_every_sentence_has_russian_words() -> None:
    """No line of the demo falls back to English in a Russian terminal."""
    russian = translator("ru")
    folder = Path(screen.__file__).parent
    files = [("run.py", "python"), ("screen.py", "python")]
    found = extract_from_dir(folder, files, keywords={"say": None, "row": (1,)})
    said = {message for _, _, message, _, _ in found if isinstance(message, str)}
    assert len(said) > 20
    assert sorted(text for text in said if russian.gettext(text) == text) == []


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        ("en", ("connect rate = answered", "66.7 %", "no answer", "0.0 % (limit 3.0 %)", "congestion 2")),
        ("ru", ("уровень дозвона", "66.7 %", "занято", "0.0 % (предел 3.0 %)", "перегрузка сети 2")),
    ],
)
def test_summary_fits_a_narrow_terminal(locale: str, wanted: tuple[str, ...]) -> None:
    """Every figure stands in the table, with its formula, within 80 columns."""
    shown = drawn(Screen(locale).summary(SUMMARY | {"by_result": {"busy": 1, "no_answer": 2}}, ["note"]))
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert [word for word in wanted if word not in shown] == []


def test_live_screen_counts_states() -> None:
    """Calls and agents are shown by state, only those that there are."""
    shown = drawn(
        Screen("en").live(
            title="Campaign 1",
            url="http://127.0.0.1:8080/campaigns/1",
            leads=10,
            dialled=4,
            calls=Counter({"ringing": 3}),
            agents=Counter({"talking": 1, "ready": 2}),
            figures=SUMMARY,
        )
    )
    assert "ringing 3" in shown and "talking 1" in shown and "ready 2" in shown
    assert "4 of 10 dialled" in shown
    assert "waiting" not in shown


def test_every_key_of_the_summary_is_explained() -> None:
    """docs/reference/demo.md lists the keys of the last line, no more and no fewer."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "demo.md"
    told = {line.split("`")[1] for line in page.read_text().splitlines() if line.startswith("| `")}
    assert told == SUMMARY.keys()
