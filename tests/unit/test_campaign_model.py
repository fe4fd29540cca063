"""The life of a campaign, and what may be said of one."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import dialer
from dialer.calls.terms import AMD_DEFAULTS
from dialer.campaigns.fields import CampaignIn, DispositionIn, DispositionsIn, PauseCodeIn, PauseCodesIn
from dialer.campaigns.model import (
    DEFAULT_DISPOSITIONS,
    DEFAULT_PAUSE_CODES,
    Action,
    Campaign,
    Status,
    after,
    check_editable,
    start_settings,
)
from dialer.db.tables import DISPOSITION_KINDS
from dialer.errors import WrongState
from dialer.httpkit.i18n import translator
from dialer.trunks.model import Trunk

DRAFT, RUNNING, PAUSED, STOPPED = Status.DRAFT, Status.RUNNING, Status.PAUSED, Status.STOPPED


@pytest.mark.parametrize(
    ("before", "start", "pause", "resume", "stop"),
    [
        (DRAFT, RUNNING, None, None, None),
        (RUNNING, None, PAUSED, None, STOPPED),
        (PAUSED, None, None, RUNNING, STOPPED),
        (STOPPED, None, None, None, None),
    ],
)
def test_a_campaign_moves_along_its_life(
    before: Status, start: Status | None, pause: Status | None, resume: Status | None, stop: Status | None
) -> None:
    """Each action has its statuses; in any other it is refused and the status stays."""
    wanted = {Action.START: start, Action.PAUSE: pause, Action.RESUME: resume, Action.STOP: stop}
    for action, following in wanted.items():
        if following is None:
            with pytest.raises(WrongState, match=f"Spring is {before.value}"):
                after(before, action, "Spring")
        else:
            assert after(before, action, "Spring") is following


@pytest.mark.parametrize(
    ("status", "ratio", "name", "policy"),
    [
        (DRAFT, True, True, True),
        (PAUSED, True, True, False),
        (RUNNING, True, False, False),
        (STOPPED, False, False, False),
    ],
)
def test_what_can_be_changed_when(status: Status, ratio: bool, name: bool, policy: bool) -> None:
    """A draft in everything, a paused one in all but its policy, one that runs in its pace."""
    for field, may in (("ratio", ratio), ("name", name), ("policy", policy)):
        if may:
            check_editable(status, "Spring", {field: 1}, {field: 2})
        else:
            with pytest.raises(WrongState):
                check_editable(status, "Spring", {field: 1}, {field: 2, "ratio": 2})


@pytest.mark.parametrize(("was", "to"), [("power", "manual"), ("flow", "power"), ("preview", "progressive")])
def test_a_running_campaign_keeps_who_decides(was: str, to: str) -> None:
    """Its pace may go by another rule; from calls by hand, or by a flow, to paced ones it stands still."""
    check_editable(RUNNING, "Spring", {"mode": "progressive"}, {"mode": "predictive"})
    with pytest.raises(WrongState):
        check_editable(RUNNING, "Spring", {"mode": was}, {"mode": to})


def test_the_defaults_cover_every_kind_of_outcome() -> None:
    """An agent of a new campaign can say whatever a report tells apart."""
    assert {one.kind for one in DEFAULT_DISPOSITIONS} == set(DISPOSITION_KINDS)
    DispositionsIn(
        items=[
            DispositionIn(code=one.code, label_ru=one.label_ru, label_en=one.label_en, kind=one.kind)  # type: ignore[arg-type]
            for one in DEFAULT_DISPOSITIONS
        ]
    )
    PauseCodesIn(
        items=[
            PauseCodeIn(code=one.code, label_ru=one.label_ru, label_en=one.label_en, limit_s=one.limit_s)
            for one in DEFAULT_PAUSE_CODES
        ]
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"mode": "auto"}, "mode"),
        ({"ratio": 0.9}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"week": {"son": []}}, "week"),
        ({"week": {"sun": ["14:00-20:00", "10:00-13:00"]}}, "week"),
        ({"exceptions": {"2026-02-30": []}}, "exceptions.2026-02-30.[key]"),
        ({"purpose": "any"}, "purpose"),
        ({"skill": ""}, "skill"),
        ({"ring_timeout_s": 4}, "ring_timeout_s"),
        ({"amd": {"greating": 1500}}, "amd"),
        ({"amd": {"after_greeting_silence": 100}}, "amd"),
        ({"retries": {"results": {"bored": {"after_s": 60}}}}, "retries.results"),
        ({"retries": {"results": {"busy": {"after_s": -2}}}}, "retries.results.busy.after_s"),
        ({"caller_name": "two\nlines"}, "caller_name"),
        ({"call_from": "21:00", "call_until": "09:00"}, "call_until"),
        ({"call_from": "22:00"}, "call_until"),
        ({"call_from": "9:00"}, "call_from"),
        ({"trunks": [1, 1]}, "trunks"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    """Each field has its bounds, and the refusal says which was crossed."""
    with pytest.raises(ValidationError) as refused:
        CampaignIn(**{"name": "Spring"} | change)
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [field]


def test_the_measured_settings_of_the_machine_detector_are_within_its_bounds() -> None:
    """What the server uses itself can be written down by hand."""
    assert CampaignIn(name="Spring", amd=dict(AMD_DEFAULTS)).amd == AMD_DEFAULTS


def test_a_code_stands_for_one_thing() -> None:
    """Two dispositions or pauses of one code, and the server's own pauses, are refused."""
    sale = DispositionIn(code="sale", label_ru="Продажа", label_en="Sale", kind="sale")
    with pytest.raises(ValidationError, match="twice"):
        DispositionsIn(items=[sale, sale])
    rest = PauseCodeIn(code="rest", label_ru="Отдых", label_en="Rest")
    with pytest.raises(ValidationError, match="twice"):
        PauseCodesIn(items=[rest, rest])
    with pytest.raises(ValidationError, match="own"):
        PauseCodesIn(items=[PauseCodeIn(code="login", label_ru="Вход", label_en="Log-in")])


