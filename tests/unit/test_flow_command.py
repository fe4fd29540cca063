"""`dozvon flow check`, `show` and `simulate`, as people run them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from dialer.cli import app
from dialer.errors import BadFlow, Invalid, UnreadableFile
from ivr_flows import shipped

EVENING = "2026-11-23T22:30+03:00"
AFTERNOON = "2026-11-23T15:00+03:00"


def run(*words: str, typed: str = "") -> Result:
    """The command; what it raises is raised here."""
    done = CliRunner().invoke(app, ["flow", *words], input=typed, env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def json_lines(result: Result) -> list[dict[str, object]]:
    """The lines of JSON that were said."""
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A file with two mistakes: a state that is not there on line 124, one that nothing leads to."""
    text = shipped.text("optout", "en").replace(
        "{done: written, failed: later}", "{done: writen, failed: later}", 1
    )
    file = tmp_path / "broken.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_check_says_where_and_what(broken: str) -> None:
    """Each problem has the file, the line, the path and what may have been meant; the status is 1."""
    line = next(
        n
        for n, text in enumerate(Path(broken).read_text(encoding="utf-8").splitlines(), 1)
        if "writen" in text
    )
    said = run("check", broken)
    assert said.exit_code == 1
    assert f"broken.yaml:{line}: states.own.transitions.done: there is no state “writen”" in said.stdout
    assert "written" in said.stdout
    (found,) = json_lines(run("check", broken, "--json"))
    assert [one["code"] for one in found["problems"]] == ["no_state"]  # type: ignore[attr-defined]


def test_check_knows_recordings_flows_and_hosts(tmp_path: Path) -> None:
    """What a flow names is looked for in the folders that are given; what is there is no problem."""
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds/hello.wav").touch()
    file = tmp_path / "one.yaml"
    file.write_text(
        "name: one\nlanguage: en\ninitial_state: a\nstates:\n"
        "  - {name: a, type: play, properties: {sound: hello}, transitions: {done: b}}\n"
        "  - {name: b, type: play, properties: {sound: gone}, transitions: {done: c}}\n"
        "  - {name: c, type: goto_flow, properties: {flow: two}}\n",
        encoding="utf-8",
    )
    words = ("check", str(file), "--prompts", str(tmp_path / "sounds"), "--flows", str(tmp_path), "--json")
    (found,) = json_lines(run(*words))
    assert [(one["path"], one["code"]) for one in found["problems"]] == [  # type: ignore[attr-defined]
        ("states.b.properties.sound", "no_sound"),
        ("states.c.properties.flow", "no_flow"),
    ]
    (tmp_path / "two.yaml").write_text(
        shipped.text("visit", "en").replace("name: visit", "name: two", 1), encoding="utf-8"
    )
    (tmp_path / "sounds/gone.gsm").touch()
    assert run(*words).exit_code == 0


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("name", shipped.NAMES)
def test_what_comes_along_can_be_checked_shown_and_played(name: str, language: str, tmp_path: Path) -> None:
    """The flows that come along are found by name."""
    called, picture = f"{name}.{language}", tmp_path / "x.svg"
    assert run("check", called).exit_code == 0
    assert run("show", called).stdout.startswith("flowchart TD")
    assert run("show", called, "--svg", str(picture)).exit_code == 0
    assert ET.parse(picture).getroot().tag.endswith("svg")
    (shown,) = json_lines(run("show", called, "--json"))
    assert len(shown["states"]) == len(shipped.flow(name, language).states)  # type: ignore[arg-type]
    assert run("simulate", called, "--keys", "!", "--at", AFTERNOON).exit_code == 0


def test_show_draws_what_is_wrong_too(broken: str) -> None:
    """A flow that is being written can be looked at."""
    assert "flowchart TD" in run("show", broken).stdout