CAMPAIGN = Campaign(
    **CampaignIn(name="Spring", call_from="10:00", call_until="24:00").model_dump(exclude={"trunks"}),
    id=1,
    status=DRAFT,
    abandon_sound=None,
    created_at=datetime(2026, 5, 4, tzinfo=UTC),
    started_at=None,
    ended_at=None,
)
LOCAL = Trunk(1, "here", "here", "+74950000001", 5, 5.0, ("+7",), sip_host="127.0.0.1")
CARRIER = Trunk(2, "carrier", "carrier", "+74950000002", 5, 5.0, ("+7",), sip_host="sip.example.com")
CLOSED = Trunk(3, "closed", "closed", "+74950000003", 5, 5.0, (), sip_host="sip.example.com")
OFF = Trunk(4, "off", "off", "+74950000004", 5, 5.0, ("+7",), enabled=False)


@pytest.mark.parametrize(
    ("trunks", "usable", "here"),
    [
        ([], 0, False),
        ([LOCAL], 1, True),
        ([LOCAL, CLOSED, OFF], 1, True),
        ([LOCAL, CARRIER], 2, False),
        ([CLOSED, OFF], 0, False),
    ],
)
def test_only_trunks_that_can_call_count(trunks: list[Trunk], usable: int, here: bool) -> None:
    """One that is off or allows no prefix is none; a single real carrier is not this machine."""
    settings = start_settings(CAMPAIGN, trunks, ["sale", "other", "refusal"])
    assert (settings.trunks, settings.this_machine, settings.dispositions) == (usable, here, 3)
    assert settings.window.words == "10:00-24:00"


def spoken(folder: str) -> set[str]:
    """The literal sentences that the modules of a feature give as reasons, read from their source."""
    found: set[str] = set()
    for file in (Path(dialer.__file__).parent / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            texts = [
                keyword.value for keyword in node.keywords if keyword.arg in {"reason", "what", "allowed"}
            ]
            match node.func.id:
                case "Said":
                    texts += node.args[:1]
                case "Problem" | "_of":
                    texts += node.args[1:2]
                case "ValueError" if folder != "compliance":  # those of Hours are said by the fields
                    texts += node.args[:1]
            found |= {str(text.value) for text in texts if isinstance(text, ast.Constant)}
    return found


@pytest.mark.parametrize("folder", ["campaigns", "compliance", "policies", "trunks", "reports"])
def test_every_reason_speaks_russian(folder: str) -> None:
    """What a supervisor reads has a translation."""
    russian = translator("ru")
    assert {text for text in spoken(folder) if russian.gettext(text) == text} - {"{one}; {more}"} == set()
    assert spoken(folder)