#: what happens -> how it ended, where, and what is known then
STORIES = {
    "sales answers": (
        ["found:name=Anna", "1", "answered"],
        AFTERNOON,
        "answered",
        "sales",
        {"reason": "sales"},
    ),
    "wrong keys, then parts": (
        ["unknown", "9", "-", "3", "answered"],
        AFTERNOON,
        "answered",
        "parts",
        {"reason": "parts"},
    ),
    "callback to another number": (
        ["unknown", "4", "2", "9161112233", "done"],
        AFTERNOON,
        "finished",
        "promised",
        {"number": "9161112233"},
    ),
    "closed, a message": (["2", "done"], EVENING, "finished", "recorded", {}),
    "closed, silence": (["-", "-", "-"], EVENING, "finished", "goodbye", {}),
    "a holiday": (["empty"], "2027-01-02T12:00+03:00", "finished", "goodbye", {}),
    "hangs up": (["failed", "!"], AFTERNOON, "left", "departments", {}),
    "all is away": (
        ["failed", "1", "failed", "failed", "failed", "failed"],
        AFTERNOON,
        "failed",
        "sales",
        {},
    ),
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_call_to_the_reception(story: str, language: str) -> None:
    """The dealer's reception does what a caller expects of it, in each of its ways."""
    keys, at, ended, state, known = STORIES[story]
    said = run("simulate", f"reception.{language}", "--keys", ",".join(keys), "--at", at, "--json")
    last = json_lines(said)[-1]
    assert (last["ended"], last["state"]) == (ended, state)
    assert known.items() <= last["variables"].items()  # type: ignore[attr-defined]
    assert said.exit_code == int(ended == "failed")


#: The day of the visit, as a card has it.
VISIT = ("--set", "contact.visit_at=2026-12-01T10:00")


def test_other_shipped_flows_do_what_they_are_for() -> None:
    """Answers are kept, a visit is confirmed, an offer is taken, a number is called no more."""
    stories = [
        (["survey.en", "1,done,4,5,9#"], "thanks", {"survey.quality": "4", "survey.recommend": "9"}),
        (["survey.en", "1,done,1,5,11#,9#,1,answered"], "thanks", {"disposition": "survey-completed"}),
        (["survey.ru", "1,done,4,!"], "speed", {"disposition": "survey-partial"}),
        (["survey.en", "2,done"], "refused", {"disposition": "refusal"}),
        (["survey.en", "-,-"], "goodbye", {"disposition": "no-contact"}),
        (["visit.ru", "1", *VISIT], "confirmed", {"visit": "confirmed", "disposition": "visit-confirmed"}),
        (["visit.ru", "3,2,1", *VISIT], "confirmed", {"disposition": "visit-confirmed"}),
        (["visit.en", "3,1", *VISIT], "cancelled", {"disposition": "visit-cancelled"}),
        (["visit.en", "2,timeout,done", *VISIT], "will_call", {"disposition": "visit-moved"}),
        (["visit.en", "-,-,-", *VISIT], "goodbye", {"disposition": "no-contact"}),
        (["visit.en", ""], "nothing_planned", {"disposition": "other"}),
        (["information.ru", "unknown,1,offered:id=7;text=Шины,1,answered"], "offer_agent", {"offer.id": "7"}),
        (["information.en", "found:balance=12.5,2,none"], "goodbye", {"reason": "balance"}),
        (["optout.ru", "1,done"], "written", {}),
        (["optout.en", "2,916,9161234567,1,done"], "written", {"number": "9161234567"}),
    ]
    for (name, keys, *more), state, known in stories:
        last = json_lines(run("simulate", name, "--keys", keys, *more, "--at", AFTERNOON, "--json"))[-1]
        assert last["state"] == state, (name, keys, last)
        assert known.items() <= last["variables"].items()  # type: ignore[attr-defined]


def test_simulate_asks_and_says() -> None:
    """Without --keys it asks at the terminal and says in words what would be heard."""
    said = run(
        "simulate",
        "reception.en",
        "--at",
        AFTERNOON,
        "--set",
        "caller=+79990001122",
        typed="found:name=Anna\n\n4\n!\n",
    )
    assert "Hello, Anna!" in said.stdout
    assert "We did not hear your choice." in said.stdout
    assert "1 1 2 2" in said.stdout
    assert "left in callback_number" in said.stdout


def test_the_page_on_flows_shows_commands_that_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of docs/how-to/ivr-flow.md, typed in as it stands, ends well."""
    page = Path(__file__).parents[2] / "docs/how-to/ivr-flow.md"
    lines = re.findall(r"^dozvon flow (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    assert len(lines) > 5
    for line in lines:
        assert run(*shlex.split(line), typed="!\n").exit_code == 0, line
    assert (tmp_path / "reception.svg").exists()


def test_wrong_words_are_told(broken: str, tmp_path: Path) -> None:
    """What cannot be read or is wrongly written is an error of one line."""
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile):
        run("check", str(tmp_path / "none.yaml"))
    with pytest.raises(UnreadableFile):
        run("check", str(tmp_path / "bytes.yaml"))
    with pytest.raises(BadFlow, match="writen"):
        run("simulate", broken)
    for words in (["--at", "noon"], ["--at", "2026-11-23T20:00"], ["--set", "x"], ["--language", "fr"]):
        with pytest.raises(Invalid):
            run("simulate", "visit.en", *words)
